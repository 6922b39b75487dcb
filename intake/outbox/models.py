"""The tables of the outbox and of the leases of periodic jobs."""

import uuid
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ColumnElement, Index, Integer, Text, and_, or_
from sqlalchemy.orm import InstrumentedAttribute, Mapped, mapped_column

from intake.db.types import Base, EnumText, Identifier, Instant, enum_check

IMPLAUSIBLE_DELAY = timedelta(hours=1)
"""Longer than any lease or wait: a moment further ahead was written while the clock was wrong."""


class Mail(StrEnum):
    """The kinds of mail, each with a folder in templates/email/ and a constant text."""

    NEW_LEAD = "new_lead"
    UNOPENED = "unopened"
    DAILY = "daily"
    INVITED = "invited"
    TEST = "test"
    ALARM = "alarm"
    WELL_AGAIN = "well_again"


class MessageState(StrEnum):
    """The state of a message. A dead one is shown as needing attention until it is resent."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    DEAD = "dead"


class OutboxMessage(Base):
    """One mail to one recipient. No column can hold data of a person (promise N1)."""

    __tablename__ = "outbox_message"
    __table_args__ = (
        enum_check("mail", Mail),
        enum_check("state", MessageState),
        CheckConstraint("(state = 'sent') = (sent_at IS NOT NULL)", name="sent_complete"),
        CheckConstraint("(state = 'sending') = (leased_until IS NOT NULL)", name="lease_complete"),
        Index("ix_outbox_message_state_due_at", "state", "due_at"),
        Index("ix_outbox_message_lead_id", "lead_id"),
        Index("ix_outbox_message_recipient_sent_at", "recipient", "sent_at"),
        {"sqlite_strict": True},
    )

    id: Mapped[uuid.UUID] = mapped_column(Identifier, primary_key=True)
    mail: Mapped[Mail] = mapped_column(EnumText(Mail))
    recipient: Mapped[str] = mapped_column(Text)
    lead_id: Mapped[uuid.UUID | None] = mapped_column(Identifier)
    state: Mapped[MessageState] = mapped_column(EnumText(MessageState), default=MessageState.WAITING)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    generation: Mapped[int] = mapped_column(Integer, default=0)
    due_at: Mapped[datetime] = mapped_column(Instant)
    leased_until: Mapped[datetime | None] = mapped_column(Instant)
    created_at: Mapped[datetime] = mapped_column(Instant)
    sent_at: Mapped[datetime | None] = mapped_column(Instant)
    last_error: Mapped[str | None] = mapped_column(Text)

    @classmethod
    def is_due(cls, at: datetime) -> ColumnElement[bool]:
        """SQL condition: due at `at` and either waiting or with an expired lease."""
        waits = cls.state == MessageState.WAITING
        abandoned = and_(cls.state == MessageState.SENDING, reached(cls.leased_until, at))
        return and_(or_(waits, abandoned), reached(cls.due_at, at))


class JobLease(Base):
    """The lease of one periodic job: when it is due, until when it is leased, when and how it last ended."""

    __tablename__ = "round_lease"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    due_at: Mapped[datetime] = mapped_column(Instant)
    leased_until: Mapped[datetime | None] = mapped_column(Instant)
    generation: Mapped[int] = mapped_column(Integer, default=0)
    started_at: Mapped[datetime | None] = mapped_column(Instant)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    succeeded_at: Mapped[datetime | None] = mapped_column(Instant)
    last_error: Mapped[str | None] = mapped_column(Text)


def reached(moment: InstrumentedAttribute[Any], at: datetime) -> ColumnElement[bool]:
    """SQL condition: `moment` has passed, or is so far ahead that it was set by a wrong clock."""
    return or_(moment <= at, moment > at + IMPLAUSIBLE_DELAY)
