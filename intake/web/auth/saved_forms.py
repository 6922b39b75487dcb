"""Saved forms: fields of a form sent after the session ended, sealed into the sign-in page.

A form that is sent after the session ended is answered with the sign-in page. The typed fields travel
in that page as one sealed hidden field, which only the same staff member gets back. Nothing of it is
stored on the server, in a cookie or in a URL.
"""

import base64
import binascii
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from flask import request

from intake.accounts import sessions
from intake.core.errors import NotAllowed
from intake.security import crypto
from intake.security.crypto import Place, Sealed, UnsealError
from intake.web.auth import csrf
from intake.web.auth.csrf import NOT_OUR_PAGE
from intake.web.context import current_service

FIELD = "kept"
"""The hidden field that carries the sealed form, and the purpose of the key that seals it."""
MAX_BYTES = 4000
"""A form of the desk has far less; a longer one was not typed by hand."""


@dataclass(frozen=True)
class SavedForm:
    """A form that was not processed: its endpoint, route arguments and fields."""

    endpoint: str
    arguments: Mapping[str, str]
    fields: Mapping[str, Sequence[str]]

    def value(self, name: str) -> str:
        """The first value of a field, or an empty string."""
        return next(iter(self.fields.get(name, ())), "")


class StalePage(NotAllowed):
    """A form of the same staff member from a session that a newer one has replaced."""

    def __init__(self, sealed_form: str) -> None:
        self.sealed_form = sealed_form
        super().__init__(NOT_OUR_PAGE)


def seal_form(names: Sequence[str]) -> str:
    """Seal these fields of the submitted form; empty when there are none or more than `MAX_BYTES`.

    Also empty for a form without its owner's mark, which is no page of the desk.
    """
    service = current_service()
    fields = {name: request.form.getlist(name) for name in names if name in request.form}
    arguments = {name: str(value) for name, value in (request.view_args or {}).items()}
    plaintext = json.dumps([service.clock().isoformat(), request.endpoint, arguments, fields])
    if not fields or len(plaintext) > MAX_BYTES:
        return ""
    try:
        place = _place(uuid.UUID(request.form.get("csrf", "").partition(csrf.SEPARATOR)[2]))
    except ValueError:
        return ""
    key = service.keyring.app_secrets(FIELD)[-1]
    return base64.urlsafe_b64encode(crypto.seal(key, plaintext, place=place).box).decode()


def unseal_form(sealed: str, staff_id: uuid.UUID) -> SavedForm | None:
    """Open a form sealed by `seal_form` for this staff member; None if foreign, damaged or expired."""
    service = current_service()
    try:
        box = Sealed(base64.urlsafe_b64decode(sealed.encode()))
    except (binascii.Error, ValueError):
        return None
    for key in service.keyring.app_secrets(FIELD):
        try:
            plaintext = crypto.unseal(key, box, place=_place(csrf.owner_mark(staff_id)))
        except UnsealError:
            continue
        at, endpoint, arguments, fields = json.loads(plaintext)
        expired = service.clock() - datetime.fromisoformat(at) >= sessions.ABSOLUTE
        return None if expired else SavedForm(endpoint, arguments, fields)
    return None


def _place(mark: uuid.UUID) -> Place:
    return Place("sign_in", FIELD, mark)
