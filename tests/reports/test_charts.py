"""Pictures stay inside their frame and tell what is in the table, whatever the counts."""

import re
from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from intake.reports import charts
from intake.reports.statistics import WaitTimes

MONDAY = date(2026, 11, 2)
WAITS = st.builds(
    lambda low, more: WaitTimes(3, timedelta(seconds=low), timedelta(seconds=low + more)),
    st.integers(0, 2_000_000),
    st.integers(0, 2_000_000),
)


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=366))
def test_columns_stand_on_the_axis_and_below_the_top(counts: list[int]) -> None:
    drawn = charts.columns({MONDAY + timedelta(days=n): count for n, count in enumerate(counts)})
    assert [each.count for each in drawn.columns] == counts
    assert len(drawn.grid) <= charts.LINES + 1
    assert drawn.grid[-1].value >= max(counts)
    for each in drawn.columns:
        assert abs(each.y + each.height - charts.BOTTOM) < 0.2
        assert each.y >= charts.TOP
        assert charts.LEFT <= each.x <= each.x + each.width <= charts.WIDTH
    assert sum(each.most for each in drawn.columns) == (1 if max(counts) else 0)


@given(st.dictionaries(st.integers(0, 52), WAITS, min_size=1, max_size=53))
def test_curves_keep_their_gaps_and_their_names_apart(weeks: dict[int, WaitTimes]) -> None:
    by_week = {MONDAY + timedelta(weeks=week): weeks[week] for week in sorted(weeks)}
    drawn = charts.curves(by_week)
    gaps = sum(week - 1 not in weeks for week in weeks)
    for curve in (drawn.median, drawn.ninth_decile):
        assert len(re.findall("[ML]", curve.path)) == len(curve.points) == len(weeks)
        assert curve.path.count("M") == gaps
        assert all(charts.TOP <= each.y <= charts.BOTTOM for each in curve.points)
        assert all(0 <= each.x < charts.WIDTH for each in curve.points)
    assert drawn.median.name_y - drawn.ninth_decile.name_y >= 29.9
    assert drawn.median.name_y + 14 < charts.BOTTOM
    assert {tick.monday for tick in drawn.ticks} <= set(by_week)
    apart = sorted(tick.x for tick in drawn.ticks)
    assert all(right - left >= charts.TICK for left, right in pairwise(apart))


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=9))
def test_the_longest_bar_is_the_largest_count(counts: list[int]) -> None:
    drawn = charts.bars({str(n): count for n, count in enumerate(counts)}, pale={"0"})
    longest = max(drawn.bars, key=lambda bar: bar.width)
    assert longest.count == max(counts)
    assert [bar.pale for bar in drawn.bars] == [True] + [False] * (len(counts) - 1)
    assert all(bar.x + bar.width + 40 <= charts.WIDTH for bar in drawn.bars)
    assert drawn.bars[-1].y + drawn.bars[-1].height <= drawn.height


@given(st.lists(st.lists(st.integers(0, 300), min_size=24, max_size=24), min_size=7, max_size=7))
def test_the_darkest_level_begins_where_the_legend_says(by_hour: list[list[int]]) -> None:
    drawn = charts.heat(by_hour)
    cells = [cell for row in drawn.rows for cell in row]
    assert [[cell.count for cell in row] for row in drawn.rows] == by_hour
    assert all((cell.level == 4) == (cell.count >= drawn.darkest) for cell in cells)
    assert all((cell.level == 0) == (cell.count == 0) for cell in cells)
    assert all(cell.x + 20.3 <= charts.WIDTH for cell in cells)
