"""The queue of leads, ordered by promise, and the hand-over page between two shifts.

A page takes a fixed number of statements, however many leads are on it. Both pages are masked. They only
read, in a read-only transaction; the view then calls `record_queue_read` or `record_handover` in a writing
one.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Self, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, and_, exists, func, not_, or_, select
from sqlalchemy.orm import aliased

from intake.accounts.permissions import Member, Permission, StaffAct, require
from intake.audit import Action
from intake.audit.service import PageStart
from intake.calling.availability import local
from intake.casework.queue_rows import Group, QueueRow, load_rows
from intake.conf.clinic import Channel
from intake.consent.models import ConsentEvent, State
from intake.core.errors import NotFound
from intake.core.i18n import LANGUAGES
from intake.instance import Instance
from intake.leads.eligibility import CONTACT_KINDS
from intake.leads.models import Lead, LeadStatus, is_waiting

PAGE_SIZE = 100
COUNT_LIMIT = 1000
"""Counting stops here, so that the cost of a page does not grow with the table."""
_Choice = TypeVar("_Choice", bound=StrEnum)


class Show(StrEnum):
    """Which leads are listed: open, booked or closed ones."""

    OPEN = "open"
    BOOKED = "booked"
    CLOSED = "closed"


class ClaimedBy(StrEnum):
    """Filter by claim: the member's own, or unclaimed."""

    ME = "me"
    NOBODY = "nobody"


_STATUSES = {Show.BOOKED: LeadStatus.BOOKED, Show.CLOSED: LeadStatus.CLOSED}


@dataclass(frozen=True)
class QueueFilters:
    """The filters of a queue page, as in its query string; none of them identifies a person."""

    show: Show = Show.OPEN
    language: str | None = None
    channel: Channel | None = None
    claimed: ClaimedBy | None = None

    @classmethod
    def read(cls, args: Mapping[str, str]) -> Self:
        """Parse a query string; unknown values are ignored."""
        language = args.get("language")
        return cls(
            show=_choice(Show, args.get("show")) or Show.OPEN,
            language=language if language in LANGUAGES else None,
            channel=_choice(Channel, args.get("channel")),
            claimed=_choice(ClaimedBy, args.get("held")),
        )

    @property
    def query(self) -> dict[str, str]:
        """The filters as query parameters; those that are not set are left out."""
        values = {"language": self.language, "channel": self.channel, "held": self.claimed}
        show = {} if self.show is Show.OPEN else {"show": self.show.value}
        return show | {name: str(value) for name, value in values.items() if value}


def _choice(choices: type[_Choice], word: str | None) -> _Choice | None:
    return choices(word) if word in set(choices) else None


@dataclass(frozen=True)
class Page:
    """One page of the queue: its rows in order, the total, and where this page and the next one begin.

    `total` stops at COUNT_LIMIT; `beyond` says that there may be more. `mine`: the member's claimed leads.
    """

    rows: Sequence[QueueRow]
    total: int
    after: PageStart | None
    filters: QueueFilters
    now: datetime
    mine: Sequence[QueueRow] = field(default=())
    begins: PageStart | None = None

    @property
    def beyond(self) -> bool:
        """Whether counting stopped at the limit."""
        return self.total >= COUNT_LIMIT

    def of(self, group: Group) -> list[QueueRow]:
        """Return the rows of one group; those without an attempt come first."""
        rows = [row for row in self.rows if row.group == group]
        return sorted(rows, key=lambda row: row.lead.status is not LeadStatus.NEW)


def page(
    act: StaffAct, *, filters: QueueFilters, after: PageStart | None = None, limit: int | None = None
) -> Page:
    """Return up to `limit` (100) leads by promise, soonest first; closed ones by closing time, latest first.

    Only reads. Raises NotAllowed without the permission.
    """
    require(act.member, Permission.LIST_LEADS)
    statement = _matching(filters, act.member, act.now)
    size = limit or PAGE_SIZE
    found = act.session.scalars(_sorted_from(statement, filters, after).limit(size + 1)).all()
    leads = found[:size]
    counted = statement.with_only_columns(Lead.id).limit(COUNT_LIMIT).subquery()
    total = act.session.scalar(select(func.count()).select_from(counted)) or 0
    mine = act.session.scalars(_claimed_by(act.member, act.now)).all()
    rows = {row.lead.id: row for row in load_rows(act, {*leads, *mine})}
    return Page(
        rows=[rows[lead.id] for lead in leads],
        total=total,
        after=_page_start_of(leads[-1], filters) if len(found) > size else None,
        filters=filters,
        now=act.now,
        mine=[rows[lead.id] for lead in mine],
        begins=after,
    )


def _matching(filters: QueueFilters, member: Member, now: datetime) -> Select[Lead]:
    shown = _STATUSES.get(filters.show)
    statement = select(Lead).where(Lead.status == shown if shown else is_waiting())
    if not shown:  # leads kept only by a legal hold need no more work
        statement = statement.where(Lead.purge_after > now)
    if filters.language:
        statement = statement.where(Lead.language == filters.language)
    if filters.channel:
        statement = statement.where(_agreed_to(filters.channel))
    if filters.claimed is ClaimedBy.ME:
        statement = statement.where(Lead.id.in_(_claimed_by(member, now).with_only_columns(Lead.id)))
    if filters.claimed is ClaimedBy.NOBODY:
        statement = statement.where(or_(Lead.claimed_by.is_(None), Lead.claimed_until <= now))
    return statement


def is_claimed(now: datetime) -> ColumnElement[bool]:
    """SQL condition: the lead is claimed at `now`."""
    return and_(Lead.claimed_by.is_not(None), Lead.claimed_until > now)


def _claimed_by(member: Member, now: datetime) -> Select[Lead]:
    return select(Lead).where(is_claimed(now), Lead.claimed_by == member.id).order_by(Lead.claimed_until)


def _agreed_to(channel: Channel) -> ColumnElement[bool]:
    """SQL condition: the latest answer to the channel's statement is consent."""
    later = aliased(ConsentEvent)
    superseded = exists().where(
        later.lead_id == ConsentEvent.lead_id,
        later.kind == ConsentEvent.kind,
        later.state != State.GIVEN,
        later.at >= ConsentEvent.at,
    )
    return exists().where(
        ConsentEvent.lead_id == Lead.id,
        ConsentEvent.kind == CONTACT_KINDS[channel],
        ConsentEvent.state == State.GIVEN,
        ~superseded,
    )


def _sorted_from(statement: Select[Lead], filters: QueueFilters, after: PageStart | None) -> Select[Lead]:
    """Sort, and start at `after` by comparison instead of OFFSET: any page costs the same."""
    if filters.show is Show.CLOSED:
        ordered = statement.order_by(Lead.closed_at.desc(), Lead.id.desc())
        return ordered.where(after.older(Lead.closed_at, Lead.id)) if after else ordered
    ordered = statement.order_by(Lead.promise_at, Lead.id)
    return ordered.where(after.newer(Lead.promise_at, Lead.id)) if after else ordered


def _page_start_of(lead: Lead, filters: QueueFilters) -> PageStart:
    closed = lead.closed_at if filters.show is Show.CLOSED else None
    return PageStart(closed or lead.promise_at, lead.id)


def one(act: StaffAct, lead_id: uuid.UUID) -> Lead:
    """Return the lead. Raises NotFound for an unknown one, and when the member may not view leads."""
    lead = act.session.get(Lead, lead_id) if Permission.VIEW_LEAD in act.member.permissions else None
    if lead is None:
        raise NotFound
    return lead


def record_queue_read(act: StaffAct, page: Page) -> None:
    """Record in the audit log that `member` read this page of the queue: the number of rows only."""
    act.record(Action.LEADS_LISTED, count=len(page.rows))


HANDOVER_AHEAD = timedelta(hours=4)
"""How far ahead the hand-over lists promises that are due: half a shift."""
HANDOVER_LIMIT = 50
"""Leads listed per kind on the hand-over page."""


class HandoverKind(StrEnum):
    """What the next shift has to take care of, in the order of the page."""

    CLAIMED = "held"
    OPENED = "looked_at"
    BROKEN = "broken"
    DUE = "due"
    TODAY = "today"


@dataclass(frozen=True)
class Handover:
    """Rows by kind. `more`: kinds with more leads than listed. `mine`: number of the member's claims."""

    rows: Mapping[HandoverKind, Sequence[QueueRow]]
    more: frozenset[HandoverKind]
    mine: int
    now: datetime

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to hand over."""
        return not any(self.rows.values())

    @property
    def count(self) -> int:
        """How many different leads the page shows."""
        return len({row.lead.id for rows in self.rows.values() for row in rows})


def handover(act: StaffAct) -> Handover:
    """Return the hand-over page, soonest first.

    Claimed leads, leads opened without an outcome, promises broken or due within four hours, and today's
    consultations on the clinic's clock. Only reads. Raises NotAllowed without the permission.
    """
    require(act.member, Permission.LIST_LEADS)
    now = act.now
    found = {
        kind: act.session.scalars(statement.limit(HANDOVER_LIMIT + 1)).all()
        for kind, statement in _handover_query(now, act.instance)
    }
    shown = {kind: leads[:HANDOVER_LIMIT] for kind, leads in found.items()}
    leads = {lead for each in shown.values() for lead in each}
    rows = {row.lead.id: row for row in load_rows(act, leads)}
    return Handover(
        rows={kind: [rows[lead.id] for lead in each] for kind, each in shown.items()},
        more=frozenset(kind for kind, each in found.items() if len(each) > HANDOVER_LIMIT),
        mine=sum(lead.claimed_by == act.member.id for lead in found[HandoverKind.CLAIMED]),
        now=now,
    )


def _handover_query(now: datetime, instance: Instance) -> Iterator[tuple[HandoverKind, Select[Lead]]]:
    new = select(Lead).where(Lead.status == LeadStatus.NEW).order_by(Lead.promise_at, Lead.id)
    begins, ends = _today(now, instance.clinic.time_zone)
    yield HandoverKind.CLAIMED, select(Lead).where(is_claimed(now)).order_by(Lead.claimed_until)
    yield HandoverKind.OPENED, _opened_without_outcome(now)
    yield HandoverKind.BROKEN, new.where(Lead.promise_at <= now)
    yield HandoverKind.DUE, new.where(Lead.promise_at > now, Lead.promise_at <= now + HANDOVER_AHEAD)
    yield (
        HandoverKind.TODAY,
        select(Lead)
        .where(Lead.booked_for >= begins, Lead.booked_for < ends, Lead.status == LeadStatus.BOOKED)
        .order_by(Lead.booked_for),
    )


def _opened_without_outcome(now: datetime) -> Select[Lead]:
    """Leads opened by a claim or a reveal that ended without an outcome."""
    opened = Lead.opened_at.is_not(None), Lead.first_contact_at.is_(None), Lead.closed_at.is_(None)
    free = not_(is_claimed(now))
    return select(Lead).where(*opened, free).order_by(Lead.opened_at, Lead.id)


def _today(now: datetime, zone: str) -> tuple[datetime, datetime]:
    """Return the start and end of the clinic's calendar day: 23, 24 or 25 hours."""
    day = local(now, zone).date()
    begins, ends = (
        datetime.combine(each, time.min, ZoneInfo(zone)).astimezone(UTC)
        for each in (day, day + timedelta(days=1))
    )
    return begins, ends


def record_handover(act: StaffAct, page: Handover) -> None:
    """Record in the audit log that `member` read the hand-over: the number of rows only."""
    act.record(Action.LEADS_LISTED, count=page.count, kind="handover")
