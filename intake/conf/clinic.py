"""`clinic.toml` as typed, frozen objects: everything about the clinic that an operator configures."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, time, timedelta
from enum import StrEnum
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any

import phonenumbers

from intake.conf import toml_schema
from intake.conf.toml_schema import Section, Span
from intake.core.i18n import DEFAULT, LANGUAGES, N_, translate

ArticleDate = date  # an article has a `date` of its own
PAIR = 2
OPENING = toml_schema.hours_or("closed")
ON_FEDERAL_HOLIDAYS = toml_schema.one_of(("closed", "as usual"))
EARLIEST, LATEST = time(8), time(21)
"""Federal calling hours (47 CFR 64.1200(c)(1)), which no operator may widen."""


class Channel(StrEnum):
    """A channel of contact, each with its own consent and its own limits."""

    CALL = "call"
    TEXT = "text"
    EMAIL = "email"

    @property
    def sentence(self) -> str:
        """The label (message id)."""
        return _CHANNELS[self]


_CHANNELS = {Channel.CALL: N_("Phone call"), Channel.TEXT: N_("Text message"), Channel.EMAIL: N_("Email")}


@dataclass(frozen=True, kw_only=True)
class Multilingual(Section):
    """A text in every language of the pages: `text["es"]`."""

    texts: toml_schema.Texts

    def __getitem__(self, language: str) -> str:
        """The text in `language`. Raises KeyError for an unsupported one."""
        return self.texts[language]


@dataclass(frozen=True, kw_only=True)
class Week(Section):
    """Opening hours by weekday, in the clinic's time zone."""

    monday: Annotated[tuple[Span, ...], OPENING]
    tuesday: Annotated[tuple[Span, ...], OPENING]
    wednesday: Annotated[tuple[Span, ...], OPENING]
    thursday: Annotated[tuple[Span, ...], OPENING]
    friday: Annotated[tuple[Span, ...], OPENING]
    saturday: Annotated[tuple[Span, ...], OPENING]
    sunday: Annotated[tuple[Span, ...], OPENING]

    @cached_property
    def days(self) -> tuple[tuple[Span, ...], ...]:
        """Monday to Sunday, in the order of `date.weekday()`."""
        workdays = (self.monday, self.tuesday, self.wednesday, self.thursday, self.friday)
        return (*workdays, self.saturday, self.sunday)

    def problems(self) -> Iterator[tuple[str, str]]:
        if not any(self.days):
            yield "", "must open on at least one day: nobody could ever be called."


@dataclass(frozen=True, kw_only=True)
class Holiday(Multilingual):
    """A day that has hours of its own; without `hours` the clinic is closed on it."""

    on: Annotated[date, toml_schema.DATE]
    hours: Annotated[tuple[Span, ...], OPENING] = ()


@cache
def federal_holidays(year: int) -> dict[date, Holiday]:
    """The federal holidays of a year, and the weekdays on which they are observed (5 U.S.C. 6103)."""
    from holidays import country_holidays  # noqa: PLC0415  loads every country: 20 MB, half a second

    found = {}
    for day, full_name in country_holidays("US", years=year, expand=False).items():
        name = full_name.removesuffix(" (observed)")
        texts = {code: translate(_FEDERAL_HOLIDAYS.get(name, name), code) for code in LANGUAGES}
        if name != full_name:
            texts = {code: translate(OBSERVED, code, holiday=text) for code, text in texts.items()}
        found[day] = Holiday(on=day, texts=texts)
    return found


OBSERVED = N_("%(holiday)s (observed)")
_FEDERAL_HOLIDAYS = {
    "New Year's Day": N_("New Year’s Day"),
    "Martin Luther King Jr. Day": N_("Martin Luther King Jr. Day"),
    "Washington's Birthday": N_("Presidents’ Day"),
    "Memorial Day": N_("Memorial Day"),
    "Juneteenth National Independence Day": N_("Juneteenth"),
    "Independence Day": N_("Independence Day"),
    "Labor Day": N_("Labor Day"),
    "Columbus Day": N_("Columbus Day"),
    "Veterans Day": N_("Veterans Day"),
    "Thanksgiving Day": N_("Thanksgiving Day"),
    "Christmas Day": N_("Christmas Day"),
}
"""By the name that the package `holidays` has for it: what our pages call it (message id)."""


@dataclass(frozen=True, kw_only=True)
class Contact(Section):
    """How soon, how often and at which hours of the person's local day the clinic gets in touch."""

    response_minutes: Annotated[int, toml_schema.whole_number(5, 2880)]
    calls_at_most: Annotated[int, toml_schema.whole_number(1, 6)]
    calls_per_day: Annotated[int, toml_schema.whole_number(1, 3)]
    texts_at_most: Annotated[int, toml_schema.whole_number(1, 10)]
    emails_at_most: Annotated[int, toml_schema.whole_number(1, 10)]
    contacts_per_24h: Annotated[int, toml_schema.whole_number(1, 3)]
    call_from: Annotated[time, toml_schema.CLOCK]
    call_until: Annotated[time, toml_schema.CLOCK]

    def at_most(self, channel: Channel) -> int:
        """The maximum number of contacts on `channel` for one request."""
        return {
            Channel.CALL: self.calls_at_most,
            Channel.TEXT: self.texts_at_most,
            Channel.EMAIL: self.emails_at_most,
        }[channel]

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.call_from >= self.call_until:
            yield "call_until", "must be later than call_from."
        if self.call_from < EARLIEST:
            yield "call_from", 'must not be before "08:00": federal rules allow no earlier call.'
        if self.call_until > LATEST:
            yield "call_until", 'must not be after "21:00": federal rules allow no later call.'


@dataclass(frozen=True, kw_only=True)
class Retention(Section):
    """Retention periods."""

    open_days: Annotated[int, toml_schema.whole_number(1, 180)]
    closed_days: Annotated[int, toml_schema.whole_number(1, 180)]
    stopped_hours: Annotated[int, toml_schema.whole_number(1, 72)]
    submission_days: Annotated[int, toml_schema.whole_number(1, 30)]
    proof_years: Annotated[int, toml_schema.whole_number(0, 6)]


@dataclass(frozen=True, kw_only=True)
class Notices(Section):
    """Who is notified of new requests, and who when one is not opened or a health check fails."""

    recipients: tuple[Annotated[str, toml_schema.ADDRESS], ...]
    second_contacts: tuple[Annotated[str, toml_schema.ADDRESS], ...]
    allowed_domains: tuple[Annotated[str, toml_schema.DOMAIN], ...]
    reminder_minutes: Annotated[int, toml_schema.whole_number(15, 1440)]

    def problems(self) -> Iterator[tuple[str, str]]:
        for key in ("recipients", "second_contacts"):
            addresses = getattr(self, key)
            if not addresses:
                yield key, "must name at least one address: otherwise nobody hears of a request."
            if len({each.lower() for each in addresses}) < len(addresses):
                yield key, "names the same address twice."
            if any(each.rpartition("@")[2].lower() not in self.allowed_domains for each in addresses):
                yield key, "has an address whose domain is not in allowed_domains."


@dataclass(frozen=True, kw_only=True)
class Article(Section):
    """One of the two articles shown as outside reading."""

    title: Annotated[str, toml_schema.TEXT]
    publisher: Annotated[str, toml_schema.TEXT]
    date: Annotated[ArticleDate | None, toml_schema.DATE] = None
    url: Annotated[str, toml_schema.HTTPS]
    language: Annotated[str, toml_schema.LANGUAGE]
    summary: Multilingual


@dataclass(frozen=True, kw_only=True)
class LifelineKeys(Section):
    """How to reach the crisis line in another language: the key to press, the word to text."""

    press: Annotated[str, toml_schema.TEXT]
    text: Annotated[str, toml_schema.TEXT]


@dataclass(frozen=True, kw_only=True)
class Lifeline(Section):
    """The suicide and crisis line by call, text and chat."""

    call: Annotated[str, toml_schema.HELP_LINE]
    text: Annotated[str, toml_schema.HELP_LINE]
    chat: Annotated[str, toml_schema.HTTPS]
    languages: Mapping[Annotated[str, toml_schema.LANGUAGE], LifelineKeys]


@dataclass(frozen=True, kw_only=True)
class Treatment(Section):
    """The line that helps to find treatment."""

    call: Annotated[str, toml_schema.HELP_LINE]
    tty: Annotated[str, toml_schema.HELP_LINE]


@dataclass(frozen=True, kw_only=True)
class Crisis(Section):
    """Crisis help for every page, and the day on which these numbers were last verified by calling."""

    verified_on: Annotated[date, toml_schema.DATE]
    emergency: Annotated[str, toml_schema.HELP_LINE]
    lifeline: Lifeline
    treatment: Treatment


@dataclass(frozen=True, kw_only=True)
class Privacy(Section):
    """The privacy contact, and the companies that process data for the clinic."""

    contact_name: Annotated[str, toml_schema.TEXT]
    contact_role: Multilingual
    contact_email: Annotated[str, toml_schema.ADDRESS]
    processors: tuple[Multilingual, ...]


@dataclass(frozen=True, kw_only=True)
class Review(Section):
    """Who reviewed a text and when; both are absent until it was reviewed."""

    by: Annotated[str | None, toml_schema.TEXT] = None
    on: Annotated[date | None, toml_schema.DATE] = None

    def problems(self) -> Iterator[tuple[str, str]]:
        if (self.by is None) != (self.on is None):
            yield "", "must have both by and on, or neither."


@dataclass(frozen=True, kw_only=True)
class TextsReviewed(Section):
    """The texts that an expert has to review: each translation, the crisis help, the words on ketamine."""

    translations: Mapping[Annotated[str, toml_schema.LANGUAGE], Review]
    crisis: Review
    ketamine: Review

    def problems(self) -> Iterator[tuple[str, str]]:
        for code in LANGUAGES:
            if code != DEFAULT and code not in self.translations:
                yield f"translations.{code}", "is missing: it must be a table of keys, empty until a review."

    @property
    def unsigned(self) -> list[str]:
        """The keys of the texts that nobody has reviewed yet."""
        reviews = {f"translations.{code}": review for code, review in self.translations.items()}
        reviews |= {"crisis": self.crisis, "ketamine": self.ketamine}
        return [name for name, review in reviews.items() if not review.by]


@dataclass(frozen=True, kw_only=True)
class Embed(Section):
    """The origins that may embed the form in a frame; empty: none."""

    origins: tuple[Annotated[str, toml_schema.ORIGIN], ...]


@dataclass(frozen=True, kw_only=True)
class Clinic(Section):
    """The whole of `clinic.toml`."""

    name: Annotated[str, toml_schema.TEXT]
    legal_name: Annotated[str, toml_schema.TEXT]
    address: tuple[Annotated[str, toml_schema.TEXT], ...]
    phone: Annotated[str, toml_schema.PHONE]
    email: Annotated[str, toml_schema.ADDRESS]
    calls_from: Annotated[str, toml_schema.PHONE]
    licence: Multilingual
    region: Annotated[str, toml_schema.REGION]
    time_zone: Annotated[str, toml_schema.ZONE]
    languages: tuple[Annotated[str, toml_schema.LANGUAGE], ...]
    leave_to: Annotated[str, toml_schema.HTTPS]
    hours: Week
    on_federal_holidays: Annotated[str, ON_FEDERAL_HOLIDAYS] = "closed"
    holidays: tuple[Holiday, ...] = ()
    contact: Contact
    retention: Retention
    notices: Notices
    articles: tuple[Article, ...]
    crisis: Crisis
    privacy: Privacy
    texts_reviewed: TextsReviewed
    embed: Embed

    @cached_property
    def own_holidays(self) -> dict[date, Holiday]:
        """The days with hours of their own that the file lists."""
        return {each.on: each for each in self.holidays}

    @cached_property
    def own_numbers(self) -> frozenset[str]:
        """The numbers of the clinic and of the treatment line, in E.164: nobody is reached there."""
        treatment = self.crisis.treatment
        return frozenset(map(dialable_number, (self.phone, self.calls_from, treatment.call, treatment.tty)))

    def open_on(self, day: date) -> tuple[Span, ...]:
        """The opening hours of a day in the clinic's time zone: its own, else none on a holiday."""
        if own := self.own_holidays.get(day):
            return own.hours
        if self.on_federal_holidays == "closed" and day in federal_holidays(day.year):
            return ()
        return self.hours.days[day.weekday()]

    def open_days(self, first: date, last: date) -> dict[date, tuple[Span, ...]]:
        """The opening hours of each day from `first` to `last`."""
        days = (first + timedelta(days=n) for n in range((last - first).days + 1))
        return {day: self.open_on(day) for day in days}

    def holidays_ahead(self, today: date) -> list[Holiday]:
        """From `today` on, by date: the days that the file lists, and the federal holidays of a year."""
        found: dict[date, Holiday] = {}
        if self.on_federal_holidays == "closed":
            federal = federal_holidays(today.year) | federal_holidays(today.year + 1)
            found = {day: each for day, each in federal.items() if day < today + timedelta(days=365)}
        found |= self.own_holidays
        return [found[day] for day in sorted(found) if day >= today]

    @classmethod
    def modernise(cls, tables: dict[str, Any]) -> dict[str, Any]:
        """Accept also the keys of 0.1: `spanish_press`, `spanish_text`, `texts_reviewed.spanish`."""
        crisis, reviewed = tables.get("crisis"), tables.get("texts_reviewed")
        lifeline = crisis.get("lifeline") if isinstance(crisis, dict) else None
        if isinstance(lifeline, dict) and {"spanish_press", "spanish_text"} <= lifeline.keys():
            spanish = {"press": lifeline.pop("spanish_press"), "text": lifeline.pop("spanish_text")}
            lifeline.setdefault("languages", {}).setdefault("es", spanish)
        if isinstance(reviewed, dict) and "spanish" in reviewed:
            reviewed.setdefault("translations", {}).setdefault("es", reviewed.pop("spanish"))
        return tables

    def problems(self) -> Iterator[tuple[str, str]]:
        if not self.address:
            yield "address", "must have at least one line: a page may not appear without it."
        if not self.languages or len(set(self.languages)) < len(self.languages):
            yield "languages", "must name each language your staff speak once."
        if len(self.own_holidays) < len(self.holidays):
            yield "holidays", "has the same day twice."
        if len(self.articles) != PAIR or len({each.url for each in self.articles}) != PAIR:
            yield "articles", "must be exactly two different articles: one side alone is not shown."


def load(path: Path) -> Clinic:
    """Load `clinic.toml`, with the articles in their fixed order. Raises SettingsError with all problems."""
    clinic = toml_schema.load(path, Clinic)
    # By date, the undated first, and never by what an article says: neither view is put in front.
    return replace(clinic, articles=tuple(sorted(clinic.articles, key=lambda each: each.date or date.min)))


def format_phone(number: str) -> str:
    """A phone number for display: `(305) 555-0142`. One without `+`, such as 988, stays as it is."""
    if not number.startswith("+"):
        return number
    parsed = phonenumbers.parse(number)
    style = "NATIONAL" if parsed.country_code == 1 else "INTERNATIONAL"
    return str(phonenumbers.format_number(parsed, getattr(phonenumbers.PhoneNumberFormat, style)))


def dialable_number(number: str) -> str:
    """A phone number for a `tel:` or `sms:` link: `911`, `+18006624357`."""
    if number.startswith("+") or number.isdigit():
        return number
    parsed = phonenumbers.parse(number, "US")
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))
