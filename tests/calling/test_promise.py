"""Promises: always within contactable time, never earlier than computed, and formatted in both languages."""

from dataclasses import replace
from datetime import date, time, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from intake.calling.availability import ContactTimes, Interval, union
from intake.calling.hours import Window
from intake.calling.promise import NoTimeWithin14Days, open_now, promise_for, promise_in_words
from intake.conf.clinic import Channel, Holiday
from intake.conf.toml_schema import Span
from tests.calling.cast import ANY, CENTRAL, CLINIC, EASTERN, HOURS, at, contactable
from tests.calling.test_availability import CLOCK_CHANGES, STARTS, people

CHANNELS = st.sets(st.sampled_from(Channel), min_size=1)
LATER = st.timedeltas(timedelta(0), timedelta(days=3))


def times(person, channels, now):
    return union(*(contactable(CLINIC, HOURS, **person, channel=each, start=now) for each in channels))


def promised(person, channels, now):
    try:
        return promise_for(ContactTimes(CLINIC, HOURS, now), **person, channels=channels)
    except NoTimeWithin14Days:
        return None


def passed(intervals, until) -> timedelta:
    """How much contactable time lies before a moment."""
    pieces = (Interval(each.start, min(each.end, until)) for each in intervals if each.start < until)
    return sum((piece.length for piece in pieces), timedelta(0))


@given(people(), CHANNELS, STARTS | CLOCK_CHANGES)
def test_it_is_within_contactable_time_and_never_early(person, channels, now):
    promise, available = promised(person, channels, now), times(person, channels, now)
    if promise is None:
        assert sum((each.length for each in available), timedelta(0)) < timedelta(hours=2)
        return
    # On a full minute, which the horizon need not end on: the clock's own parts of the day all do.
    assert any(each.start < promise < each.end + timedelta(minutes=1) for each in available)
    assert timedelta(hours=2) <= passed(available, promise) < timedelta(hours=2, minutes=1)
    assert promise.second == promise.microsecond == 0


@given(people(), CHANNELS, STARTS | CLOCK_CHANGES, LATER)
def test_asking_later_is_never_promised_earlier(person, channels, now, later):
    first, second = promised(person, channels, now), promised(person, channels, now + later)
    assume(first and second)
    assert first <= second


@given(people(), CHANNELS, STARTS, st.sampled_from(Channel))
def test_one_more_channel_never_makes_it_later(person, channels, now, another):
    few, more = promised(person, channels, now), promised(person, channels | {another}, now)
    assume(few)
    assert more <= few


def ask(now: str, *, windows=ANY, region="US-FL", zone=EASTERN, channels=(Channel.CALL,), clinic=CLINIC):
    times = ContactTimes(clinic, HOURS, at(now))
    return promise_for(times, channels=channels, region=region, time_zone=zone, windows=windows)


@pytest.mark.parametrize(
    ("now", "windows", "expected"),
    [
        ("2026-11-18 10:00", ANY, "2026-11-18 12:00"),
        ("2026-11-18 02:00", ANY, "2026-11-18 11:00"),
        ("2026-11-18 16:00", ANY, "2026-11-18 18:00"),
        ("2026-11-18 17:30", ANY, "2026-11-19 10:30"),
        ("2026-11-20 17:30", ANY, "2026-11-21 10:30"),
        ("2026-11-21 14:00", ANY, "2026-11-23 10:00"),
        ("2026-11-25 23:00", ANY, "2026-11-27 11:00"),
        ("2026-11-18 10:00:01", ANY, "2026-11-18 12:01"),
        ("2026-11-18 11:00", frozenset({Window.WEEKDAY_MORNING}), "2026-11-19 10:00"),
        ("2026-11-18 11:00", frozenset({Window.SATURDAY_AFTERNOON}), "2026-11-21 14:00"),
        ("2026-11-18 11:00", frozenset({Window.WEEKDAY_EVENING}), "2026-11-19 18:00"),
        ("2026-10-31 14:00", ANY, "2026-11-02 10:00"),
        ("2026-03-07 14:30", ANY, "2026-03-09 10:30"),
    ],
)
def test_two_hours_of_contactable_time(now, windows, expected):
    assert ask(now, windows=windows) == at(expected)


def test_the_best_allowed_channel_counts():
    california = {"region": "US-CA", "zone": None}
    assert ask("2026-11-18 07:00", **california) == at("2026-11-18 14:00")
    assert ask("2026-11-18 07:00", **california, channels=tuple(Channel)) == at("2026-11-18 11:00")


def test_windows_in_which_nobody_works_are_put_right_by_the_person():
    with pytest.raises(NoTimeWithin14Days) as refused:
        ask("2026-11-18 10:00", windows=frozenset({Window.SATURDAY_EVENING}))
    assert refused.value.status == 422
    assert list(refused.value.problems) == ["windows"]


def test_a_clinic_that_is_away_for_two_weeks_cannot_promise():
    away = tuple(Holiday(on=date(2026, 12, n), texts={}) for n in range(1, 31))
    with pytest.raises(NoTimeWithin14Days):
        ask("2026-12-01 10:00", clinic=replace(CLINIC, holidays=away))


@pytest.mark.parametrize(
    ("promise", "now", "zone", "words"),
    [
        ("2026-11-18 17:00", "2026-11-18 10:00", EASTERN, "by 5 pm today (Eastern)"),
        ("2026-11-19 10:00", "2026-11-18 23:00", EASTERN, "by 10 am tomorrow (Eastern)"),
        ("2026-11-19 10:37", "2026-11-18 23:00", EASTERN, "by 10:37 am tomorrow (Eastern)"),
        ("2026-11-23 12:00", "2026-11-20 14:12", EASTERN, "by 12 noon on Monday, November 23 (Eastern)"),
        ("2026-11-23 13:00", "2026-11-20 14:12", CENTRAL, "by 12 noon on Monday, November 23 (Central)"),
        # Half past midnight in New York is still the day before in Chicago.
        ("2026-11-19 13:00", "2026-11-19 00:30", CENTRAL, "by 12 noon tomorrow (Central)"),
        ("2027-01-02 11:00", "2026-12-31 20:00", EASTERN, "by 11 am on Saturday, January 2 (Eastern)"),
    ],
)
def test_a_promise_is_formatted_with_the_zone(promise, now, zone, words):
    assert promise_in_words(at(promise), now=at(now), zone=zone, language="en") == words


@given(STARTS, LATER, st.sampled_from([EASTERN, CENTRAL, "Pacific/Honolulu"]), st.sampled_from(["en", "es"]))
def test_its_words_hold_no_narrow_space_and_no_hole(now, ahead, zone, language):
    expected = promise_in_words(now + ahead, now=now, zone=zone, language=language)
    assert "\u202f" not in expected
    assert "%" not in expected


@pytest.mark.parametrize(
    ("now", "is_open", "sentence"),
    [
        ("2026-11-18 14:12", True, "Open now until 6 pm"),
        ("2026-11-18 09:00", True, "Open now until 6 pm"),
        ("2026-11-18 08:59", False, "Opens today at 9 am"),
        ("2026-11-18 18:00", False, "Opens tomorrow at 9 am"),
        ("2026-11-21 14:59", True, "Open now until 3 pm"),
        ("2026-11-21 15:00", False, "Opens Monday at 9 am"),
        ("2026-11-22 12:00", False, "Opens tomorrow at 9 am"),
        ("2026-11-25 18:30", False, "Opens Friday at 9 am"),
    ],
)
def test_the_page_says_whether_the_clinic_is_open(now, is_open, sentence):
    opening = open_now(CLINIC, at(now), "en")
    assert (opening.open, opening.sentence) == (is_open, sentence)


def test_a_pause_at_noon_is_in_the_opening_hours():
    pause = (Span(time(9), time(12)), Span(time(14), time(18)))
    clinic = replace(CLINIC, hours=replace(CLINIC.hours, wednesday=pause))
    assert open_now(clinic, at("2026-11-18 10:00"), "en").sentence == "Open now until 12 noon"
    assert open_now(clinic, at("2026-11-18 12:30"), "en").sentence == "Opens today at 2 pm"


def test_a_long_closure_is_given_with_its_date_or_not_at_all():
    def away(days: int):
        closed = (at("2026-12-01 12:00") + timedelta(days=n) for n in range(days))
        return replace(CLINIC, holidays=tuple(Holiday(on=day.date(), texts={}) for day in closed))

    now = at("2026-12-01 10:00")
    assert open_now(away(7), now, "en").sentence == "Opens Tuesday, December 8, at 9 am"
    assert open_now(away(30), now, "en").sentence == "Closed now"
