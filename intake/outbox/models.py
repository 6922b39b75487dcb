"""The outbox and the rounds' leases."""

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from intake.database import Base, Closed, Count, Identifier, Instant, Words, one_of


class Mail(StrEnum):
    """Every mail this service can write: each a folder of templates/email/ with constant words."""

    NEW_LEAD = "new_lead"
    TEST = "test"


class MessageState(StrEnum):
    """Where a message stands. `dead` is never the end: it shows until somebody sends it again."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    DEAD = "dead"


class OutboxMessage(Base):
    """One mail to one recipient. There is no column that could hold a word about anybody (N1)."""

    __tablename__ = "outbox_message"
    __table_args__ = (
        one_of("mail", Mail),
        one_of("state", MessageState),
        CheckConstraint("(state = 'sent') = (sent_at IS NOT NULL)", name="sent_complete"),
        CheckConstraint("(state = 'sending') = (leased_until IS NOT NULL)", name="lease_complete"),
        Index("ix_outbox_message_state_due_at", "state", "due_at"),
        Index("ix_outbox_message_lead_id", "lead_id"),
        Index("ix_outbox_message_recipient_sent_at", "recipient", "sent_at"),
        {"sqlite_strict": True},
    )

    id: Mapped[uuid.UUID] = mapped_column(Identifier, primary_key=True)
    mail: Mapped[Mail] = mapped_column(Closed(Mail))
    recipient: Mapped[str] = mapped_column(Words)
    lead_id: Mapped[uuid.UUID | None] = mapped_column(Identifier)
    state: Mapped[MessageState] = mapped_column(Closed(MessageState), default=MessageState.WAITING)
    attempts: Mapped[int] = mapped_column(Count, default=0)
    generation: Mapped[int] = mapped_column(Count, default=0)
    due_at: Mapped[datetime] = mapped_column(Instant)
    leased_until: Mapped[datetime | None] = mapped_column(Instant)
    created_at: Mapped[datetime] = mapped_column(Instant)
    sent_at: Mapped[datetime | None] = mapped_column(Instant)
    last_error: Mapped[str | None] = mapped_column(Words)


class RoundLease(Base):
    """One round of the relay: who makes it now, when it last ended and how."""

    __tablename__ = "round_lease"

    name: Mapped[str] = mapped_column(Words, primary_key=True)
    due_at: Mapped[datetime] = mapped_column(Instant)
    leased_until: Mapped[datetime | None] = mapped_column(Instant)
    generation: Mapped[int] = mapped_column(Count, default=0)
    started_at: Mapped[datetime | None] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    succeeded_at: Mapped[datetime | None] = mapped_column(Instant)
    last_error: Mapped[str | None] = mapped_column(Words)
