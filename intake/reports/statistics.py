"""Counts of requests in a period, for who may see them (promise W2): volume, waiting, promises, outcomes.

Four statements, however many requests there are. There is no count by staff member, no money and no
rate of success here, and there may not be (promise W3).
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import accumulate
from math import ceil
from typing import Self, TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from intake.accounts.permissions import Member, Permission, require
from intake.calling.availability import DAY, Interval, local, on_the_clock, whole_day
from intake.conf.clinic import Channel, Clinic
from intake.consent.models import ConsentEvent, Kind, State
from intake.core.errors import Unprocessable
from intake.core.i18n import LANGUAGES, N_
from intake.instance import Instance
from intake.leads.eligibility import CONTACT_KINDS
from intake.reports import periods
from intake.reports.periods import Ending, PromiseResult, Trace

LONGEST = 366
EARLIEST = date(2000, 1, 1)
WEEKDAYS, HOURS, TENTHS = 7, 24, 10
_Key = TypeVar("_Key", bound=Hashable)
NOT_A_PERIOD = N_("Choose two days up to today, the earlier one first, not more than a year apart.")


@dataclass(frozen=True)
class Period:
    """From the first to the last day, both included, on the clinic's clock."""

    first: date
    last: date

    @classmethod
    def until(cls, today: date, *, days: int) -> Self:
        """So many days, today being the last."""
        return cls(today - DAY * (days - 1), today)

    @classmethod
    def read(cls, first: str, last: str, *, today: date) -> Self:
        """The period between two ISO days. Raises Unprocessable on `period` when it is none."""
        try:
            found = cls(date.fromisoformat(first), date.fromisoformat(last))
        except ValueError:
            raise Unprocessable({"period": [NOT_A_PERIOD]}, NOT_A_PERIOD) from None
        if not (EARLIEST <= found.first <= found.last <= today) or found.length > LONGEST:
            raise Unprocessable({"period": [NOT_A_PERIOD]}, NOT_A_PERIOD)
        return found

    @property
    def length(self) -> int:
        """How many days."""
        return (self.last - self.first).days + 1

    @property
    def days(self) -> list[date]:
        """Every day in it."""
        return [self.first + DAY * ahead for ahead in range(self.length)]

    def during(self, zone: str) -> Interval:
        """The same as instants."""
        return Interval(whole_day(zone, self.first).start, whole_day(zone, self.last).end)


@dataclass(frozen=True)
class Waits:
    """Open time from asking to first contact: half of them waited at most `median`, 9 of 10 `ninth`."""

    count: int
    median: timedelta
    ninth: timedelta

    @classmethod
    def of(cls, waited: Sequence[timedelta]) -> Self:
        """Of at least one wait."""
        ordered, count = sorted(waited), len(waited)
        median = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
        return cls(count, median, ordered[ceil(count * 9 / TENTHS) - 1])


@dataclass(frozen=True)
class Numbers:
    """Everything the page shows. `promises` counts the `held` ones alone: a promise goes with its lead."""

    period: Period
    received: int
    held: int
    per_day: Mapping[date, int]
    by_hour: Sequence[Sequence[int]]
    languages: Mapping[str, int]
    channels: Mapping[Channel, int]
    endings: Mapping[Ending, int]
    promises: Mapping[PromiseResult, int]
    waits: Waits | None
    waits_by_week: Mapping[date, Waits]

    @property
    def judged(self) -> int:
        """How many promises have come due."""
        return sum(
            self.promises[each] for each in (PromiseResult.KEPT, PromiseResult.BROKEN, PromiseResult.LATE)
        )

    @property
    def per_hour(self) -> list[int]:
        """Requests by hour of the day, whatever the weekday."""
        return [sum(day[hour] for day in self.by_hour) for hour in range(HOURS)]


def gather(session: Session, *, period: Period, member: Member, instance: Instance) -> Numbers:
    """The numbers of `period`. Opens nothing sealed. Raises NotAllowed without the permission."""
    require(member, Permission.SEE_NUMBERS)
    zone = instance.clinic.time_zone
    during = period.during(zone)
    found = periods.traces_of(session, during)
    local_times = [local(each.asked_at, zone) for each in found]
    waited = _waited(found, instance.clinic)
    return Numbers(
        period=period,
        received=len(found),
        held=sum(each.held for each in found),
        per_day=_counted(period.days, (at.date() for at in local_times)),
        by_hour=_by_hour(local_times),
        languages=_languages(session, during),
        channels=_channels(session, during),
        endings=_counted(Ending, (each.ending for each in found)),
        promises=_counted(PromiseResult, (each.promise(instance.clock()) for each in found)),
        waits=Waits.of([wait for _, wait in waited]) if waited else None,
        waits_by_week=_by_week(waited, zone),
    )


def _counted(keys: Iterable[_Key], found: Iterable[_Key | None]) -> dict[_Key, int]:
    """How often each key was found, in the order of the keys."""
    counts = Counter(found)
    return {key: counts[key] for key in keys}


def _by_hour(times: Sequence[datetime]) -> list[list[int]]:
    """Seven days from Monday, 24 hours each."""
    counts = Counter((at.weekday(), at.hour) for at in times)
    return [[counts[day, hour] for hour in range(HOURS)] for day in range(WEEKDAYS)]


def _languages(session: Session, during: Interval) -> dict[str, int]:
    """By the language in which they agreed."""
    wanted = select(ConsentEvent.language, func.count(ConsentEvent.lead_id.distinct())).where(
        ConsentEvent.kind == Kind.USE,
        ConsentEvent.state == State.GIVEN,
        ConsentEvent.lead_id.in_(periods.received(during)),
    )
    counts = {row[0]: row[1] for row in session.execute(wanted.group_by(ConsentEvent.language))}
    return {each: counts.get(each, 0) for each in LANGUAGES}


def _channels(session: Session, during: Interval) -> dict[Channel, int]:
    """By the channels they ever said yes to; one request may have several."""
    wanted = select(ConsentEvent.kind, func.count(ConsentEvent.lead_id.distinct())).where(
        ConsentEvent.kind.in_(CONTACT_KINDS.values()),
        ConsentEvent.state == State.GIVEN,
        ConsentEvent.lead_id.in_(periods.received(during)),
    )
    counts = {row[0]: row[1] for row in session.execute(wanted.group_by(ConsentEvent.kind))}
    return {each: counts.get(CONTACT_KINDS[each], 0) for each in Channel}


# --- waiting, counted only while the clinic is open --------------------------------------------------


def _waited(found: Sequence[Trace], clinic: Clinic) -> list[tuple[datetime, timedelta]]:
    """When each asked that was contacted, and how much open time went by until then."""
    spans = [(each.asked_at, each.contact_at) for each in found if each.contact_at]
    if not spans:
        return []
    whole = Interval(min(asked for asked, _ in spans), max(contact for _, contact in spans))
    opening = OpenTime(clinic, whole)
    return [(asked, opening.between(asked, contact)) for asked, contact in spans]


class OpenTime:
    """How long the clinic was open between two moments of `during`; the hours are laid out once."""

    def __init__(self, clinic: Clinic, during: Interval) -> None:
        self._open = on_the_clock(clinic.time_zone, during, clinic.open_on)
        self._starts = [each.start for each in self._open]
        self._before = list(accumulate((each.length for each in self._open), initial=timedelta(0)))

    def between(self, start: datetime, end: datetime) -> timedelta:
        """Open time from `start` to `end`."""
        return self._until(end) - self._until(start)

    def _until(self, moment: datetime) -> timedelta:
        place = bisect_right(self._starts, moment) - 1
        if place < 0:
            return timedelta(0)
        begun = self._open[place]
        return self._before[place] + min(moment, begun.end) - begun.start


def _by_week(waited: Sequence[tuple[datetime, timedelta]], zone: str) -> dict[date, Waits]:
    """By the Monday of the week in which they asked; weeks without any are left out."""
    weeks: dict[date, list[timedelta]] = {}
    for asked, wait in sorted(waited):
        day = local(asked, zone).date()
        weeks.setdefault(day - DAY * day.weekday(), []).append(wait)
    return {monday: Waits.of(waits) for monday, waits in weeks.items()}


# --- What may leave the building: counts with the small ones hidden so that nobody can work them out.
# 1 to 10 becomes `<11`; 0 stays 0 (SX-02). Whoever knows how many there were in all could subtract, so a
# second count is left out where that would give the first away. Nothing exported has a row of totals.

LARGEST_SMALL = 10
SMALL = "<11"
LEFT_OUT = N_("hidden")


def is_small(count: int) -> bool:
    """Whether a count may not be shown outside."""
    return 1 <= count <= LARGEST_SMALL


def masked_counts(counts: Sequence[int]) -> list[str]:
    """The counts of one figure as they may leave: a figure's own number, SMALL, or LEFT_OUT.

    Holds even for a reader who knows their sum: no count of 1 to 10 can be told for certain. Where
    leaving out larger ones is not enough, all of the figure is left out.
    """
    small = [count for count in counts if is_small(count)]
    larger = sorted((count, place) for place, count in enumerate(counts) if count > LARGEST_SMALL)
    for enough in range(len(larger) + 1):
        beside = larger[:enough]
        if not _told(small, [count for count, _ in beside]):
            return _shown(counts, {place for _, place in beside})
    return [LEFT_OUT] * len(counts)


def _told(small: Sequence[int], beside: Sequence[int]) -> bool:
    """Whether the sum of what is hidden leaves only one way to fill it in."""
    if not small:
        return False
    least = len(small) + (LARGEST_SMALL + 1) * len(beside)
    hidden = sum(small) + sum(beside)
    return hidden == least or (not beside and (len(small) == 1 or hidden == LARGEST_SMALL * len(small)))


def _shown(counts: Sequence[int], left_out: set[int]) -> list[str]:
    return [
        LEFT_OUT if place in left_out else SMALL if is_small(count) else str(count)
        for place, count in enumerate(counts)
    ]
