"""The legal hours: the table as shipped, and that an invalid one is refused by key."""

from datetime import date, time

import pytest

from intake.calling.hours import load
from intake.conf.toml_schema import Span
from intake.core.errors import SettingsError
from intake.core.paths import CONFIG
from tests.calling.cast import HOURS

SHIPPED = (CONFIG / "calling_hours.toml").read_text(encoding="utf-8")
FEDERAL = (Span(time(8), time(21)),)
WEEKDAY, SATURDAY, SUNDAY = date(2026, 11, 18), date(2026, 11, 21), date(2026, 11, 22)


def test_the_federal_hours_hold_where_no_state_is_stricter():
    assert HOURS.federal.hours == FEDERAL
    assert HOURS.spans_on("US-NY", WEEKDAY) == HOURS.spans_on("US-NY", SUNDAY) == FEDERAL
    assert HOURS.contacts_per_24h("US-NY") is None


@pytest.mark.parametrize(
    ("region", "day", "hours"),
    [
        ("US-FL", WEEKDAY, "08:00-20:00"),
        ("US-OK", SUNDAY, "08:00-20:00"),
        ("US-KY", WEEKDAY, "10:00-21:00"),
        ("US-CT", SATURDAY, "09:00-20:00"),
        ("US-TX", WEEKDAY, "09:00-21:00"),
        ("US-TX", SUNDAY, "12:00-21:00"),
        ("US-RI", WEEKDAY, "09:00-18:00"),
        ("US-RI", SATURDAY, "10:00-17:00"),
        ("US-RI", SUNDAY, None),
        ("US-AL", SUNDAY, None),
        ("US-LA", SUNDAY, None),
        ("US-MS", SUNDAY, None),
        ("US-UT", SUNDAY, None),
        ("US-AL", date(2026, 10, 12), None),
        ("US-PA", date(2026, 11, 26), None),
        ("US-PA", date(2027, 3, 26), None),
        ("US-UT", date(2026, 7, 24), None),
        ("US-RI", date(2026, 8, 10), None),
        ("US-FL", date(2026, 11, 26), "08:00-20:00"),
    ],
)
def test_a_stricter_state_has_its_own_hours(region, day, hours):
    spans = HOURS.spans_on(region, day)
    assert spans == (() if hours is None else (Span(*map(time.fromisoformat, hours.split("-"))),))


@pytest.mark.parametrize("region", ["US-FL", "US-OK", "US-MD", "US-OR"])
def test_a_state_may_limit_contacts_in_a_day(region):
    assert HOURS.contacts_per_24h(region) == 3


def test_every_entry_says_where_it_comes_from_what_was_read_and_when():
    for law in HOURS.states.values():
        assert law.source
        assert law.read in ("rule", "summary")
        assert law.verified_on >= HOURS.verified_on
    assert HOURS.verified_on == date(2026, 11, 3)


BAD = [
    ('hours = "08:00-21:00"', 'hours = "none"', "federal.hours: must be one part of the day"),
    ('hours = "08:00-21:00"', "", "federal.hours: is missing: it must be"),
    (
        'weekdays = "10:00-21:00"',
        'weekdays = "07:00-21:00"',
        "states: US-KY is wider than the federal hours.",
    ),
    (
        'weekdays = "10:00-21:00"',
        'weekdays = "10:00-22:00"',
        "states: US-KY is wider than the federal hours.",
    ),
    ('weekdays = "10:00-21:00"', 'weekdays = "ten"', 'states.US-KY.weekdays: must be "none", or hours'),
    ("[states.US-KY]", "[states.US-ZZ]", "states: US-ZZ is not the code of a state or territory."),
    ("[states.US-KY]", "[states.KY]", "states.KY: must be the code of a state or territory in quotes"),
    ('read = "rule"', 'read = "maybe"', "states.US-AL.read: must be one of rule, summary, in quotes."),
    ('holidays = "none"', "holidays = true", "states.US-AL.holidays: must be one of none, as usual"),
    ("contacts_per_24h = 3", "contacts_per_24h = 0", "states.US-FL.contacts_per_24h: must be a whole number"),
    ('source = "Florida Statutes 501.616(6)"', "", "states.US-FL.source: is missing: it must be words"),
    (
        "also_not_on = [2026-01-08,",
        'also_not_on = ["soon",',
        "states.US-LA.also_not_on.1: must be a real date",
    ),
    ("[states.US-KY]", "[states.US-KY]\nfees = 1", "states.US-KY.fees: is not a key we know here."),
    ("[federal]", "[states]\nUS-WY = 3\n[federal]", "states.US-WY: must be a table of keys"),
]


@pytest.mark.parametrize(("old", "new", "expected"), BAD)
def test_it_names_the_wrong_key(tmp_path, old, new, expected):
    assert old in SHIPPED
    path = tmp_path / "calling_hours.toml"
    path.write_text(SHIPPED.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(SettingsError) as refused:
        load(path)
    assert any(each.startswith(f"calling_hours.toml: {expected}") for each in refused.value.problems), (
        refused.value.problems
    )
