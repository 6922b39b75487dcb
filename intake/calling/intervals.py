"""Arithmetic of time: sorted, disjoint, half-open intervals between UTC instants."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache, reduce
from typing import NamedTuple
from zoneinfo import ZoneInfo

from intake.conf.rules import Span

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


def holding(intervals: Iterable[Interval], moment: datetime) -> Interval | None:
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
