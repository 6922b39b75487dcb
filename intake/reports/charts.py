"""Geometry of the charts of the statistics page: coordinates and lengths in SVG user units, rounded.

No text and no markup: templates/desk/_figures.html draws it. Every chart is WIDTH wide. The charts are
columns (requests per day), curves (time to first contact, by week), horizontal bars (named counts) and a
heat map (hour by weekday).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil

from intake.calling.availability import DAY
from intake.reports.statistics import HOURS, WEEKDAYS, WaitTimes

WIDTH, TOP, BOTTOM, LEFT = 560, 18, 190, 28
LINES = 4
"""Most grid lines above zero."""
TICK, EDGE = 66, 24
"""Room for one date under the axis, and half of it at the right edge."""
SATURDAY = 5
_CURVE_LEFT, _CURVE_RIGHT = 60, 426
_LABEL_HEIGHT, _LABEL_LOWEST = 30, BOTTOM - 16
"""Room for the name of a curve with its last value below it, and the greatest y of the lower name."""
_NAMES, _LONGEST, _ROW, _BAR = 178, 320, 25, 16
"""Horizontal bars: x of the bars, length of the longest, height of a row, height of a bar."""
_LEVELS, _CORNER, _HEAD, _CELL, _PITCH = 4, 36, 20, 20.3, 21.83
"""Heat map: shades, x of the first cell, y of the first row, width of a cell, distance between cells."""


@dataclass(frozen=True)
class GridLine:
    """A horizontal grid line: its y and its value."""

    y: float
    value: int


@dataclass(frozen=True)
class Axis:
    """A vertical axis from 0 at BOTTOM to `top` at TOP."""

    top: int
    step: int

    @classmethod
    def over(cls, most: int, *, steps: Iterator[int]) -> "Axis":
        """The finest axis that reaches `most` with at most LINES lines above zero."""
        step = next(each for each in steps if each * LINES >= most)
        return cls(step * max(1, ceil(most / step)), step)

    def y(self, value: float) -> float:
        """The y of a value."""
        return round(BOTTOM - (BOTTOM - TOP) * value / self.top, 1)

    @property
    def lines(self) -> list[GridLine]:
        """The grid lines, from 0 up."""
        return [GridLine(self.y(value), value) for value in range(0, self.top + 1, self.step)]


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


@dataclass(frozen=True)
class Column:
    """One day. `weekend` is drawn pale, `labelled` has its date below, `most` its count above."""

    day: date
    count: int
    x: float
    y: float
    width: float
    height: float
    middle: float
    weekend: bool
    labelled: bool
    most: bool


@dataclass(frozen=True)
class ColumnChart:
    """Columns, one per day, with their grid."""

    grid: Sequence[GridLine]
    columns: Sequence[Column]


def columns(per_day: Mapping[date, int]) -> ColumnChart:
    """Chart of at least one day, in order."""
    most = max(per_day.values())
    axis, slot = Axis.over(most, steps=_round_steps()), (WIDTH - LEFT) / len(per_day)
    every = ceil(TICK / slot)
    first_most = next(day for day, count in per_day.items() if count == most)
    width, drawn = min(slot * 0.8, 40), []
    for index, (day, count) in enumerate(per_day.items()):
        middle, y = LEFT + slot * index + slot / 2, axis.y(count)
        column = Column(
            day=day,
            count=count,
            x=round(middle - width / 2, 1),
            y=y,
            width=round(width, 1),
            height=round(BOTTOM - y, 1),
            middle=round(middle, 1),
            weekend=day.weekday() >= SATURDAY,
            labelled=index % every == 0 and middle <= WIDTH - EDGE,
            most=day == first_most and count > 0,
        )
        drawn.append(column)
    return ColumnChart(axis.lines, drawn)


@dataclass(frozen=True)
class Point:
    """The value of one week."""

    x: float
    y: float


@dataclass(frozen=True)
class Curve:
    """A line over the weeks. `path` (SVG) breaks at weeks without a value; `name_y` is the y of its name."""

    path: str
    points: Sequence[Point]
    last: timedelta
    name_y: float


@dataclass(frozen=True)
class Tick:
    """A date label under the axis."""

    x: float
    monday: date


@dataclass(frozen=True)
class CurveChart:
    """Time to first contact by week: the median and the ninth decile."""

    grid: Sequence[GridLine]
    median: Curve
    ninth_decile: Curve
    ticks: Sequence[Tick]


def curves(by_week: Mapping[date, WaitTimes]) -> CurveChart:
    """Chart of at least one week. The grid values are minutes."""
    mondays = list(by_week)
    weeks = (mondays[-1] - mondays[0]) // (DAY * WEEKDAYS)
    offsets = {monday: (monday - mondays[0]) // (DAY * WEEKDAYS) for monday in mondays}
    xs = [
        round(_CURVE_LEFT + (_CURVE_RIGHT - _CURVE_LEFT) * (offsets[each] / weeks if weeks else 1), 1)
        for each in mondays
    ]
    most = max(ceil(each.ninth_decile / timedelta(minutes=1)) for each in by_week.values())
    axis = Axis.over(most, steps=_clock_steps())
    median = [each.median for each in by_week.values()]
    ninth = [each.ninth_decile for each in by_week.values()]
    high = min(_y(axis, ninth[-1]), _LABEL_LOWEST - _LABEL_HEIGHT)
    low = min(max(_y(axis, median[-1]), high + _LABEL_HEIGHT), _LABEL_LOWEST)
    gaps = {index for index, monday in enumerate(mondays) if monday - DAY * WEEKDAYS not in by_week}
    return CurveChart(
        grid=axis.lines,
        median=_curve(xs, median, axis, gaps, name_y=low),
        ninth_decile=_curve(xs, ninth, axis, gaps, name_y=high),
        ticks=list(_ticks(mondays, xs)),
    )


def _y(axis: Axis, value: timedelta) -> float:
    return axis.y(value / timedelta(minutes=1))


def _curve(
    xs: Sequence[float], values: Sequence[timedelta], axis: Axis, gaps: Collection[int], *, name_y: float
) -> Curve:
    points = [Point(x, _y(axis, value)) for x, value in zip(xs, values, strict=True)]
    path = "".join(f"{'M' if index in gaps else 'L'}{each.x} {each.y}" for index, each in enumerate(points))
    return Curve(path, points, values[-1], round(name_y, 1))


def _ticks(mondays: Sequence[date], xs: Sequence[float]) -> Iterator[Tick]:
    """Date labels from the last week back, as many as fit."""
    free = float(WIDTH)
    for monday, x in zip(reversed(mondays), reversed(xs), strict=True):
        if x <= free:
            yield Tick(x, monday)
            free = x - TICK


@dataclass(frozen=True)
class Bar:
    """A named count. `name` is a message id; `pale` marks a value that is not final."""

    name: str
    count: int
    pale: bool
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class BarChart:
    """Horizontal bars, one per row."""

    height: int
    bars: Sequence[Bar]


def bars(counts: Mapping[str, int], *, pale: Collection[str] = ()) -> BarChart:
    """Chart of a bar per name (message id), in the order of `counts`."""
    most = max(*counts.values(), 1)
    drawn = [
        Bar(name, count, name in pale, _NAMES, 9 + _ROW * index, round(_LONGEST * count / most, 1), _BAR)
        for index, (name, count) in enumerate(counts.items())
    ]
    return BarChart(_ROW * len(drawn) + 14, drawn)


@dataclass(frozen=True)
class Cell:
    """One hour of one weekday; `level` from 0 (no request) to 4."""

    x: float
    y: float
    middle: float
    count: int
    level: int


@dataclass(frozen=True)
class HeatMap:
    """Rows of cells from Monday; `darkest` is the least count of the darkest level."""

    rows: Sequence[Sequence[Cell]]
    darkest: int
    hours: Sequence[tuple[int, float]]


def heat(by_hour: Sequence[Sequence[int]]) -> HeatMap:
    """Chart of seven days from Monday, 24 hours each."""
    top = max(_LEVELS, *(max(day) for day in by_hour))
    xs = [_CORNER + _PITCH * hour for hour in range(HOURS)]
    rows = []
    for weekday, day in enumerate(by_hour):
        y = _HEAD + 24 * weekday
        rows.append(
            [
                Cell(round(x, 1), y, round(x + _CELL / 2, 1), count, ceil(_LEVELS * count / top))
                for x, count in zip(xs, day, strict=True)
            ]
        )
    hours = [(hour, round(xs[hour], 1)) for hour in range(0, HOURS, 3)]
    return HeatMap(rows, (_LEVELS - 1) * top // _LEVELS + 1, hours)
