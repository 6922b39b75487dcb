"""Contactable time, compared with an independent computation on local clocks."""

from dataclasses import replace
from datetime import time, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from intake.calling.availability import (
    Interval,
    intersection,
    interval_at,
    local,
    zones_of_number,
)
from intake.calling.hours import Window
from intake.calling.regions import REGIONS, zones_of
from intake.conf.clinic import Channel
from tests.calling.cast import (
    ALWAYS_OPEN,
    ANY,
    CENTRAL,
    CLINIC,
    EASTERN,
    HOURS,
    at,
    contactable,
    second_opinion,
)

STARTS = st.timedeltas(timedelta(0), timedelta(days=690)).map(lambda passed: at("2026-01-01 00:00") + passed)
CLOCK_CHANGES = st.sampled_from(["2026-03-07", "2026-10-31", "2027-03-13", "2027-11-06"]).map(
    lambda day: at(f"{day} 07:13")
)
WINDOWS = st.sets(st.sampled_from(Window), min_size=1).map(frozenset)
NUMBER_ZONES = st.sampled_from(
    [(), (EASTERN,), ("America/Los_Angeles",), ("America/Boise", "America/Los_Angeles")]
)


@st.composite
def people(draw):
    """A person's region, time zone and safe windows."""
    region = draw(st.sampled_from(sorted(REGIONS)))
    return {
        "region": region,
        "time_zone": draw(st.sampled_from([None, *zones_of(region)])),
        "number_zones": draw(NUMBER_ZONES),
        "windows": draw(WINDOWS),
    }


def sunday_in_rhode_island():
    return {"region": "US-RI", "time_zone": EASTERN, "number_zones": (), "windows": ANY}


@given(
    people(),
    st.sampled_from(Channel),
    st.sampled_from([CLINIC, ALWAYS_OPEN]),
    STARTS | CLOCK_CHANGES,
    st.integers(0, 14 * 24 * 12 - 1),
)
@example(sunday_in_rhode_island(), Channel.CALL, ALWAYS_OPEN, at("2026-11-21 16:00"), 36)
def test_a_moment_is_contactable_when_every_clock_on_the_wall_agrees(
    person, channel, clinic, start, five_minutes
):
    times = contactable(clinic, HOURS, **person, channel=channel, start=start)
    moment = start + timedelta(minutes=5) * five_minutes
    expected = second_opinion(moment, clinic=clinic, **person, channel=channel)
    assert (interval_at(times, moment) is not None) == expected


@given(people(), st.sampled_from(Channel), STARTS | CLOCK_CHANGES)
def test_times_are_sorted_disjoint_and_within_the_horizon(person, channel, start):
    times = contactable(CLINIC, HOURS, **person, channel=channel, start=start)
    assert all(one.end < other.start for one, other in pairwise(times))
    assert all(start <= each.start < each.end <= start + timedelta(days=14) for each in times)


@given(people(), STARTS | CLOCK_CHANGES)
def test_an_unknown_zone_never_opens_more_than_any_zone_of_the_state(person, start):
    unknown = contactable(CLINIC, HOURS, **person | {"time_zone": None}, channel=Channel.CALL, start=start)
    for zone in zones_of(person["region"]):
        known = contactable(CLINIC, HOURS, **person | {"time_zone": zone}, channel=Channel.CALL, start=start)
        assert intersection(unknown, known) == unknown


@given(people(), STARTS)
def test_a_number_can_only_narrow(person, start):
    plain = contactable(CLINIC, HOURS, **person | {"number_zones": ()}, channel=Channel.TEXT, start=start)
    narrowed = contactable(CLINIC, HOURS, **person, channel=Channel.TEXT, start=start)
    assert intersection(plain, narrowed) == narrowed


@given(people(), STARTS)
def test_the_operator_can_only_narrow_the_law(person, start):
    wide = replace(ALWAYS_OPEN, contact=replace(CLINIC.contact, call_from=time(8)))
    ours = contactable(wide, HOURS, **person, channel=Channel.CALL, start=start)
    narrow = contactable(ALWAYS_OPEN, HOURS, **person, channel=Channel.CALL, start=start)
    assert intersection(ours, narrow) == narrow


@given(people(), STARTS)
def test_an_email_is_bound_by_nothing_that_a_call_is_not(person, start):
    calls = contactable(CLINIC, HOURS, **person, channel=Channel.CALL, start=start)
    emails = contactable(CLINIC, HOURS, **person, channel=Channel.EMAIL, start=start)
    assert intersection(calls, emails) == calls


def day(region, zone, start, *, windows=ANY, clinic=ALWAYS_OPEN, number_zones=()) -> list[tuple[str, str]]:
    """One day of call time as Eastern wall-clock times."""
    found = contactable(
        clinic,
        HOURS,
        region=region,
        time_zone=zone,
        number_zones=number_zones,
        windows=windows,
        channel=Channel.CALL,
        start=at(f"{start} 00:00"),
        days=1,
    )
    return [tuple(f"{local(moment, EASTERN):%H:%M}" for moment in each) for each in found]


@pytest.mark.parametrize(
    ("region", "zone", "start", "expected"),
    [
        ("US-NY", None, "2026-11-18", [("09:00", "20:00")]),
        ("US-FL", EASTERN, "2026-11-18", [("09:00", "20:00")]),
        ("US-FL", CENTRAL, "2026-11-18", [("10:00", "21:00")]),
        ("US-FL", None, "2026-11-18", [("10:00", "20:00")]),
        ("US-IN", "America/Indiana/Indianapolis", "2026-07-15", [("09:00", "20:00")]),
        ("US-IN", CENTRAL, "2026-07-15", [("10:00", "21:00")]),
        ("US-IN", None, "2026-07-15", [("10:00", "20:00")]),
        ("US-AZ", "America/Phoenix", "2026-01-14", [("11:00", "22:00")]),
        ("US-AZ", "America/Phoenix", "2026-07-15", [("12:00", "23:00")]),
        ("US-AZ", "America/Denver", "2026-07-15", [("11:00", "22:00")]),
        ("US-AZ", None, "2026-07-15", [("12:00", "22:00")]),
        ("US-AZ", None, "2026-01-14", [("11:00", "22:00")]),
        ("US-PR", None, "2026-01-14", [("08:00", "19:00")]),
        ("US-PR", None, "2026-07-15", [("09:00", "20:00")]),
        ("US-HI", None, "2026-01-14", [("00:00", "01:00"), ("14:00", "23:59")]),
        ("US-KY", EASTERN, "2026-11-18", [("10:00", "20:00")]),
        ("US-RI", None, "2026-11-18", [("09:00", "18:00")]),
        ("US-RI", None, "2026-11-21", [("10:00", "17:00")]),
        ("US-RI", None, "2026-11-22", []),
        ("US-TX", CENTRAL, "2026-11-22", [("13:00", "21:00")]),
        ("US-PA", None, "2026-11-26", []),
        ("US-NY", None, "2026-11-26", [("09:00", "20:00")]),
        ("US-NY", None, "2026-03-08", [("09:00", "20:00")]),
        ("US-NY", None, "2026-11-01", [("09:00", "20:00")]),
    ],
)
def test_a_day_of_calls_as_seen_from_an_eastern_desk(region, zone, start, expected):
    assert day(region, zone, start) == expected


def test_the_clinic_being_closed_closes_every_channel():
    for channel in Channel:
        assert not contactable(
            CLINIC,
            HOURS,
            region="US-FL",
            time_zone=EASTERN,
            windows=ANY,
            channel=channel,
            start=at("2026-11-26 00:00"),
            days=1,
        )


def test_windows_are_on_the_clock_of_the_person():
    mornings = frozenset({Window.WEEKDAY_MORNING})
    assert day("US-CA", None, "2026-11-18", windows=mornings) == [("12:00", "15:00")]
    assert day("US-FL", None, "2026-11-18", windows=mornings) == [("10:00", "12:00")]


def test_a_number_from_far_away_keeps_its_federal_hours():
    assert day("US-NY", None, "2026-11-18", number_zones=("America/Los_Angeles",)) == [("11:00", "20:00")]
    assert day("US-NY", None, "2026-11-18", number_zones=("Europe/London",)) == [("09:00", "16:00")]


@pytest.mark.parametrize(
    ("number", "zones"),
    [
        ("+13055550142", (EASTERN,)),
        ("+19075550142", ("America/Adak", "America/Anchorage")),
        ("+18005550142", ()),
        ("+12005550142", ()),
        ("+442079460123", ("Europe/London",)),
    ],
)
def test_a_prefix_says_where_a_number_may_be_or_nothing(number, zones):
    assert zones_of_number(number) == zones


def test_an_unknown_region_is_an_error_of_ours():
    with pytest.raises(KeyError):
        day("US-ZZ", None, "2026-11-18")


def test_days_bounds_the_answer():
    start = at("2026-11-18 10:00")
    found = contactable(
        CLINIC,
        HOURS,
        region="US-FL",
        time_zone=EASTERN,
        windows=ANY,
        channel=Channel.CALL,
        start=start,
        days=1,
    )
    assert found == [
        Interval(start, at("2026-11-18 18:00")),
        Interval(at("2026-11-19 09:00"), at("2026-11-19 10:00")),
    ]
