"""Interval arithmetic, compared with sets of minutes."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.calling.availability import (
    Interval,
    difference,
    intersection,
    interval_at,
    spans_in_zone,
    union,
    whole_day,
)
from intake.conf.toml_schema import Span
from tests.calling.cast import EASTERN, at

START = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def interval(first: int, end: int) -> Interval:
    return Interval(START + MINUTE * first, START + MINUTE * end)


SOME = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda ends: interval(*ends)), max_size=6
)


def minutes(intervals) -> set[int]:
    return {n for n in range(60) if any(each.start <= START + MINUTE * n < each.end for each in intervals)}


def is_tidy(intervals) -> bool:
    apart = all(one.end < other.start for one, other in pairwise(intervals))
    return apart and all(each.start < each.end for each in intervals)


@given(SOME, SOME)
def test_union_intersection_and_difference_agree_with_sets(one, other):
    mine, theirs = minutes(one), minutes(other)
    assert minutes(union(one, other)) == mine | theirs
    assert minutes(intersection(union(one), union(other))) == mine & theirs
    assert minutes(difference(union(one), union(other))) == mine - theirs


@given(SOME, SOME)
def test_results_are_sorted_and_disjoint(one, other):
    assert is_tidy(union(one, other))
    assert is_tidy(intersection(union(one), union(other)))
    assert is_tidy(difference(union(one), union(other)))


@given(SOME, st.integers(0, 60))
def test_an_interval_holds_its_start_but_not_its_end(some, minute):
    tidy, moment = union(some), START + MINUTE * minute
    found = interval_at(tidy, moment)
    assert (found is not None) == any(each.start <= moment < each.end for each in tidy)
    assert all(interval_at([each], each.end) is None for each in tidy)


@pytest.mark.parametrize(("day", "length"), [("2026-03-08", 23), ("2026-11-01", 25), ("2026-11-18", 24)])
def test_a_day_is_as_long_as_its_clock_says(day, length):
    assert whole_day(EASTERN, date.fromisoformat(day)).length == timedelta(hours=length)


@pytest.mark.parametrize(
    ("day", "opens", "closes", "expected"),
    [
        ("2026-03-08", time(9), time(18), ("2026-03-08 13:00", "2026-03-08 22:00")),
        ("2026-11-01", time(9), time(18), ("2026-11-01 14:00", "2026-11-01 23:00")),
        # 2:30 does not exist on the first day, and 1:30 comes twice on the second: the narrower is taken.
        ("2026-03-08", time(2, 30), time(4), ("2026-03-08 07:30", "2026-03-08 08:00")),
        ("2026-11-01", time(1, 30), time(4), ("2026-11-01 06:30", "2026-11-01 09:00")),
        ("2026-11-01", time(0, 30), time(1, 30), ("2026-11-01 04:30", "2026-11-01 05:30")),
    ],
)
def test_hours_on_a_day_of_clock_change_are_the_ones_on_the_wall(day, opens, closes, expected):
    midnight = at(f"{day} 00:00")
    shown = spans_in_zone(
        EASTERN, Interval(midnight, midnight + timedelta(hours=23)), lambda _: [Span(opens, closes)]
    )
    assert shown == [Interval(*(at(moment, "UTC") for moment in expected))]


def test_hours_are_cut_to_what_was_asked_for():
    during = Interval(at("2026-11-18 10:30"), at("2026-11-19 09:15"))
    shown = spans_in_zone(EASTERN, during, lambda _: [Span(time(9), time(18))])
    assert shown == [
        Interval(at("2026-11-18 10:30"), at("2026-11-18 18:00")),
        Interval(at("2026-11-19 09:00"), at("2026-11-19 09:15")),
    ]
