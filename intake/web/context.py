"""Request context: the running service, the language of the path, addresses in every language."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from flask import current_app, g, request

from intake.accounts.permissions import StaffAct
from intake.act import Act
from intake.audit import Actor
from intake.core import i18n
from intake.instance import Instance

STAFF_BLUEPRINTS = frozenset({"login", "joining", "desk", "status", "dev"})
"""Blueprints of staff pages: these may send a referrer to our own site."""


def current_service() -> Instance:
    """The service that answers this request."""
    return cast("Instance", current_app.extensions["intake"])


def set_language_from_path() -> None:
    """Set the language in use for this request."""
    i18n.current_language.set(i18n.language_of(request.path))


def other_languages() -> list[tuple[str, str]]:
    """The languages of the pages that this one is not in: code, and name in that language."""
    return [(code, i18n.own_name(code)) for code in i18n.LANGUAGES if code != i18n.current_language.get()]


def other_language_url(other: str) -> str:
    """The address of this very page in another language."""
    if not request.endpoint or request.blueprint in STAFF_BLUEPRINTS or request.endpoint == "static":
        return i18n.public_path("/", other)
    prefix = i18n.path_prefix(i18n.language_of(request.path))
    return i18n.public_path(request.path.removeprefix(prefix) or "/", other)


def is_staff_page() -> bool:
    """Whether a staff page answers this request."""
    return request.blueprint in STAFF_BLUEPRINTS


@contextmanager
def service_act(actor: Actor | None = None, *, use_reserve: bool = True) -> Iterator[Act]:
    """One write transaction for this request; the service itself acts unless an actor is named."""
    service = current_service()
    with service.database.transaction(use_reserve=use_reserve) as session:
        yield Act(session, service, actor)


@contextmanager
def service_read() -> Iterator[Act]:
    """One read transaction for this request."""
    service = current_service()
    with service.database.reading() as session:
        yield Act(session, service)


@contextmanager
def staff_act() -> Iterator[StaffAct]:
    """One write transaction of the staff member who is signed in."""
    service = current_service()
    with service.database.transaction() as session:
        yield StaffAct(session, service, g.member)


@contextmanager
def staff_read() -> Iterator[StaffAct]:
    """One read transaction of the staff member who is signed in."""
    service = current_service()
    with service.database.reading() as session:
        yield StaffAct(session, service, g.member)
