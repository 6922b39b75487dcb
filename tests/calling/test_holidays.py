"""Federal holidays by rule, compared with the list in the clinic's file."""

from datetime import date, timedelta

import pytest

from intake.calling.hours import is_federal_holiday
from tests.calling.cast import CLINIC

YEARS = [date(2026, 1, 1) + timedelta(days=n) for n in range(730)]


def test_the_rule_and_the_shipped_list_name_the_same_days_for_two_years():
    assert {day for day in YEARS if is_federal_holiday(day)} == {each.on for each in CLINIC.holidays}


@pytest.mark.parametrize("day", ["2027-12-31", "2028-11-10", "2030-01-21", "2032-05-31", "2033-12-26"])
def test_it_does_not_run_out(day):
    assert is_federal_holiday(date.fromisoformat(day))


@pytest.mark.parametrize("day", ["2026-11-27", "2028-01-03", "2030-12-31"])
def test_an_ordinary_day_is_none(day):
    assert not is_federal_holiday(date.fromisoformat(day))
