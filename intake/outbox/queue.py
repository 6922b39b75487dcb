"""Enqueueing and cancelling messages, the status of the outbox, and resending dead messages."""

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

_UNSENT = (MessageState.WAITING, MessageState.SENDING)


@dataclass(frozen=True)
class OutboxStatus:
    """The status of the outbox. `waiting` includes messages being sent; ages are whole seconds."""

    waiting: int
    oldest_waiting_seconds: int
    dead: int
    last_sent_at: datetime | None

    @property
    def oldest_waiting(self) -> timedelta:
        """The age of the oldest waiting message as a timedelta."""
        return timedelta(seconds=self.oldest_waiting_seconds)


def enqueue(
    session: Session,
    mail: Mail,
    *,
    clinic_recipients: Sequence[str],
    at: datetime,
    lead_id: uuid.UUID | None = None,
) -> list[OutboxMessage]:
    """Add one message per recipient in the caller's transaction, due at once. Flushes.

    No data of a person can be stored in it (promise N1). `lead_id` is used to cancel the notices of a lead,
    not in a mail.
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
    """Delete the waiting notices of a lead that needs no attention any more; returns how many.

    Messages that are being sent, were sent or are dead stay.
    """
    waiting = delete(OutboxMessage).where(
        OutboxMessage.lead_id == lead_id, OutboxMessage.state == MessageState.WAITING
    )
    return cast("CursorResult[Any]", session.execute(waiting)).rowcount


def status(session: Session, *, at: datetime) -> OutboxStatus:
    """Return the number and age of waiting messages, the number of dead ones, and the last sending."""
    waiting, oldest = session.execute(
        select(func.count(), func.min(OutboxMessage.created_at)).where(OutboxMessage.state.in_(_UNSENT))
    ).one()
    dead = select(func.count()).where(OutboxMessage.state == MessageState.DEAD)
    return OutboxStatus(
        waiting=waiting,
        oldest_waiting_seconds=max(0, int((at - oldest).total_seconds())) if oldest else 0,
        dead=session.scalar(dead) or 0,
        last_sent_at=session.scalar(select(func.max(OutboxMessage.sent_at))),
    )


def dead_letters(session: Session) -> Sequence[OutboxMessage]:
    """Return the dead messages, oldest first. `last_error` holds the kind of failure."""
    return session.scalars(
        select(OutboxMessage)
        .where(OutboxMessage.state == MessageState.DEAD)
        .order_by(OutboxMessage.created_at, OutboxMessage.id)
    ).all()


def resend(
    session: Session, message_id: uuid.UUID, *, at: datetime, keyring: Keyring, actor: Actor
) -> OutboxMessage:
    """Queue a dead message again: due at once, attempts reset, same Message-ID. Flushes.

    The audit log records the actor and the kind of mail. Raises NotFound for an unknown message and Refused
    for one that is not dead.
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
