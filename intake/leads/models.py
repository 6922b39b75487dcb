"""Tables of a lead: the request, its key, attempts, suppressions, erasures and legal holds.

Values that name or reach a person are sealed under the key of the lead. A lead is on legal hold while it has
a row in `legal_hold`; the row is deleted when the hold is released, or by the retention job after its end.
"""

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
    Integer,
    LargeBinary,
    Text,
    TypeDecorator,
    bindparam,
    exists,
    select,
    text,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from intake.calling.regions import zones_of
from intake.conf.clinic import Channel
from intake.consent.models import Kind, State
from intake.core.i18n import N_
from intake.db.types import Base, EnumText, Identifier, Instant, WrappedSecret, enum_check
from intake.security.crypto import Sealed


class LeadStatus(StrEnum):
    """The status of a lead. Being claimed, on legal hold or suspected is stored beside it, not in it."""

    NEW = "new"
    TRYING = "trying"
    BOOKED = "booked"
    CLOSED = "closed"


_DONE_STATUSES = (LeadStatus.BOOKED, LeadStatus.CLOSED)
_WAITING = text("status NOT IN ('booked', 'closed')")
_OPENED_WITHOUT_CONTACT = text("opened_at IS NOT NULL AND first_contact_at IS NULL AND closed_at IS NULL")


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
        """The sentence shown to staff (message id)."""
        return _CLOSE_REASON_SENTENCES[self]


_CLOSE_REASON_SENTENCES = {
    CloseReason.DECLINED: N_("They decided not to go on."),
    CloseReason.NOT_REACHED: N_("We could not reach them."),
    CloseReason.STOPPED: N_("They asked us to stop."),
    CloseReason.SUPERSEDED: N_("They sent a corrected request."),
    CloseReason.TALKED: N_("We talked, and nothing is left to do."),
    CloseReason.WRONG_NUMBER: N_("It was the wrong number."),
}


class Outcome(StrEnum):
    """The outcome of an attempt, or another event that staff log about a lead."""

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
        """The sentence shown to staff (message id)."""
        return _OUTCOME_SENTENCES[self]


_OUTCOME_SENTENCES = {
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
    """For whom the person asks. Sealed, as it says something about them."""

    SELF = "self"
    OTHER = "other"
    PROFESSIONAL = "professional"


class SealedText(TypeDecorator[Sealed]):
    """Column type of a sealed value: bytes in the database, `Sealed` in Python. Loading decrypts nothing."""

    impl = LargeBinary
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Any:
        return lambda sealed: None if sealed is None else sealed.box

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        return lambda box: None if box is None else Sealed(bytes(box))


class Lead(Base):
    """One request. The composite foreign key keeps promise C1: no lead without a given consent to use.

    `version` grows with every change of the row, so that forms of older pages are refused and two acts at
    once conflict. An act that changes only other tables for the lead adds one to it.
    """

    __tablename__ = "lead"
    __table_args__ = (
        enum_check("status", LeadStatus),
        enum_check("close_reason", CloseReason),
        enum_check("suspected", Suspicion),
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
        Index(
            "ix_lead_looked_at",
            "opened_at",
            "id",
            sqlite_where=_OPENED_WITHOUT_CONTACT,
            postgresql_where=_OPENED_WITHOUT_CONTACT,
        ),
        Index("ix_lead_booked_for", "booked_for"),
        Index("ix_lead_claimed_until", "claimed_until"),
        Index("ix_lead_phone_index", "phone_index"),
        Index("ix_lead_email_index", "email_index"),
        Index("ix_lead_purge_after", "purge_after"),
        {"sqlite_strict": True},
    )

    id: Mapped[uuid.UUID] = mapped_column(Identifier, primary_key=True)
    reference: Mapped[str] = mapped_column(Text, unique=True)
    code_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    language: Mapped[str] = mapped_column(Text)
    region: Mapped[str] = mapped_column(Text)
    time_zone: Mapped[str | None] = mapped_column(Text)
    number_zones: Mapped[str] = mapped_column(Text, default="")
    windows: Mapped[str] = mapped_column(Text)
    status: Mapped[LeadStatus] = mapped_column(EnumText(LeadStatus), default=LeadStatus.NEW)
    close_reason: Mapped[CloseReason | None] = mapped_column(EnumText(CloseReason))
    suspected: Mapped[Suspicion | None] = mapped_column(EnumText(Suspicion))
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
    use_kind: Mapped[Kind] = mapped_column(EnumText(Kind), default=Kind.USE)
    use_state: Mapped[State] = mapped_column(EnumText(State), default=State.GIVEN)
    name: Mapped[Sealed] = mapped_column(SealedText)
    phone: Mapped[Sealed | None] = mapped_column(SealedText)
    email: Mapped[Sealed | None] = mapped_column(SealedText)
    asking_for: Mapped[Sealed | None] = mapped_column(SealedText)
    article: Mapped[Sealed | None] = mapped_column(SealedText)
    phone_index: Mapped[bytes | None] = mapped_column(LargeBinary)
    email_index: Mapped[bytes | None] = mapped_column(LargeBinary)
    version: Mapped[int] = mapped_column(Integer, default=1)
    note: Mapped[Sealed | None] = mapped_column(SealedText)
    call_language: Mapped[Sealed | None] = mapped_column(SealedText)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012  SQLAlchemy reads it per class

    @property
    def zone(self) -> str:
        """The time zone in which the person is shown times: their own, or the first of their region."""
        return self.time_zone or zones_of(self.region)[0]


def is_waiting() -> ColumnElement[bool]:
    """Condition for leads that are still to be reached, in the form of the partial index `ix_lead_waiting`.

    Both databases then walk that index in order: the values are literals in the SQL, and NOT IN keeps SQLite
    from reading two statuses and sorting.
    """
    done = bindparam("done", _DONE_STATUSES, type_=Lead.status.type, expanding=True, literal_execute=True)
    return Lead.status.not_in(done)


class LeadKey(Base):
    """The key of one lead, wrapped by the keyring. Without it the sealed values cannot be read."""

    __tablename__ = "lead_key"

    lead_id: Mapped[uuid.UUID] = mapped_column(
        Identifier, ForeignKey("lead.id", ondelete="CASCADE"), primary_key=True
    )
    wrapped: Mapped[bytes] = mapped_column(WrappedSecret)


class Submission(Base):
    """A used form token. A form sent again finds its lead by it: docs/decisions/0004-a-page-sent-twice.md."""

    __tablename__ = "submission"

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    lead_id: Mapped[uuid.UUID | None] = mapped_column(
        Identifier, ForeignKey("lead.id", ondelete="SET NULL"), index=True
    )
    content_mac: Mapped[bytes] = mapped_column(LargeBinary)
    received_at: Mapped[datetime] = mapped_column(Instant, index=True)


class Attempt(Base):
    """One outcome that staff logged, with the consent that the contact relied on."""

    __tablename__ = "attempt"
    __table_args__ = (enum_check("channel", Channel), enum_check("outcome", Outcome), {"sqlite_strict": True})

    id: Mapped[uuid.UUID] = mapped_column(Identifier, primary_key=True)
    lead_id: Mapped[uuid.UUID] = mapped_column(
        Identifier, ForeignKey("lead.id", ondelete="CASCADE"), index=True
    )
    staff_id: Mapped[uuid.UUID] = mapped_column(Identifier, ForeignKey("staff_member.id"))
    channel: Mapped[Channel] = mapped_column(EnumText(Channel))
    outcome: Mapped[Outcome] = mapped_column(EnumText(Outcome))
    at: Mapped[datetime] = mapped_column(Instant)
    consent_event_id: Mapped[uuid.UUID | None] = mapped_column(Identifier)
    undone_at: Mapped[datetime | None] = mapped_column(Instant)


class SuppressionReason(StrEnum):
    """Why a number or address must not be contacted."""

    ASKED = "asked"
    WRONG_NUMBER = "wrong_number"
    THIRD_PARTY = "third_party"


class Suppression(Base):
    """One entry of the suppression list: a keyed hash and a reason, no personal data (promise G4)."""

    __tablename__ = "suppression"
    __table_args__ = (
        enum_check("reason", SuppressionReason),
        Index("ix_suppression_contact_index", "contact_index"),
        {"sqlite_strict": True},
    )

    id: Mapped[uuid.UUID] = mapped_column(Identifier, primary_key=True)
    contact_index: Mapped[bytes] = mapped_column(LargeBinary)
    reason: Mapped[SuppressionReason] = mapped_column(EnumText(SuppressionReason))
    at: Mapped[datetime] = mapped_column(Instant)
    by: Mapped[uuid.UUID | None] = mapped_column(Identifier)
    lifted_at: Mapped[datetime | None] = mapped_column(Instant)


class ErasureReason(StrEnum):
    """Why a lead was erased."""

    ASKED = "asked"
    DUE = "due"


class Erasure(Base):
    """One entry of the erasure ledger: the id of an erased lead, when and why. Append-only.

    A restored backup brings erased leads back; the copy of the ledger outside the database says which
    (docs/decisions/0011-erasing.md).
    """

    __tablename__ = "erasure"
    __table_args__ = (
        enum_check("reason", ErasureReason),
        Index("ix_erasure_erased_at", "erased_at"),
        {"sqlite_strict": True},
    )

    lead_id: Mapped[uuid.UUID] = mapped_column(Identifier, primary_key=True)
    erased_at: Mapped[datetime] = mapped_column(Instant)
    reason: Mapped[ErasureReason] = mapped_column(EnumText(ErasureReason))


class HoldReason(StrEnum):
    """Why the law makes us keep a request. A closed list: free text could hold personal data."""

    AUTHORITY = "authority"
    CLAIM = "claim"
    COMPLAINT = "complaint"
    INCIDENT = "incident"

    @property
    def sentence(self) -> str:
        """The sentence shown to staff (message id)."""
        return _HOLD_REASON_SENTENCES[self]


_HOLD_REASON_SENTENCES = {
    HoldReason.AUTHORITY: N_("A court or an authority wants it kept"),
    HoldReason.CLAIM: N_("A legal claim is made, or expected"),
    HoldReason.COMPLAINT: N_("A complaint is being looked into"),
    HoldReason.INCIDENT: N_("A security incident is being looked into"),
}


class LegalHold(Base):
    """A legal hold on one lead. `erase_asked_at`: when the person asked for the erasure that it delays."""

    __tablename__ = "legal_hold"
    __table_args__ = (enum_check("reason", HoldReason), {"sqlite_strict": True})

    lead_id: Mapped[uuid.UUID] = mapped_column(
        Identifier, ForeignKey("lead.id", ondelete="CASCADE"), primary_key=True
    )
    reason: Mapped[HoldReason] = mapped_column(EnumText(HoldReason))
    since: Mapped[datetime] = mapped_column(Instant)
    until: Mapped[datetime] = mapped_column(Instant)
    put_by: Mapped[uuid.UUID] = mapped_column(Identifier, ForeignKey("staff_member.id"))
    erase_asked_at: Mapped[datetime | None] = mapped_column(Instant)


def load_legal_hold(session: Session, lead_id: uuid.UUID) -> LegalHold | None:
    """The legal hold on a lead, reloaded from the database; None without one."""
    return session.get(LegalHold, lead_id, populate_existing=True)


def is_on_legal_hold() -> ColumnElement[bool]:
    """Condition for leads on legal hold, correlated to the `Lead` of the statement."""
    return exists().where(LegalHold.lead_id == Lead.id).correlate(Lead)


def references_of(session: Session, lead_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, str]:
    """The references of those leads that still exist, by id, in one statement."""
    if not lead_ids:
        return {}
    statement = select(Lead.id, Lead.reference).where(Lead.id.in_(lead_ids))
    return dict(session.execute(statement).all())
