"""The queue: who waits, in the order of broken and soonest promise, and who may be called this minute.

Every page costs the same few statements, however many leads stand on it.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Self, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, and_, exists, func, not_, or_, select
from sqlalchemy.orm import Session, aliased

from intake import audit
from intake.accounts.permissions import Member, Permission, require
from intake.audit import Action
from intake.audit.service import PageStart
from intake.calling.availability import local
from intake.casework.queue_rows import Group, Row, rows_of
from intake.conf.clinic import Channel
from intake.consent.models import ConsentEvent, State
from intake.core.errors import NotFound
from intake.core.i18n import LANGUAGES
from intake.instance import Instance
from intake.leads.eligibility import CONTACT_KINDS
from intake.leads.models import Lead, LeadStatus, waiting

PAGE = 100
MOST_COUNTED = 1000
"""Nobody needs to know how many more there are; counting them all would cost more the more there are."""
_Vocabulary = TypeVar("_Vocabulary", bound=StrEnum)


class Show(StrEnum):
    """Which leads: those still to be reached, those with an appointment, or the closed ones."""

    OPEN = "open"
    BOOKED = "booked"
    CLOSED = "closed"


class HeldBy(StrEnum):
    """Who holds them."""

    ME = "me"
    NOBODY = "nobody"


_STATUSES = {Show.BOOKED: LeadStatus.BOOKED, Show.CLOSED: LeadStatus.CLOSED}


@dataclass(frozen=True)
class Filters:
    """What an address may ask for; nothing in it is about anybody."""

    show: Show = Show.OPEN
    language: str | None = None
    channel: Channel | None = None
    held: HeldBy | None = None

    @classmethod
    def read(cls, words: Mapping[str, str]) -> Self:
        """The filters that an address names. A word that names none filters nothing."""
        language = words.get("language")
        return cls(
            show=_word(Show, words.get("show")) or Show.OPEN,
            language=language if language in LANGUAGES else None,
            channel=_word(Channel, words.get("channel")),
            held=_word(HeldBy, words.get("held")),
        )

    @property
    def words(self) -> dict[str, str]:
        """As an address carries them; what filters nothing is left out."""
        chosen = {"language": self.language, "channel": self.channel, "held": self.held}
        show = {} if self.show is Show.OPEN else {"show": self.show.value}
        return show | {name: str(value) for name, value in chosen.items() if value}


def _word(vocabulary: type[_Vocabulary], word: str | None) -> _Vocabulary | None:
    return vocabulary(word) if word in set(vocabulary) else None


@dataclass(frozen=True)
class Page:
    """One page: its rows in order, how many there are in all, where it and where the next one begin.

    `total` stops at 1,000; `beyond` says that there are more.
    """

    rows: Sequence[Row]
    total: int
    after: PageStart | None
    filters: Filters
    now: datetime
    mine: Sequence[Row] = field(default=())
    begins: PageStart | None = None

    @property
    def beyond(self) -> bool:
        """Whether there are more than were counted."""
        return self.total >= MOST_COUNTED

    def of(self, group: Group) -> list[Row]:
        """The rows under one heading; those nobody has tried yet come first."""
        rows = [row for row in self.rows if row.group == group]
        return sorted(rows, key=lambda row: row.lead.status is not LeadStatus.NEW)


def page(
    session: Session,
    *,
    filters: Filters,
    after: PageStart | None = None,
    limit: int | None = None,
    member: Member,
    instance: Instance,
) -> Page:
    """Up to `limit` (100) leads by promise, soonest first; the closed ones latest first.

    Only reads, so that nobody who writes has to wait for it; whoever shows it calls `record` before.
    Raises NotAllowed without the permission.
    """
    require(member, Permission.LIST_LEADS)
    wanted = _wanted(filters, member, instance.clock())
    size = limit or PAGE
    found = session.scalars(_after(wanted, filters, after).limit(size + 1)).all()
    leads = found[:size]
    counted = wanted.with_only_columns(Lead.id).limit(MOST_COUNTED).subquery()
    total = session.scalar(select(func.count()).select_from(counted)) or 0
    mine = session.scalars(_held_by(member, instance.clock())).all()
    rows = {row.lead.id: row for row in rows_of(session, {*leads, *mine}, instance=instance)}
    return Page(
        rows=[rows[lead.id] for lead in leads],
        total=total,
        after=_spot(leads[-1], filters) if len(found) > size else None,
        filters=filters,
        now=instance.clock(),
        mine=[rows[lead.id] for lead in mine],
        begins=after,
    )


def _wanted(filters: Filters, member: Member, now: datetime) -> Select[Lead]:
    shown = _STATUSES.get(filters.show)
    wanted = select(Lead).where(Lead.status == shown if shown else waiting())
    if not shown:  # what is only kept by a legal hold is nobody's work any more
        wanted = wanted.where(Lead.purge_after > now)
    if filters.language:
        wanted = wanted.where(Lead.language == filters.language)
    if filters.channel:
        wanted = wanted.where(_agreed_to(filters.channel))
    if filters.held is HeldBy.ME:
        wanted = wanted.where(Lead.id.in_(_held_by(member, now).with_only_columns(Lead.id)))
    if filters.held is HeldBy.NOBODY:
        wanted = wanted.where(or_(Lead.claimed_by.is_(None), Lead.claimed_until <= now))
    return wanted


def held(now: datetime) -> ColumnElement[bool]:
    """Whether somebody holds it right now."""
    return and_(Lead.claimed_by.is_not(None), Lead.claimed_until > now)


def _held_by(member: Member, now: datetime) -> Select[Lead]:
    return select(Lead).where(held(now), Lead.claimed_by == member.id).order_by(Lead.claimed_until)


def _agreed_to(channel: Channel) -> ColumnElement[bool]:
    """The last answer to the channel's statement was yes."""
    later = aliased(ConsentEvent)
    overtaken = exists().where(
        later.lead_id == ConsentEvent.lead_id,
        later.kind == ConsentEvent.kind,
        later.state != State.GIVEN,
        later.at >= ConsentEvent.at,
    )
    return exists().where(
        ConsentEvent.lead_id == Lead.id,
        ConsentEvent.kind == CONTACT_KINDS[channel],
        ConsentEvent.state == State.GIVEN,
        ~overtaken,
    )


def _after(wanted: Select[Lead], filters: Filters, after: PageStart | None) -> Select[Lead]:
    """Sorted, and from the spot on: a page costs the same wherever it begins."""
    if filters.show is Show.CLOSED:
        ordered = wanted.order_by(Lead.closed_at.desc(), Lead.id.desc())
        return ordered.where(after.before(Lead.closed_at, Lead.id)) if after else ordered
    ordered = wanted.order_by(Lead.promise_at, Lead.id)
    return ordered.where(after.behind(Lead.promise_at, Lead.id)) if after else ordered


def _spot(lead: Lead, filters: Filters) -> PageStart:
    closed = lead.closed_at if filters.show is Show.CLOSED else None
    return PageStart(closed or lead.promise_at, lead.id)


def one(session: Session, lead_id: uuid.UUID, *, member: Member) -> Lead:
    """The lead, if there is one and `member` may see leads. Raises NotFound, for both alike."""
    lead = session.get(Lead, lead_id) if Permission.VIEW_LEAD in member.permissions else None
    if lead is None:
        raise NotFound
    return lead


def record_queue_read(session: Session, page: Page, *, member: Member, instance: Instance) -> None:
    """Note in the log that `member` sees this page of the queue, as a count."""
    audit.record(
        session,
        Action.LEADS_LISTED,
        keyring=instance.keyring,
        at=instance.clock(),
        actor=member.actor,
        details={"count": len(page.rows)},
    )


# --- The hand-over: what the next shift has to know, in one look, masked like the queue.

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
    found = {
        kind: session.scalars(wanted.limit(MOST + 1)).all() for kind, wanted in _handover_query(now, instance)
    }
    shown = {kind: leads[:MOST] for kind, leads in found.items()}
    leads = {lead for each in shown.values() for lead in each}
    rows = {row.lead.id: row for row in rows_of(session, leads, instance=instance)}
    return Handover(
        rows={kind: [rows[lead.id] for lead in each] for kind, each in shown.items()},
        more=frozenset(kind for kind, each in found.items() if len(each) > MOST),
        mine=sum(lead.claimed_by == member.id for lead in found[Loose.HELD]),
        now=now,
    )


def _handover_query(now: datetime, instance: Instance) -> Iterator[tuple[Loose, Select[Lead]]]:
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


def record_handover(session: Session, page: Handover, *, member: Member, instance: Instance) -> None:
    """Note in the log that `member` sees the hand-over, as a count."""
    audit.record(
        session,
        Action.LEADS_LISTED,
        keyring=instance.keyring,
        at=instance.clock(),
        actor=member.actor,
        details={"count": page.count, "kind": "handover"},
    )
