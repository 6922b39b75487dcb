"""Writing messages in the act they tell of, saying how the outbox stands, and sending one again."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, delete, func, select
from sqlalchemy.orm import Session

from intake import audit
from intake.audit import Action, Actor
from intake.core.errors import NotFound, Refused
from intake.core.i18n import N_
from intake.outbox.models import Mail, MessageState, OutboxMessage
from intake.security.crypto import Keyring

_ON_THE_WAY = (MessageState.WAITING, MessageState.SENDING)


@dataclass(frozen=True)
class OutboxStatus:
    """How the outbox stands. `waiting` counts what is being sent too; ages are whole seconds."""

    waiting: int
    oldest_waiting_seconds: int
    dead: int
    last_sent_at: datetime | None

    @property
    def oldest_waiting(self) -> timedelta:
        """The same age as a span of time."""
        return timedelta(seconds=self.oldest_waiting_seconds)


def enqueue(
    session: Session,
    mail: Mail,
    *,
    clinic_recipients: Sequence[str],
    at: datetime,
    lead_id: uuid.UUID | None = None,
) -> list[OutboxMessage]:
    """Write one waiting message per recipient in the caller's transaction; due at once.

    Nothing about a person fits in (N1). `lead_id` is only read by the sweeper, never by a mail.
    """
    messages = [
        OutboxMessage(
            id=uuid.uuid4(), mail=mail, recipient=recipient, lead_id=lead_id, due_at=at, created_at=at
        )
        for recipient in dict.fromkeys(clinic_recipients)
    ]
    session.add_all(messages)
    session.flush()
    return messages


def cancel(session: Session, lead_id: uuid.UUID) -> int:
    """Take back the notices of a lead that nobody has to look at any more; returns how many.

    Only those that wait: one that is being sent now is sent, and what was sent or refused stays told.
    """
    waiting = delete(OutboxMessage).where(
        OutboxMessage.lead_id == lead_id, OutboxMessage.state == MessageState.WAITING
    )
    return cast("CursorResult[Any]", session.execute(waiting)).rowcount


def status(session: Session, *, at: datetime) -> OutboxStatus:
    """What waits and for how long, what needs attention, and when a mail last left. Changes nothing."""
    waiting, oldest = session.execute(
        select(func.count(), func.min(OutboxMessage.created_at)).where(OutboxMessage.state.in_(_ON_THE_WAY))
    ).one()
    dead = select(func.count()).where(OutboxMessage.state == MessageState.DEAD)
    return OutboxStatus(
        waiting=waiting,
        oldest_waiting_seconds=max(0, int((at - oldest).total_seconds())) if oldest else 0,
        dead=session.scalar(dead) or 0,
        last_sent_at=session.scalar(select(func.max(OutboxMessage.sent_at))),
    )


def dead_letters(session: Session) -> Sequence[OutboxMessage]:
    """The messages that need attention, oldest first. `last_error` says what kind of failure it was."""
    return session.scalars(
        select(OutboxMessage)
        .where(OutboxMessage.state == MessageState.DEAD)
        .order_by(OutboxMessage.created_at, OutboxMessage.id)
    ).all()


def resend(
    session: Session, message_id: uuid.UUID, *, at: datetime, keyring: Keyring, actor: Actor
) -> OutboxMessage:
    """Give a dead letter a new start: due at once, its tries forgotten, its Message-ID the same.

    The log says who did, and which kind of mail it was. Raises NotFound when there is
    no such message and Refused when it is not dead.
    """
    message = session.get(OutboxMessage, message_id, with_for_update=True)
    if message is None:
        raise NotFound
    if message.state is not MessageState.DEAD:
        raise Refused(N_("Only a message that needs attention can be sent again."))
    message.state, message.attempts, message.due_at = MessageState.WAITING, 0, at
    audit.record(
        session,
        Action.MAIL_RESENT,
        keyring=keyring,
        at=at,
        actor=actor,
        details={"kind": message.mail.value},
    )
    session.flush()
    return message
