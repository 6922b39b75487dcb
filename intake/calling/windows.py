"""The parts of the week a person may call safe (decisions.md 6), always on their own clock."""

from collections.abc import Iterable
from datetime import date, time
from enum import StrEnum

from babel.lists import format_list

from intake.calling.holidays import SATURDAY
from intake.conf.rules import Span
from intake.core.i18n import N_, translate


class Window(StrEnum):
    """A part of the week. `any` means whenever the clinic is open."""

    WEEKDAY_MORNING = "weekday_morning"
    WEEKDAY_AFTERNOON = "weekday_afternoon"
    WEEKDAY_EVENING = "weekday_evening"
    SATURDAY_MORNING = "saturday_morning"
    SATURDAY_AFTERNOON = "saturday_afternoon"
    SATURDAY_EVENING = "saturday_evening"
    ANY = "any"

    @property
    def sentence(self) -> str:
        """In words (message id)."""
        return _WORDS[self]

    @property
    def span(self) -> Span | None:
        """Its hours on the clock; None for `any`."""
        return _PARTS.get(self.value.rpartition("_")[2])


_PARTS = {
    "morning": Span(time(9), time(12)),
    "afternoon": Span(time(12), time(17)),
    "evening": Span(time(17), time(20)),
}
_WORDS = {
    Window.WEEKDAY_MORNING: N_("weekday mornings"),
    Window.WEEKDAY_AFTERNOON: N_("weekday afternoons"),
    Window.WEEKDAY_EVENING: N_("weekday evenings"),
    Window.SATURDAY_MORNING: N_("Saturday mornings"),
    Window.SATURDAY_AFTERNOON: N_("Saturday afternoons"),
    Window.SATURDAY_EVENING: N_("Saturday evenings"),
    Window.ANY: N_("any time we are open"),
}


def spans_on(windows: Iterable[Window], day: date) -> tuple[Span, ...]:
    """The hours of `day` that `windows` name. `any` is no part of a day: ask for it first."""
    name = "saturday" if day.weekday() == SATURDAY else "weekday"
    if day.weekday() > SATURDAY:
        return ()
    return tuple(
        each.span for each in Window if each in windows and each.span and each.value.startswith(name)
    )


def in_words(windows: Iterable[Window], language: str) -> str:
    """`weekday mornings and Saturday afternoons`, in the order of the week."""
    chosen = set(windows)
    named = [Window.ANY] if Window.ANY in chosen else [each for each in Window if each in chosen]
    return format_list([translate(each.sentence, language) for each in named], locale=language)


def to_text(windows: Iterable[Window]) -> str:
    """As one column keeps them: `saturday_morning weekday_evening`."""
    return " ".join(sorted(windows))


def from_text(text: str) -> frozenset[Window]:
    """What `to_text` wrote. Raises ValueError for a word that names no window."""
    return frozenset(Window(word) for word in text.split())
