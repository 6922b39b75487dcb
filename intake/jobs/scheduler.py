"""The scheduler: runs the jobs that are due, one lease row each, and is the main loop of a relay process.

However many relays run on however many machines, a job is run by one of them at a time. A job whose relay
died is run by another one when the lease has expired.
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
from intake.monitoring.checks import DELIVERY_NAME
from intake.outbox import sender
from intake.outbox.mailer import Mailer, open_mailer
from intake.outbox.models import JobLease

log = structlog.get_logger()

LEASE = timedelta(minutes=5)
RETRY_AFTER = timedelta(minutes=1)
"""A job that failed is due again after this, if its interval is not shorter anyway."""
HEARTBEAT_INTERVAL = timedelta(seconds=15)
MISSED_RUNS = 3
"""A job is late when it has not succeeded for this many times its interval, and LEASE on top."""
BUSY_PAUSE, IDLE_PAUSE, MAX_PAUSE = 1.0, 2.0, 30.0
"""Seconds between two turns of the loop: after work, without work, and at most while something fails."""
BATCH = 20
"""Messages delivered in one turn of the loop."""


@dataclass(frozen=True)
class JobStatus:
    """State of a job. `succeeded_at` is None when it never succeeded, `due_at` where nothing is scheduled.

    `description` says what it is for (message id). `leased_until`: until then a relay that started it may
    run it.
    """

    name: str
    every: timedelta
    succeeded_at: datetime | None
    ended_at: datetime | None
    last_error: str | None
    due_at: datetime | None = None
    leased_until: datetime | None = None
    description: str = ""

    def running(self, at: datetime) -> bool:
        """True while a relay runs it; a relay that died counts until its lease expires."""
        return self.leased_until is not None and self.leased_until > at

    def late(self, at: datetime) -> bool:
        """True when it should have succeeded by now, never did, or did in the future (a wrong clock)."""
        last = self.succeeded_at
        return last is None or not last - LEASE <= at <= last + self.every * MISSED_RUNS + LEASE


DELIVERY = Job(DELIVERY_NAME, HEARTBEAT_INTERVAL, lambda _: 0, N_("Sends the mail that is due."))
"""Delivery itself, for its status.

Its row is a heartbeat and no lease, since any number of relays may deliver.
"""


@dataclass(frozen=True)
class JobResult:
    """Outcome of a run: `count` of things processed, or the class name of the exception."""

    count: int = 0
    error: str | None = None


def status(session: Session) -> list[JobStatus]:
    """The status of delivery, then of every job, also of one that never ran."""
    rows = {row.name: row for row in session.scalars(select(JobLease))}
    delivery = replace(_status(DELIVERY, rows.get(DELIVERY_NAME)), due_at=None)  # whenever mail is due
    return [delivery, *(_status(job, rows.get(job.name)) for job in JOBS)]


def _status(job: Job, row: JobLease | None) -> JobStatus:
    row = row or JobLease(name=job.name)
    return JobStatus(
        job.name,
        job.every,
        row.succeeded_at,
        row.ended_at,
        row.last_error,
        due_at=row.due_at,
        leased_until=row.leased_until,
        description=job.description,
    )


def run(instance: Instance, stop: Event, *, mailer: Mailer | None = None) -> None:
    """Main loop of a relay process: deliver mail, run the jobs that are due, pause; until `stop` is set.

    Finishes the message being sent before it stops. No exception ends the loop: while the database fails, the
    pauses double up to MAX_PAUSE seconds; the failure is logged once when it begins and once when it is over.
    """
    mailer = mailer or open_mailer(instance.settings)
    last_error, failures = None, 0
    while not stop.is_set():
        result = run_once(instance, mailer, stop)
        if result.error != last_error:
            log.warning("relay_in_trouble" if result.error else "relay_well_again", error=result.error)
        last_error, failures = result.error, failures + 1 if result.error else 0
        pause = BUSY_PAUSE if result.count else IDLE_PAUSE
        stop.wait(min(1 << min(failures, 10), MAX_PAUSE) if failures else pause)


def run_once(instance: Instance, mailer: Mailer, stop: Event) -> JobResult:
    """One turn of the loop. The jobs run also after a failed delivery, but not after a stop."""
    instance.database.refill_reserve()
    delivered = _attempt(
        lambda: (
            sender.deliver_due(
                instance.database,
                mailer,
                clinic=instance.clinic,
                settings=instance.settings,
                clock=instance.clock,
                limit=BATCH,
                stop=stop,
            ).total
        )
    )
    if stop.is_set():
        return delivered
    jobs = _attempt(lambda: _record_heartbeat(instance, delivered) + run_due(instance))
    return JobResult(delivered.count + jobs.count, delivered.error or jobs.error)


def _attempt(function: Callable[[], int]) -> JobResult:
    try:
        return JobResult(count=function())
    except Exception as error:  # noqa: BLE001  the relay must survive any defect of a job
        return JobResult(error=type(error).__name__)


def run_due(instance: Instance, *, jobs: Sequence[Job] = JOBS) -> int:
    """Run every job that is due and that no other relay is running; returns the sum of their counts.

    A job that fails is logged with the class name of its exception, stores it in `last_error` and is due
    again after RETRY_AFTER; the others run all the same. Raises Unavailable when the database is.
    """
    with instance.database.reading() as session:  # without the writer lock, since mostly none is due
        rows = {row.name: row for row in session.scalars(select(JobLease))}
    at = instance.clock()
    return sum(_run_job(instance, job) for job in jobs if _is_due(job, rows.get(job.name), at))


def _is_due(job: Job, row: JobLease | None, at: datetime) -> bool:
    return row is None or all(
        moment is None or moment <= at or moment > at + job.every + LEASE  # too far ahead: a wrong clock
        for moment in (row.due_at, row.leased_until)
    )


def _run_job(instance: Instance, job: Job) -> int:
    generation = _acquire(instance, job)
    if generation is None:
        return 0
    result = _attempt(lambda: job.run(instance))
    if result.error:
        log.error("round_failed", name=job.name, error=result.error)
    at = instance.clock()
    wait = min(job.every, RETRY_AFTER) if result.error else job.every
    with instance.database.transaction() as session:
        row = session.get(JobLease, job.name, with_for_update=True)
        if row and row.generation == generation:  # else another relay has taken the lease meanwhile
            row.due_at, row.leased_until = at + wait, None
            _store_result(row, result, at)
    return result.count


def _acquire(instance: Instance, job: Job) -> int | None:
    """Take the lease of the job, committed; returns its generation, None when the job is not due any more."""
    at = instance.clock()
    with suppress(IntegrityError), instance.database.transaction() as session:
        row = session.get(JobLease, job.name, with_for_update=True)
        if not _is_due(job, row, at):
            return None
        row = row or _new_lease(session, job.name, at)
        row.generation += 1
        row.started_at, row.leased_until = at, at + LEASE
        return row.generation
    return None  # another relay inserted the first lease at the same moment


def _new_lease(session: Session, name: str, at: datetime) -> JobLease:
    row = JobLease(name=name, due_at=at, generation=0)
    session.add(row)
    return row


def _record_heartbeat(instance: Instance, delivered: JobResult) -> int:
    """Store that delivery runs, at most once per HEARTBEAT_INTERVAL unless its error changes. Returns 0."""
    at = instance.clock()
    with instance.database.reading() as session:
        row = session.get(JobLease, DELIVERY_NAME)
        recent = row and row.ended_at and row.ended_at <= at < row.ended_at + HEARTBEAT_INTERVAL
        if row and recent and row.last_error == delivered.error:
            return 0
    with suppress(IntegrityError), instance.database.transaction() as session:
        row = session.get(JobLease, DELIVERY_NAME, with_for_update=True)
        row = row or _new_lease(session, DELIVERY_NAME, at)
        _store_result(row, delivered, at)
    return 0


def _store_result(row: JobLease, result: JobResult, at: datetime) -> None:
    row.ended_at, row.last_error = at, result.error
    if result.error is None:
        row.succeeded_at = at
