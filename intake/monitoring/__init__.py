"""What must be true for the service to be well: `doctor`, /readyz, /metrics and the desk's banner ask here.

What stops a start is settings, migrations and a database that would lose something; what only ages
turns amber or red and never closes the door to a person (decisions.md 21).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from intake import outbox
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
    "NOT_FOR_A_PAGE",
    "Check",
    "Figures",
    "State",
    "banner",
    "checks",
    "doctor",
    "figures",
    "ready",
    "require_ready",
    "well",
]

_SURROUNDINGS: tuple[Callable[[Instance], Check], ...] = (
    monitoring_checks.disk, monitoring_checks.mail, monitoring_checks.crisis_lines, monitoring_checks.texts
)  # fmt: skip
_URGENT: tuple[Callable[[Session, Instance], Check], ...] = (
    monitoring_checks.relay, monitoring_checks.notices, monitoring_checks.dead_letters,
    response_time_checks.unopened, response_time_checks.door,
)  # fmt: skip
_AT_LEISURE: tuple[Callable[[Instance], Check], ...] = (article_links.article_links,)
NOT_FOR_A_PAGE = (article_links.ARTICLES_CHECK,)
"""The names of the checks that only `doctor` makes."""
_TABLES = (
    *_URGENT,
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
class Figures:
    """Numbers for /metrics; ages are whole seconds. `rounds` is the age of each round's last end."""

    waiting: int
    dead: int
    oldest_waiting_seconds: int
    leads: Mapping[str, int]
    rounds: Mapping[str, int]


def run_checks(instance: Instance) -> list[Check]:
    """Every check that can be made now; what stands in the tables only when they can be read."""
    found = ready(instance)
    readable = is_well(found)
    found += [check(instance) for check in _SURROUNDINGS]
    return [*found, *_in_the_tables(instance)] if readable else found


def _in_the_tables(instance: Instance) -> list[Check]:
    """What stands in them; that they cannot be read after all is worth red, not silence."""
    try:
        with instance.database.reading() as session:
            found = [check(session, instance) for check in _TABLES]
        return [*found, integrity.anchored(instance)]
    except Unavailable as failure:
        return [_down(failure)]


def doctor(instance: Instance) -> list[Check]:
    """Every check there is, also those that ask other machines and may take their time: not for a page."""
    return [*run_checks(instance), *(check(instance) for check in _AT_LEISURE)]


def is_well(found: Sequence[Check]) -> bool:
    """True when nothing is red."""
    return all(check.state is not State.RED for check in found)


def ready(instance: Instance) -> list[Check]:
    """Whether requests can be served at all: the database answers and is of this version."""
    try:
        with instance.database.reading() as session:
            reached = monitoring_checks.database(session, instance)
        return [reached, monitoring_checks.migrations(instance)]
    except Unavailable as failure:
        return [_down(failure), Check("migrations", State.RED, gettext("The tables could not be looked at."))]


def _down(failure: Unavailable) -> Check:
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


def banner(session: Session, *, instance: Instance) -> list[Check]:
    """What the desk shows above every page: the few things that mean a person may be forgotten."""
    found = [check(session, instance) for check in _URGENT]
    return [check for check in found if check.state is not State.GREEN]


def figures(session: Session, *, at: datetime) -> Figures:
    """What /metrics tells, straight from the tables, so that it is true for any number of processes."""
    now = outbox.status(session, at=at)
    by_status = session.execute(select(Lead.status, func.count()).group_by(Lead.status)).all()
    leases = session.scalars(select(JobLease).where(JobLease.ended_at.is_not(None)))
    return Figures(
        waiting=now.waiting,
        dead=now.dead,
        oldest_waiting_seconds=now.oldest_waiting_seconds,
        leads={status.value: 0 for status in LeadStatus} | {status.value: n for status, n in by_status},
        rounds={lease.name: _seconds(at - lease.ended_at) for lease in leases if lease.ended_at},
    )


def _seconds(age: timedelta) -> int:
    return max(0, int(age.total_seconds()))
