"""Typed words that outlive a session: sealed into the sign-in page, for the one who typed them.

A form that is sent after the session ended is answered with the sign-in. What was typed travels in
that page as one sealed field: nobody else at the same screen can read it, and nobody else gets it
back. Nothing of it is kept here, in a cookie or in an address.
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
"""The hidden field that carries them, and the purpose of the key that seals them."""
MOST = 4000
"""Bytes; a form of the desk has far less, and whatever is longer was not typed by hand."""


@dataclass(frozen=True)
class SavedForm:
    """A form that was not acted on: where it was sent to, and what stood in it."""

    endpoint: str
    arguments: Mapping[str, str]
    fields: Mapping[str, Sequence[str]]

    def word(self, name: str) -> str:
        """The first value of a field, or nothing."""
        return next(iter(self.fields.get(name, ())), "")


class OldPage(NotAllowed):
    """A form of this very staff member, from a session that another has replaced meanwhile."""

    def __init__(self, kept: str) -> None:
        self.kept = kept
        super().__init__(NOT_OUR_PAGE)


def seal_form(names: Sequence[str]) -> str:
    """These fields of the form that was sent, sealed; empty when there are none, or far too much."""
    fields = {name: request.form.getlist(name) for name in names if name in request.form}
    arguments = {name: str(value) for name, value in (request.view_args or {}).items()}
    words = json.dumps([current_service().clock().isoformat(), request.endpoint, arguments, fields])
    whose = request.form.get("csrf", "").partition(csrf.BETWEEN)[2]
    if not fields or len(words) > MOST:
        return ""
    try:
        place = _place(uuid.UUID(whose))
    except ValueError:
        return ""
    return base64.urlsafe_b64encode(crypto.seal(_keys()[-1], words, place=place).box).decode()


def unseal_form(sealed: str, staff_id: uuid.UUID) -> SavedForm | None:
    """What `keep` has sealed for this very staff member within the length of a session, or None."""
    try:
        box = Sealed(base64.urlsafe_b64decode(sealed.encode()))
    except (binascii.Error, ValueError):
        return None
    for key in _keys():
        try:
            return _read(crypto.unseal(key, box, place=_place(csrf.owner_mark(staff_id))))
        except UnsealError:
            continue
    return None


def _read(words: str) -> SavedForm | None:
    at, endpoint, arguments, fields = json.loads(words)
    old = current_service().clock() - datetime.fromisoformat(at) >= sessions.ABSOLUTE
    return None if old else SavedForm(endpoint, arguments, fields)


def _place(mark: uuid.UUID) -> Place:
    return Place("sign_in", FIELD, mark)


def _keys() -> list[bytes]:
    return current_service().keyring.app_secrets(FIELD)
