"""What runs by itself: a table of (name, every, act), one lease row each, and the relay's loop.

However many relays run on however many machines, a round is made by one of them at a time; a round
whose relay died is made by another when the lease has run out.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event
from typing import Any, cast

import structlog
from sqlalchemy import CursorResult, delete, exists, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from intake import audit, outbox
from intake.instance import Instance
from intake.leads import ledger, retention
from intake.leads.models import Lead, LeadStatus, Submission
from intake.outbox import Mail, OutboxMessage, relay
from intake.outbox.mailer import Mailer, open_mailer
from intake.outbox.models import RoundLease
from intake.staff import sessions

log = structlog.get_logger()

LEASE = timedelta(minutes=5)
AGAIN = timedelta(minutes=1)
"""A round that failed is tried again this soon, if it is not due sooner anyway."""
BEAT = timedelta(seconds=15)
MISSED = 3
"""A round is late when it has not succeeded for this many times its interval, and LEASE on top."""
BUSY, IDLE, LONGEST_WAIT = 1.0, 2.0, 30.0
BATCH = 20
_LINKS = 1000


@dataclass(frozen=True)
class Round:
    """One thing that runs by itself. `act` says how many things it dealt with; it may run twice."""

    name: str
    every: timedelta
    act: Callable[[Instance], int]


@dataclass(frozen=True)
class RoundStatus:
    """How a round stands. `succeeded_at` is None when it never ran well."""

    name: str
    every: timedelta
    succeeded_at: datetime | None
    ended_at: datetime | None
    last_error: str | None

    def late(self, at: datetime) -> bool:
        """True when it should have succeeded by now, when it never did, or did in times to come."""
        good = self.succeeded_at
        return good is None or not good - LEASE <= at <= good + self.every * MISSED + LEASE


def link(instance: Instance) -> int:
    """Give every audit event its place in the chain, a thousand to a transaction."""
    linked = 0
    while True:
        with instance.database.transaction() as session:
            count = audit.link(session, keyring=instance.keyring, at=instance.clock(), limit=_LINKS)
        linked += count
        if count < _LINKS:
            return linked


def sweep(instance: Instance) -> int:
    """Write the notices of new leads that have none; there are none unless rows were lost (A12)."""
    told = exists().where(OutboxMessage.lead_id == Lead.id, OutboxMessage.mail == Mail.NEW_LEAD)
    with instance.database.transaction() as session:
        missing = session.scalars(select(Lead.id).where(Lead.status == LeadStatus.NEW, ~told)).all()
        for lead_id in missing:
            outbox.enqueue(
                session,
                Mail.NEW_LEAD,
                clinic_recipients=instance.clinic.notices.recipients,
                at=instance.clock(),
                lead_id=lead_id,
            )
    return len(missing)


def forget_submissions(instance: Instance) -> int:
    """Delete the used form tokens that are older than the clinic keeps them (decisions.md 3)."""
    before = instance.clock() - timedelta(days=instance.clinic.retention.submission_days)
    with instance.database.transaction() as session:
        done = session.execute(delete(Submission).where(Submission.received_at < before))
    return cast("CursorResult[Any]", done).rowcount


def forget_sessions(instance: Instance) -> int:
    """Delete the sessions of staff that can never stand again."""
    with instance.database.transaction() as session:
        return sessions.forget_ended(session, instance=instance)


ROUNDS = (
    Round("link", timedelta(seconds=10), link),
    Round("sweep", timedelta(minutes=15), sweep),
    Round("forget_submissions", timedelta(hours=1), forget_submissions),
    Round("forget_sessions", timedelta(hours=1), forget_sessions),
    Round(retention.ROUND, timedelta(hours=1), retention.purge_when_sure),
    Round("mirror_ledger", timedelta(minutes=1), ledger.mirror),
)
NOTICES = "notices"
"""The heartbeat of delivery itself: no lease, since any number of relays may deliver."""


@dataclass(frozen=True)
class Ended:
    """How an act ended: what it dealt with, or the class name of what went wrong."""

    count: int = 0
    error: str | None = None


def status(session: Session) -> list[RoundStatus]:
    """How every round stands, the heartbeat first; a round that never ran is there as well."""
    rows = {row.name: row for row in session.scalars(select(RoundLease))}
    intervals = {NOTICES: BEAT} | {each.name: each.every for each in ROUNDS}
    return [_status(name, every, rows.get(name)) for name, every in intervals.items()]


def _status(name: str, every: timedelta, row: RoundLease | None) -> RoundStatus:
    if row is None:
        return RoundStatus(name, every, None, None, None)
    return RoundStatus(name, every, row.succeeded_at, row.ended_at, row.last_error)


def run(instance: Instance, stop: Event, *, mailer: Mailer | None = None) -> None:
    """The life of a relay process: deliver, make the rounds, rest; until `stop` is set.

    Finishes the mail in hand before it stops. Nothing that goes wrong ends it: a broken database is
    waited out, longer each time up to half a minute, and told once when it breaks and once when it
    is back.
    """
    mailer = mailer or open_mailer(instance.settings)
    trouble, failures = None, 0
    while not stop.is_set():
        ended = _turn(instance, mailer, stop)
        if ended.error != trouble:
            log.warning("relay_in_trouble" if ended.error else "relay_well_again", error=ended.error)
        trouble, failures = ended.error, failures + 1 if ended.error else 0
        stop.wait(_rest(ended, failures))


def _rest(ended: Ended, failures: int) -> float:
    if failures:
        return float(min(1 << min(failures, 10), LONGEST_WAIT))
    return BUSY if ended.count else IDLE


def _turn(instance: Instance, mailer: Mailer, stop: Event) -> Ended:
    """One turn of the loop. A failure of the delivery does not keep the rounds from being made."""
    delivered = _attempt(lambda: _deliver(instance, mailer, stop))
    made = _attempt(lambda: _beat(instance, delivered) + make_rounds(instance))
    return Ended(delivered.count + made.count, delivered.error or made.error)


def _attempt(act: Callable[[], int]) -> Ended:
    try:
        return Ended(count=act())
    except Exception as wrong:  # noqa: BLE001  the relay must outlive whatever this is
        return Ended(error=type(wrong).__name__)


def _deliver(instance: Instance, mailer: Mailer, stop: Event) -> int:
    return relay.deliver_due(
        instance.database,
        mailer,
        clinic=instance.clinic,
        settings=instance.settings,
        clock=instance.clock,
        limit=BATCH,
        stop=stop,
    ).total


def make_rounds(instance: Instance, *, rounds: Sequence[Round] = ROUNDS) -> int:
    """Make every round that is due and that nobody else is making; returns what they dealt with.

    A round that fails is logged by its class name, keeps it in `last_error` and is tried again soon;
    the others are made all the same. Raises Unavailable when the database is.
    """
    return sum(_make(instance, each) for each in _due(instance, rounds))


def _due(instance: Instance, rounds: Sequence[Round]) -> list[Round]:
    """A look without the writers' lock, since mostly nothing is due."""
    with instance.database.reading() as session:
        rows = {row.name: row for row in session.scalars(select(RoundLease))}
    at = instance.clock()
    return [each for each in rounds if _is_due(each, rows.get(each.name), at)]


def _is_due(each: Round, row: RoundLease | None, at: datetime) -> bool:
    return row is None or all(
        moment is None or moment <= at or moment > at + each.every + LEASE  # too far off: a wrong clock
        for moment in (row.due_at, row.leased_until)
    )


def _make(instance: Instance, each: Round) -> int:
    generation = _claim(instance, each)
    if generation is None:
        return 0
    ended = _attempt(lambda: each.act(instance))
    if ended.error:
        log.error("round_failed", name=each.name, error=ended.error)
    _finish(instance, each, generation, ended)
    return ended.count


def _claim(instance: Instance, each: Round) -> int | None:
    """The generation under which the round is ours to make, committed; None when it is not."""
    at = instance.clock()
    with suppress(IntegrityError), instance.database.transaction() as session:
        row = session.get(RoundLease, each.name, with_for_update=True)
        if not _is_due(each, row, at):
            return None
        row = row or _first(session, each.name, at)
        row.generation += 1
        row.started_at, row.leased_until = at, at + LEASE
        return row.generation
    return None  # another relay wrote the very first lease in the same moment


def _first(session: Session, name: str, at: datetime) -> RoundLease:
    row = RoundLease(name=name, due_at=at, generation=0)
    session.add(row)
    return row


def _finish(instance: Instance, each: Round, generation: int, ended: Ended) -> None:
    """Write down how the round ended, if it is still ours."""
    at = instance.clock()
    wait = min(each.every, AGAIN) if ended.error else each.every
    with instance.database.transaction() as session:
        row = session.get(RoundLease, each.name, with_for_update=True)
        if row and row.generation == generation:
            row.due_at, row.leased_until = at + wait, None
            _write_down(row, ended, at)


def _beat(instance: Instance, delivered: Ended) -> int:
    """Write down that delivery runs, when the last word on it is old or was another one."""
    at = instance.clock()
    with instance.database.reading() as session:
        row = session.get(RoundLease, NOTICES)
        if row and row.last_error == delivered.error and _fresh(row.ended_at, at):
            return 0
    with suppress(IntegrityError), instance.database.transaction() as session:
        row = session.get(RoundLease, NOTICES, with_for_update=True) or _first(session, NOTICES, at)
        _write_down(row, delivered, at)
    return 0


def _fresh(written: datetime | None, at: datetime) -> bool:
    return written is not None and written <= at < written + BEAT


def _write_down(row: RoundLease, ended: Ended, at: datetime) -> None:
    row.ended_at, row.last_error = at, ended.error
    if ended.error is None:
        row.succeeded_at = at
