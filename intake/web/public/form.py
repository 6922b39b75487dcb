"""The page with the form: shown anew, or shown again with everything that was typed."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cache, lru_cache, partial
from typing import NamedTuple

from flask import Response, current_app, render_template

from intake.calling.availability import DAY, Interval, intersection, spans_in_zone
from intake.calling.hours import Window, spans_on
from intake.calling.promise import NoTimeWithin14Days, promise_for, promise_in_words
from intake.calling.regions import REGIONS, name_of, options_of, zones_of
from intake.conf.clinic import Channel, Clinic, Week
from intake.consent.models import Kind
from intake.core import i18n
from intake.core.errors import IntakeError, Unavailable, Unprocessable
from intake.core.i18n import N_
from intake.instance import Instance
from intake.leads import form_token, reminders
from intake.leads.form import article_position
from intake.leads.form_token import ExpiredToken, FormToken, InvalidToken, StatementsChanged
from intake.leads.submission import AlreadySent, Erased, RequestEnded
from intake.web.context import current_service
from intake.web.form_parsing import NotWhole

# --- The lists on the page with the form: states, their time zones, the parts of the week.

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
    opening = spans_in_zone(zone, week, lambda day: hours.days[day.weekday()])
    everywhere = {zone for code in REGIONS for zone in zones_of(code)}
    return frozenset(
        window.value
        for window in Window
        if window is not Window.ANY
        and not any(
            intersection(opening, spans_in_zone(there, week, partial(spans_on, (window,))))
            for there in everywhere
        )
    )


# --- Whether anybody is there to keep what the public page says (N2): looked up once a minute and process.

FRESH = timedelta(minutes=1)
_PLACE = "intake-desk-seen"


class DeskAvailability(StrEnum):
    """What the page has to say about us before somebody asks."""

    HERE = "here"
    NOBODY = "nobody"
    DOWN = "down"


@dataclass(frozen=True)
class _Cached:
    """What was found, and when."""

    presence: DeskAvailability
    at: datetime


def desk_availability() -> DeskAvailability:
    """Whether somebody looks after requests now. Raises nothing: a page is shown whatever is broken."""
    now, seen = current_service().clock(), current_app.extensions.get(_PLACE)
    if seen is None or not seen.at <= now < seen.at + FRESH:
        seen = _Cached(_look(current_service()), now)
        current_app.extensions[_PLACE] = seen
    return DeskAvailability(seen.presence)


def _look(instance: Instance) -> DeskAvailability:
    try:
        with instance.database.reading() as session:
            nobody = reminders.is_unattended(session, instance=instance)
    except Unavailable:
        return DeskAvailability.DOWN
    return DeskAvailability.NOBODY if nobody else DeskAvailability.HERE


OK, BROKEN = 200, 500
ANCHORS = {
    "preferred_name": "preferred_name",
    "channels": "by-call",
    "voicemail": "voicemail-no",
    "phone": "phone",
    "email": "email",
    "windows": "any",
    "region": "region",
    "time_zone": "zone",
    "asking_for": "asking-self",
    "adult": "adult",
    "consent_use": "consent_use",
    "tell_article": "tell_article",
    "form": "ask",
}
"""Where on the page each question is."""
CONSENTS = frozenset({"channels", "voicemail", "adult", "consent_use", "tell_article"})
YES = {"en": "Yes.", "es": "Sí."}
"""How the second of the two voicemail answers begins: the statement holds both."""


@dataclass(frozen=True)
class Answers:
    """What was typed and ticked so far, to be shown again as it was."""

    given: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def word(self, name: str) -> str:
        """The first answer to a question, or nothing."""
        return next(iter(self.given.get(name, ())), "")

    def has(self, name: str, value: str) -> bool:
        """Whether `value` was chosen."""
        return value in self.given.get(name, ())

    def without_consent(self) -> "Answers":
        """The words without the ticks: those were given to other statements."""
        return Answers({name: values for name, values in self.given.items() if name not in CONSENTS})


def page(
    token: FormToken,
    *,
    answers: Answers | None = None,
    problems: Mapping[str, Sequence[str]] | None = None,
    notice: str = "",
    status: int = OK,
    whole: bool = True,
) -> Response:
    """The page with the form. `problems` maps questions to message ids, `notice` is one for the whole.

    Not `whole`: some of what was typed did not reach us, and the page does not say that all of it is here.
    """
    seen, now = desk_availability(), current_service().clock()
    words = render_template(
        "public/ask.html",
        **questions(token, answers=answers or Answers(), problems=problems or {}),
        notice=notice,
        whole=whole,
        anchors=ANCHORS,
        call_us=status >= BROKEN,
        ahead=False,
        page_of_these="",
        promise=promise_before(current_service(), now, seen),
        presence=seen.value,
    )
    return Response(words, status)


def questions(
    token: FormToken, *, answers: Answers, problems: Mapping[str, Sequence[str]]
) -> dict[str, object]:
    """What the three parts of the form need, in the language in use."""
    spoken, instance = i18n.current_language.get(), current_service()
    return {
        "token": form_token.sign(token, keyring=instance.keyring),
        "answers": answers,
        "problems": problems,
        "article": article_title(token, instance),
        "grid": grid(instance.clinic, instance.clock()),
        "states": states(spoken),
        "zones": zones(),
        "statements": {kind.value: each for kind, each in instance.statements.in_force(spoken).items()},
        "voicemail": voicemail_answers(instance, spoken),
    }


def voicemail_answers(instance: Instance, spoken: str) -> dict[str, str]:
    """The two answers that the statement on voicemail holds, "No" first."""
    no, _, yes = instance.statements.in_force(spoken)[Kind.VOICEMAIL].help.partition(f" {YES[spoken]} ")
    return {"no": no, "yes": f"{YES[spoken]} {yes}"}


def article_title(token: FormToken, instance: Instance) -> str | None:
    """The title of the article this page was opened from, where it was told by the link."""
    place = article_position(token.article, instance.clinic)
    return None if place is None else instance.clinic.articles[place].title


def promise_before(instance: Instance, now: datetime, seen: DeskAvailability) -> str | None:
    """By when somebody near the clinic who is free at any time would hear from it (promise P3).

    While nobody is at the desk it counts from the next opening; while we are down we promise nothing.
    """
    clinic = instance.clinic
    if seen is DeskAvailability.DOWN:
        return None
    start = reminders.closes_at(instance) if seen is DeskAvailability.NOBODY else None
    try:
        promise = promise_for(
            clinic,
            instance.hours,
            channels={Channel.CALL},
            region=clinic.region,
            time_zone=clinic.time_zone,
            windows={Window.ANY},
            now=start or now,
        )
    except NoTimeWithin14Days:
        return None
    return promise_in_words(promise, now=now, zone=clinic.time_zone, language=i18n.current_language.get())


def new_token(article: str | None = None) -> FormToken:
    """The token of a page nobody has seen. An article we do not know is no article."""
    instance, spoken = current_service(), i18n.current_language.get()
    known = article if article_position(article, instance.clinic) is not None else None
    return form_token.new_token(
        language=spoken, statements=instance.statements, now=instance.clock(), article=known
    )


def form_again(answers: Answers, failure: IntakeError) -> Response:
    """The page as it was typed, with what to look at, and a token for the next time it is sent."""
    changed = isinstance(failure, StatementsChanged)
    wrong = failure.problems if isinstance(failure, Unprocessable) else {}
    problems = {name: wrong[name] for name in ANCHORS if name in wrong}
    return page(
        next_token(answers, failure),
        answers=answers.without_consent() if changed else answers,
        problems=problems,
        notice="" if problems else failure.sentence,
        status=failure.status,
        whole=not isinstance(failure, NotWhole),
    )


def switch_language(answers: Answers) -> Response:
    """The same page in the language of its path: nothing kept, nothing lost, nothing said."""
    return page(token_for(answers), answers=answers)


def token_for(answers: Answers) -> FormToken:
    """The token that came with the answers, for the words of the language in use."""
    return _in_this_language(_sent_with(answers))


def next_token(answers: Answers, failure: IntakeError) -> FormToken:
    """The same one where nothing was kept under it, else a fresh one that knows what came before."""
    before = _sent_with(answers)
    if isinstance(failure, AlreadySent):
        return new_token(before.article).for_redisplay(follows=failure.follows)
    if isinstance(failure, ExpiredToken | Erased | RequestEnded):
        return new_token(before.article).for_redisplay()
    return before if isinstance(failure, InvalidToken) else _in_this_language(before).for_redisplay()


def _sent_with(answers: Answers) -> FormToken:
    """The token that came with the answers, of whatever age and words; a new one if it is not ours."""
    try:
        return form_token.unsign(answers.word("token"), keyring=current_service().keyring)
    except InvalidToken:
        return new_token()


def _in_this_language(token: FormToken) -> FormToken:
    return token.with_statements(i18n.current_language.get(), current_service().statements)
