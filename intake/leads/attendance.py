"""Whether somebody was at the desk while the clinic was open, told from the audit log."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from intake import audit
from intake.audit import AuditEvent
from intake.audit.models import ActorKind
from intake.calling.intervals import Interval, on_the_clock
from intake.instance import Instance

BACK = timedelta(days=7)


@dataclass(frozen=True)
class Opened:
    """Hours in which the clinic was open, until now at most, and when staff `first` did something in them."""

    hours: Interval
    first: datetime | None


def attendance(session: Session, *, instance: Instance) -> Sequence[Opened]:
    """The opening hours of the last seven days, latest first, as far as the log reaches back.

    They are counted by the hours and holidays of today's `clinic.toml`.
    """
    now, began = instance.clock(), audit.began(session)
    if began is None:
        return []
    during = Interval(max(began, now - BACK), now)
    opened = on_the_clock(instance.clinic.time_zone, during, instance.clinic.open_on)
    return [Opened(each, _first(session, each)) for each in reversed(opened)]


def _first(session: Session, hours: Interval) -> datetime | None:
    within = AuditEvent.at >= hours.start, AuditEvent.at <= hours.end
    return session.scalar(
        select(func.min(AuditEvent.at)).where(*within, AuditEvent.actor_kind == ActorKind.STAFF)
    )
