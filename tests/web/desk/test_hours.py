"""When we are open, for everybody at the desk: what is in force, what comes next, who was there (P3, N2)."""

from dataclasses import replace
from datetime import date, time

import pytest

from intake.accounts.models import Role
from intake.act import Act
from intake.conf.clinic import Holiday
from intake.conf.toml_schema import Span
from intake.instance import Instance
from intake.leads import reminders
from tests.client import Desk, words
from tests.conftest import MovableClock
from tests.factories import hire


@pytest.fixture
def desk(sqlite_instance: Instance) -> Desk:
    return Desk(sqlite_instance, hire(sqlite_instance, "Ada Min", Role.ADMIN))


def test_the_hours_in_force_and_what_comes_next(desk: Desk, clock: MovableClock) -> None:
    text = words(desk.get("/desk/hours").text)
    assert "Open now. We close today at 6 pm. After that we open tomorrow at 9 am." in text
    assert "Wednesday today 9 am to 6 pm" in text
    assert "Sunday closed" in text
    assert "They are set in clinic.toml" in text
    clock.move(hours=10)
    assert "Closed now. We open tomorrow at 9 am." in words(desk.get("/desk/hours").text)


def closed_on(instance: Instance, *holidays: Holiday) -> Desk:
    clinic = replace(instance.clinic, on_federal_holidays="as usual", holidays=holidays)
    closed = replace(instance, clinic=clinic)
    return Desk(closed, hire(closed, f"{len(holidays)} Min", Role.ADMIN))


def test_holidays_are_named_and_shift_the_next_opening(sqlite_instance: Instance) -> None:
    tomorrow = Holiday(on=date(2026, 11, 19), texts={"en": "Founders’ Day", "es": "Día del fundador"})
    gone = Holiday(on=date(2026, 11, 17), texts={"en": "Gone Day", "es": "Día pasado"})
    text = words(closed_on(sqlite_instance, gone, tomorrow).get("/desk/hours").text)
    assert "November 19, 2026 · Founders’ Day" in text
    assert "After that we open Friday at 9 am." in text
    assert "Gone Day" not in text
    assert "Thanksgiving Day" not in text
    assert "None is set." in words(closed_on(sqlite_instance).get("/desk/hours").text)


def test_federal_holidays_are_known_by_rule_and_a_day_of_our_own_may_have_hours(
    sqlite_instance: Instance,
) -> None:
    eve = Holiday(
        on=date(2026, 12, 24), hours=(Span(time(9), time(12)),), texts={"en": "Our Eve", "es": "Víspera"}
    )
    instance = replace(sqlite_instance, clinic=replace(sqlite_instance.clinic, holidays=(eve,)))
    text = words(Desk(instance, hire(instance, "Eve Min", Role.ADMIN)).get("/desk/hours").text)
    assert "November 26, 2026 · Thanksgiving Day December 24, 2026 · Our Eve, 9 am to 12 noon" in text
    assert "July 5, 2027 · Independence Day (observed)" in text
    assert "December 24, 2027" not in text


def test_it_tells_in_which_hours_nobody_was_at_the_desk(instance: Instance, clock: MovableClock) -> None:
    desk = Desk(instance, hire(instance))
    desk.get("/desk")
    clock.move(days=1)
    clock.move(hours=1)
    desk.get("/desk")
    with instance.database.reading() as session:
        today, yesterday = reminders.attendance(Act(session, instance))
    assert today.first == clock()
    assert yesterday.first == yesterday.hours.start  # the log begins with her first look
    clock.move(days=2)
    text = words(desk.get("/desk/hours").text)
    assert "Fri 9 am – 6 pm nobody" in text
    assert "Thu 9 am – 6 pm from 11 am" in text


def test_hours_before_the_log_began_are_not_held_against_anybody(desk: Desk) -> None:
    assert "We have not been open yet" in words(desk.get("/desk/hours").text)
