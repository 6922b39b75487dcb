"""What every template knows: the clinic, the language, the words for times, and where files stand."""

import re
from datetime import date, timedelta
from functools import cache
from typing import Any

from babel.dates import format_date
from flask import Flask
from jinja2 import StrictUndefined

from intake.calling import promise
from intake.calling.promise import OpeningStatus, open_now
from intake.calling.regions import names_of_zone
from intake.conf.clinic import dialable_number, format_phone
from intake.core import i18n
from intake.core.paths import STATIC
from intake.security import crypto
from intake.web.context import current_service, other_language_url, public_path

YEAR = timedelta(days=365)
_SHORT = 10
_HOUR = re.compile(r"(\d) (am|pm|noon)\b")


def prepare(app: Flask) -> None:
    """Teach the templates; a name that a page forgot to give is an error, not an empty place."""
    environment = app.jinja_env
    environment.undefined = StrictUndefined
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.policies["ext.i18n.trimmed"] = True
    environment.add_extension("jinja2.ext.i18n")
    translations: Any = environment  # the extension adds what the type does not know
    translations.install_gettext_callables(i18n.gettext, i18n.ngettext, newstyle=True)
    known = (
        asset,
        public_path,
        other_language_url,
        spoken,
        format_phone,
        dialable_number,
        opening,
        opening_hours,
        zone_phrase,
        on_day,
        in_fours,
    )
    environment.globals.update({each.__name__: each for each in known})
    environment.globals["clinic"] = app.extensions["intake"].clinic


def spoken() -> str:
    """The language of this page."""
    return i18n.current_language.get()


def asset(name: str) -> str:
    """The address of a file of ours, with a mark of its content, so that it may be kept for a year."""
    return f"/static/{name}?v={mark_of(name)}"


def mark_of(name: str) -> str:
    """A short digest of what is in a file under `static/` now."""
    return _mark(name, (STATIC / name).stat().st_mtime_ns)


@cache
def _mark(name: str, _changed: int) -> str:
    return crypto.digest((STATIC / name).read_bytes())[:_SHORT]


def opening() -> OpeningStatus:
    """Whether the clinic is open now, in words."""
    found = open_now(current_service().clinic, current_service().clock(), spoken())
    return OpeningStatus(open=found.open, sentence=unbroken(found.sentence))


def opening_hours() -> str:
    """The clinic's week in words."""
    return unbroken(promise.opening_hours_phrase(current_service().clinic, spoken()))


def unbroken(sentence: str) -> str:
    """With `9 am` and `12 noon` kept on one line."""
    return _HOUR.sub("\\1\N{NO-BREAK SPACE}\\2", sentence)


def zone_phrase() -> str:
    """The clinic's time zone as people say it: `Eastern time`."""
    return i18n.gettext(names_of_zone(current_service().clinic.time_zone).phrase)


def on_day(day: date) -> str:
    """A date in words: `November 3, 2026`, `3 de noviembre de 2026`."""
    return format_date(day, "long", locale=spoken())


def in_fours(letters: str) -> list[str]:
    """A code in groups of four, as it is read aloud and typed."""
    return [letters[place : place + 4] for place in range(0, len(letters), 4)]
