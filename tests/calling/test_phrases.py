"""Times as phrases."""

from dataclasses import replace
from datetime import time

import pytest

from intake.calling import promise
from intake.conf.toml_schema import Span
from tests.calling.cast import CLINIC, EASTERN, at


@pytest.mark.parametrize(
    ("moment", "english", "spanish"),
    [
        ("2026-11-18 09:00", "9 am", "las 9 de la mañana"),
        ("2026-11-18 12:00", "12 noon", "las 12 del mediodía"),
        ("2026-11-18 12:30", "12:30 pm", "las 12:30 de la tarde"),
        ("2026-11-18 13:00", "1 pm", "la 1 de la tarde"),
        ("2026-11-18 13:05", "1:05 pm", "la 1:05 de la tarde"),
        ("2026-11-18 20:00", "8 pm", "las 8 de la noche"),
    ],
)
def test_a_time_of_day_has_its_article_in_spanish(moment, english, spanish):
    there = promise.local(at(moment), EASTERN)
    assert promise.clock_phrase(there, "en") == english
    assert promise.clock_phrase(there, "es") == spanish


def test_a_day_is_named_in_full():
    on = promise.local(at("2026-11-23 12:00"), EASTERN)
    assert promise.day_phrase(on, "en") == "Monday, November 23"
    assert promise.day_phrase(on, "es") == "lunes 23 de noviembre"


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-11-18 14:00", "today at 2 pm"),
        ("2026-11-19 09:00", "tomorrow at 9 am"),
        ("2026-11-20 09:00", "Friday at 9 am"),
        ("2026-11-24 09:00", "Tuesday at 9 am"),
        ("2026-11-25 09:00", "Wednesday, November 25, at 9 am"),
    ],
)
def test_a_moment_is_formatted_relative_to_now(moment, expected):
    assert (
        promise.when_phrase(at(moment), now=at("2026-11-18 10:00"), zone=EASTERN, language="en") == expected
    )


def test_opening_hours_gather_the_days_that_are_alike():
    assert (
        promise.opening_hours_phrase(CLINIC, "en") == "Monday to Friday 9 am to 6 pm, Saturday 9 am to 3 pm"
    )


def test_opening_hours_know_pauses_and_odd_weeks():
    pause = (Span(time(9), time(12)), Span(time(14), time(17, 30)))
    week = replace(CLINIC.hours, tuesday=(), wednesday=pause)
    assert promise.opening_hours_phrase(replace(CLINIC, hours=week), "en") == (
        "Monday 9 am to 6 pm, Wednesday 9 am to 12 noon and 2 pm to 5:30 pm, "
        "Thursday to Friday 9 am to 6 pm, Saturday 9 am to 3 pm"
    )
