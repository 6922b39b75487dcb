"""Load a TOML file into typed, frozen dataclasses, and report every problem at once.

A `Section` is one TOML table. A field's annotation says how it is validated: `Annotated[str, PHONE]` by
the rule PHONE, another Section as a nested table, `tuple[..., ...]` as a list, `Texts` as a text in
each language. A marshmallow schema is derived from them. Problems name the key and how to write it, never
the value. The rules for single values are at the end of the module.
"""

import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import MISSING, fields
from datetime import date, datetime, time
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar, cast, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit
from zoneinfo import available_timezones

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from marshmallow import RAISE, Schema, ValidationError, post_load
from marshmallow import fields as keys

from intake.core.errors import SettingsError
from intake.core.i18n import LANGUAGES

SELF = "_schema"  # marshmallow's key for errors of a table as a whole
UNKNOWN = "is not a key we know here. Check its spelling, or take it out."
UNKNOWN_LANGUAGE = "is not a key we know here, nor a language that has a catalogue in intake/locales."
TABLE = "must be a table of keys, not a single value."
LIST = "must be a list in square brackets."

S = TypeVar("S", bound="Section")


class RuleViolation(ValueError):
    """A value breaks a rule; the message replaces the rule's general one."""


class Rule(NamedTuple):
    """How one value is written (`wanted`, for messages); `parse` returns it, or raises ValueError."""

    wanted: str
    parse: Callable[[Any], Any]


class Section:
    """A TOML table as a frozen dataclass. `problems` validates across its keys."""

    def problems(self) -> Iterator[tuple[str, str]]:
        """(key, what to do); an empty key means the table as a whole."""
        return iter(())

    @classmethod
    def modernise(cls, tables: dict[str, Any]) -> dict[str, Any]:
        """The tables of an earlier version's file with today's keys; for a section that is a whole file."""
        return tables


def load(path: Path, section: type[S]) -> S:
    """Load `path` as `section`. Raises SettingsError with every problem of the file."""
    try:
        loaded = _parse(path.read_text(encoding="utf-8"), cast("Any", section))
    except OSError:
        raise SettingsError([f"{path.name}: is missing or cannot be read."]) from None
    except UnicodeDecodeError:
        raise SettingsError([f"{path.name}: must be saved as UTF-8."]) from None
    except tomllib.TOMLDecodeError as wrong:
        raise SettingsError([f"{path.name}: is not written as TOML: {wrong}."]) from None
    except ValidationError as wrong:
        raise SettingsError([f"{path.name}: {line}" for line in _lines(wrong.messages)]) from None
    return cast("S", loaded)


@lru_cache(maxsize=16)
def _parse(text: str, section: type[Section]) -> Section:
    """The section in a file's text. The same text is validated once; the sections are frozen."""
    return cast("Section", _schema_of(cast("Any", section))().load(section.modernise(tomllib.loads(text))))


def _lines(messages: Any, at: tuple[str, ...] = ()) -> Iterator[str]:
    """Marshmallow's nested messages as `key.of.table: sentence`, lists counted from 1."""
    if not isinstance(messages, Mapping):
        yield from (": ".join((".".join(at), sentence)).lstrip(": ") for sentence in messages)
        return
    for key, inner in messages.items():
        step = () if key == SELF else (str(key + 1) if isinstance(key, int) else str(key),)
        yield from _lines(_join_key_and_value(inner), at + step)


def _join_key_and_value(messages: Any) -> Any:
    """Join the errors that marshmallow reports separately for `key` and `value` of a Dict."""
    if isinstance(messages, Mapping) and messages and set(messages) <= {"key", "value"}:
        return {SELF: messages["key"]} if "key" in messages else messages["value"]
    return messages


class _SectionSchema(Schema):
    section: type[Section]
    texts: str | None = None
    """The name of the field that holds a text for each language; their keys are the languages' codes."""

    class Meta:
        unknown = RAISE
        register = False

    @post_load
    def build(self, values: dict[str, Any], **_: Any) -> Section:
        """Build the dataclass once every single value is valid. Raises ValidationError from `problems`."""
        if self.texts:
            values[self.texts] = {code: values.pop(code) for code in LANGUAGES}
        section = self.section(**values)
        wrong: dict[Any, Any] = {}
        for key, sentence in section.problems():
            wrong.setdefault(key or SELF, []).append(sentence)
        if wrong:
            raise ValidationError(wrong)
        return section


@cache
def _schema_of(section: type[Section]) -> type[Schema]:
    """A schema with one field per field of the dataclass; those without a default are required."""
    hints = get_type_hints(section, include_extras=True)
    schema_fields: dict[str, Any] = {
        each.name: _field(hints[each.name], required=each.default is MISSING)
        for each in fields(cast("Any", section))
        if hints[each.name] != Texts
    }
    texts = next((name for name, hint in hints.items() if hint == Texts), None)
    if texts:
        schema_fields |= {code: _RuleField(TEXT, required=True) for code in LANGUAGES}
    unknown = UNKNOWN_LANGUAGE if texts else UNKNOWN
    extra = {"section": section, "texts": texts, "error_messages": {"unknown": unknown, "type": TABLE}}
    return type("SectionSchema", (_SectionSchema,), schema_fields | extra)


def _field(hint: Any, *, required: bool = True) -> keys.Field[Any]:
    if get_origin(hint) is Annotated:
        return _RuleField(get_args(hint)[1], required=required)
    if get_origin(hint) is tuple:
        return _TupleField(_field(get_args(hint)[0]), required=required, error_messages=_error_messages(LIST))
    if get_origin(hint) is Mapping:
        key, value = get_args(hint)
        return keys.Dict(_field(key), _field(value), required=required, error_messages=_error_messages(TABLE))
    return keys.Nested(_schema_of(hint), required=required, error_messages=_error_messages(TABLE))


def _error_messages(wanted: str) -> dict[str, Any]:
    return {"required": f"is missing: it {wanted}", "null": wanted, "invalid": wanted, "type": wanted}


class _RuleField(keys.Field[Any]):
    """A marshmallow field that validates with a Rule."""

    def __init__(self, rule: Rule, *, required: bool) -> None:
        self.rule = rule
        super().__init__(required=required, error_messages=_error_messages(rule.wanted))

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> Any:
        try:
            return self.rule.parse(value)
        except RuleViolation as wrong:
            raise ValidationError(str(wrong)) from None
        except (ValueError, TypeError, AttributeError):
            raise ValidationError(self.rule.wanted) from None


class _TupleField(keys.List[Any]):
    """A marshmallow list that becomes a tuple."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        return tuple(super()._deserialize(value, attr, data, **kwargs))


_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}")
_REGION = re.compile(r"US-[A-Z]{2}")
_SHORT_NUMBER = re.compile(r"\d{3,6}")
_MAX_LENGTH = 1000
_ZONES = frozenset(available_timezones())


class Span(NamedTuple):
    """A part of a day in local time, from `opens` up to but without `closes`."""

    opens: time
    closes: time


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > _MAX_LENGTH:
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
    """E.164. A possible number is enough, since numbers reserved for examples are not assigned."""
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
        return validate_email(_text(value), check_deliverability=False).normalized
    except EmailNotValidError:
        raise ValueError from None


def _matching(pattern: "re.Pattern[str]") -> Any:
    def parse(value: Any) -> str:
        if not pattern.fullmatch(value):
            raise ValueError
        return str(value)

    return parse


def _https(value: Any) -> str:
    parts = urlsplit(_text(value))
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
        raise RuleViolation("must open before it closes, within one day.")
    if any(before.closes > after.opens for before, after in pairwise(found)):
        raise RuleViolation("has parts that overlap or are not in order.")
    return found


def whole_number(least: int, most: int) -> Rule:
    """A whole number from `least` to `most`, both included."""

    def parse(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError
        return value

    return Rule(f"must be a whole number from {least} to {most}.", parse)


def one_of(choices: Collection[str]) -> Rule:
    """One of `choices`."""

    def parse(value: Any) -> str:
        if value not in choices:
            raise ValueError
        return str(value)

    return Rule(f"must be one of {', '.join(choices)}, in quotes.", parse)


def hours_or(none: str) -> Rule:
    """Hours of one day, or the word `none` for a day without any."""
    wanted = f'must be "{none}", or hours like "09:00-18:00" or "09:00-12:00, 14:00-18:00".'
    return Rule(wanted, lambda value: _spans(value, none))


Texts = Annotated[Mapping[str, str], "a key for each language"]
"""Of a section: `en = "…"`, `es = "…"` and so on, one text for each of LANGUAGES."""
TEXT = Rule("must be words in quotes, on one line and not empty.", _text)
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
