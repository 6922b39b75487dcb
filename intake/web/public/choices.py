"""The lists on the page with the form: states, their time zones, the parts of the week."""

import unicodedata
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache, partial
from typing import NamedTuple

from intake.calling.intervals import DAY, Interval, intersection, on_the_clock
from intake.calling.regions import REGIONS, name_of, options_of, zones_of
from intake.calling.windows import Window, spans_on
from intake.conf.clinic import Clinic, Week
from intake.core.i18n import N_

LETTERS = {
    "Eastern": "e",
    "Central": "c",
    "Mountain": "m",
    "Pacific": "p",
    "Alaska": "a",
    "Hawaii-Aleutian": "h",
    "Most of Arizona": "z",
    "Navajo Nation": "n",
}
"""One letter per zone name: site.css shows the two answers of a state by the letters of its option."""
PARTS = {"morning": N_("Morning"), "afternoon": N_("Afternoon"), "evening": N_("Evening")}
DAYS = {"weekday": N_("Monday to Friday"), "saturday": N_("Saturday")}
_HALF = 12


class State(NamedTuple):
    """A state in the list; `letters` only where it has two time zones."""

    code: str
    name: str
    letters: str


class Zone(NamedTuple):
    """A time zone that some state asks about; `name` is a message id."""

    letter: str
    value: str
    name: str


class Named(NamedTuple):
    """A row or column of the week; `name` is a message id."""

    key: str
    name: str


class Part(NamedTuple):
    """A part of the day, its hours as figures on the clock."""

    key: str
    name: str
    start: int
    end: int


@dataclass(frozen=True)
class Grid:
    """The table of safe times. `closed`: the windows in which the clinic cannot reach anybody, wherever."""

    days: tuple[Named, ...]
    parts: tuple[Part, ...]
    closed: frozenset[str]


@cache
def states(spoken: str) -> tuple[State, ...]:
    """All states and territories by their name in this language."""
    found = (State(code, name_of(code, spoken), _letters(code)) for code in REGIONS)
    return tuple(sorted(found, key=lambda state: _plain(state.name)))


def _letters(code: str) -> str:
    letters = {LETTERS[option.name] for option in options_of(code)}
    return "".join(letter for letter in LETTERS.values() if letter in letters)


def _plain(name: str) -> str:
    """Without accents, as a list is sorted."""
    letters = unicodedata.normalize("NFD", name)
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


@cache
def zones() -> tuple[Zone, ...]:
    """One answer per name: which zone "Eastern" is follows from the state.

    The first state of each name gives its value, so no two answers share one, and an answer left over
    from another state is told apart (schemas.py).
    """
    first: dict[str, str] = {}
    for option in (option for code in REGIONS for option in options_of(code)):
        first.setdefault(option.name, option.zone)
    return tuple(Zone(LETTERS[name], first[name], name) for name in LETTERS)


def grid(clinic: Clinic, now: datetime) -> Grid:
    """The table of safe times for this week."""
    days = tuple(Named(key, name) for key, name in DAYS.items())
    monday = now.date() - DAY * now.weekday()
    return Grid(days, _parts(), _closed(clinic.time_zone, clinic.hours, monday))


def _parts() -> tuple[Part, ...]:
    spans = {key: span for key in PARTS if (span := Window(f"weekday_{key}").span)}
    return tuple(
        Part(key, PARTS[key], _figure(span.opens), _figure(span.closes)) for key, span in spans.items()
    )


def _figure(at: time) -> int:
    return at.hour % _HALF or _HALF


@lru_cache(maxsize=8)
def _closed(zone: str, hours: Week, monday: date) -> frozenset[str]:
    """Holidays do not count: a week that is short once is not a week without Mondays."""
    start = datetime.combine(monday, time(), tzinfo=UTC)
    week = Interval(start, start + timedelta(days=8))
    opening = on_the_clock(zone, week, lambda day: hours.days[day.weekday()])
    everywhere = {zone for code in REGIONS for zone in zones_of(code)}
    return frozenset(
        window.value
        for window in Window
        if window is not Window.ANY
        and not any(
            intersection(opening, on_the_clock(there, week, partial(spans_on, (window,))))
            for there in everywhere
        )
    )
