"""The tables of a lead: what is kept of a request, sealed where it names or reaches a person."""

import uuid
from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    TypeDecorator,
    bindparam,
    exists,
    select,
    text,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from intake.conf.clinic import Channel
from intake.consent.models import Kind, State
from intake.core.i18n import N_
from intake.db.engine import Base, Blob, Closed, Count, Identifier, Instant, Words, Wrapped, one_of
from intake.security.crypto import Sealed


class LeadStatus(StrEnum):
    """Where a lead stands. Claimed, held and suspected are facts beside it (decisions.md 6)."""

    NEW = "new"
    TRYING = "trying"
    BOOKED = "booked"
    CLOSED = "closed"


_DONE = (LeadStatus.BOOKED, LeadStatus.CLOSED)
_WAITING = text("status NOT IN ('booked', 'closed')")
_LOOKED_AT = text("opened_at IS NOT NULL AND first_contact_at IS NULL AND closed_at IS NULL")


class CloseReason(StrEnum):
    """Why a lead was closed."""

    DECLINED = "declined"
    NOT_REACHED = "not_reached"
    STOPPED = "stopped"
    SUPERSEDED = "superseded"
    TALKED = "talked"
    WRONG_NUMBER = "wrong_number"

    @property
    def sentence(self) -> str:
        """In words, for staff."""
        return _CLOSED_BECAUSE[self]


_CLOSED_BECAUSE = {
    CloseReason.DECLINED: N_("They decided not to go on."),
    CloseReason.NOT_REACHED: N_("We could not reach them."),
    CloseReason.STOPPED: N_("They asked us to stop."),
    CloseReason.SUPERSEDED: N_("They sent a corrected request."),
    CloseReason.TALKED: N_("We talked, and nothing is left to do."),
    CloseReason.WRONG_NUMBER: N_("It was the wrong number."),
}


class Outcome(StrEnum):
    """How one attempt ended, or what else happened that belongs in the story of a lead."""

    REACHED = "reached"
    NO_ANSWER = "no_answer"
    VOICEMAIL_LEFT = "voicemail_left"
    MESSAGE_SENT = "message_sent"
    SOMEBODY_ELSE = "somebody_else"
    THEY_CALLED_US = "they_called_us"
    WRONG_NUMBER = "wrong_number"
    ASKED_TO_STOP = "asked_to_stop"
    ANOTHER_TIME = "another_time"
    BOOKED = "booked"
    DECLINED = "declined"

    @property
    def sentence(self) -> str:
        """In words, for staff."""
        return _OUTCOMES[self]


_OUTCOMES = {
    Outcome.REACHED: N_("Talked"),
    Outcome.NO_ANSWER: N_("No answer"),
    Outcome.VOICEMAIL_LEFT: N_("Left a voicemail"),
    Outcome.MESSAGE_SENT: N_("Sent a message"),
    Outcome.SOMEBODY_ELSE: N_("Somebody else answered"),
    Outcome.THEY_CALLED_US: N_("They called us"),
    Outcome.WRONG_NUMBER: N_("Wrong number"),
    Outcome.ASKED_TO_STOP: N_("Asked to stop"),
    Outcome.ANOTHER_TIME: N_("Asked for another time"),
    Outcome.BOOKED: N_("Booked a consultation"),
    Outcome.DECLINED: N_("Decided not to go on"),
}


class Suspicion(StrEnum):
    """Why a submission looks made by a machine. It marks a lead and discards nothing."""

    HONEYPOT = "honeypot"
    TOO_FAST = "too_fast"


class AskingFor(StrEnum):
    """For whom somebody asks. Sealed with the contact (decisions.md 6)."""

    SELF = "self"
    OTHER = "other"
    PROFESSIONAL = "professional"


class SealedWords(TypeDecorator[Sealed]):
    """A sealed value as bytes in the database and as a box in Python; loading opens nothing."""

    impl = Blob
    cache_ok = True

    def process_bind_param(self, value: Sealed | None, dialect: Dialect) -> bytes | None:
        return value.box if value else None

    def process_result_value(self, value: Any, dialect: Dialect) -> Sealed | None:
        return Sealed(bytes(value)) if value is not None else None


class Lead(Base):
    """One request. The composite foreign key is promise C1: no lead without a given consent to use."""

    __tablename__ = "lead"
    __table_args__ = (
        one_of("status", LeadStatus),
        one_of("close_reason", CloseReason),
        one_of("suspected", Suspicion),
        CheckConstraint("use_kind = 'use'", name="use_kind"),
        CheckConstraint("use_state = 'given'", name="use_state"),
        CheckConstraint("(status = 'closed') = (closed_at IS NOT NULL)", name="closed_complete"),
        CheckConstraint("(claimed_by IS NULL) = (claimed_until IS NULL)", name="claim_complete"),
        ForeignKeyConstraint(
            ["id", "use_event_id", "use_kind", "use_state"],
            ["consent_event.lead_id", "consent_event.id", "consent_event.kind", "consent_event.state"],
            name="fk_lead_use_consent",
        ),
        Index("ix_lead_status_promise_at_id", "status", "promise_at", "id"),
        Index("ix_lead_waiting", "promise_at", "id", sqlite_where=_WAITING, postgresql_where=_WAITING),
        Index("ix_lead_status_closed_at_id", "status", "closed_at", "id"),
        Index("ix_lead_looked_at", "opened_at", "id", sqlite_where=_LOOKED_AT, postgresql_where=_LOOKED_AT),
        Index("ix_lead_booked_for", "booked_for"),
        Index("ix_lead_claimed_until", "claimed_until"),
        Index("ix_lead_phone_index", "phone_index"),
        Index("ix_lead_email_index", "email_index"),
        Index("ix_lead_purge_after", "purge_after"),
        {"sqlite_strict": True},
    )

    id: Mapped[uuid.UUID] = mapped_column(Identifier, primary_key=True)
    reference: Mapped[str] = mapped_column(Words, unique=True)
    code_hash: Mapped[bytes] = mapped_column(Blob, unique=True)
    language: Mapped[str] = mapped_column(Words)
    region: Mapped[str] = mapped_column(Words)
    time_zone: Mapped[str | None] = mapped_column(Words)
    number_zones: Mapped[str] = mapped_column(Words, default="")
    windows: Mapped[str] = mapped_column(Words)
    status: Mapped[LeadStatus] = mapped_column(Closed(LeadStatus), default=LeadStatus.NEW)
    close_reason: Mapped[CloseReason | None] = mapped_column(Closed(CloseReason))
    suspected: Mapped[Suspicion | None] = mapped_column(Closed(Suspicion))
    promise_at: Mapped[datetime] = mapped_column(Instant)
    asked_at: Mapped[datetime] = mapped_column(Instant)
    opened_at: Mapped[datetime | None] = mapped_column(Instant)
    first_contact_at: Mapped[datetime | None] = mapped_column(Instant)
    booked_for: Mapped[datetime | None] = mapped_column(Instant)
    closed_at: Mapped[datetime | None] = mapped_column(Instant)
    purge_after: Mapped[datetime] = mapped_column(Instant)
    claimed_by: Mapped[uuid.UUID | None] = mapped_column(Identifier, ForeignKey("staff_member.id"))
    claimed_until: Mapped[datetime | None] = mapped_column(Instant)
    follows: Mapped[uuid.UUID | None] = mapped_column(Identifier)
    use_event_id: Mapped[uuid.UUID] = mapped_column(Identifier)
    use_kind: Mapped[Kind] = mapped_column(Closed(Kind), default=Kind.USE)
    use_state: Mapped[State] = mapped_column(Closed(State), default=State.GIVEN)
    name: Mapped[Sealed] = mapped_column(SealedWords)
    phone: Mapped[Sealed | None] = mapped_column(SealedWords)
    email: Mapped[Sealed | None] = mapped_column(SealedWords)
    asking_for: Mapped[Sealed | None] = mapped_column(SealedWords)
    article: Mapped[Sealed | None] = mapped_column(SealedWords)
    phone_index: Mapped[bytes | None] = mapped_column(Blob)
    email_index: Mapped[bytes | None] = mapped_column(Blob)
    version: Mapped[int] = mapped_column(Count, default=1)
    note: Mapped[Sealed | None] = mapped_column(SealedWords)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012  SQLAlchemy reads it per class


def waiting() -> ColumnElement[bool]:
    """Still to be reached, said so that both databases walk the partial index `ix_lead_waiting` in order.

    The words stand in the SQL itself, and NOT IN keeps SQLite from reading two statuses and sorting.
    """
    words = bindparam("done", _DONE, type_=Lead.status.type, expanding=True, literal_execute=True)
    return Lead.status.not_in(words)


class LeadKey(Base):
    """The key of one lead, wrapped by the keyring. Deleting this row is what erasing means."""

    __tablename__ = "lead_key"

    lead_id: Mapped[uuid.UUID] = mapped_column(
        Identifier, ForeignKey("lead.id", ondelete="CASCADE"), primary_key=True
    )
    wrapped: Mapped[bytes] = mapped_column(Wrapped)


class Submission(Base):
    """One form token that was used, so that a page sent again finds its lead (decisions.md 3)."""

    __tablename__ = "submission"

    token_hash: Mapped[bytes] = mapped_column(Blob, primary_key=True)
    lead_id: Mapped[uuid.UUID | None] = mapped_column(
        Identifier, ForeignKey("lead.id", ondelete="SET NULL"), index=True
    )
    content_mac: Mapped[bytes] = mapped_column(Blob)
    received_at: Mapped[datetime] = mapped_column(Instant, index=True)


class Attempt(Base):
    """One outcome that staff logged, with the consent it relied on (OC-14)."""

    __tablename__ = "attempt"
    __table_args__ = (one_of("channel", Channel), one_of("outcome", Outcome), {"sqlite_strict": True})

    id: Mapped[uuid.UUID] = mapped_column(Identifier, primary_key=True)
    lead_id: Mapped[uuid.UUID] = mapped_column(
        Identifier, ForeignKey("lead.id", ondelete="CASCADE"), index=True
    )
    staff_id: Mapped[uuid.UUID] = mapped_column(Identifier, ForeignKey("staff_member.id"))
    channel: Mapped[Channel] = mapped_column(Closed(Channel))
    outcome: Mapped[Outcome] = mapped_column(Closed(Outcome))
    at: Mapped[datetime] = mapped_column(Instant)
    consent_event_id: Mapped[uuid.UUID | None] = mapped_column(Identifier)
    undone_at: Mapped[datetime | None] = mapped_column(Instant)


class SuppressionReason(StrEnum):
    """Why a number or address must not be contacted."""

    ASKED = "asked"
    WRONG_NUMBER = "wrong_number"
    THIRD_PARTY = "third_party"


class Suppression(Base):
    """Do not contact: a keyed hash and a reason, nothing that names or reaches anybody (G4)."""

    __tablename__ = "suppression"
    __table_args__ = (
        one_of("reason", SuppressionReason),
        Index("ix_suppression_contact_index", "contact_index"),
        {"sqlite_strict": True},
    )

    id: Mapped[uuid.UUID] = mapped_column(Identifier, primary_key=True)
    contact_index: Mapped[bytes] = mapped_column(Blob)
    reason: Mapped[SuppressionReason] = mapped_column(Closed(SuppressionReason))
    at: Mapped[datetime] = mapped_column(Instant)
    by: Mapped[uuid.UUID | None] = mapped_column(Identifier)
    lifted_at: Mapped[datetime | None] = mapped_column(Instant)


class ErasureReason(StrEnum):
    """Why a lead is gone."""

    ASKED = "asked"
    DUE = "due"


class Erasure(Base):
    """One line of the erasure ledger: that a lead is gone, and nothing about it; never changed.

    A restored backup brings erased leads back; the ledger's copy outside the database says which
    (decisions.md 23).
    """

    __tablename__ = "erasure"
    __table_args__ = (
        one_of("reason", ErasureReason),
        Index("ix_erasure_erased_at", "erased_at"),
        {"sqlite_strict": True},
    )

    lead_id: Mapped[uuid.UUID] = mapped_column(Identifier, primary_key=True)
    erased_at: Mapped[datetime] = mapped_column(Instant)
    reason: Mapped[ErasureReason] = mapped_column(Closed(ErasureReason))


# --- Legal holds: which requests have to be kept although their time is over, why, and until when (WR-09).
# A request is held as long as it has a row here. The row goes when the hold is released, or when its last
# day is over and the round has come by.


class HoldReason(StrEnum):
    """Why the law makes us keep a request. A closed list: no word about anybody can stand in it."""

    AUTHORITY = "authority"
    CLAIM = "claim"
    COMPLAINT = "complaint"
    INCIDENT = "incident"

    @property
    def sentence(self) -> str:
        """In words, for staff."""
        return _HOLD_REASONS[self]


_HOLD_REASONS = {
    HoldReason.AUTHORITY: N_("A court or an authority wants it kept"),
    HoldReason.CLAIM: N_("A legal claim is made, or expected"),
    HoldReason.COMPLAINT: N_("A complaint is being looked into"),
    HoldReason.INCIDENT: N_("A security incident is being looked into"),
}


class LegalHold(Base):
    """One request that is held. `erase_asked_at`: the person wants it erased, and it waits for the end."""

    __tablename__ = "legal_hold"
    __table_args__ = (one_of("reason", HoldReason), {"sqlite_strict": True})

    lead_id: Mapped[uuid.UUID] = mapped_column(
        Identifier, ForeignKey("lead.id", ondelete="CASCADE"), primary_key=True
    )
    reason: Mapped[HoldReason] = mapped_column(Closed(HoldReason))
    since: Mapped[datetime] = mapped_column(Instant)
    until: Mapped[datetime] = mapped_column(Instant)
    put_by: Mapped[uuid.UUID] = mapped_column(Identifier, ForeignKey("staff_member.id"))
    erase_asked_at: Mapped[datetime | None] = mapped_column(Instant)


def legal_hold_of(session: Session, lead_id: uuid.UUID) -> LegalHold | None:
    """The hold on a request, read anew; None when it has none."""
    return session.get(LegalHold, lead_id, populate_existing=True)


def is_on_legal_hold() -> ColumnElement[bool]:
    """Whether the `Lead` of a statement is held."""
    return exists().where(LegalHold.lead_id == Lead.id).correlate(Lead)


def references_of(session: Session, lead_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, str]:
    """The references of leads that still exist, in one statement."""
    if not lead_ids:
        return {}
    named = select(Lead.id, Lead.reference).where(Lead.id.in_(lead_ids))
    return dict(session.execute(named).all())
