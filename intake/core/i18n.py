"""Translations for English and Spanish: catalogues from `locales/*.po`, compiled in memory.

English is the message id itself. A `.mo` file never exists, so it can never be out of date.
"""

from contextlib import contextmanager
from contextvars import ContextVar
from datetime import time
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from typing import TYPE_CHECKING

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from intake.core.paths import LOCALES

if TYPE_CHECKING:
    from collections.abc import Iterator

LANGUAGES = ("en", "es")
DEFAULT = "en"
_NOON = 12
_PARTS_OF_DAY = ((12, "de la mañana"), (20, "de la tarde"), (24, "de la noche"))

current_language: ContextVar[str] = ContextVar("language", default=DEFAULT)
"""The language of the current request, command or message."""


def N_(msgid: str) -> str:  # noqa: N802  the customary name that string extraction looks for
    """Mark a string for extraction without translating it; it is translated when it is shown."""
    return msgid


@cache
def catalogue(language: str) -> NullTranslations:
    """The compiled catalogue of one of LANGUAGES. Raises KeyError for any other."""
    if language not in LANGUAGES:
        raise KeyError(language)
    path = LOCALES / f"{language}.po"
    if not path.exists():
        return NullTranslations()
    compiled = BytesIO()
    with path.open("rb") as source:
        write_mo(compiled, read_po(source, locale=language))
    compiled.seek(0)
    return GNUTranslations(compiled)


def gettext(msgid: str) -> str:
    """The translation in the current language; an empty id stays empty."""
    return catalogue(current_language.get()).gettext(msgid) if msgid else ""


def ngettext(one: str, many: str, n: int) -> str:
    """The singular or plural for `n` in the current language."""
    return catalogue(current_language.get()).ngettext(one, many, n)


def translate(msgid: str, language: str | None = None, **values: object) -> str:
    """The translation in `language` (default: the current one), with `%(name)s` filled from `values`."""
    sentence = catalogue(language or current_language.get()).gettext(msgid) if msgid else ""
    return sentence % values if values else sentence


@contextmanager
def using_language(language: str) -> "Iterator[None]":
    """Set the current language for the block."""
    token = current_language.set(language)
    try:
        yield
    finally:
        current_language.reset(token)


def hour_phrase(at: time, language: str | None = None) -> str:
    """A time of day as it is spoken: 9 am, 12 noon, 5:30 pm; 9 de la mañana, 12 del mediodía."""
    language = language or current_language.get()
    figure = f"{at.hour % 12 or 12}" + (f":{at.minute:02}" if at.minute else "")
    if at == time(12):
        return f"{figure} {'noon' if language == 'en' else 'del mediodía'}"
    if language == "en":
        return f"{figure} {'am' if at.hour < _NOON else 'pm'}"
    part = next(phrase for until, phrase in _PARTS_OF_DAY if at.hour < until)
    return f"{figure} {part}"
