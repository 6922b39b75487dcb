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
from collections.abc import Sequence
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
from intake.outbox.mailer import TIMEOUTS_PER_MESSAGE, Mailer, NotSent
from intake.outbox.messages import RenderError, render
from intake.outbox.models import Mail, MessageState, OutboxMessage

log = structlog.get_logger()

BATCH_THRESHOLD = 10
BATCH_WINDOW = timedelta(minutes=10)
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
    with database.reading() as session:  # without the writer lock: an idle relay must not delay writers
        if not session.scalar(select(exists().where(OutboxMessage.is_due(clock())))):
            return DeliveryCounts()
    tally: Counter[Result] = Counter()
    with mailer.batch() as send:
        for _ in range(limit):
            batch = [] if stop and stop.is_set() else _lease_batch(database, settings, clock())
            if not batch:
                break
            failure = None
            try:
                send(render(batch[0], clinic=clinic, settings=settings, at=clock()))
            except RenderError as error:
                failure = NotSent(f"Unwritable {error}", refused=True)
            except NotSent as error:
                failure = error
            tally[_record_result(database, batch, failure, clock())] += len(batch)
            if failure and failure.connection_lost:
                break
    return DeliveryCounts(**{result.value: count for result, count in tally.items()})


def _lease_batch(database: Database, settings: Settings, at: datetime) -> Sequence[OutboxMessage]:
    """Lease the next messages that one mail covers, and commit; the first is sent. Empty when none is due.

    A lease is a new generation, so that only its holder may record the result.
    """
    with database.transaction() as session:
        while True:
            message = session.scalars(
                select(OutboxMessage)
                .where(OutboxMessage.is_due(at))
                .order_by(OutboxMessage.due_at, OutboxMessage.created_at, OutboxMessage.id)
                .limit(1)
                .with_for_update(skip_locked=True)
            ).first()
            if message is None:
                return ()
            wait_until = _batching_until(session, message, at)
            if wait_until is None:
                break
            for each in (message, *_other_due_messages(session, message, at)):
                each.due_at = wait_until
            session.flush()
        others = _other_due_messages(session, message, at) if message.mail is Mail.NEW_LEAD else ()
        batch = [message, *(others if len(others) >= BATCH_THRESHOLD else ())]
        for each in batch:
            each.state = MessageState.SENDING
            each.leased_until = at + timedelta(seconds=lease_seconds(settings))
            each.attempts += 1
            each.generation += 1
        return batch


def _batching_until(session: Session, message: OutboxMessage, at: datetime) -> datetime | None:
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


def lease_seconds(settings: Settings) -> int:
    """Return more seconds than sending can take: the deadline, one more timeout, and a margin for DNS."""
    return settings.smtp_timeout * (TIMEOUTS_PER_MESSAGE + 1) + _MARGIN


def _record_result(
    database: Database, batch: Sequence[OutboxMessage], failure: NotSent | None, at: datetime
) -> Result:
    """Record the result for the messages that still have the generation of our lease."""
    first = batch[0]
    if failure is None:
        result = Result.SENT
        values = {"state": MessageState.SENT, "sent_at": at, "last_error": None}
    else:
        dead = failure.refused and first.attempts >= MAX_REFUSALS
        result = Result.DEAD if dead else Result.WAITING
        state = MessageState.DEAD if dead else MessageState.WAITING
        values = {"state": state, "due_at": at + _wait_after(first), "last_error": failure.code}
    updated = 0
    with database.transaction() as session:
        for message in batch:
            ours = update(OutboxMessage).where(
                OutboxMessage.id == message.id,
                OutboxMessage.generation == message.generation,
                OutboxMessage.state == MessageState.SENDING,
            )
            done = session.execute(ours.values(leased_until=None, **values))
            updated += cast("CursorResult[Any]", done).rowcount
    result = result if updated else Result.LEASE_LOST
    log.log(
        logging.INFO if result is Result.SENT else logging.WARNING,
        "notice",
        result=result.value,
        kind=first.mail.value,
        attempt=first.attempts,
        count=len(batch),
        error=failure.code if failure else "",
    )
    return result


def _wait_after(message: OutboxMessage) -> timedelta:
    """Return the back-off after this attempt: 30 seconds, doubling to 15 minutes, less up to a fifth.

    The reduction is derived from the message's id, so that a queue is not retried all at once.
    """
    doubled = 1 << min(message.attempts - 1, _DOUBLINGS)
    return min(MIN_WAIT * doubled, MAX_WAIT) * (1 - message.id.int % 1000 / 5000)
