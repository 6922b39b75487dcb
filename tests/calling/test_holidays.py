"""Federal holidays by rule: the days of two years as published, and that the rule goes on."""

from datetime import date, timedelta

import pytest

from intake.conf.clinic import federal_holidays

PUBLISHED = """
2026-01-01 2026-01-19 2026-02-16 2026-05-25 2026-06-19 2026-07-03 2026-07-04 2026-09-07 2026-10-12 2026-11-11
2026-11-26 2026-12-25
2027-01-01 2027-01-18 2027-02-15 2027-05-31 2027-06-18 2027-06-19 2027-07-04 2027-07-05 2027-09-06 2027-10-11
2027-11-11 2027-11-25 2027-12-24 2027-12-25 2027-12-31
""".split()
YEARS = [date(2026, 1, 1) + timedelta(days=n) for n in range(730)]


def is_holiday(day: date) -> bool:
    return day in federal_holidays(day.year)


def test_the_rule_names_the_published_days_of_two_years():
    assert {str(day) for day in YEARS if is_holiday(day)} == set(PUBLISHED)


@pytest.mark.parametrize("day", ["2027-12-31", "2028-11-10", "2030-01-21", "2032-05-31", "2033-12-26"])
def test_it_does_not_run_out(day):
    assert is_holiday(date.fromisoformat(day))


@pytest.mark.parametrize("day", ["2026-11-27", "2028-01-03", "2030-12-31"])
def test_an_ordinary_day_is_none(day):
    assert not is_holiday(date.fromisoformat(day))


def test_each_has_its_name_in_every_language():
    observed = federal_holidays(2026)[date(2026, 7, 3)]
    assert observed["en"] == "Independence Day (observed)"
    assert observed["es"] == "Día de la Independencia (día de descanso)"
    names = {each["es"] for year in range(2026, 2036) for each in federal_holidays(year).values()}
    assert len(names) == 11 + len({name for name in names if name.endswith("(día de descanso)")})
