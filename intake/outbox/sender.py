"""Sending of due messages: lease, commit, send, record the result. Every message is sent at least once.

A message is leased for longer than sending can take, under a new generation. Only the process with the
current generation may record the result, so a relay that was suspended beyond its lease changes nothing when
it resumes. Temporary failures are retried without limit; a refused recipient or a message that cannot be
rendered becomes a dead message, which the desk shows until a staff member acts. See
docs/decisions/0009-an-outbox-of-our-own.md.

Many requests at once must not flood the staff's inboxes. The first notices are sent at once; when
BATCH_THRESHOLD went to one recipient within BATCH_WINDOW, the next wait until BATCH_WINDOW after the last of
them, and one mail then covers all that wait. A covered message is leased before the mail is sent, so what it
announces is on the desk by then.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from threading import Event
from typing import Any, cast

import structlog
from sqlalchemy import CursorResult, distinct, exists, func, select, update
from sqlalchemy.orm import Session

from intake.conf.clinic import Clinic
from intake.conf.settings import Settings
from intake.core.clock import Clock
from intake.db.engine import Database
from intake.outbox.mailer import TIMEOUTS_PER_MESSAGE, Mailer, NotSent, Send
from intake.outbox.messages import RenderError, render
from intake.outbox.models import Mail, MessageState, OutboxMessage

BATCH_THRESHOLD = 10
BATCH_WINDOW = timedelta(minutes=10)


def batching_until(session: Session, message: OutboxMessage, *, at: datetime) -> datetime | None:
    """Return until when notices to this recipient wait for one mail; None when this one may be sent now.

    Mails are counted, not messages: all messages covered by one mail have the same `sent_at`.
    """
    if message.mail is not Mail.NEW_LEAD:
        return None
    mails, newest = session.execute(
        select(func.count(distinct(OutboxMessage.sent_at)), func.max(OutboxMessage.sent_at)).where(
            OutboxMessage.recipient == message.recipient,
            OutboxMessage.mail == message.mail,
            OutboxMessage.sent_at > at - BATCH_WINDOW,
            OutboxMessage.sent_at <= at,
        )
    ).one()
    return newest + BATCH_WINDOW if newest and mails >= BATCH_THRESHOLD else None


def postpone(session: Session, message: OutboxMessage, *, at: datetime, until: datetime) -> None:
    """Postpone this message, and all others of its kind due for its recipient, to `until`. Flushes."""
    for each in (message, *_other_due_messages(session, message, at)):
        each.due_at = until
    session.flush()


def covered_by(session: Session, message: OutboxMessage, *, at: datetime) -> Sequence[OutboxMessage]:
    """Return the other messages that one mail covers; empty below the threshold."""
    if message.mail is not Mail.NEW_LEAD:
        return ()
    due = _other_due_messages(session, message, at)
    return due if len(due) >= BATCH_THRESHOLD else ()


def _other_due_messages(session: Session, message: OutboxMessage, at: datetime) -> Sequence[OutboxMessage]:
    """Return the other due messages of this kind and recipient, locked; skips rows locked elsewhere."""
    return session.scalars(
        select(OutboxMessage)
        .where(
            OutboxMessage.is_due(at),
            OutboxMessage.mail == message.mail,
            OutboxMessage.recipient == message.recipient,
            OutboxMessage.id != message.id,
        )
        .with_for_update(skip_locked=True)
    ).all()


log = structlog.get_logger()

MIN_WAIT = timedelta(seconds=30)
MAX_WAIT = timedelta(minutes=15)
MAX_REFUSALS = 5
"""After this many attempts, a message with a permanent failure becomes dead."""
_MARGIN = 60
_DOUBLINGS = 5  # 30 seconds, doubled five times, is past the longest wait


class Result(StrEnum):
    """The result of one batch."""

    SENT = "sent"
    WAITING = "waiting"
    DEAD = "dead"
    LEASE_LOST = "lease_lost"


@dataclass(frozen=True)
class DeliveryCounts:
    """Number of messages by result. `lease_lost`: the lease had expired and another relay took over."""

    sent: int = 0
    waiting: int = 0
    dead: int = 0
    lease_lost: int = 0

    @property
    def total(self) -> int:
        """The number of messages processed."""
        return self.sent + self.waiting + self.dead + self.lease_lost


@dataclass(frozen=True)
class MessageBatch:
    """Leased messages that one mail covers; the first is the one sent."""

    messages: Sequence[OutboxMessage]

    @property
    def first(self) -> OutboxMessage:
        """The message that is sent."""
        return self.messages[0]


@dataclass(frozen=True)
class DeliveryFailure:
    """Why a mail was not sent. `permanent`: caused by the message itself, so that a retry will not help."""

    code: str
    permanent: bool
    connection_lost: bool = False


def deliver_due(
    database: Database,
    mailer: Mailer,
    *,
    clinic: Clinic,
    settings: Settings,
    clock: Clock,
    limit: int,
    stop: Event | None = None,
) -> DeliveryCounts:
    """Send due messages, oldest first, up to `limit` mails, over one connection.

    Ends early when the mail server cannot be reached, so that the caller's other jobs run, and after the
    current mail when `stop` is set. Raises Unavailable when the database is. A mail whose result could not be
    recorded is sent again after its lease, with the same Message-ID.
    """
    tally: Counter[Result] = Counter()
    if not _any_due(database, clock()):
        return DeliveryCounts()
    with mailer.batch() as send:
        for _ in range(limit):
            batch = None if stop and stop.is_set() else _lease_batch(database, settings, clock())
            if batch is None:
                break
            failure = _send(send, batch.first, clinic, settings, clock())
            tally[_record_result(database, batch, failure, clock())] += len(batch.messages)
            if failure and failure.connection_lost:
                break
    return DeliveryCounts(**{result.value: count for result, count in tally.items()})


def _any_due(database: Database, at: datetime) -> bool:
    """Return whether a message is due, without the writer lock: an idle relay must not delay writers."""
    with database.reading() as session:
        return bool(session.scalar(select(exists().where(OutboxMessage.is_due(at)))))


def _lease_batch(database: Database, settings: Settings, at: datetime) -> MessageBatch | None:
    """Lease the next messages to send with one mail, and commit; None when nothing is due."""
    until = at + timedelta(seconds=lease_seconds(settings))
    with database.transaction() as session:
        while (message := _next(session, at)) is not None:
            wait_until = batching_until(session, message, at=at)
            if wait_until is None:
                return _lease(session, [message, *covered_by(session, message, at=at)], until)
            postpone(session, message, at=at, until=wait_until)
    return None


def lease_seconds(settings: Settings) -> int:
    """Return more seconds than sending can take: the deadline, one more timeout, and a margin for DNS."""
    return settings.smtp_timeout * (TIMEOUTS_PER_MESSAGE + 1) + _MARGIN


def _next(session: Session, at: datetime) -> OutboxMessage | None:
    return session.scalars(
        select(OutboxMessage)
        .where(OutboxMessage.is_due(at))
        .order_by(OutboxMessage.due_at, OutboxMessage.created_at, OutboxMessage.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).first()


def _lease(session: Session, messages: Sequence[OutboxMessage], until: datetime) -> MessageBatch:
    """Mark the messages as leased, each under a new generation; the rows are already locked."""
    for message in messages:
        message.state = MessageState.SENDING
        message.leased_until = until
        message.attempts += 1
        message.generation += 1
    session.flush()
    return MessageBatch(messages)


def _send(
    send: Send, message: OutboxMessage, clinic: Clinic, settings: Settings, at: datetime
) -> DeliveryFailure | None:
    """Render and send one message. Returns the failure, or None."""
    try:
        send(render(message, clinic=clinic, settings=settings, at=at))
    except RenderError as error:
        return DeliveryFailure(f"Unwritable {error}", permanent=True)
    except NotSent as failure:
        return DeliveryFailure(
            failure.code, permanent=failure.refused, connection_lost=failure.connection_lost
        )
    return None


def _record_result(
    database: Database, batch: MessageBatch, failure: DeliveryFailure | None, at: datetime
) -> Result:
    """Record the result for the messages whose lease is still ours."""
    result, values = _sent_values(at) if failure is None else _failed_values(batch.first, failure, at)
    with database.transaction() as session:
        updated = [_mark(session, message, values) for message in batch.messages]
    result = result if any(updated) else Result.LEASE_LOST
    _log(batch, result, failure)
    return result


def _sent_values(at: datetime) -> tuple[Result, dict[str, object]]:
    return Result.SENT, {"state": MessageState.SENT, "sent_at": at, "last_error": None}


def _failed_values(
    message: OutboxMessage, failure: DeliveryFailure, at: datetime
) -> tuple[Result, dict[str, object]]:
    dead = failure.permanent and message.attempts >= MAX_REFUSALS
    values: dict[str, object] = {
        "state": MessageState.DEAD if dead else MessageState.WAITING,
        "due_at": at + wait_after(message),
        "last_error": failure.code,
    }
    return Result.DEAD if dead else Result.WAITING, values


def wait_after(message: OutboxMessage) -> timedelta:
    """Return the back-off after this attempt: 30 seconds, doubling to 15 minutes, less up to a fifth.

    The reduction is derived from the message's id, so that a queue is not retried all at once.
    """
    doubled = 1 << min(message.attempts - 1, _DOUBLINGS)
    return min(MIN_WAIT * doubled, MAX_WAIT) * (1 - message.id.int % 1000 / 5000)


def _mark(session: Session, message: OutboxMessage, values: Mapping[str, object]) -> bool:
    """Update the message if it still has the generation of our lease. Returns whether it had."""
    done = session.execute(
        update(OutboxMessage)
        .where(
            OutboxMessage.id == message.id,
            OutboxMessage.generation == message.generation,
            OutboxMessage.state == MessageState.SENDING,
        )
        .values(leased_until=None, **values)
    )
    return cast("CursorResult[Any]", done).rowcount == 1


def _log(batch: MessageBatch, result: Result, failure: DeliveryFailure | None) -> None:
    log.log(
        logging.INFO if result is Result.SENT else logging.WARNING,
        "notice",
        result=result.value,
        kind=batch.first.mail.value,
        attempt=batch.first.attempts,
        count=len(batch.messages),
        error=failure.code if failure else "",
    )
