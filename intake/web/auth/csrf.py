"""Did a click come from our own page? What the browser itself says about it."""

from urllib.parse import urlsplit

from flask import request

from intake.core.errors import NotAllowed
from intake.core.i18n import N_
from intake.web.context import current_service

NOT_OUR_PAGE = N_("This did not come from a page of this desk. Open the page again and repeat what you did.")
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
