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
from functools import lru_cache, reduce
from typing import NamedTuple
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
    return reduce(_intersect_two, others, list(first))


def _intersect_two(one: Sequence[Interval], other: Sequence[Interval]) -> Intervals:
    shared: Intervals = []
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


@lru_cache(maxsize=16_384)
def _span_instants(zone: str, day: date, span: Span) -> Interval:
    """Convert a wall-clock span to instants. An ambiguous time gives the narrower reading."""
    return Interval(
        max(_possible_instants(zone, day, span.opens)), min(_possible_instants(zone, day, span.closes))
    )


def _possible_instants(zone: str, day: date, at: time) -> tuple[datetime, datetime]:
    wall = datetime.combine(day, at, tzinfo=ZoneInfo(zone))
    return wall.astimezone(UTC), wall.replace(fold=1).astimezone(UTC)


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


def contactable(
    clinic: Clinic,
    hours: CallingHours,
    *,
    region: str,
    time_zone: str | None,
    number_zones: Sequence[str] = (),
    windows: Collection[Window],
    channel: Channel,
    start: datetime,
    days: int = HORIZON_DAYS,
) -> Intervals:
    """Return the intervals within `days` days from `start` in which `channel` may be used.

    Consent and limits on attempts are checked by the gate. Where `time_zone` is None, the conditions must
    hold in every zone of the region. Raises KeyError for an unknown region.
    """
    found = conditions(
        clinic,
        hours,
        region=region,
        time_zone=time_zone,
        number_zones=number_zones,
        windows=windows,
        channel=channel,
        during=Interval(start, start + DAY * days),
    )
    return intersection(*found.values())


def conditions(
    clinic: Clinic,
    hours: CallingHours,
    *,
    region: str,
    time_zone: str | None,
    number_zones: Sequence[str],
    windows: Collection[Window],
    channel: Channel,
    during: Interval,
) -> dict[Condition, Intervals]:
    """Return the intervals of each condition separately, so that a refusal can name the one that fails."""
    zones = (time_zone,) if time_zone else zones_of(region)
    safe = _safe_times(windows, zones, during)
    opening = spans_in_zone(clinic.time_zone, during, clinic.open_on)
    if channel is Channel.EMAIL:
        return {Condition.WINDOWS: safe, Condition.OPENING: opening}
    own_hours = (Span(clinic.contact.call_from, clinic.contact.call_until),)
    return {
        Condition.LEGAL: _legal_times(hours, region, zones, number_zones, during),
        Condition.CALL_HOURS: intersection(
            *(spans_in_zone(zone, during, lambda _: own_hours) for zone in zones)
        ),
        Condition.WINDOWS: safe,
        Condition.OPENING: opening,
    }


def _safe_times(windows: Collection[Window], zones: Sequence[str], during: Interval) -> Intervals:
    if Window.ANY in windows:
        return [during]

    def on(day: date) -> tuple[Span, ...]:
        return calling_hours.spans_on(windows, day)

    return intersection(*(spans_in_zone(zone, during, on) for zone in zones))


def _legal_times(
    hours: CallingHours, region: str, zones: Sequence[str], number_zones: Sequence[str], during: Interval
) -> Intervals:
    """Intersect the state's hours on the person's clock with the federal hours in the number's zones.

    A number's zone tells where the phone may be, not which state's law applies.
    """

    def in_region(day: date) -> tuple[Span, ...]:
        return hours.spans_on(region, day)

    declared = (spans_in_zone(zone, during, in_region) for zone in zones)
    by_number = (spans_in_zone(zone, during, lambda _: hours.federal.hours) for zone in number_zones)
    return intersection(*declared, *by_number)


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
