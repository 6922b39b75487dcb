"""What a page needs to know about where it stands: the running service, its language, its own addresses."""

from typing import cast

from flask import current_app, request

from intake.core import i18n
from intake.instance import Instance

SPANISH = "/es"
STAFF = frozenset({"login", "joining", "desk", "status", "dev"})
"""Blueprints behind the staff door: their pages may tell our own site where a click came from."""


def here() -> Instance:
    """The service that answers this request."""
    return cast("Instance", current_app.extensions["intake"])


def language_of(path: str) -> str:
    """The language a public path speaks: its prefix decides, never a header or an address."""
    return "es" if path == SPANISH or path.startswith(f"{SPANISH}/") else i18n.DEFAULT


def speak_as_the_path_says() -> None:
    """Set the language in use for this request."""
    i18n.in_use.set(language_of(request.path))


def to(path: str, spoken: str | None = None) -> str:
    """A public path in `spoken` (default: the language in use): `/privacy` or `/es/privacy`."""
    return f"{SPANISH}{path}" if (spoken or i18n.in_use.get()) == "es" else path


def twin() -> str:
    """The address of this very page in the other language."""
    other = "en" if i18n.in_use.get() == "es" else "es"
    if not request.endpoint or request.blueprint in STAFF or request.endpoint == "static":
        return to("/", other)
    return to(request.path.removeprefix(SPANISH) or "/", other)


def for_staff() -> bool:
    """Whether a staff page answers this request."""
    return request.blueprint in STAFF
