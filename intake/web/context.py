"""Request context: the running service, the language of the path, addresses in both languages."""

from typing import cast

from flask import current_app, request

from intake.core import i18n
from intake.instance import Instance

SPANISH = "/es"
STAFF_BLUEPRINTS = frozenset({"login", "joining", "desk", "status", "dev"})
"""Blueprints of staff pages: these may send a referrer to our own site."""


def current_service() -> Instance:
    """The service that answers this request."""
    return cast("Instance", current_app.extensions["intake"])


def language_of(path: str) -> str:
    """The language of a public path; its prefix decides, never a header."""
    return "es" if path == SPANISH or path.startswith(f"{SPANISH}/") else i18n.DEFAULT


def set_language_from_path() -> None:
    """Set the language in use for this request."""
    i18n.current_language.set(language_of(request.path))


def public_path(path: str, language: str | None = None) -> str:
    """A public path in `spoken` (default: the language in use): `/privacy` or `/es/privacy`."""
    return f"{SPANISH}{path}" if (language or i18n.current_language.get()) == "es" else path


def other_language_url() -> str:
    """The address of this very page in the other language."""
    other = "en" if i18n.current_language.get() == "es" else "es"
    if not request.endpoint or request.blueprint in STAFF_BLUEPRINTS or request.endpoint == "static":
        return public_path("/", other)
    return public_path(request.path.removeprefix(SPANISH) or "/", other)


def is_staff_page() -> bool:
    """Whether a staff page answers this request."""
    return request.blueprint in STAFF_BLUEPRINTS
