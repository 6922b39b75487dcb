"""Where everything stands in a picture: lengths in units of the drawing, rounded, ready to be printed.

No words and no markup: a template draws what is here. All drawings are WIDTH wide.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil

from intake.calling.availability import DAY
from intake.reports.statistics import HOURS, WEEKDAYS, Waits

WIDTH, TOP, BOTTOM, LEFT = 560, 18, 190, 28
LINES = 4
"""Lines of the grid above zero, at most."""
TICK, EDGE = 66, 24
"""Room for one date under the axis, and half of it at the right edge."""
SATURDAY = 5


@dataclass(frozen=True)
class ChartLine:
    """One line of the grid: how high, and for which count."""

    y: float
    value: int


@dataclass(frozen=True)
class Axis:
    """Counts from 0 at BOTTOM to `top` at TOP."""

    top: int
    step: int

    @classmethod
    def over(cls, most: int, *, steps: Iterator[int]) -> "Axis":
        """The finest axis with at most LINES lines that reaches `most`."""
        step = next(each for each in steps if each * LINES >= most)
        return cls(step * max(1, ceil(most / step)), step)

    def y(self, value: float) -> float:
        """How high a value stands."""
        return round(BOTTOM - (BOTTOM - TOP) * value / self.top, 1)

    @property
    def lines(self) -> list[ChartLine]:
        """The grid from 0 up."""
        return [ChartLine(self.y(value), value) for value in range(0, self.top + 1, self.step)]


def _round_steps() -> Iterator[int]:
    """1, 2, 5, 10, 20, 50 and so on."""
    unit = 1
    while True:
        yield from (unit, 2 * unit, 5 * unit)
        unit *= 10


def _clock_steps() -> Iterator[int]:
    """Minutes: 15, 30, 60, 120 and so on."""
    step = 15
    while True:
        yield step
        step *= 2


# --- requests per day --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Column:
    """One day. `weekend` is drawn pale, `named` has its date below, `most` its count above."""

    day: date
    count: int
    x: float
    y: float
    width: float
    height: float
    middle: float
    weekend: bool
    named: bool
    most: bool


@dataclass(frozen=True)
class Columns:
    """A column for each day."""

    grid: Sequence[ChartLine]
    columns: Sequence[Column]


def columns(per_day: Mapping[date, int]) -> Columns:
    """At least one day, in order."""
    most = max(per_day.values())
    axis, slot = Axis.over(most, steps=_round_steps()), (WIDTH - LEFT) / len(per_day)
    every = ceil(TICK / slot)
    first_most = next(day for day, count in per_day.items() if count == most)
    drawn = [
        _column(day, count, axis, LEFT + slot * place, slot, named=place % every == 0, most=day == first_most)
        for place, (day, count) in enumerate(per_day.items())
    ]
    return Columns(axis.lines, drawn)


def _column(
    day: date, count: int, axis: Axis, left: float, slot: float, *, named: bool, most: bool
) -> Column:
    width, middle, y = min(slot * 0.8, 40), left + slot / 2, axis.y(count)
    return Column(
        day=day,
        count=count,
        x=round(middle - width / 2, 1),
        y=y,
        width=round(width, 1),
        height=round(BOTTOM - y, 1),
        middle=round(middle, 1),
        weekend=day.weekday() >= SATURDAY,
        named=named and middle <= WIDTH - EDGE,
        most=most and count > 0,
    )


# --- time to first contact ---------------------------------------------------------------------------

_FROM, _TO = 60, 426
_APART, _LOWEST = 30, BOTTOM - 16
"""Room for the name of a line with its last value below it, and how low the lower name may stand."""


@dataclass(frozen=True)
class Point:
    """One week's value."""

    x: float
    y: float


@dataclass(frozen=True)
class Curve:
    """One line through the weeks. `path` breaks where a week has no value; at `name_y` stands its name."""

    path: str
    points: Sequence[Point]
    last: timedelta
    name_y: float


@dataclass(frozen=True)
class Tick:
    """A week with its date under the axis."""

    x: float
    monday: date


@dataclass(frozen=True)
class Curves:
    """The median and the time within which nine of ten were contacted, by week."""

    grid: Sequence[ChartLine]
    median: Curve
    ninth: Curve
    ticks: Sequence[Tick]


def curves(by_week: Mapping[date, Waits]) -> Curves:
    """At least one week. The grid counts minutes."""
    mondays = list(by_week)
    weeks = (mondays[-1] - mondays[0]) // (DAY * WEEKDAYS)
    places = {monday: (monday - mondays[0]) // (DAY * WEEKDAYS) for monday in mondays}
    xs = [round(_FROM + (_TO - _FROM) * (places[each] / weeks if weeks else 1), 1) for each in mondays]
    most = max(ceil(each.ninth / timedelta(minutes=1)) for each in by_week.values())
    axis = Axis.over(most, steps=_clock_steps())
    median = [each.median for each in by_week.values()]
    ninth = [each.ninth for each in by_week.values()]
    high = min(_y(axis, ninth[-1]), _LOWEST - _APART)
    low = min(max(_y(axis, median[-1]), high + _APART), _LOWEST)
    gaps = {place for place, monday in enumerate(mondays) if monday - DAY * WEEKDAYS not in by_week}
    return Curves(
        grid=axis.lines,
        median=_curve(xs, median, axis, gaps, name_y=low),
        ninth=_curve(xs, ninth, axis, gaps, name_y=high),
        ticks=list(_ticks(mondays, xs)),
    )


def _y(axis: Axis, value: timedelta) -> float:
    return axis.y(value / timedelta(minutes=1))


def _curve(
    xs: Sequence[float], values: Sequence[timedelta], axis: Axis, gaps: Collection[int], *, name_y: float
) -> Curve:
    points = [Point(x, _y(axis, value)) for x, value in zip(xs, values, strict=True)]
    path = "".join(f"{'M' if place in gaps else 'L'}{each.x} {each.y}" for place, each in enumerate(points))
    return Curve(path, points, values[-1], round(name_y, 1))


def _ticks(mondays: Sequence[date], xs: Sequence[float]) -> Iterator[Tick]:
    """From the last week back, as many as there is room for."""
    free = float(WIDTH)
    for monday, x in zip(reversed(mondays), reversed(xs), strict=True):
        if x <= free:
            yield Tick(x, monday)
            free = x - TICK


# --- bars that lie, each with its name ---------------------------------------------------------------

_NAMES, _LONGEST, _ROW, _BAR = 178, 320, 25, 16


@dataclass(frozen=True)
class Bar:
    """One named count. `name` is a message id; `pale`: not settled yet."""

    name: str
    count: int
    pale: bool
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Bars:
    """Bars below each other."""

    height: int
    bars: Sequence[Bar]


def bars(counts: Mapping[str, int], *, pale: Collection[str] = ()) -> Bars:
    """A bar for each name (message id), in the order of `counts`."""
    most = max(*counts.values(), 1)
    drawn = [
        Bar(name, count, name in pale, _NAMES, 9 + _ROW * place, round(_LONGEST * count / most, 1), _BAR)
        for place, (name, count) in enumerate(counts.items())
    ]
    return Bars(_ROW * len(drawn) + 14, drawn)


# --- hour by weekday ---------------------------------------------------------------------------------

_LEVELS, _CORNER, _HEAD, _CELL, _PITCH = 4, 36, 20, 20.3, 21.83


@dataclass(frozen=True)
class Cell:
    """One hour of one weekday; `level` from 0 (nobody) to 4."""

    x: float
    y: float
    middle: float
    count: int
    level: int


@dataclass(frozen=True)
class Heat:
    """Rows of cells from Monday; `darkest` is the least count that has the darkest level."""

    rows: Sequence[Sequence[Cell]]
    darkest: int
    hours: Sequence[tuple[int, float]]


def heat(by_hour: Sequence[Sequence[int]]) -> Heat:
    """Seven days of 24 hours."""
    top = max(_LEVELS, *(max(day) for day in by_hour))
    rows = [
        [_cell(weekday, hour, count, top) for hour, count in enumerate(day)]
        for weekday, day in enumerate(by_hour)
    ]
    hours = [(hour, round(_CORNER + _PITCH * hour, 1)) for hour in range(0, HOURS, 3)]
    return Heat(rows, (_LEVELS - 1) * top // _LEVELS + 1, hours)


def _cell(weekday: int, hour: int, count: int, top: int) -> Cell:
    x = _CORNER + _PITCH * hour
    return Cell(
        round(x, 1), _HEAD + 24 * weekday, round(x + _CELL / 2, 1), count, ceil(_LEVELS * count / top)
    )
