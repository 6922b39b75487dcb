"""CSRF protection of staff forms: the origin the browser names, and a token of the session."""

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
BETWEEN = "."
_DEFAULT_PORTS = {"http": 80, "https": 443}


def require_same_origin() -> None:
    """Raises NotAllowed when the browser says that the request came from another origin than ours.

    Sec-Fetch-Site decides where it is sent; older browsers and plain http send Origin or Referer. What
    sends none of the three is no browser, and the token that must come along decides alone.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        if site != "same-origin":
            raise NotAllowed(NOT_OUR_PAGE)
        return
    stated = request.headers.get("Origin") or request.headers.get("Referer")
    if stated and _origin(stated) not in (
        _origin(current_service().settings.base_url),
        _origin(request.host_url),
    ):
        raise NotAllowed(NOT_OUR_PAGE)


def _origin(address: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of an address; None where there is none to be read."""
    try:
        parts = urlsplit(address)
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname else None


def csrf_token() -> str:
    """The token for the hidden field `csrf`, bound to this session, or to this sign-in page's nonce."""
    return _tokens()[-1]


def require_token() -> None:
    """Raises NotAllowed unless the form carries the token of this very session."""
    typed = request.form.get("csrf", "").encode("utf-8", "replace")
    if not any([crypto.constant_time_equal(typed, token.encode()) for token in _tokens()]):  # noqa: C419  all are compared
        raise NotAllowed(NOT_OUR_PAGE)


def _tokens() -> list[str]:
    bound_to = g.get("bound_to") or _nonce_hash()
    tokens = [
        hmac.digest(key, bound_to, "sha256").hex() for key in current_service().keyring.app_secrets("csrf")
    ]
    return [with_owner_mark(each, g.whose) for each in tokens] if "whose" in g else tokens


def _nonce_hash() -> bytes:
    return current_service().keyring.blind_index("door", cookies.login_nonce())


def with_owner_mark(token: str, staff_id: uuid.UUID) -> str:
    """A form token that also says whose page it stands on, in a way that only we can read."""
    return f"{token}{BETWEEN}{owner_mark(staff_id).hex}"


def owner_mark(staff_id: uuid.UUID) -> uuid.UUID:
    """A keyed hash of a staff member: the same page owner gives the same mark."""
    return uuid.UUID(bytes=current_service().keyring.blind_index("whose page", str(staff_id))[:16])
