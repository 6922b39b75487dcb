"""Tables of staff accounts, sessions, invitations and passkeys."""

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Integer, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from intake.db.types import Base, EnumText, Identifier, Instant, WrappedSecret, enum_check


class Role(StrEnum):
    """A role of an account; an account may have several. `permissions` says what each allows."""

    COORDINATOR = "coordinator"
    SUPERVISOR = "supervisor"
    PRIVACY_OFFICER = "privacy_officer"
    ADMIN = "admin"


class StaffMember(Base):
    """A staff account, which belongs to one person and is not shared."""

    __tablename__ = "staff_member"

    id: Mapped[uuid.UUID] = mapped_column(Identifier, primary_key=True)
    email: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    password_hash: Mapped[str] = mapped_column(Text)
    totp_secret: Mapped[bytes] = mapped_column(WrappedSecret)
    totp_step: Mapped[int] = mapped_column(Integer, default=0)
    created_at: Mapped[datetime] = mapped_column(Instant)
    disabled_at: Mapped[datetime | None] = mapped_column(Instant)


class StaffRole(Base):
    """A role of an account."""

    __tablename__ = "staff_role"
    __table_args__ = (enum_check("role", Role), {"sqlite_strict": True})

    staff_id: Mapped[uuid.UUID] = mapped_column(Identifier, ForeignKey("staff_member.id"), primary_key=True)
    role: Mapped[Role] = mapped_column(EnumText(Role), primary_key=True)


class RecoveryCode(Base):
    """A single-use code for a lost second factor; only its keyed hash is stored."""

    __tablename__ = "recovery_code"

    code_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    staff_id: Mapped[uuid.UUID] = mapped_column(Identifier, ForeignKey("staff_member.id"), index=True)
    used_at: Mapped[datetime | None] = mapped_column(Instant)


class Browser(StrEnum):
    """The family of a browser: enough to tell one's own sessions apart, too little for tracking."""

    CHROME = "chrome"
    EDGE = "edge"
    FIREFOX = "firefox"
    SAFARI = "safari"
    OTHER = "other"


class StaffSession(Base):
    """A sign-in of one browser. Of the cookie's token only a keyed hash is stored.

    `confirmed_at` is the time of the last second factor; `id` identifies the session on pages.
    """

    __tablename__ = "staff_session"
    __table_args__ = (enum_check("browser", Browser), {"sqlite_strict": True})

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    staff_id: Mapped[uuid.UUID] = mapped_column(Identifier, ForeignKey("staff_member.id"), index=True)
    began_at: Mapped[datetime] = mapped_column(Instant)
    seen_at: Mapped[datetime] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    id: Mapped[uuid.UUID] = mapped_column(Identifier, unique=True)
    browser: Mapped[Browser] = mapped_column(EnumText(Browser))
    confirmed_at: Mapped[datetime] = mapped_column(Instant)


class Invitation(Base):
    """A single-use link with which an account's owner sets a password and a second factor.

    An account has one at most: a new one replaces the earlier one, and a used one is deleted.
    """

    __tablename__ = "staff_invitation"

    staff_id: Mapped[uuid.UUID] = mapped_column(Identifier, ForeignKey("staff_member.id"), primary_key=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    expires_at: Mapped[datetime] = mapped_column(Instant)


class Passkey(Base):
    """A WebAuthn credential of an account.

    `credential` is the attested credential data (with the public key) in WebAuthn's encoding.
    """

    __tablename__ = "staff_passkey"
    __table_args__ = (enum_check("browser", Browser), {"sqlite_strict": True})

    id: Mapped[uuid.UUID] = mapped_column(Identifier, primary_key=True)
    staff_id: Mapped[uuid.UUID] = mapped_column(Identifier, ForeignKey("staff_member.id"), index=True)
    handle_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    credential: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(Integer)
    browser: Mapped[Browser] = mapped_column(EnumText(Browser))
    added_at: Mapped[datetime] = mapped_column(Instant)
    used_at: Mapped[datetime | None] = mapped_column(Instant)


class SpentChallenge(Base):
    """A passkey challenge that was answered, and is not accepted again."""

    __tablename__ = "spent_challenge"

    challenge_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    spent_at: Mapped[datetime] = mapped_column(Instant)
