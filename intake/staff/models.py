"""The tables of staff accounts."""

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from intake.database import Base, Blob, Closed, Count, Identifier, Instant, Words, one_of


class Role(StrEnum):
    """What somebody is here for; one account may hold several (decisions.md 28)."""

    COORDINATOR = "coordinator"
    SUPERVISOR = "supervisor"
    PRIVACY_OFFICER = "privacy_officer"
    ADMIN = "admin"


class StaffMember(Base):
    """One account for one human being."""

    __tablename__ = "staff_member"

    id: Mapped[uuid.UUID] = mapped_column(Identifier, primary_key=True)
    email: Mapped[str] = mapped_column(Words, unique=True)
    name: Mapped[str] = mapped_column(Words)
    password_hash: Mapped[str] = mapped_column(Words)
    totp_secret: Mapped[bytes] = mapped_column(Blob)
    totp_step: Mapped[int] = mapped_column(Count, default=0)
    created_at: Mapped[datetime] = mapped_column(Instant)
    disabled_at: Mapped[datetime | None] = mapped_column(Instant)


class StaffRole(Base):
    """One role that one account holds."""

    __tablename__ = "staff_role"
    __table_args__ = (one_of("role", Role), {"sqlite_strict": True})

    staff_id: Mapped[uuid.UUID] = mapped_column(Identifier, ForeignKey("staff_member.id"), primary_key=True)
    role: Mapped[Role] = mapped_column(Closed(Role), primary_key=True)


class RecoveryCode(Base):
    """One of the codes for a lost second factor; only its keyed hash is kept, and it works once."""

    __tablename__ = "recovery_code"

    code_hash: Mapped[bytes] = mapped_column(Blob, primary_key=True)
    staff_id: Mapped[uuid.UUID] = mapped_column(Identifier, ForeignKey("staff_member.id"), index=True)
    used_at: Mapped[datetime | None] = mapped_column(Instant)


class StaffSession(Base):
    """One signed-in browser. The cookie's value is never stored, only its keyed hash."""

    __tablename__ = "staff_session"

    token_hash: Mapped[bytes] = mapped_column(Blob, primary_key=True)
    staff_id: Mapped[uuid.UUID] = mapped_column(Identifier, ForeignKey("staff_member.id"), index=True)
    began_at: Mapped[datetime] = mapped_column(Instant)
    seen_at: Mapped[datetime] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
