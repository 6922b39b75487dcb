"""How the values of the configuration files are written: one Rule each, with its sentence."""

import re
from collections.abc import Collection
from datetime import date, datetime, time
from itertools import pairwise
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import available_timezones

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from intake.conf.toml_schema import Rule, Wrong
from intake.core.i18n import LANGUAGES

_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}")
_REGION = re.compile(r"US-[A-Z]{2}")
_SHORT_NUMBER = re.compile(r"\d{3,6}")
_LONGEST = 1000
_ZONES = frozenset(available_timezones())


class Span(NamedTuple):
    """A part of a day on the clock of some zone, from `opens` up to but without `closes`."""

    opens: time
    closes: time


def _words(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > _LONGEST:
        raise ValueError
    return value.strip()


def _clock(value: Any) -> time:
    found = _CLOCK.fullmatch(value)
    if not found:
        raise ValueError
    return time(int(found[1]), int(found[2]))


def _date(value: Any) -> date:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise TypeError
    return value


def _zone(value: Any) -> str:
    if value not in _ZONES:
        raise ValueError
    return str(value)


def _phone(value: Any) -> str:
    """E.164. Possible is enough: numbers kept for examples are not assigned to anybody."""
    if not re.fullmatch(r"\+\d{8,15}", value) or not _possible(value, None):
        raise ValueError
    return str(value)


def _help_line(value: Any) -> str:
    if not _SHORT_NUMBER.fullmatch(value) and not _possible(value, "US"):
        raise ValueError
    return str(value)


def _possible(number: str, region: str | None) -> bool:
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False


def _address(value: Any) -> str:
    try:
        return validate_email(_words(value), check_deliverability=False).normalized
    except EmailNotValidError:
        raise ValueError from None


def _matching(pattern: "re.Pattern[str]") -> Any:
    def parse(value: Any) -> str:
        if not pattern.fullmatch(value):
            raise ValueError
        return str(value)

    return parse


def _https(value: Any) -> str:
    parts = urlsplit(_words(value))
    plain = parts.scheme == "https" and not parts.username and not parts.password
    if not plain or " " in value or not _DOMAIN.fullmatch(parts.hostname or ""):
        raise ValueError
    return str(value)


def _origin(value: Any) -> str:
    parts = urlsplit(_https(value))
    if parts.path or parts.query or parts.fragment or value != value.lower():
        raise ValueError
    return str(value)


def _spans(value: Any, none: str) -> tuple[Span, ...]:
    if value == none:
        return ()
    found = tuple(Span(*map(_clock, part.strip().split("-"))) for part in value.split(","))
    if any(span.opens >= span.closes for span in found):
        raise Wrong("must open before it closes, within one day.")
    if any(before.closes > after.opens for before, after in pairwise(found)):
        raise Wrong("has parts that overlap or are not in order.")
    return found


def whole(least: int, most: int) -> Rule:
    """A whole number between two bounds, both allowed."""

    def parse(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError
        return value

    return Rule(f"must be a whole number from {least} to {most}.", parse)


def one_of(choices: Collection[str]) -> Rule:
    """One word of a few."""

    def parse(value: Any) -> str:
        if value not in choices:
            raise ValueError
        return str(value)

    return Rule(f"must be one of {', '.join(choices)}, in quotes.", parse)


def hours_or(none: str) -> Rule:
    """Hours of one day, or the word for a day without any."""
    wanted = f'must be "{none}", or hours like "09:00-18:00" or "09:00-12:00, 14:00-18:00".'
    return Rule(wanted, lambda value: _spans(value, none))


WORDS = Rule("must be words in quotes, on one line and not empty.", _words)
CLOCK = Rule('must be a time of day in quotes, like "09:00".', _clock)
DATE = Rule("must be a real date without quotes, like 2026-11-03.", _date)
ZONE = Rule('must be the name of a time zone in quotes, like "America/New_York".', _zone)
REGION = Rule('must be the code of a state or territory in quotes, like "US-FL".', _matching(_REGION))
LANGUAGE = one_of(LANGUAGES)
PHONE = Rule('must be a phone number with + and country code, in quotes, like "+13055550142".', _phone)
HELP_LINE = Rule('must be a number people can dial, in quotes, like "988" or "1-800-662-4357".', _help_line)
ADDRESS = Rule('must be an email address in quotes, like "intake@example.org".', _address)
DOMAIN = Rule('must be a domain in small letters, in quotes, like "example.org".', _matching(_DOMAIN))
HTTPS = Rule(
    'must be a whole web address that starts with https://, like "https://example.org/page".', _https
)
ORIGIN = Rule('must be like "https://www.example.org": small letters, no path, no slash at the end.', _origin)
