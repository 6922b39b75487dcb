"""When a person may be contacted: opening hours, the law, the person's windows and our own limits, met.

Contactable: the clinic is open (never on its holidays), the person called the time safe and, for calls
and texts, the law allows it and it is neither earlier nor later than the operator calls. An email
rings nobody and the calling rules do not speak of it, so the last two do not bind it; the windows do,
because an inbox or a lock screen may be seen by others at an unsafe time.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache, reduce
from typing import NamedTuple
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers.timezone import time_zones_for_number

from intake.calling import hours as parts_of_week
from intake.calling.hours import CallingHours, Window
from intake.calling.regions import zones_of
from intake.conf.clinic import Channel, Clinic
from intake.conf.toml_schema import Span

# --- Arithmetic of time: sorted, disjoint, half-open intervals between UTC instants.

DAY = timedelta(days=1)


class Interval(NamedTuple):
    """From `start` up to but without `end`, both aware and in UTC."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        """How long it lasts."""
        return self.end - self.start


Intervals = list[Interval]


def union(*several: Iterable[Interval]) -> Intervals:
    """All time that is in at least one; touching intervals become one."""
    merged: Intervals = []
    for each in sorted(one for intervals in several for one in intervals if one.start < one.end):
        if merged and each.start <= merged[-1].end:
            merged[-1] = Interval(merged[-1].start, max(each.end, merged[-1].end))
        else:
            merged.append(each)
    return merged


def intersection(first: Sequence[Interval], *others: Sequence[Interval]) -> Intervals:
    """The time that is in every one of them."""
    return reduce(_both, others, list(first))


def _both(one: Sequence[Interval], other: Sequence[Interval]) -> Intervals:
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


def without(intervals: Sequence[Interval], blocked: Iterable[Interval]) -> Intervals:
    """The time in `intervals` that is not in `blocked`."""
    left = list(intervals)
    for block in blocked:
        pieces = (
            (Interval(each.start, min(each.end, block.start)), Interval(max(each.start, block.end), each.end))
            for each in left
        )
        left = [piece for pair in pieces for piece in pair if piece.start < piece.end]
    return left


def interval_at(intervals: Iterable[Interval], moment: datetime) -> Interval | None:
    """The interval that `moment` is in, if there is one."""
    return next((each for each in intervals if each.start <= moment < each.end), None)


def on_the_clock(zone: str, during: Interval, spans_on: Callable[[date], Iterable[Span]]) -> Intervals:
    """The parts of `during` when a clock in `zone` shows one of the spans of its day."""
    first, last = (moment.astimezone(ZoneInfo(zone)).date() for moment in during)
    days = (first + DAY * n for n in range((last - first).days + 1))
    shown = union(_instants(zone, day, span) for day in days for span in spans_on(day))
    return intersection(shown, [during])


@lru_cache(maxsize=16_384)
def _instants(zone: str, day: date, span: Span) -> Interval:
    """A wall-clock span as instants. Where a clock change makes a time mean two, the narrower reading."""
    return Interval(max(_readings(zone, day, span.opens)), min(_readings(zone, day, span.closes)))


def _readings(zone: str, day: date, at: time) -> tuple[datetime, datetime]:
    wall = datetime.combine(day, at, tzinfo=ZoneInfo(zone))
    return wall.astimezone(UTC), wall.replace(fold=1).astimezone(UTC)


def whole_day(zone: str, day: date) -> Interval:
    """One calendar day of a zone: 23, 24 or 25 hours."""
    midnight, next_midnight = (
        datetime.combine(each, time.min, tzinfo=ZoneInfo(zone)).astimezone(UTC) for each in (day, day + DAY)
    )
    return Interval(midnight, next_midnight)


HORIZON_DAYS = 14
MOST_ZONES_OF_A_NUMBER = 3  # toll-free and satellite numbers come with dozens, which says nothing
UNKNOWN_ZONE = "Etc/Unknown"


class Layer(StrEnum):
    """What must all hold for a moment to be contactable, in the order in which it is asked."""

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
    """The times from `start` on, for `days` days, when `channel` may be used: sorted, disjoint, in UTC.

    Consent and limits on attempts are the gate's business. An unknown `time_zone` of a split state
    means: only when it suits every zone of that state. Raises KeyError for an unknown region.
    """
    found = layers(
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


def layers(
    clinic: Clinic,
    hours: CallingHours,
    *,
    region: str,
    time_zone: str | None,
    number_zones: Sequence[str],
    windows: Collection[Window],
    channel: Channel,
    during: Interval,
) -> dict[Layer, Intervals]:
    """Each condition on its own, so that a refusal can say which one does not hold."""
    zones = (time_zone,) if time_zone else zones_of(region)
    safe = _safe(windows, zones, during)
    opening = on_the_clock(clinic.time_zone, during, clinic.open_on)
    if channel is Channel.EMAIL:
        return {Layer.WINDOWS: safe, Layer.OPENING: opening}
    ours = (Span(clinic.contact.call_from, clinic.contact.call_until),)
    return {
        Layer.LEGAL: _legal(hours, region, zones, number_zones, during),
        Layer.CALL_HOURS: intersection(*(on_the_clock(zone, during, lambda _: ours) for zone in zones)),
        Layer.WINDOWS: safe,
        Layer.OPENING: opening,
    }


def _safe(windows: Collection[Window], zones: Sequence[str], during: Interval) -> Intervals:
    if Window.ANY in windows:
        return [during]

    def on(day: date) -> tuple[Span, ...]:
        return parts_of_week.spans_on(windows, day)

    return intersection(*(on_the_clock(zone, during, on) for zone in zones))


def _legal(
    hours: CallingHours, region: str, zones: Sequence[str], number_zones: Sequence[str], during: Interval
) -> Intervals:
    """The declared state's hours on the person's clock, and the federal ones where the number says it is.

    A number's zone tells where the phone may be, not which state's law it is under (decisions.md 15).
    """

    def in_region(day: date) -> tuple[Span, ...]:
        return hours.spans_on(region, day)

    declared = (on_the_clock(zone, during, in_region) for zone in zones)
    by_number = (on_the_clock(zone, during, lambda _: hours.federal.hours) for zone in number_zones)
    return intersection(*declared, *by_number)


def zones_of_number(number: str) -> tuple[str, ...]:
    """The IANA zones an E.164 number may be in; none when its prefix does not say.

    Read from the prefix table alone: the geocoder would cost a hundred megabytes and tell no more.
    """
    found = time_zones_for_number(phonenumbers.parse(number))
    if UNKNOWN_ZONE in found or len(found) > MOST_ZONES_OF_A_NUMBER:
        return ()
    return tuple(found)


def local(moment: datetime, zone: str) -> datetime:
    """The same moment on the clock of `zone`."""
    return moment.astimezone(ZoneInfo(zone))
