"""The queue of leads, ordered by promise, and the hand-over page between two shifts.

A page takes a fixed number of statements, however many leads are on it. Both pages are masked. They only
read, in a read-only transaction; the view then calls `record_queue_read` or `record_handover` in a writing
one.
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from math import inf
from typing import Self, TypeVar

from sqlalchemy import ColumnElement, Select, and_, exists, func, not_, or_, select
from sqlalchemy.orm import aliased

from intake.accounts.permissions import Member, Permission, StaffAct, require
from intake.accounts.service import names_of
from intake.act import Act
from intake.audit import Action
from intake.audit.service import PageStart
from intake.calling.availability import local, whole_day
from intake.calling.gate import Verdict
from intake.conf.clinic import Channel
from intake.consent.models import ConsentEvent, State
from intake.core.errors import NotFound
from intake.core.i18n import LANGUAGES
from intake.leads import eligibility, reveal
from intake.leads.eligibility import CONTACT_KINDS, ContactStatus
from intake.leads.models import Lead, LeadStatus, is_waiting
from intake.leads.reveal import MaskedContact

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


class Group(StrEnum):
    """The heading under which a row is listed, in this order."""

    BROKEN = "broken"
    NOW = "now"
    LATER = "later"
    BOOKED = "booked"
    CLOSED = "closed"


@dataclass(frozen=True)
class QueueRow:
    """One lead as the queue shows it: masked, with the gate's verdict on its best channel."""

    lead: Lead
    masked: MaskedContact
    contact_status: ContactStatus
    channel: Channel
    verdict: Verdict
    group: Group
    holder: str | None


def load_rows(act: Act, leads: Collection[Lead]) -> dict[uuid.UUID, QueueRow]:
    """Load the leads as rows by id, with one statement each for keys, consents, attempts and so on."""
    leads = list(leads)
    if not leads:
        return {}
    masked = reveal.mask_leads(act, leads)
    statuses = eligibility.contact_statuses(act.session, leads)
    now, times = act.now, act.contact_times
    claimants = {
        lead.id: lead.claimed_by
        for lead in leads
        if lead.claimed_by and lead.claimed_until and lead.claimed_until > now
    }
    names = names_of(act.session, set(claimants.values()))
    rows = {}
    for lead in leads:
        status = statuses[lead.id]
        channels = status.channels or (Channel.CALL,)  # without any consent, what the gate says of a call
        verdicts = {each: status.verdict(each, times) for each in channels}
        channel = best_channel(verdicts)
        verdict = verdicts[channel]
        rows[lead.id] = QueueRow(
            lead=lead,
            masked=masked[lead.id],
            contact_status=status,
            channel=channel,
            verdict=verdict,
            group=_group(lead, allowed=verdict.allowed, now=now),
            holder=names.get(claimants[lead.id]) if lead.id in claimants else None,
        )
    return rows


def best_channel(verdicts: Mapping[Channel, Verdict]) -> Channel:
    """Return the channel that may be used now, else the one that opens first."""

    def opens(channel: Channel) -> tuple[bool, float]:
        verdict = verdicts[channel]
        return not verdict.allowed, verdict.opens_at.timestamp() if verdict.opens_at else inf

    return min(verdicts, key=opens)


def _group(lead: Lead, *, allowed: bool, now: datetime) -> Group:
    """Return the group; a promise is broken when its time has passed without an attempt."""
    if lead.status is LeadStatus.CLOSED:
        return Group.CLOSED
    if lead.status is LeadStatus.BOOKED:
        return Group.BOOKED
    if lead.status is LeadStatus.NEW and lead.promise_at <= now:
        return Group.BROKEN
    return Group.NOW if allowed else Group.LATER


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

    @cached_property
    def groups(self) -> Mapping[Group, Sequence[QueueRow]]:
        """The rows by group; those without an attempt come first."""
        new_first = sorted(self.rows, key=lambda row: row.lead.status is not LeadStatus.NEW)
        return {group: [row for row in new_first if row.group is group] for group in Group}


def page(
    act: StaffAct, *, filters: QueueFilters, after: PageStart | None = None, limit: int | None = None
) -> Page:
    """Return up to `limit` (100) leads by promise, soonest first; closed ones by closing time, latest first.

    Only reads. Raises NotAllowed without the permission.
    """
    require(act.member, Permission.LIST_LEADS)
    statement = _matching(filters, act.member, act.now)
    # A page starts at `after` by comparison instead of OFFSET: any page costs the same.
    if filters.show is Show.CLOSED:
        ordered = statement.order_by(Lead.closed_at.desc(), Lead.id.desc())
        wanted = ordered.where(after.older(Lead.closed_at, Lead.id)) if after else ordered
    else:
        ordered = statement.order_by(Lead.promise_at, Lead.id)
        wanted = ordered.where(after.newer(Lead.promise_at, Lead.id)) if after else ordered
    size = limit or PAGE_SIZE
    found = act.session.scalars(wanted.limit(size + 1)).all()
    leads, next_page = found[:size], None
    if len(found) > size:
        last = leads[-1]
        next_page = PageStart(last.closed_at or last.promise_at, last.id)
    counted = statement.with_only_columns(Lead.id).limit(COUNT_LIMIT).subquery()
    total = act.session.scalar(select(func.count()).select_from(counted)) or 0
    mine = act.session.scalars(_claimed_by(act.member, act.now)).all()
    rows = load_rows(act, {*leads, *mine})
    return Page(
        rows=[rows[lead.id] for lead in leads],
        total=total,
        after=next_page,
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
    now, zone = act.now, act.clinic.time_zone
    today = whole_day(zone, local(now, zone).date())
    claimed, new = is_claimed(now), select(Lead).where(Lead.status == LeadStatus.NEW)
    opened = Lead.opened_at.is_not(None), Lead.first_contact_at.is_(None), Lead.closed_at.is_(None)
    booked = Lead.booked_for >= today.start, Lead.booked_for < today.end, Lead.status == LeadStatus.BOOKED
    soonest = Lead.promise_at, Lead.id
    wanted = {
        HandoverKind.CLAIMED: select(Lead).where(claimed).order_by(Lead.claimed_until),
        # by a claim or a reveal that ended without an outcome
        HandoverKind.OPENED: select(Lead).where(*opened, not_(claimed)).order_by(Lead.opened_at, Lead.id),
        HandoverKind.BROKEN: new.where(Lead.promise_at <= now).order_by(*soonest),
        HandoverKind.DUE: new.where(Lead.promise_at > now, Lead.promise_at <= now + HANDOVER_AHEAD).order_by(
            *soonest
        ),
        HandoverKind.TODAY: select(Lead).where(*booked).order_by(Lead.booked_for),
    }
    found = {
        kind: act.session.scalars(statement.limit(HANDOVER_LIMIT + 1)).all()
        for kind, statement in wanted.items()
    }
    shown = {kind: leads[:HANDOVER_LIMIT] for kind, leads in found.items()}
    rows = load_rows(act, {lead for each in shown.values() for lead in each})
    return Handover(
        rows={kind: [rows[lead.id] for lead in each] for kind, each in shown.items()},
        more=frozenset(kind for kind, each in found.items() if len(each) > HANDOVER_LIMIT),
        mine=sum(lead.claimed_by == act.member.id for lead in found[HandoverKind.CLAIMED]),
        now=now,
    )


def record_handover(act: StaffAct, page: Handover) -> None:
    """Record in the audit log that `member` read the hand-over: the number of rows only."""
    act.record(Action.LEADS_LISTED, count=page.count, kind="handover")
