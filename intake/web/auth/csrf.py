"""CSRF protection of staff forms: the request's origin, and a token bound to the session."""

import hmac
import uuid
from urllib.parse import urlsplit

from flask import g, request

from intake.core.errors import NotAllowed
from intake.core.i18n import N_
from intake.security import crypto
from intake.web.auth import cookies
from intake.web.context import current_service

NOT_OUR_PAGE = N_("This did not come from a page of this desk. Open the page again and repeat what you did.")
SEPARATOR = "."
_DEFAULT_PORTS = {"http": 80, "https": 443}


def require_same_origin() -> None:
    """Raises NotAllowed when the browser says that the request came from another origin than ours.

    Sec-Fetch-Site decides where it is sent; older browsers and plain http send Origin or Referer. A
    request with none of the three comes from no browser, and the CSRF token decides alone.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        if site != "same-origin":
            raise NotAllowed(NOT_OUR_PAGE)
        return
    origin = request.headers.get("Origin") or request.headers.get("Referer")
    if origin and _origin(origin) not in (
        _origin(current_service().settings.base_url),
        _origin(request.host_url),
    ):
        raise NotAllowed(NOT_OUR_PAGE)


def _origin(address: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of a URL; None where it cannot be parsed."""
    try:
        parts = urlsplit(address)
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname else None


def csrf_token() -> str:
    """The token for the hidden field `csrf`, bound to this session or to the login nonce."""
    return _tokens()[-1]


def require_token() -> None:
    """Raises NotAllowed unless the form carries the token of this very session."""
    submitted = request.form.get("csrf", "").encode("utf-8", "replace")
    if not any([crypto.constant_time_equal(submitted, token.encode()) for token in _tokens()]):  # noqa: C419  all are compared
        raise NotAllowed(NOT_OUR_PAGE)


def _tokens() -> list[str]:
    """The token under each app key, made once for a request and whoever it is of.

    A page of a staff member bears a keyed hash of theirs, too, by which they get back what they typed.
    """
    found = g.get("found")
    if "csrf_tokens" not in g or g.csrf_tokens_of is not found:
        keyring = current_service().keyring
        bound_to = found.id.bytes if found else keyring.blind_index("door", cookies.login_nonce())
        mark = f"{SEPARATOR}{owner_mark(found.member.id).hex}" if found else ""
        keys = keyring.app_secrets("csrf")
        g.csrf_tokens = [f"{hmac.digest(key, bound_to, 'sha256').hex()}{mark}" for key in keys]
        g.csrf_tokens_of = found
    tokens: list[str] = g.csrf_tokens
    return tokens


def owner_mark(staff_id: uuid.UUID) -> uuid.UUID:
    """A keyed hash of a staff member's id, the same for every page of theirs."""
    return uuid.UUID(bytes=current_service().keyring.blind_index("whose page", str(staff_id))[:16])
