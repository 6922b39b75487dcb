"""Health checks: everything that `intake doctor`, /readyz, /metrics and the banner of the desk report.

A start is refused only for wrong settings, missing migrations or a database that could lose data. What only
ages turns amber or red, and never closes the form to the public (docs/decisions/0012-who-watches.md).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from intake import outbox
from intake.act import Act
from intake.core.errors import Refused, Unavailable
from intake.core.i18n import gettext
from intake.db.engine import Damaged
from intake.instance import Instance
from intake.leads.models import Lead, LeadStatus
from intake.monitoring import article_links, integrity, response_time_checks
from intake.monitoring import checks as monitoring_checks
from intake.monitoring.checks import Check, State
from intake.outbox.models import JobLease

__all__ = [
    "DOCTOR_ONLY",
    "Check",
    "Metrics",
    "State",
    "banner",
    "doctor",
    "is_well",
    "metrics",
    "ready",
    "require_ready",
    "run_checks",
]

_ENVIRONMENT_CHECKS: tuple[Callable[[Instance], Check], ...] = (
    monitoring_checks.disk, monitoring_checks.mail, monitoring_checks.crisis_lines, monitoring_checks.texts
)  # fmt: skip
_URGENT_CHECKS: tuple[Callable[[Act], Check], ...] = (
    monitoring_checks.relay, monitoring_checks.notices, monitoring_checks.dead_letters,
    response_time_checks.unopened, response_time_checks.canary,
)  # fmt: skip
DOCTOR_ONLY = (article_links.ARTICLES_CHECK,)
"""Names of the checks that only `doctor` runs, since they ask other sites."""
_DATABASE_CHECKS: tuple[Callable[[Act], Check], ...] = (
    *_URGENT_CHECKS,
    monitoring_checks.jobs,
    monitoring_checks.linking,
    integrity.verified,
    monitoring_checks.clock,
    monitoring_checks.keys,
    monitoring_checks.staff,
    response_time_checks.daily_mail,
    monitoring_checks.backup_taken,
    monitoring_checks.backup_tested,
)


@dataclass(frozen=True)
class Metrics:
    """Numbers for /metrics; ages are whole seconds. `job_ages`: since each job last ended, by its name."""

    waiting: int
    dead: int
    oldest_waiting_seconds: int
    leads: Mapping[str, int]
    job_ages: Mapping[str, int]


def run_checks(instance: Instance) -> list[Check]:
    """Every check but the slow ones; those of the database only when it can be read."""
    found = ready(instance)
    readable = is_well(found)
    found += [check(instance) for check in _ENVIRONMENT_CHECKS]
    if not readable:
        return found
    try:
        with instance.database.reading() as session:
            act = Act(session, instance)
            found_in_tables = [check(act) for check in _DATABASE_CHECKS]
        return [*found, *found_in_tables, integrity.anchored(instance)]
    except Unavailable as failure:
        return [*found, _database_down(failure)]


def doctor(instance: Instance) -> list[Check]:
    """Every check, also the slow one that asks other sites; too slow for a page."""
    return [*run_checks(instance), article_links.article_links(instance)]


def is_well(found: Sequence[Check]) -> bool:
    """True when nothing is red."""
    return all(check.state is not State.RED for check in found)


def ready(instance: Instance) -> list[Check]:
    """The two checks without which no request can be served: the database answers and is of this version."""
    try:
        with instance.database.reading() as session:
            reached = monitoring_checks.database(Act(session, instance))
        return [reached, monitoring_checks.migrations(instance)]
    except Unavailable as failure:
        return [
            _database_down(failure),
            Check("migrations", State.RED, gettext("The tables could not be looked at.")),
        ]


def _database_down(failure: Unavailable) -> Check:
    if isinstance(failure, Damaged):
        todo = gettext("Stop every process, then restore the newest backup.")
        return Check("database", State.RED, gettext("The database is damaged."), todo)
    unreached = gettext("The database cannot be reached.")
    return Check("database", State.RED, unreached, gettext("Look at INTAKE_DATABASE_URL."))


def require_ready(instance: Instance) -> None:
    """Raises Refused, saying what to do, when a process must not start on this database."""
    for check in ready(instance):
        if check.state is State.RED:
            raise Refused(f"{check.sentence} {check.what_to_do}".strip())


def banner(act: Act) -> list[Check]:
    """The urgent checks that are not green, for the banner of the desk: a person may be left waiting."""
    found = [check(act) for check in _URGENT_CHECKS]
    return [check for check in found if check.state is not State.GREEN]


def metrics(session: Session, *, at: datetime) -> Metrics:
    """The numbers of /metrics, read from the tables, so that they are the same in every process."""
    now = outbox.status(session, at=at)
    by_status = session.execute(select(Lead.status, func.count()).group_by(Lead.status)).all()
    leases = session.scalars(select(JobLease).where(JobLease.ended_at.is_not(None)))
    return Metrics(
        waiting=now.waiting,
        dead=now.dead,
        oldest_waiting_seconds=now.oldest_waiting_seconds,
        leads={status.value: 0 for status in LeadStatus} | {status.value: n for status, n in by_status},
        job_ages={
            lease.name: max(0, int((at - lease.ended_at).total_seconds()))
            for lease in leases
            if lease.ended_at
        },
    )
