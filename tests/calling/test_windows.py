"""The windows that a person may mark as safe."""

from datetime import date, time

import pytest

from intake.calling.hours import Window, spans_on, windows_from_text, windows_in_words, windows_to_text
from intake.conf.toml_schema import Span

WEDNESDAY, SATURDAY, SUNDAY = date(2026, 11, 18), date(2026, 11, 21), date(2026, 11, 22)
EVERY = frozenset(Window) - {Window.ANY}


def test_the_values_are_closed():
    assert sorted(Window) == sorted(
        [
            "any",
            *(
                f"{day}_{part}"
                for day in ("weekday", "saturday")
                for part in ("morning", "afternoon", "evening")
            ),
        ]
    )


@pytest.mark.parametrize("day", [WEDNESDAY, SATURDAY])
def test_the_parts_of_a_day_meet_without_a_gap(day):
    spans = spans_on(EVERY, day)
    assert [span.opens for span in spans] == [time(9), time(12), time(17)]
    assert [span.closes for span in spans] == [time(12), time(17), time(20)]


def test_a_window_counts_on_its_own_days_only():
    assert spans_on({Window.WEEKDAY_EVENING}, WEDNESDAY) == (Span(time(17), time(20)),)
    assert spans_on({Window.WEEKDAY_EVENING}, SATURDAY) == ()
    assert spans_on({Window.SATURDAY_MORNING}, WEDNESDAY) == ()
    assert spans_on(EVERY, SUNDAY) == ()


def test_any_is_no_part_of_a_day():
    assert Window.ANY.span is None
    assert spans_on({Window.ANY}, WEDNESDAY) == ()


@pytest.mark.parametrize(
    ("windows", "words"),
    [
        ({Window.WEEKDAY_MORNING}, "weekday mornings"),
        ({Window.SATURDAY_EVENING, Window.WEEKDAY_AFTERNOON}, "weekday afternoons and Saturday evenings"),
        ({Window.ANY}, "any time we are open"),
        ({Window.ANY, Window.WEEKDAY_MORNING}, "any time we are open"),
    ],
)
def test_windows_are_listed_in_the_order_of_the_week(windows, words):
    assert windows_in_words(windows, "en") == words


def test_one_column_keeps_them():
    assert windows_to_text(EVERY).startswith("saturday_afternoon saturday_evening")
    assert windows_from_text(windows_to_text(EVERY)) == EVERY
    assert windows_from_text("") == frozenset()
    with pytest.raises(ValueError, match="night"):
        windows_from_text("night")
