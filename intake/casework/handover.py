"""The hand-over: what the next shift has to know, in one look, masked like the queue."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from sqlalchemy import Select, not_, select
from sqlalchemy.orm import Session

from intake import audit
from intake.accounts.permissions import Member, Permission, require
from intake.audit import Action
from intake.calling.availability import local
from intake.casework.queue import held
from intake.casework.rows import Row, rows_of
from intake.instance import Instance
from intake.leads.models import Lead, LeadStatus

AHEAD = timedelta(hours=4)
"""How far ahead a promise is of interest: half a shift."""
MOST = 50
"""So many of each kind; more than that is the queue's business."""


class Loose(StrEnum):
    """What may be forgotten between two shifts, in the order of the page."""

    HELD = "held"
    LOOKED_AT = "looked_at"
    BROKEN = "broken"
    DUE = "due"
    TODAY = "today"


@dataclass(frozen=True)
class Handover:
    """What is left, by kind. `more` names the kinds of which not all are shown."""

    rows: Mapping[Loose, Sequence[Row]]
    more: frozenset[Loose]
    mine: int
    now: datetime

    @property
    def nothing(self) -> bool:
        """Whether everything is done."""
        return not any(self.rows.values())

    @property
    def count(self) -> int:
        """How many different leads the page shows."""
        return len({row.lead.id for rows in self.rows.values() for row in rows})


def handover(session: Session, *, member: Member, instance: Instance) -> Handover:
    """What is left to say to the next shift, soonest first.

    Who holds what, what was looked at without an outcome, which promises are broken or due within four
    hours, and today's consultations on the clinic's clock. Only reads; whoever shows it calls `record`.
    Raises NotAllowed without the permission.
    """
    require(member, Permission.LIST_LEADS)
    now = instance.clock()
    found = {kind: session.scalars(wanted.limit(MOST + 1)).all() for kind, wanted in _wanted(now, instance)}
    shown = {kind: leads[:MOST] for kind, leads in found.items()}
    leads = {lead for each in shown.values() for lead in each}
    rows = {row.lead.id: row for row in rows_of(session, leads, instance=instance)}
    return Handover(
        rows={kind: [rows[lead.id] for lead in each] for kind, each in shown.items()},
        more=frozenset(kind for kind, each in found.items() if len(each) > MOST),
        mine=sum(lead.claimed_by == member.id for lead in found[Loose.HELD]),
        now=now,
    )


def _wanted(now: datetime, instance: Instance) -> Iterator[tuple[Loose, Select[Lead]]]:
    new = select(Lead).where(Lead.status == LeadStatus.NEW).order_by(Lead.promise_at, Lead.id)
    begins, ends = _today(now, instance.clinic.time_zone)
    yield Loose.HELD, select(Lead).where(held(now)).order_by(Lead.claimed_until)
    yield Loose.LOOKED_AT, _looked_at(now)
    yield Loose.BROKEN, new.where(Lead.promise_at <= now)
    yield Loose.DUE, new.where(Lead.promise_at > now, Lead.promise_at <= now + AHEAD)
    yield (
        Loose.TODAY,
        select(Lead)
        .where(Lead.booked_for >= begins, Lead.booked_for < ends, Lead.status == LeadStatus.BOOKED)
        .order_by(Lead.booked_for),
    )


def _looked_at(now: datetime) -> Select[Lead]:
    """Opened by a hold or a reveal that ended without an outcome (decisions.md 12)."""
    opened = Lead.opened_at.is_not(None), Lead.first_contact_at.is_(None), Lead.closed_at.is_(None)
    free = not_(held(now))
    return select(Lead).where(*opened, free).order_by(Lead.opened_at, Lead.id)


def _today(now: datetime, zone: str) -> tuple[datetime, datetime]:
    """When the clinic's day begins and ends; a day of 23 or 25 hours is one day too."""
    day = local(now, zone).date()
    begins, ends = (
        datetime.combine(each, time.min, ZoneInfo(zone)).astimezone(UTC)
        for each in (day, day + timedelta(days=1))
    )
    return begins, ends


def record(session: Session, page: Handover, *, member: Member, instance: Instance) -> None:
    """Note in the log that `member` sees the hand-over, as a count."""
    audit.record(
        session,
        Action.LEADS_LISTED,
        keyring=instance.keyring,
        at=instance.clock(),
        actor=member.actor,
        details={"count": page.count, "kind": "handover"},
    )
