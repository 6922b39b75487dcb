"""The outbox and the rounds' leases."""

import uuid
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ColumnElement, Index, and_, or_
from sqlalchemy.orm import InstrumentedAttribute, Mapped, mapped_column

from intake.db.engine import Base, Closed, Count, Identifier, Instant, Words, one_of

FAR = timedelta(hours=1)
"""No lease and no wait is this long: a moment further off was written while the clock was wrong."""


class Mail(StrEnum):
    """Every mail this service can write: each a folder of templates/email/ with constant words."""

    NEW_LEAD = "new_lead"
    UNOPENED = "unopened"
    DAILY = "daily"
    INVITED = "invited"
    TEST = "test"
    ALARM = "alarm"
    WELL_AGAIN = "well_again"


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

    @classmethod
    def is_due(cls, at: datetime) -> ColumnElement[bool]:
        """It should leave now and nobody is sending it, or whoever was sending it is gone."""
        waits = cls.state == MessageState.WAITING
        given_up = and_(cls.state == MessageState.SENDING, reached(cls.leased_until, at))
        return and_(or_(waits, given_up), reached(cls.due_at, at))


class JobLease(Base):
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


def reached(moment: InstrumentedAttribute[Any], at: datetime) -> ColumnElement[bool]:
    """The moment has come, or it is so far off that it cannot be meant (reliability.md, J5)."""
    return or_(moment <= at, moment > at + FAR)
