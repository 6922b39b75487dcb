"""Sending what is due: claim, commit, send, mark. Whatever dies in between, the mail still leaves.

A claim is a lease longer than any sending, and a generation. Only the generation that claimed a
message may mark it, so a relay that was asleep beyond its lease changes nothing when it wakes
(reliability.md, A8). A failure that may pass is tried again for ever; a recipient the server refuses
or a message that cannot be written becomes a dead letter, which shows until somebody acts (A9).
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
from intake.outbox.mailer import STEPS, Mailer, NotSent, Send
from intake.outbox.messages import RenderError, render
from intake.outbox.models import Mail, MessageState, OutboxMessage

# --- Many requests at once must not bury the staff in mail: after ten notices, one speaks for the rest.
# The first notices leave at once. When ten went to one recipient within ten minutes, the next wait
# until ten minutes after the last of them, and then one mail covers all that wait (H4). A covered
# message is claimed before the mail leaves, so what it tells of could be seen on the desk by then.

MANY = 10
WITHIN = timedelta(minutes=10)


def quiet_until(session: Session, message: OutboxMessage, *, at: datetime) -> datetime | None:
    """Until when the recipient has had enough notices; None when this one may go.

    Mails are counted, not messages: what one mail covered was marked sent in the same moment.
    """
    if message.mail is not Mail.NEW_LEAD:
        return None
    mails, newest = session.execute(
        select(func.count(distinct(OutboxMessage.sent_at)), func.max(OutboxMessage.sent_at)).where(
            OutboxMessage.recipient == message.recipient,
            OutboxMessage.mail == message.mail,
            OutboxMessage.sent_at > at - WITHIN,
            OutboxMessage.sent_at <= at,
        )
    ).one()
    return newest + WITHIN if newest and mails >= MANY else None


def postpone(session: Session, message: OutboxMessage, *, at: datetime, until: datetime) -> None:
    """Let this message, and all that are due for its recipient beside it, wait until then."""
    for each in (message, *_waiting_beside(session, message, at)):
        each.due_at = until
    session.flush()


def covered_by(session: Session, message: OutboxMessage, *, at: datetime) -> Sequence[OutboxMessage]:
    """The messages that this one may speak for: none, unless too many are due for one recipient."""
    if message.mail is not Mail.NEW_LEAD:
        return ()
    due = _waiting_beside(session, message, at)
    return due if len(due) >= MANY else ()


def _waiting_beside(session: Session, message: OutboxMessage, at: datetime) -> Sequence[OutboxMessage]:
    """Locked where the database locks rows; what another relay holds is that relay's business."""
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

FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(minutes=15)
TRIES = 5
"""So often a message may be refused before it becomes a dead letter."""
_MARGIN = 60
_DOUBLINGS = 5  # 30 seconds, doubled five times, is past the longest wait


class Result(StrEnum):
    """What came of one claim."""

    SENT = "sent"
    WAITING = "waiting"
    DEAD = "dead"
    OVERTAKEN = "overtaken"


@dataclass(frozen=True)
class Delivered:
    """How many messages ended how. `overtaken`: the lease had run out and another relay took over."""

    sent: int = 0
    waiting: int = 0
    dead: int = 0
    overtaken: int = 0

    @property
    def total(self) -> int:
        """How many were dealt with."""
        return self.sent + self.waiting + self.dead + self.overtaken


@dataclass(frozen=True)
class Claim:
    """Messages that are ours to send with one mail: the first one's, which speaks for the others."""

    messages: Sequence[OutboxMessage]

    @property
    def first(self) -> OutboxMessage:
        """The message that is sent."""
        return self.messages[0]


@dataclass(frozen=True)
class Failure:
    """Why a mail did not leave. `lasting`: the message's own fault, so trying on will not help."""

    code: str
    lasting: bool
    cut_off: bool = False


def deliver_due(
    database: Database,
    mailer: Mailer,
    *,
    clinic: Clinic,
    settings: Settings,
    clock: Clock,
    limit: int,
    stop: Event | None = None,
) -> Delivered:
    """Send what is due, oldest first, up to `limit` mails, over one connection.

    Ends early when the mail server cannot be talked to, so that the caller gets its turn, and after
    the mail in hand when `stop` is set. Raises Unavailable when the database is; what was sent but
    could not be marked is sent again after its lease, with the same Message-ID.
    """
    tally: Counter[Result] = Counter()
    if not _anything_due(database, clock()):
        return Delivered()
    with mailer.batch() as send:
        for _ in range(limit):
            claim = None if stop and stop.is_set() else _claim(database, settings, clock())
            if claim is None:
                break
            failure = _try(send, claim.first, clinic, settings, clock())
            tally[_record_result(database, claim, failure, clock())] += len(claim.messages)
            if failure and failure.cut_off:
                break
    return Delivered(**{result.value: count for result, count in tally.items()})


def _anything_due(database: Database, at: datetime) -> bool:
    """A look without the writers' lock: an idle relay must not stand in anybody's way."""
    with database.reading() as session:
        return bool(session.scalar(select(exists().where(OutboxMessage.is_due(at)))))


def _claim(database: Database, settings: Settings, at: datetime) -> Claim | None:
    """The next messages to send with one mail, committed as ours; None when nothing is due."""
    until = at + timedelta(seconds=lease_seconds(settings))
    with database.transaction() as session:
        while (message := _next(session, at)) is not None:
            quiet = quiet_until(session, message, at=at)
            if quiet is None:
                return _claim_row(session, [message, *covered_by(session, message, at=at)], until)
            postpone(session, message, at=at, until=quiet)
    return None


def lease_seconds(settings: Settings) -> int:
    """Longer than the longest sending: the letter's deadline, one more step, and a slow name server."""
    return settings.smtp_timeout * (STEPS + 1) + _MARGIN


def _next(session: Session, at: datetime) -> OutboxMessage | None:
    return session.scalars(
        select(OutboxMessage)
        .where(OutboxMessage.is_due(at))
        .order_by(OutboxMessage.due_at, OutboxMessage.created_at, OutboxMessage.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).first()


def _claim_row(session: Session, messages: Sequence[OutboxMessage], until: datetime) -> Claim:
    """Mark them as ours, each under a new generation; `_next` has locked them for us."""
    for message in messages:
        message.state = MessageState.SENDING
        message.leased_until = until
        message.attempts += 1
        message.generation += 1
    session.flush()
    return Claim(messages)


def _try(
    send: Send, message: OutboxMessage, clinic: Clinic, settings: Settings, at: datetime
) -> Failure | None:
    """Write and send one message. Whatever goes wrong is this message's failure and nobody else's."""
    try:
        send(render(message, clinic=clinic, settings=settings, at=at))
    except RenderError as broken:
        return Failure(f"Unwritable {broken}", lasting=True)
    except NotSent as failure:
        return Failure(failure.code, lasting=failure.refused, cut_off=failure.cut_off)
    return None


def _record_result(database: Database, claim: Claim, failure: Failure | None, at: datetime) -> Result:
    """Write down how it ended, but only where the claim is still ours."""
    result, values = _sent(at) if failure is None else _not_sent(claim.first, failure, at)
    with database.transaction() as session:
        kept = [_mark(session, message, values) for message in claim.messages]
    result = result if any(kept) else Result.OVERTAKEN
    _log(claim, result, failure)
    return result


def _sent(at: datetime) -> tuple[Result, dict[str, object]]:
    return Result.SENT, {"state": MessageState.SENT, "sent_at": at, "last_error": None}


def _not_sent(message: OutboxMessage, failure: Failure, at: datetime) -> tuple[Result, dict[str, object]]:
    dead = failure.lasting and message.attempts >= TRIES
    values: dict[str, object] = {
        "state": MessageState.DEAD if dead else MessageState.WAITING,
        "due_at": at + wait_after(message),
        "last_error": failure.code,
    }
    return Result.DEAD if dead else Result.WAITING, values


def wait_after(message: OutboxMessage) -> timedelta:
    """How long to wait after this try: 30 seconds, doubling up to 15 minutes, less up to a fifth.

    What is taken off comes from the message's id, so that a queue does not come back all at once.
    """
    doubled = 1 << min(message.attempts - 1, _DOUBLINGS)
    return min(FIRST_WAIT * doubled, LONGEST_WAIT) * (1 - message.id.int % 1000 / 5000)


def _mark(session: Session, message: OutboxMessage, values: Mapping[str, object]) -> bool:
    """Change the message if its generation is still the one we claimed it under."""
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


def _log(claim: Claim, result: Result, failure: Failure | None) -> None:
    log.log(
        logging.INFO if result is Result.SENT else logging.WARNING,
        "notice",
        result=result.value,
        kind=claim.first.mail.value,
        attempt=claim.first.attempts,
        count=len(claim.messages),
        error=failure.code if failure else "",
    )
