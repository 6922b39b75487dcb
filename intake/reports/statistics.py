"""Counts of requests in a period (promise W2): volume, waiting times, promises, outcomes.

Four statements, however many requests there are. By promise W3 there is no count by staff member, no money
and no success rate here. Waiting counts only while the clinic is open.

Counts that are exported hide small numbers, so that no person can be singled out: 1 to 10 becomes `<11`,
the small-cell rule of the US Medicare program (CMS); 0 stays 0. A reader who knows the total could
subtract, so a second count is hidden where that would reveal the first. No export has a row of totals.
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
from sqlalchemy.orm import InstrumentedAttribute, Session

from intake.accounts.permissions import Permission, StaffAct, require
from intake.calling.availability import DAY, Interval, local, opening_hours, whole_day
from intake.conf.clinic import Channel, Clinic
from intake.consent.models import ConsentEvent, Kind, State
from intake.core.errors import Unprocessable
from intake.core.i18n import LANGUAGES, N_
from intake.leads.eligibility import CONTACT_KINDS
from intake.reports import periods
from intake.reports.periods import Ending, LeadOutcome, PromiseResult

LONGEST = 366
EARLIEST = date(2000, 1, 1)
WEEKDAYS, HOURS, TENTHS = 7, 24, 10
_Key = TypeVar("_Key", bound=Hashable)
LARGEST_SMALL = 10
SMALL = "<11"
HIDDEN = N_("hidden")
NOT_A_PERIOD = N_("Choose two days up to today, the earlier one first, not more than a year apart.")


@dataclass(frozen=True)
class Period:
    """From the first to the last day, both included, in the clinic's time zone."""

    first: date
    last: date

    @classmethod
    def until(cls, today: date, *, days: int) -> Self:
        """The `days` days that end with `today`."""
        return cls(today - DAY * (days - 1), today)

    @classmethod
    def parse(cls, first: str, last: str, *, today: date) -> Self:
        """The period between two ISO dates. Raises Unprocessable on `period` when it is not a valid one."""
        try:
            period = cls(date.fromisoformat(first), date.fromisoformat(last))
        except ValueError:
            raise Unprocessable({"period": [NOT_A_PERIOD]}, NOT_A_PERIOD) from None
        if not (EARLIEST <= period.first <= period.last <= today) or period.length > LONGEST:
            raise Unprocessable({"period": [NOT_A_PERIOD]}, NOT_A_PERIOD)
        return period

    @property
    def length(self) -> int:
        """Number of days."""
        return (self.last - self.first).days + 1

    @property
    def days(self) -> list[date]:
        """Every day, in order."""
        return [self.first + DAY * offset for offset in range(self.length)]

    def during(self, zone: str) -> Interval:
        """The period as an interval of instants, for a time zone."""
        return Interval(whole_day(zone, self.first).start, whole_day(zone, self.last).end)


@dataclass(frozen=True)
class WaitTimes:
    """Opening hours from request to first contact: the median, and what 9 of 10 requests stayed within."""

    count: int
    median: timedelta
    ninth_decile: timedelta

    @classmethod
    def of(cls, durations: Sequence[timedelta]) -> Self:
        """Summary of at least one waiting time."""
        ordered, count = sorted(durations), len(durations)
        median = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
        return cls(count, median, ordered[ceil(count * 9 / TENTHS) - 1])


@dataclass(frozen=True)
class Statistics:
    """The figures of a period.

    `promises` counts the `retained` leads only: a promise is erased with its lead.
    """

    period: Period
    received: int
    retained: int
    per_day: Mapping[date, int]
    by_hour: Sequence[Sequence[int]]
    languages: Mapping[str, int]
    channels: Mapping[Channel, int]
    endings: Mapping[Ending, int]
    promises: Mapping[PromiseResult, int]
    wait_times: WaitTimes | None
    wait_times_by_week: Mapping[date, WaitTimes]

    @property
    def promises_due(self) -> int:
        """Number of promises whose time has come: kept, broken or late."""
        return sum(
            self.promises[each] for each in (PromiseResult.KEPT, PromiseResult.BROKEN, PromiseResult.LATE)
        )

    @property
    def per_hour(self) -> list[int]:
        """Requests by hour of the day, over all weekdays."""
        return [sum(day[hour] for day in self.by_hour) for hour in range(HOURS)]


def gather(act: StaffAct, *, period: Period) -> Statistics:
    """The statistics of `period`. Opens nothing sealed. Raises NotAllowed without the permission."""
    require(act.member, Permission.SEE_NUMBERS)
    zone = act.clinic.time_zone
    during = period.during(zone)
    outcomes = periods.load_outcomes(act.session, during)
    local_times = [local(each.asked_at, zone) for each in outcomes]
    waits = _waits(outcomes, act.clinic)
    weekly = Counter((at.weekday(), at.hour) for at in local_times)
    languages = _leads_by(act.session, ConsentEvent.language, [Kind.USE], during)
    by_kind = _leads_by(act.session, ConsentEvent.kind, CONTACT_KINDS.values(), during)
    return Statistics(
        period=period,
        received=len(outcomes),
        retained=sum(each.retained for each in outcomes),
        per_day=_counted(period.days, (at.date() for at in local_times)),
        by_hour=[[weekly[day, hour] for hour in range(HOURS)] for day in range(WEEKDAYS)],
        languages={each: languages.get(each, 0) for each in LANGUAGES},
        channels={each: by_kind.get(CONTACT_KINDS[each], 0) for each in Channel},
        endings=_counted(Ending, (each.ending for each in outcomes)),
        promises=_counted(PromiseResult, (each.promise(act.now) for each in outcomes)),
        wait_times=WaitTimes.of([wait for _, wait in waits]) if waits else None,
        wait_times_by_week=_by_week(waits, zone),
    )


def _counted(keys: Iterable[_Key], values: Iterable[_Key | None]) -> dict[_Key, int]:
    """How often each key occurs among the values, in the order of the keys."""
    counts = Counter(values)
    return {key: counts[key] for key in keys}


def _leads_by(
    session: Session, column: InstrumentedAttribute[_Key], kinds: Iterable[Kind], during: Interval
) -> dict[_Key, int]:
    """Requests with a given consent of these kinds, by a column of it; one may count for several values."""
    query = select(column, func.count(ConsentEvent.lead_id.distinct())).where(
        ConsentEvent.kind.in_(kinds),
        ConsentEvent.state == State.GIVEN,
        ConsentEvent.lead_id.in_(periods.received_lead_ids(during)),
    )
    return dict(session.execute(query.group_by(column)).all())


def _waits(outcomes: Sequence[LeadOutcome], clinic: Clinic) -> list[tuple[datetime, timedelta]]:
    """For each contacted lead, when it was received and the opening hours until first contact."""
    spans = [(each.asked_at, each.contact_at) for each in outcomes if each.contact_at]
    if not spans:
        return []
    during = Interval(min(asked for asked, _ in spans), max(contact for _, contact in spans))
    hours = OpenTime(clinic, during)
    return [(asked, hours.between(asked, contact)) for asked, contact in spans]


class OpenTime:
    """Opening hours between two instants of `during`; the timetable is computed once."""

    def __init__(self, clinic: Clinic, during: Interval) -> None:
        self._open = opening_hours(clinic, during)
        self._starts = [each.start for each in self._open]
        self._before = list(accumulate((each.length for each in self._open), initial=timedelta(0)))

    def between(self, start: datetime, end: datetime) -> timedelta:
        """Opening hours from `start` to `end`."""
        return self._until(end) - self._until(start)

    def _until(self, moment: datetime) -> timedelta:
        index = bisect_right(self._starts, moment) - 1
        if index < 0:
            return timedelta(0)
        current = self._open[index]
        return self._before[index] + min(moment, current.end) - current.start


def _by_week(waits: Sequence[tuple[datetime, timedelta]], zone: str) -> dict[date, WaitTimes]:
    """Waiting times by the Monday of the week of the request; weeks without any are left out."""
    weeks: dict[date, list[timedelta]] = {}
    for asked, wait in sorted(waits):
        day = local(asked, zone).date()
        weeks.setdefault(day - DAY * day.weekday(), []).append(wait)
    return {monday: WaitTimes.of(durations) for monday, durations in weeks.items()}


def is_small(count: int) -> bool:
    """Whether a count must not be exported."""
    return 1 <= count <= LARGEST_SMALL


def masked_counts(counts: Sequence[int]) -> list[str]:
    """The counts of one figure as exported: the count itself, SMALL, or HIDDEN.

    A reader who knows their sum still cannot determine any count of 1 to 10. Where hiding larger counts is
    not enough, all counts of the figure are hidden.
    """
    small = [count for count in counts if is_small(count)]
    larger = sorted((count, index) for index, count in enumerate(counts) if count > LARGEST_SMALL)
    shown = [SMALL if is_small(count) else str(count) for count in counts]
    for number in range(len(larger) + 1):
        if not _is_solvable(small, [count for count, _ in larger[:number]]):
            return shown
        if number < len(larger):
            shown[larger[number][1]] = HIDDEN
    return [HIDDEN] * len(counts)


def _is_solvable(small: Sequence[int], larger: Sequence[int]) -> bool:
    """Whether the sum of the hidden counts determines the small ones."""
    if not small:
        return False
    least = len(small) + (LARGEST_SMALL + 1) * len(larger)
    total = sum(small) + sum(larger)
    return total == least or (not larger and (len(small) == 1 or total == LARGEST_SMALL * len(small)))
