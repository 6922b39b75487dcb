"""When a person may be contacted: the intersection of opening hours, legal hours and the person's safe times.

A time is contactable when the clinic is open (never on its holidays), the person marked it as safe and, for
calls and texts, the law allows it and it lies within the clinic's own calling hours. The legal calling hours
do not cover email, so the last two conditions do not apply to it; the safe times do, because others may see
an inbox or a lock screen.

All arithmetic is on intervals between instants in UTC: sorted, disjoint, half-open.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import NamedTuple, NotRequired, TypedDict, Unpack
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers.timezone import time_zones_for_number

from intake.calling import hours as calling_hours
from intake.calling.hours import CallingHours, Window
from intake.calling.regions import zones_of
from intake.conf.clinic import Channel, Clinic
from intake.conf.toml_schema import Span

DAY = timedelta(days=1)


class Interval(NamedTuple):
    """A half-open interval: `start` is included, `end` is not. Both are aware and in UTC."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        """The duration."""
        return self.end - self.start


Intervals = list[Interval]


def union(*several: Iterable[Interval]) -> Intervals:
    """Return the time covered by at least one argument; touching intervals are merged."""
    merged: Intervals = []
    for each in sorted(one for intervals in several for one in intervals if one.start < one.end):
        if merged and each.start <= merged[-1].end:
            merged[-1] = Interval(merged[-1].start, max(each.end, merged[-1].end))
        else:
            merged.append(each)
    return merged


def intersection(first: Sequence[Interval], *others: Sequence[Interval]) -> Intervals:
    """Return the time covered by every argument."""
    shared = list(first)
    for other in others:
        one, shared = shared, []
        i = j = 0
        while i < len(one) and j < len(other):
            start, end = max(one[i].start, other[j].start), min(one[i].end, other[j].end)
            if start < end:
                shared.append(Interval(start, end))
            if one[i].end < other[j].end:
                i += 1
            else:
                j += 1
    return shared


def difference(intervals: Sequence[Interval], blocked: Iterable[Interval]) -> Intervals:
    """Return the time in `intervals` that is not in `blocked`."""
    left = list(intervals)
    for block in blocked:
        pieces = (
            (Interval(each.start, min(each.end, block.start)), Interval(max(each.start, block.end), each.end))
            for each in left
        )
        left = [piece for pair in pieces for piece in pair if piece.start < piece.end]
    return left


def interval_at(intervals: Iterable[Interval], moment: datetime) -> Interval | None:
    """Return the interval that contains `moment`, or None."""
    return next((each for each in intervals if each.start <= moment < each.end), None)


def spans_in_zone(zone: str, during: Interval, spans_on: Callable[[date], Iterable[Span]]) -> Intervals:
    """Return the parts of `during` in which the local time in `zone` lies within a span of its day."""
    first, last = (moment.astimezone(ZoneInfo(zone)).date() for moment in during)
    days = (first + DAY * n for n in range((last - first).days + 1))
    found = union(_span_instants(zone, day, span) for day in days for span in spans_on(day))
    return intersection(found, [during])


def opening_hours(clinic: Clinic, during: Interval) -> Intervals:
    """Return the parts of `during` in which the clinic is open."""
    first, last = (moment.astimezone(ZoneInfo(clinic.time_zone)).date() for moment in during)
    return spans_in_zone(clinic.time_zone, during, clinic.open_days(first, last).__getitem__)


@lru_cache(maxsize=16_384)
def _span_instants(zone: str, day: date, span: Span) -> Interval:
    """Convert a wall-clock span to instants. An ambiguous time gives the narrower reading."""
    opens, closes = (datetime.combine(day, at, tzinfo=ZoneInfo(zone)) for at in span)
    return Interval(
        max(opens.astimezone(UTC), opens.replace(fold=1).astimezone(UTC)),
        min(closes.astimezone(UTC), closes.replace(fold=1).astimezone(UTC)),
    )


def whole_day(zone: str, day: date) -> Interval:
    """Return one calendar day of a zone: 23, 24 or 25 hours."""
    midnight, next_midnight = (
        datetime.combine(each, time.min, tzinfo=ZoneInfo(zone)).astimezone(UTC) for each in (day, day + DAY)
    )
    return Interval(midnight, next_midnight)


HORIZON_DAYS = 14
MAX_ZONES_OF_A_NUMBER = 3  # toll-free and satellite numbers come with dozens, so the zone is unknown
UNKNOWN_ZONE = "Etc/Unknown"


class Condition(StrEnum):
    """A condition of contactable time; all must hold. In the order in which refusals are listed."""

    LEGAL = "legal"
    CALL_HOURS = "call_hours"
    WINDOWS = "windows"
    OPENING = "opening"


_NOT_FOR_EMAIL = frozenset({Condition.LEGAL, Condition.CALL_HOURS})


class Whereabouts(TypedDict):
    """Where the person is, and the times that they called safe.

    `time_zone`: None where they left it open. `number_zones`: the zones that their number may be in.
    """

    region: str
    time_zone: str | None
    windows: Collection[Window]
    number_zones: NotRequired[Sequence[str]]


class ContactTimes:
    """When the conditions of contact hold, from `start` on for `days` days.

    Made once per page or act and asked for every lead and channel on it: what two of them share is computed
    once. Consent and limits on attempts are checked by the gate.
    """

    def __init__(
        self, clinic: Clinic, hours: CallingHours, start: datetime, days: int = HORIZON_DAYS
    ) -> None:
        self.clinic, self.hours = clinic, hours
        self.during = Interval(start, start + DAY * days)
        self._dates = [start.date() + DAY * n for n in range(-1, days + 2)]  # in every zone there is
        self._found: dict[object, dict[Condition, Intervals]] = {}

    @cached_property
    def opening(self) -> Intervals:
        """When the clinic is open."""
        return opening_hours(self.clinic, self.during)

    def contactable(self, channel: Channel, **person: Unpack[Whereabouts]) -> Intervals:
        """Return the intervals in which `channel` may be used. Raises KeyError for an unknown region."""
        return intersection(*self.conditions(channel, **person).values())

    def conditions(self, channel: Channel, **person: Unpack[Whereabouts]) -> dict[Condition, Intervals]:
        """Return the intervals of each condition separately, so that a refusal can name the one that fails.

        Where `time_zone` is None, the conditions must hold in every zone of the region. A number's zone tells
        where the phone may be, not which state's law applies: there the federal hours count.
        """
        region, windows = person["region"], frozenset(person["windows"])
        zones = (person["time_zone"],) if person["time_zone"] else zones_of(region)
        number_zones = tuple(person.get("number_zones", ()))
        key = region, zones, number_zones, windows
        if key not in self._found:
            law = self.hours.spans_by_day(region, self._dates)
            federal, contact = self.hours.federal.hours, self.clinic.contact
            safe = calling_hours.spans_by_day(windows, self._dates)
            self._found[key] = {
                Condition.LEGAL: intersection(
                    self._in_zones(zones, law.__getitem__), self._in_zones(number_zones, lambda _: federal)
                ),
                Condition.CALL_HOURS: self._in_zones(
                    zones, lambda _: (Span(contact.call_from, contact.call_until),)
                ),
                Condition.WINDOWS: [self.during]
                if Window.ANY in windows
                else self._in_zones(zones, safe.__getitem__),
                Condition.OPENING: self.opening,
            }
        skipped = _NOT_FOR_EMAIL if channel is Channel.EMAIL else ()
        return {each: times for each, times in self._found[key].items() if each not in skipped}

    def _in_zones(self, zones: Sequence[str], spans_on: Callable[[date], Iterable[Span]]) -> Intervals:
        """Return the times at which the clocks of all `zones` show one of the spans."""
        return intersection([self.during], *(spans_in_zone(zone, self.during, spans_on) for zone in zones))


def zones_of_number(number: str) -> tuple[str, ...]:
    """Return the IANA zones that an E.164 number may be in; empty when its prefix does not tell.

    Only the prefix table is read: the geocoder would need a hundred megabytes and add nothing.
    """
    found = time_zones_for_number(phonenumbers.parse(number))
    if UNKNOWN_ZONE in found or len(found) > MAX_ZONES_OF_A_NUMBER:
        return ()
    return tuple(found)


def local(moment: datetime, zone: str) -> datetime:
    """Convert `moment` to the local time of `zone`."""
    return moment.astimezone(ZoneInfo(zone))
