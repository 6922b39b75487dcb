"""The tables of staff accounts."""

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from intake.db.engine import Base, Blob, Closed, Count, Identifier, Instant, Words, Wrapped, one_of


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
    totp_secret: Mapped[bytes] = mapped_column(Wrapped)
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


class Browser(StrEnum):
    """The family of a browser: enough to tell one's own sessions apart, too little to follow anybody."""

    CHROME = "chrome"
    EDGE = "edge"
    FIREFOX = "firefox"
    SAFARI = "safari"
    OTHER = "other"


class StaffSession(Base):
    """One signed-in browser. The cookie's value is never stored, only its keyed hash.

    `confirmed_at` is when the second factor was last given; `id` names the session on a page.
    """

    __tablename__ = "staff_session"
    __table_args__ = (one_of("browser", Browser), {"sqlite_strict": True})

    token_hash: Mapped[bytes] = mapped_column(Blob, primary_key=True)
    staff_id: Mapped[uuid.UUID] = mapped_column(Identifier, ForeignKey("staff_member.id"), index=True)
    began_at: Mapped[datetime] = mapped_column(Instant)
    seen_at: Mapped[datetime] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    id: Mapped[uuid.UUID] = mapped_column(Identifier, unique=True)
    browser: Mapped[Browser] = mapped_column(Closed(Browser))
    confirmed_at: Mapped[datetime] = mapped_column(Instant)


class Invitation(Base):
    """A link that lets the owner of an account choose a password and a second factor, once.

    One for each account: a new one takes the place of the one before, and a used one is gone.
    """

    __tablename__ = "staff_invitation"

    staff_id: Mapped[uuid.UUID] = mapped_column(Identifier, ForeignKey("staff_member.id"), primary_key=True)
    token_hash: Mapped[bytes] = mapped_column(Blob, unique=True)
    expires_at: Mapped[datetime] = mapped_column(Instant)


class Passkey(Base):
    """A public key whose other half never leaves somebody's device.

    `credential` is the attested credential data as WebAuthn encodes it.
    """

    __tablename__ = "staff_passkey"
    __table_args__ = (one_of("browser", Browser), {"sqlite_strict": True})

    id: Mapped[uuid.UUID] = mapped_column(Identifier, primary_key=True)
    staff_id: Mapped[uuid.UUID] = mapped_column(Identifier, ForeignKey("staff_member.id"), index=True)
    handle_hash: Mapped[bytes] = mapped_column(Blob, unique=True)
    credential: Mapped[bytes] = mapped_column(Blob)
    sign_count: Mapped[int] = mapped_column(Count)
    browser: Mapped[Browser] = mapped_column(Closed(Browser))
    added_at: Mapped[datetime] = mapped_column(Instant)
    used_at: Mapped[datetime | None] = mapped_column(Instant)


class SpentChallenge(Base):
    """A passkey challenge that was answered: it is not taken a second time."""

    __tablename__ = "spent_challenge"

    challenge_hash: Mapped[bytes] = mapped_column(Blob, primary_key=True)
    spent_at: Mapped[datetime] = mapped_column(Instant)
