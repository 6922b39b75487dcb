"""The tables of the audit log and its closed vocabularies."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from intake.db.types import Base, EnumText, Identifier, Instant, enum_check


class ActorKind(StrEnum):
    """The kinds of actor."""

    PERSON = "person"
    STAFF = "staff"
    SYSTEM = "system"


@dataclass(frozen=True)
class Actor:
    """Who acted: the person asking (never identified), a staff member, or the service itself."""

    kind: ActorKind
    staff_id: uuid.UUID | None = None

    @classmethod
    def person(cls) -> Self:
        """The person asking, or a visitor of the public pages."""
        return cls(ActorKind.PERSON)

    @classmethod
    def system(cls) -> Self:
        """The scheduler, the relay, or an operator on the command line."""
        return cls(ActorKind.SYSTEM)

    @classmethod
    def staff(cls, staff_id: uuid.UUID) -> Self:
        """A signed-in staff member."""
        return cls(ActorKind.STAFF, staff_id)


class Action(StrEnum):
    """Every action the audit log can record, as thing.done. The values are stored and stay."""

    ATTEMPT_LOGGED = "attempt.logged"
    ATTEMPT_UNDONE = "attempt.undone"
    AUDIT_EXPORTED = "audit.exported"
    AUDIT_READ = "audit.read"
    AUDIT_VERIFIED = "audit.verified"
    BACKUP_RESTORED = "backup.restored"
    BACKUP_TAKEN = "backup.taken"
    BACKUP_TESTED = "backup.tested"
    CLAIM_GIVEN_BACK = "claim.given_back"
    CLAIM_HANDED = "claim.handed"
    CLAIM_TAKEN = "claim.taken"
    CLAIM_TAKEN_BACK = "claim.taken_back"
    CONSENT_WITHDRAWN = "consent.withdrawn"
    COPY_SAVED = "copy.saved"
    EVIDENCE_READ = "evidence.read"
    EVIDENCE_SAVED = "evidence.saved"
    HOLD_ENDED = "hold.ended"
    HOLD_PUT = "hold.put"
    HOLD_RENEWED = "hold.renewed"
    KEYS_FIRST_SEEN = "keys.first_seen"
    KEYS_ROTATED = "keys.rotated"
    KEYS_ROTATION_BEGUN = "keys.rotation_begun"
    LEAD_CHANGED = "lead.changed"
    LEAD_CLOSED = "lead.closed"
    LEAD_ERASED = "lead.erased"
    LEAD_ERASURE_ASKED = "lead.erasure_asked"
    LEAD_NOTED = "lead.noted"
    LEAD_REOPENED = "lead.reopened"
    LEAD_REVEALED = "lead.revealed"
    LEAD_STOPPED = "lead.stopped"
    LEAD_SUBMITTED = "lead.submitted"
    LEAD_SUPERSEDED = "lead.superseded"
    LEAD_VIEWED = "lead.viewed"
    LEADS_LISTED = "leads.listed"
    LEADS_SEARCHED = "leads.searched"
    MAIL_RESENT = "mail.resent"
    MAIL_TESTED = "mail.tested"
    MANAGE_OPENED = "manage.opened"
    RECEIPT_SAVED = "receipt.saved"
    REPORT_EXPORTED = "report.exported"
    RETENTION_POSTPONED = "retention.postponed"
    STAFF_ADDED = "staff.added"
    STAFF_CODES_RENEWED = "staff.codes_renewed"
    STAFF_CONFIRMED = "staff.confirmed"
    STAFF_DISABLED = "staff.disabled"
    STAFF_ENABLED = "staff.enabled"
    STAFF_FACTOR_CHANGED = "staff.factor_changed"
    STAFF_INVITED = "staff.invited"
    STAFF_JOINED = "staff.joined"
    STAFF_PASSKEY_ADDED = "staff.passkey_added"
    STAFF_PASSKEY_REMOVED = "staff.passkey_removed"
    STAFF_PASSWORD_CHANGED = "staff.password_changed"  # noqa: S105  an act, not a password
    STAFF_REFUSED = "staff.refused"
    STAFF_RESET = "staff.reset"
    STAFF_ROLES_CHANGED = "staff.roles_changed"
    STAFF_SESSIONS_ENDED = "staff.sessions_ended"
    STAFF_SIGNED_IN = "staff.signed_in"
    STAFF_SIGNED_OUT = "staff.signed_out"
    SUPPRESSION_ADDED = "suppression.added"
    SUPPRESSION_LIFTED = "suppression.lifted"


DETAILS = frozenset(
    {
        "channel",
        "consents",
        "count",
        "field",
        "from",
        "hit",
        "kind",
        "method",
        "outcome",
        "reason",
        "role",
        "to",
    }
)
"""The only keys allowed in an event's details; none holds a name, number or address."""


class AuditEvent(Base):
    """One recorded action. Rows are never changed; `mac` authenticates all other columns."""

    __tablename__ = "audit_event"
    __table_args__ = (
        enum_check("actor_kind", ActorKind),
        CheckConstraint("(actor_kind = 'staff') = (actor_id IS NOT NULL)", name="actor_complete"),
        Index("ix_audit_event_at", "at"),
        Index("ix_audit_event_about", "about"),
        {"sqlite_strict": True},
    )

    id: Mapped[uuid.UUID] = mapped_column(Identifier, primary_key=True)
    at: Mapped[datetime] = mapped_column(Instant)
    actor_kind: Mapped[ActorKind] = mapped_column(EnumText(ActorKind))
    actor_id: Mapped[uuid.UUID | None] = mapped_column(Identifier)
    action: Mapped[str] = mapped_column(Text)
    about: Mapped[uuid.UUID | None] = mapped_column(Identifier)
    details: Mapped[str] = mapped_column(Text)
    mac: Mapped[bytes] = mapped_column(LargeBinary)


class ChainLink(Base):
    """The position of one event in the hash chain; written by the linking job alone, never changed.

    `digest_version`: the formula of `digest`; NULL in links that are older than the column.
    """

    __tablename__ = "chain_link"

    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    event_id: Mapped[uuid.UUID] = mapped_column(Identifier, ForeignKey("audit_event.id"), unique=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    linked_at: Mapped[datetime] = mapped_column(Instant)
    digest_version: Mapped[int | None] = mapped_column(Integer)
