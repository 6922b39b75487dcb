"""The legal hours for calls and texts: `calling_hours.toml` as a typed table.

The federal hours are the floor; a state may be stricter. An operator's own hours stand in
`clinic.toml` and can only narrow what is here, because the times are intersected.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

from intake.calling.holidays import SATURDAY, SUNDAY, is_federal_holiday
from intake.calling.regions import REGIONS
from intake.conf import rules, toml_schema
from intake.conf.rules import Span
from intake.conf.toml_schema import Section

LEGAL = rules.hours_or("none")
READ = rules.one_of(("rule", "summary"))
ON_HOLIDAYS = rules.one_of(("none", "as usual"))


@dataclass(frozen=True, kw_only=True)
class Federal(Section):
    """The hours nobody may call or text outside of, on the clock of the person."""

    hours: Annotated[tuple[Span, ...], LEGAL]
    source: Annotated[str, rules.WORDS]
    verified_on: Annotated[date, rules.DATE]

    def problems(self) -> Iterator[tuple[str, str]]:
        if len(self.hours) != 1:
            yield "hours", 'must be one part of the day, like "08:00-21:00".'


@dataclass(frozen=True, kw_only=True)
class Law(Section):
    """The stricter hours of one state. `read`: the rule itself was read, or a summary of it."""

    weekdays: Annotated[tuple[Span, ...], LEGAL]
    saturdays: Annotated[tuple[Span, ...], LEGAL]
    sundays: Annotated[tuple[Span, ...], LEGAL]
    holidays: Annotated[str, ON_HOLIDAYS] = "as usual"
    also_not_on: tuple[Annotated[date, rules.DATE], ...] = ()
    contacts_per_24h: Annotated[int | None, rules.whole(1, 10)] = None
    source: Annotated[str, rules.WORDS]
    read: Annotated[str, READ]
    verified_on: Annotated[date, rules.DATE]

    def spans_on(self, day: date) -> tuple[Span, ...]:
        """The legal parts of one day on the clock of the person."""
        if day in self.also_not_on or (self.holidays == "none" and is_federal_holiday(day)):
            return ()
        return {SATURDAY: self.saturdays, SUNDAY: self.sundays}.get(day.weekday(), self.weekdays)


@dataclass(frozen=True, kw_only=True)
class CallingHours(Section):
    """The whole table: the federal floor, and the states that are stricter."""

    federal: Federal
    states: Mapping[Annotated[str, rules.REGION], Law]

    def spans_on(self, region: str, day: date) -> tuple[Span, ...]:
        """The legal parts of `day` for somebody in `region`."""
        law = self.states.get(region)
        return law.spans_on(day) if law else self.federal.hours

    def per_24h(self, region: str) -> int | None:
        """How often in 24 hours the state allows contact; None where it does not say."""
        law = self.states.get(region)
        return law.contacts_per_24h if law else None

    @property
    def verified_on(self) -> date:
        """The day of the oldest check in the table: what `doctor` watches."""
        return min(self.federal.verified_on, *(law.verified_on for law in self.states.values()))

    def problems(self) -> Iterator[tuple[str, str]]:
        for code, law in self.states.items():
            if code not in REGIONS:
                yield "states", f"{code} is not the code of a state or territory."
            if any(not _within(span, self.federal.hours) for day in _days(law) for span in day):
                yield "states", f"{code} is wider than the federal hours."


def _days(law: Law) -> tuple[tuple[Span, ...], ...]:
    return law.weekdays, law.saturdays, law.sundays


def _within(span: Span, hours: tuple[Span, ...]) -> bool:
    return any(each.opens <= span.opens and span.closes <= each.closes for each in hours)


def load(path: Path) -> CallingHours:
    """The table of `path`. Raises SettingsError with every wrong key."""
    return toml_schema.load(path, CallingHours)
