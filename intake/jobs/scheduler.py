"""What runs by itself: the table of rounds, one lease row each, and the relay's loop.

However many relays run on however many machines, a round is made by one of them at a time; a round
whose relay died is made by another when the lease has run out.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Event

import structlog
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from intake.core.i18n import N_
from intake.instance import Instance
from intake.jobs.schedule import JOBS, Job
from intake.outbox import sender
from intake.outbox.mailer import Mailer, open_mailer
from intake.outbox.models import JobLease

log = structlog.get_logger()

LEASE = timedelta(minutes=5)
AGAIN = timedelta(minutes=1)
"""A round that failed is tried again this soon, if it is not due sooner anyway."""
BEAT = timedelta(seconds=15)
MISSED = 3
"""A round is late when it has not succeeded for this many times its interval, and LEASE on top."""
BUSY, IDLE, LONGEST_WAIT = 1.0, 2.0, 30.0
BATCH = 20


@dataclass(frozen=True)
class JobStatus:
    """How a round stands. `succeeded_at` is None when it never ran well, `due_at` where nothing is planned.

    `does`: what it is for (message id). `leased_until`: somebody began it and has so long to end it.
    """

    name: str
    every: timedelta
    succeeded_at: datetime | None
    ended_at: datetime | None
    last_error: str | None
    due_at: datetime | None = None
    leased_until: datetime | None = None
    does: str = ""

    def running(self, at: datetime) -> bool:
        """True while somebody makes it; whoever died over it does not count for longer than the lease."""
        return self.leased_until is not None and self.leased_until > at

    def late(self, at: datetime) -> bool:
        """True when it should have succeeded by now, when it never did, or did in times to come."""
        good = self.succeeded_at
        return good is None or not good - LEASE <= at <= good + self.every * MISSED + LEASE


NOTICES = "notices"
"""The heartbeat of delivery itself: no lease, since any number of relays may deliver."""
DELIVERY = Job(NOTICES, BEAT, lambda _: 0, N_("Sends the mail that is due."))


@dataclass(frozen=True)
class JobResult:
    """How an act ended: what it dealt with, or the class name of what went wrong."""

    count: int = 0
    error: str | None = None


def status(session: Session) -> list[JobStatus]:
    """How every round stands, the heartbeat first; a round that never ran is there as well."""
    rows = {row.name: row for row in session.scalars(select(JobLease))}
    delivery = replace(_status(DELIVERY, rows.get(NOTICES)), due_at=None)  # whenever a mail is due
    return [delivery, *(_status(each, rows.get(each.name)) for each in JOBS)]


def _status(each: Job, row: JobLease | None) -> JobStatus:
    if row is None:
        return JobStatus(each.name, each.every, None, None, None, does=each.does)
    return JobStatus(
        each.name,
        each.every,
        row.succeeded_at,
        row.ended_at,
        row.last_error,
        due_at=row.due_at,
        leased_until=row.leased_until,
        does=each.does,
    )


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


def _rest(ended: JobResult, failures: int) -> float:
    if failures:
        return float(min(1 << min(failures, 10), LONGEST_WAIT))
    return BUSY if ended.count else IDLE


def _turn(instance: Instance, mailer: Mailer, stop: Event) -> JobResult:
    """One turn of the loop. A failed delivery does not keep the rounds from being made; a stop does."""
    instance.database.keep_reserve()
    delivered = _attempt(lambda: _deliver(instance, mailer, stop))
    if stop.is_set():
        return delivered
    made = _attempt(lambda: _beat(instance, delivered) + run_due(instance))
    return JobResult(delivered.count + made.count, delivered.error or made.error)


def _attempt(act: Callable[[], int]) -> JobResult:
    try:
        return JobResult(count=act())
    except Exception as wrong:  # noqa: BLE001  the relay must outlive whatever this is
        return JobResult(error=type(wrong).__name__)


def _deliver(instance: Instance, mailer: Mailer, stop: Event) -> int:
    return sender.deliver_due(
        instance.database,
        mailer,
        clinic=instance.clinic,
        settings=instance.settings,
        clock=instance.clock,
        limit=BATCH,
        stop=stop,
    ).total


def run_due(instance: Instance, *, rounds: Sequence[Job] = JOBS) -> int:
    """Make every round that is due and that nobody else is making; returns what they dealt with.

    A round that fails is logged by its class name, keeps it in `last_error` and is tried again soon;
    the others are made all the same. Raises Unavailable when the database is.
    """
    return sum(_run_job(instance, each) for each in _due(instance, rounds))


def _due(instance: Instance, rounds: Sequence[Job]) -> list[Job]:
    """A look without the writers' lock, since mostly nothing is due."""
    with instance.database.reading() as session:
        rows = {row.name: row for row in session.scalars(select(JobLease))}
    at = instance.clock()
    return [each for each in rounds if _is_due(each, rows.get(each.name), at)]


def _is_due(each: Job, row: JobLease | None, at: datetime) -> bool:
    return row is None or all(
        moment is None or moment <= at or moment > at + each.every + LEASE  # too far off: a wrong clock
        for moment in (row.due_at, row.leased_until)
    )


def _run_job(instance: Instance, each: Job) -> int:
    generation = _claim(instance, each)
    if generation is None:
        return 0
    ended = _attempt(lambda: each.act(instance))
    if ended.error:
        log.error("round_failed", name=each.name, error=ended.error)
    _finish(instance, each, generation, ended)
    return ended.count


def _claim(instance: Instance, each: Job) -> int | None:
    """The generation under which the round is ours to make, committed; None when it is not."""
    at = instance.clock()
    with suppress(IntegrityError), instance.database.transaction() as session:
        row = session.get(JobLease, each.name, with_for_update=True)
        if not _is_due(each, row, at):
            return None
        row = row or _first(session, each.name, at)
        row.generation += 1
        row.started_at, row.leased_until = at, at + LEASE
        return row.generation
    return None  # another relay wrote the very first lease in the same moment


def _first(session: Session, name: str, at: datetime) -> JobLease:
    row = JobLease(name=name, due_at=at, generation=0)
    session.add(row)
    return row


def _finish(instance: Instance, each: Job, generation: int, ended: JobResult) -> None:
    """Write down how the round ended, if it is still ours."""
    at = instance.clock()
    wait = min(each.every, AGAIN) if ended.error else each.every
    with instance.database.transaction() as session:
        row = session.get(JobLease, each.name, with_for_update=True)
        if row and row.generation == generation:
            row.due_at, row.leased_until = at + wait, None
            _write_down(row, ended, at)


def _beat(instance: Instance, delivered: JobResult) -> int:
    """Write down that delivery runs, when the last word on it is old or was another one."""
    at = instance.clock()
    with instance.database.reading() as session:
        row = session.get(JobLease, NOTICES)
        if row and row.last_error == delivered.error and _fresh(row.ended_at, at):
            return 0
    with suppress(IntegrityError), instance.database.transaction() as session:
        row = session.get(JobLease, NOTICES, with_for_update=True) or _first(session, NOTICES, at)
        _write_down(row, delivered, at)
    return 0


def _fresh(written: datetime | None, at: datetime) -> bool:
    return written is not None and written <= at < written + BEAT


def _write_down(row: JobLease, ended: JobResult, at: datetime) -> None:
    row.ended_at, row.last_error = at, ended.error
    if ended.error is None:
        row.succeeded_at = at
