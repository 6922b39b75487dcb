"""The languages of the service: catalogues from `locales/*.po`, compiled in memory, and hours as spoken.

English is the message id itself. A `.mo` file never exists, so it can never be out of date.
"""

from collections.abc import Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import time
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from babel import Locale
from babel.dates import format_time
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT = "en"
LOCALES = Path(__file__).resolve().parents[1] / "locales"


class HourWords(NamedTuple):
    """A time of day as it is spoken on a clock of twelve hours.

    `parts`: until which hour each part of the day goes, and what it is called. `articles`: before 1 o'clock,
    before the others, in a sentence. `short`: the words are short enough for the desk's lists and pictures.
    """

    noon: str
    parts: tuple[tuple[int, str], ...]
    articles: tuple[str, str] = ("", "")
    short: bool = False


class Language(NamedTuple):
    """What a language has beside its catalogue. What is left out is said as CLDR has it."""

    locale: str
    day: str = ""
    """The pattern (CLDR) of a date with its weekday and without its year."""
    hours: HourWords | None = None


_SPECIAL = {
    DEFAULT: Language("en_US", "EEEE, MMMM d", HourWords("noon", ((12, "am"), (24, "pm")), short=True)),
    "es": Language(
        "es_US",
        "EEEE d 'de' MMMM",
        HourWords(
            "del mediodía",
            ((12, "de la mañana"), (20, "de la tarde"), (24, "de la noche")),
            articles=("la ", "las "),
        ),
    ),
}


LANGUAGES: Mapping[str, Language] = {
    code: _SPECIAL.get(code, Language(code))
    for code in (DEFAULT, *sorted(path.stem for path in LOCALES.glob("*.po")))
}
"""The languages of the pages by code (ISO 639): English, and every one that has a catalogue."""

current_language: ContextVar[str] = ContextVar("language", default=DEFAULT)
"""The language of the current request, command or message."""


def N_(msgid: str) -> str:  # noqa: N802  the customary name that string extraction looks for
    """Mark a string for extraction without translating it; it is translated when it is shown."""
    return msgid


class _Catalogue(GNUTranslations):
    """A catalogue without its header, which gettext keeps as the translation of the empty id."""

    def _parse(self, fp: Any) -> None:
        super()._parse(fp)
        del self._catalog[""]  # type: ignore[attr-defined]


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
    return _Catalogue(compiled)


def gettext(msgid: str) -> str:
    """The translation in the current language; an empty id stays empty."""
    return catalogue(current_language.get()).gettext(msgid)


def ngettext(one: str, many: str, n: int) -> str:
    """The singular or plural for `n` in the current language."""
    return catalogue(current_language.get()).ngettext(one, many, n)


def translate(msgid: str, language: str | None = None, /, **values: object) -> str:
    """The translation in `language` (default: the current one), with `%(name)s` filled from `values`."""
    sentence = catalogue(language or current_language.get()).gettext(msgid)
    return sentence % values if values else sentence


@contextmanager
def using_language(language: str) -> "Iterator[None]":
    """Set the current language for the block."""
    token = current_language.set(language)
    try:
        yield
    finally:
        current_language.reset(token)


def language_name(code: str, language: str | None = None) -> str:
    """The name of a language in `language` (default: the current one), as in a sentence: `inglés`."""
    return Locale.parse(code).get_language_name(language or current_language.get()) or code


def own_name(code: str) -> str:
    """The name of a language in that language, as on a button: `Español`."""
    name = language_name(code, code)
    return name[:1].upper() + name[1:]


def path_prefix(language: str) -> str:
    """What the public addresses of a language begin with: nothing for English, else `/es`."""
    return "" if language == DEFAULT else f"/{language}"


def public_path(path: str, language: str | None = None) -> str:
    """A public path in `language` (default: the language in use): `/privacy` or `/es/privacy`."""
    return f"{path_prefix(language or current_language.get())}{path}"


def language_of(path: str) -> str:
    """The language of a public path; its prefix decides, never a header."""
    first = path.split("/", 2)[1] if path.startswith("/") else ""
    return first if first in LANGUAGES else DEFAULT


def hour_phrase(at: time, language: str | None = None) -> str:
    """A time of day as it is spoken: 9 am, 12 noon, 5:30 pm; 9 de la mañana, 12 del mediodía."""
    language = language or current_language.get()
    words = LANGUAGES[language].hours
    if not words:
        return str(format_time(at, "short", locale=LANGUAGES[language].locale))
    figure = f"{at.hour % 12 or 12}" + (f":{at.minute:02}" if at.minute else "")
    if at == time(12):
        return f"{figure} {words.noon}"
    return f"{figure} {next(phrase for until, phrase in words.parts if at.hour < until)}"
