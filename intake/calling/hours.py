"""The legal hours for calls and texts (`calling_hours.toml`), and the windows that a person may choose.

The federal hours apply everywhere (47 CFR 64.1200(c)(1)); a state may be stricter. An operator's own hours
are in `clinic.toml` and can only narrow these, because the times are intersected. Federal holidays are
computed by rule (5 U.S.C. 6103), so that the table never runs out. Windows are always on the person's own
clock.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from babel.lists import format_list

from intake.calling.regions import REGIONS
from intake.conf import toml_schema
from intake.conf.clinic import federal_holidays
from intake.conf.toml_schema import Section, Span
from intake.core.i18n import N_, translate

SATURDAY, SUNDAY = 5, 6
LEGAL = toml_schema.hours_or("none")
READ = toml_schema.one_of(("rule", "summary"))
ON_HOLIDAYS = toml_schema.one_of(("none", "as usual"))


@dataclass(frozen=True, kw_only=True)
class Federal(Section):
    """The federal hours for calls and texts, on the person's clock."""

    hours: Annotated[tuple[Span, ...], LEGAL]
    source: Annotated[str, toml_schema.TEXT]
    verified_on: Annotated[date, toml_schema.DATE]

    def problems(self) -> Iterator[tuple[str, str]]:
        if len(self.hours) != 1:
            yield "hours", 'must be one part of the day, like "08:00-21:00".'


@dataclass(frozen=True, kw_only=True)
class Law(Section):
    """The stricter hours of one state. `read`: whether the rule itself or a summary of it was read."""

    weekdays: Annotated[tuple[Span, ...], LEGAL]
    saturdays: Annotated[tuple[Span, ...], LEGAL]
    sundays: Annotated[tuple[Span, ...], LEGAL]
    holidays: Annotated[str, ON_HOLIDAYS] = "as usual"
    also_not_on: tuple[Annotated[date, toml_schema.DATE], ...] = ()
    contacts_per_24h: Annotated[int | None, toml_schema.whole_number(1, 10)] = None
    source: Annotated[str, toml_schema.TEXT]
    read: Annotated[str, READ]
    verified_on: Annotated[date, toml_schema.DATE]

    def spans_on(self, day: date) -> tuple[Span, ...]:
        """Return the legal hours of one day, on the person's clock."""
        if day in self.also_not_on or (self.holidays == "none" and day in federal_holidays(day.year)):
            return ()
        return {SATURDAY: self.saturdays, SUNDAY: self.sundays}.get(day.weekday(), self.weekdays)


@dataclass(frozen=True, kw_only=True)
class CallingHours(Section):
    """The whole table: the federal hours, and the states that are stricter."""

    federal: Federal
    states: Mapping[Annotated[str, toml_schema.REGION], Law]

    def spans_on(self, region: str, day: date) -> tuple[Span, ...]:
        """Return the legal hours of `day` for a person in `region`."""
        law = self.states.get(region)
        return law.spans_on(day) if law else self.federal.hours

    def spans_by_day(self, region: str, days: Iterable[date]) -> dict[date, tuple[Span, ...]]:
        """Return the legal hours of each of `days` for a person in `region`."""
        return {day: self.spans_on(region, day) for day in days}

    def contacts_per_24h(self, region: str) -> int | None:
        """Return the state's limit of contacts in 24 hours; None where it has none."""
        law = self.states.get(region)
        return law.contacts_per_24h if law else None

    @property
    def verified_on(self) -> date:
        """The day of the oldest verification in the table, which `intake doctor` checks."""
        return min(self.federal.verified_on, *(law.verified_on for law in self.states.values()))

    def problems(self) -> Iterator[tuple[str, str]]:
        for code, law in self.states.items():
            if code not in REGIONS:
                yield "states", f"{code} is not the code of a state or territory."
            spans = (*law.weekdays, *law.saturdays, *law.sundays)
            if not all(
                any(each.opens <= span.opens and span.closes <= each.closes for each in self.federal.hours)
                for span in spans
            ):
                yield "states", f"{code} is wider than the federal hours."


def load(path: Path) -> CallingHours:
    """Load the table at `path`. Raises SettingsError naming every wrong key."""
    return toml_schema.load(path, CallingHours)


class Window(StrEnum):
    """A part of the week that a person may mark as safe. `any` means whenever the clinic is open."""

    WEEKDAY_MORNING = "weekday_morning"
    WEEKDAY_AFTERNOON = "weekday_afternoon"
    WEEKDAY_EVENING = "weekday_evening"
    SATURDAY_MORNING = "saturday_morning"
    SATURDAY_AFTERNOON = "saturday_afternoon"
    SATURDAY_EVENING = "saturday_evening"
    ANY = "any"

    @property
    def sentence(self) -> str:
        """The name on a page (message id)."""
        return _WINDOW_NAMES[self]

    @property
    def span(self) -> Span | None:
        """Its hours; None for `any`."""
        return _WINDOW_PARTS.get(self.value.rpartition("_")[2])


_WINDOW_PARTS = {
    "morning": Span(time(9), time(12)),
    "afternoon": Span(time(12), time(17)),
    "evening": Span(time(17), time(20)),
}
_WINDOW_NAMES = {
    Window.WEEKDAY_MORNING: N_("weekday mornings"),
    Window.WEEKDAY_AFTERNOON: N_("weekday afternoons"),
    Window.WEEKDAY_EVENING: N_("weekday evenings"),
    Window.SATURDAY_MORNING: N_("Saturday mornings"),
    Window.SATURDAY_AFTERNOON: N_("Saturday afternoons"),
    Window.SATURDAY_EVENING: N_("Saturday evenings"),
    Window.ANY: N_("any time we are open"),
}


def spans_on(windows: Iterable[Window], day: date) -> tuple[Span, ...]:
    """Return the hours of `day` that `windows` cover. `any` covers none here: check for it first."""
    name = "saturday" if day.weekday() == SATURDAY else "weekday"
    if day.weekday() > SATURDAY:
        return ()
    return tuple(
        each.span for each in Window if each in windows and each.span and each.value.startswith(name)
    )


def spans_by_day(windows: Iterable[Window], days: Iterable[date]) -> dict[date, tuple[Span, ...]]:
    """Return the hours of each of `days` that `windows` cover."""
    return {day: spans_on(windows, day) for day in days}


def windows_in_words(windows: Iterable[Window], language: str) -> str:
    """Format as `weekday mornings and Saturday afternoons`, in the order of the week."""
    chosen = set(windows)
    named = [Window.ANY] if Window.ANY in chosen else [each for each in Window if each in chosen]
    return format_list([translate(each.sentence, language) for each in named], locale=language)


def windows_to_text(windows: Iterable[Window]) -> str:
    """Serialise for the database column: `saturday_morning weekday_evening`."""
    return " ".join(sorted(windows))


def windows_from_text(text: str) -> frozenset[Window]:
    """Parse what `windows_to_text` wrote. Raises ValueError for an unknown window."""
    return frozenset(Window(word) for word in text.split())
