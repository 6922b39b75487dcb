"""The public form: rendered empty, or again with everything that was typed and what to correct.

It also holds the lists on the page (states, their time zones, the parts of the week) and whether the
desk is attended, which decides what the page promises (N2).
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cache, lru_cache, partial
from typing import NamedTuple

from flask import Response, current_app, render_template

from intake.calling.availability import DAY, ContactTimes, Interval, intersection, spans_in_zone
from intake.calling.hours import Window, spans_on
from intake.calling.promise import NoTimeWithin14Days, open_until, promise_for, promise_in_words
from intake.calling.regions import REGIONS, name_of, options_of, zones_of
from intake.conf.clinic import Channel, Clinic, Week
from intake.consent.models import Kind
from intake.core import i18n
from intake.core.errors import IntakeError, Unavailable, Unprocessable
from intake.core.i18n import N_
from intake.instance import Instance
from intake.leads import form_token, reminders
from intake.leads.fields import CHOICES
from intake.leads.form import article_title
from intake.leads.form_token import ExpiredToken, FormToken, InvalidToken, StatementsChanged
from intake.leads.submission import AlreadySent, Erased, RequestEnded
from intake.web.context import current_service, service_read
from intake.web.form_parsing import DamagedForm

ZONE_KEYS = {
    "Eastern": "e",
    "Central": "c",
    "Mountain": "m",
    "Pacific": "p",
    "Alaska": "a",
    "Hawaii-Aleutian": "h",
    "Most of Arizona": "z",
    "Navajo Nation": "n",
}
"""One CSS class per time zone name: site.css shows the two options of a state by the class of its option."""
PARTS = {"morning": N_("Morning"), "afternoon": N_("Afternoon"), "evening": N_("Evening")}
DAYS = {"weekday": N_("Monday to Friday"), "saturday": N_("Saturday")}
_HALF = 12


class StateOption(NamedTuple):
    """A state in the list; `zone_keys` only where it has two time zones."""

    code: str
    name: str
    zone_keys: str


class ZoneOption(NamedTuple):
    """A time zone option of a state with two; `name` is a message id."""

    key: str
    value: str
    name: str


class DayPart(NamedTuple):
    """A part of the day (`name` is a message id) with its hours on a 12-hour clock."""

    key: str
    name: str
    start: int
    end: int


@dataclass(frozen=True)
class TimesGrid:
    """The table of safe times: names of days by key, parts of the day, and where it says "closed".

    `closed`: the windows in which the clinic can call in no time zone.
    """

    days: Mapping[str, str]
    parts: Sequence[DayPart]
    closed: frozenset[str]


@cache
def states(language: str) -> tuple[StateOption, ...]:
    """All states and territories by their name in this language."""
    found = []
    for code in REGIONS:
        zone_names = {option.name for option in options_of(code)}
        zone_keys = "".join(key for name, key in ZONE_KEYS.items() if name in zone_names)
        found.append(StateOption(code, name_of(code, language), zone_keys))
    return tuple(sorted(found, key=lambda state: _without_accents(state.name)))


def _without_accents(name: str) -> str:
    """The name without accents, as sort key."""
    decomposed = unicodedata.normalize("NFD", name)
    return "".join(character for character in decomposed if not unicodedata.combining(character))


@cache
def zones() -> tuple[ZoneOption, ...]:
    """One answer per name: which zone "Eastern" is follows from the state.

    The first state of each name gives its value, so no two answers share one, and an answer left over
    from another state is told apart (`intake/leads/form.py`).
    """
    zone_by_name: dict[str, str] = {}
    for option in (option for code in REGIONS for option in options_of(code)):
        zone_by_name.setdefault(option.name, option.zone)
    return tuple(ZoneOption(ZONE_KEYS[name], zone_by_name[name], name) for name in ZONE_KEYS)


def grid(clinic: Clinic, now: datetime) -> TimesGrid:
    """The table of safe times for this week."""
    parts = [
        DayPart(key, name, span.opens.hour % _HALF or _HALF, span.closes.hour % _HALF or _HALF)
        for key, name in PARTS.items()
        if (span := Window(f"weekday_{key}").span)
    ]
    monday = now.date() - DAY * now.weekday()
    return TimesGrid(DAYS, parts, _closed_windows(clinic.time_zone, clinic.hours, monday))


@lru_cache(maxsize=8)
def _closed_windows(zone: str, hours: Week, monday: date) -> frozenset[str]:
    """The windows in which the clinic is closed for every time zone; holidays do not count."""
    start = datetime.combine(monday, time(), tzinfo=UTC)
    week = Interval(start, start + timedelta(days=8))
    opening = spans_in_zone(zone, week, lambda day: hours.days[day.weekday()])
    all_zones = {zone for code in REGIONS for zone in zones_of(code)}
    return frozenset(
        window.value
        for window in Window
        if window is not Window.ANY
        and not any(
            intersection(opening, spans_in_zone(person_zone, week, partial(spans_on, (window,))))
            for person_zone in all_zones
        )
    )


CACHE_FOR = timedelta(minutes=1)
_EXTENSION_KEY = "intake-desk-availability"


class DeskAvailability(StrEnum):
    """What the page says about the desk: attended, unattended, or not known while the database is down."""

    ATTENDED = "attended"
    UNATTENDED = "unattended"
    DOWN = "down"


def desk_availability() -> DeskAvailability:
    """Whether staff look after requests now, read once a minute and process. DOWN without a database."""
    now = current_service().clock()
    known: tuple[DeskAvailability, datetime] | None = current_app.extensions.get(_EXTENSION_KEY)
    if known and known[1] <= now < known[1] + CACHE_FOR:
        return known[0]
    try:
        with service_read() as act:
            unattended = reminders.is_unattended(act)
        found = DeskAvailability.UNATTENDED if unattended else DeskAvailability.ATTENDED
    except Unavailable:
        found = DeskAvailability.DOWN
    current_app.extensions[_EXTENSION_KEY] = found, now
    return found


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
    **{name: name for name in CHOICES},
    "asking_for": "asking-self",
    "adult": "adult",
    "consent_use": "consent_use",
    "tell_article": "tell_article",
    "form": "ask",
}
"""Element ids on the page by field name."""
CONSENTS = frozenset({"channels", "voicemail", "adult", "consent_use", "tell_article"})
YES_PREFIX = N_("Yes.")
"""How the second of the two voicemail options begins; the statement has both."""


@dataclass(frozen=True)
class Answers:
    """Submitted values by field name, to be shown again as they were typed."""

    given: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def value(self, name: str) -> str:
        """The first value of a field, or an empty string."""
        return next(iter(self.given.get(name, ())), "")

    def has(self, name: str, value: str) -> bool:
        """Whether `value` is among the values of a field."""
        return value in self.given.get(name, ())

    def without_consent(self) -> "Answers":
        """The answers without the consents, which were given to other statements."""
        return Answers({name: values for name, values in self.given.items() if name not in CONSENTS})


def page(
    token: FormToken,
    *,
    answers: Answers | None = None,
    problems: Mapping[str, Sequence[str]] | None = None,
    notice: str = "",
    status: int = OK,
    complete: bool = True,
) -> Response:
    """Render the form. `problems` has message ids by field name, `notice` is one for the whole form.

    Not `complete`: some of what was typed did not arrive, and the page does not claim that all is there.
    """
    availability, now = desk_availability(), current_service().clock()
    page_html = render_template(
        "public/ask.html",
        **questions(token, answers=answers or Answers(), problems=problems or {}),
        notice=notice,
        complete=complete,
        anchors=ANCHORS,
        call_us=status >= BROKEN,
        ahead=False,
        page_of_these="",
        promise=promise_before(current_service(), now, availability),
        availability=availability.value,
    )
    return Response(page_html, status)


def questions(
    token: FormToken, *, answers: Answers, problems: Mapping[str, Sequence[str]]
) -> dict[str, object]:
    """Template context of the three parts of the form, in the language in use."""
    language, instance = i18n.current_language.get(), current_service()
    return {
        "token": form_token.sign(token, keyring=instance.keyring),
        "answers": answers,
        "problems": problems,
        "article": article_title(token.article, instance.clinic),
        "grid": grid(instance.clinic, instance.clock()),
        "states": states(language),
        "zones": zones(),
        "choices": CHOICES,
        "more": any(answers.value(name) or name in problems for name in CHOICES),
        "statements": instance.statements.in_force(language),
        "voicemail": voicemail_answers(instance, language),
    }


def voicemail_answers(instance: Instance, language: str) -> dict[str, str]:
    """The two options of the statement on voicemail, "No" first."""
    prefix = i18n.translate(YES_PREFIX, language)
    no, _, yes = instance.statements.in_force(language)[Kind.VOICEMAIL].help.partition(f" {prefix} ")
    return {"no": no, "yes": f"{prefix} {yes}"}


def promise_before(instance: Instance, now: datetime, availability: DeskAvailability) -> str | None:
    """By when a person in the clinic's time zone, free at any time, would be called (promise P3), or None.

    While the desk is unattended it counts from the next opening; while the database is down it is None.
    """
    clinic = instance.clinic
    if availability is DeskAvailability.DOWN:
        return None
    start = open_until(clinic, now) if availability is DeskAvailability.UNATTENDED else None
    try:
        promise = promise_for(
            ContactTimes(clinic, instance.hours, start or now),
            channels={Channel.CALL},
            region=clinic.region,
            time_zone=clinic.time_zone,
            windows={Window.ANY},
        )
    except NoTimeWithin14Days:
        return None
    return promise_in_words(promise, now=now, zone=clinic.time_zone, language=i18n.current_language.get())


def new_token(article: str | None = None) -> FormToken:
    """A form token for a new page. An unknown article counts as none."""
    instance, language = current_service(), i18n.current_language.get()
    known = article if article_title(article, instance.clinic) else None
    return form_token.new_token(
        language=language, statements=instance.statements, now=instance.clock(), article=known
    )


def validate_token(answers: Answers) -> FormToken:
    """The token of a form that was submitted in the language in use. Raises TokenError."""
    instance = current_service()
    return form_token.validate(
        answers.value("token"),
        language=i18n.current_language.get(),
        statements=instance.statements,
        keyring=instance.keyring,
        retention=instance.clinic.retention,
        now=instance.clock(),
    )


def form_with_problems(answers: Answers, failure: IntakeError) -> Response:
    """Render the form as it was typed, with its problems and a token for the next submission."""
    changed = isinstance(failure, StatementsChanged)
    wrong = failure.problems if isinstance(failure, Unprocessable) else {}
    problems = {name: wrong[name] for name in ANCHORS if name in wrong}
    return page(
        next_token(answers, failure),
        answers=answers.without_consent() if changed else answers,
        problems=problems,
        notice="" if problems else failure.sentence,
        status=failure.status,
        complete=not isinstance(failure, DamagedForm),
    )


def token_for(answers: Answers) -> FormToken:
    """The submitted token with the statements of the language in use."""
    return _in_this_language(_submitted_token(answers))


def next_token(answers: Answers, failure: IntakeError) -> FormToken:
    """The same token where nothing was stored under it, else a new one that refers to the earlier request."""
    before = _submitted_token(answers)
    if isinstance(failure, AlreadySent):
        return new_token(before.article).for_redisplay(follows=failure.follows)
    if isinstance(failure, ExpiredToken | Erased | RequestEnded):
        return new_token(before.article).for_redisplay()
    return before if isinstance(failure, InvalidToken) else _in_this_language(before).for_redisplay()


def _submitted_token(answers: Answers) -> FormToken:
    """The submitted token, of any age and statements; a new one if its signature is wrong."""
    try:
        return form_token.unsign(answers.value("token"), keyring=current_service().keyring)
    except InvalidToken:
        return new_token()


def _in_this_language(token: FormToken) -> FormToken:
    return token.with_statements(i18n.current_language.get(), current_service().statements)
