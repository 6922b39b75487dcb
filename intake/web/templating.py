"""Jinja environment: filters and globals of all templates (clinic, language, dates, static files)."""

import re
from datetime import date, timedelta
from functools import cache
from typing import Any

from babel.dates import format_date
from flask import Flask
from flask.templating import Environment
from jinja2 import StrictUndefined
from markupsafe import Markup

from intake.calling import promise
from intake.calling.promise import OpeningStatus, open_now
from intake.calling.regions import names_of_zone
from intake.conf.clinic import dialable_number, format_phone
from intake.core import i18n
from intake.core.paths import STATIC
from intake.leads.fields import CHOICES
from intake.security import crypto
from intake.web.context import current_service, other_language_url, other_languages

YEAR = timedelta(days=365)
_SHORT = 10
_HOUR = re.compile(r"(\d) (am|pm|noon)\b")


class Application(Flask):
    """Flask with one Jinja environment for each language, whose templates ask that catalogue directly."""

    def __init__(self, import_name: str, **options: Any) -> None:
        super().__init__(import_name, **options)
        self.environments: dict[str, Environment] = {}

    @property
    def jinja_env(self) -> Environment:
        """The environment of the language in use; before `init_app` the one that all are copied from."""
        return self.environments.get(i18n.current_language.get()) or super().jinja_env


def init_app(app: Application) -> None:
    """Set up Jinja for every language, once all blueprints are registered.

    An undefined variable is an error, not an empty string. What every public page says alike, the crisis
    lines and who we are, is rendered here once in each language.
    """
    environment: Any = app.jinja_env  # the extension adds what the type does not know
    environment.undefined = StrictUndefined
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.policies["ext.i18n.trimmed"] = True
    environment.add_extension("jinja2.ext.i18n")
    helpers = (
        asset,
        i18n.public_path,
        other_language_url,
        other_languages,
        languages,
        i18n.language_name,
        i18n.translate,
        page_language,
        format_phone,
        dialable_number,
        opening,
        opening_hours,
        zone_phrase,
        on_day,
        in_fours,
    )
    environment.globals.update({each.__name__: each for each in helpers})
    environment.globals["clinic"] = app.extensions["intake"].clinic
    environment.globals["optional_questions"] = tuple(CHOICES.values())
    for language in i18n.LANGUAGES:
        environment.install_gettext_translations(i18n.catalogue(language), newstyle=True)
        app.environments[language] = environment.overlay()
        app.environments[language].globals = dict(environment.globals)
        with i18n.using_language(language):
            for name in ("crisis", "contact"):
                words = app.environments[language].get_template(f"_{name}.html").render().strip()
                app.environments[language].globals[f"{name}_lines"] = Markup(words)  # noqa: S704  escaped above


def page_language() -> str:
    """The language of this page."""
    return i18n.current_language.get()


def languages() -> list[tuple[str, str]]:
    """The languages of the pages: code, and name in the language in use."""
    return [(code, i18n.language_name(code)) for code in i18n.LANGUAGES]


def asset(name: str) -> str:
    """The URL of a static file with a hash of its content, so that browsers may cache it for a year."""
    return f"/static/{name}?v={content_hash(name)}"


def content_hash(name: str) -> str:
    """A short digest of the current content of a file under `static/`."""
    return _content_hash(name, (STATIC / name).stat().st_mtime_ns)


@cache
def _content_hash(name: str, _modified: int) -> str:
    return crypto.digest((STATIC / name).read_bytes())[:_SHORT]


def opening() -> OpeningStatus:
    """Whether the clinic is open now, in words."""
    found = open_now(current_service().clinic, current_service().clock(), page_language())
    return OpeningStatus(open=found.open, sentence=with_no_break_spaces(found.sentence))


def opening_hours() -> str:
    """The clinic's week in words."""
    return with_no_break_spaces(promise.opening_hours_phrase(current_service().clinic, page_language()))


def with_no_break_spaces(sentence: str) -> str:
    """The sentence with no-break spaces in times such as `9 am` and `12 noon`."""
    return _HOUR.sub("\\1\N{NO-BREAK SPACE}\\2", sentence)


def zone_phrase() -> str:
    """The name of the clinic's time zone: `Eastern time`."""
    return i18n.gettext(names_of_zone(current_service().clinic.time_zone).phrase)


def on_day(day: date) -> str:
    """A date in words: `November 3, 2026`, `3 de noviembre de 2026`."""
    return format_date(day, "long", locale=page_language())


def in_fours(code: str) -> list[str]:
    """A code in groups of four characters."""
    return [code[place : place + 4] for place in range(0, len(code), 4)]
