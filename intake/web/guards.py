"""The staff door: who is signed in, what they may do, and whether a click came from our own page.

A staff page declares what it needs: `@signed_in(Permission.LIST_LEADS)`. The declaration is the guard,
and `declared()` lists them all, so that a test finds a page that forgot it.
"""

import hmac
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, g, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.routing import Rule

from intake import crypto, language
from intake.errors import NotAllowed, NotSignedIn
from intake.language import N_
from intake.staff import sessions
from intake.staff.permissions import Member, Permission, require
from intake.web.here import here

HOME = "/desk"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
SESSION, DOOR = "intake", "intake-door"
"""Cookies: a session's token, and the nonce that binds a sign-in page to the browser it was shown to."""
FOREIGN = N_("This did not come from a page of this desk. Open the page again and repeat what you did.")
_BETWEEN = "~"
_DEFAULT_PORTS = {"http": 80, "https": 443}

View = Callable[..., ResponseReturnValue]


@dataclass(frozen=True)
class Guard:
    """What a page needs. No permission: anybody may come. `background`: a page's own poll, not a person."""

    permission: Permission | None
    background: bool = False


def signed_in(permission: Permission, *, background: bool = False) -> Callable[[View], View]:
    """Only for staff with `permission`; sets `g.member`. A poll (`background`) keeps no session alive.

    Without a session a page leads to the sign-in and back; a poll and everything that changes something
    gets 401. What changes something must come from our own page (403).
    """

    def declare(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> ResponseReturnValue:
            return _turned_away(permission, background=background) or view(*args, **kwargs)

        return _declare(guarded, Guard(permission, background))

    return declare


def open_to_all(view: View) -> View:
    """A page behind no permission; said aloud, so that a forgotten guard is not taken for one."""

    @wraps(view)
    def unguarded(*args: Any, **kwargs: Any) -> ResponseReturnValue:
        return view(*args, **kwargs)

    return _declare(unguarded, Guard(None))


def _declare(view: View, guard: Guard) -> View:
    vars(view)["guard"] = guard
    return view


def declared(app: Flask) -> dict[tuple[str, str], Guard]:
    """What every guarded page needs, by rule and method: `("/desk", "GET")`."""
    return {
        (rule.rule, method): guard
        for rule in app.url_map.iter_rules()
        if (guard := _guard(app, rule.endpoint))
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def _guard(app: Flask, endpoint: str) -> Guard | None:
    return getattr(app.view_functions.get(endpoint), "guard", None)


def _turned_away(permission: Permission, *, background: bool) -> Response | None:
    """None when this request may go on; the way to the sign-in when a page was asked for."""
    changing = request.method not in SAFE
    if changing:
        require_same_origin()
    try:
        g.member = standing(touch=not background)
    except NotSignedIn:
        if changing or background:
            raise
        return _to_the_door()
    if changing:
        require_token()
    require(g.member, permission)
    return None


def standing(*, touch: bool) -> Member:
    """Who is signed in. Raises NotSignedIn. `touch`: this request counts as somebody being there."""
    instance, token = here(), session_token()
    if not token:
        raise NotSignedIn
    with instance.database.reading() as session:
        found = sessions.find(session, token, instance=instance)
    if touch and sessions.due(found, at=instance.clock()):
        with instance.database.transaction() as session:
            sessions.touch(session, found, instance=instance)
    g.bound_to = found.token_hash
    return found.member


def speak_as_the_browser_asks() -> None:
    """Staff pages have one address for both languages; the browser's wish decides."""
    language.in_use.set(request.accept_languages.best_match(language.LANGUAGES) or language.DEFAULT)


# --- the way to the sign-in and back -----------------------------------------------------------------


def _to_the_door() -> Response:
    """To the sign-in, unless there may be a session that we cannot see from here.

    A link in web mail comes without our Strict cookie. A page of our own that loads the same address
    again brings the cookie along, if there is one.
    """
    if request.headers.get("Sec-Fetch-Site") == "cross-site" and not session_token():
        return make_response(render_template("desk/arriving.html", address=_way_here()))
    return redirect_to(url_for("login.page", next=_named_place() or None))


def redirect_to(address: str) -> Response:
    """See other: the answer to a POST, and the way somewhere else."""
    return make_response(redirect(address, 303))


def _way_here() -> str:
    return way_back(_named_place())


def _named_place() -> str:
    """The page that was asked for, as the name of a route and at most one id; never an address."""
    values = [str(value) for value in (request.view_args or {}).values()]
    return _BETWEEN.join([request.endpoint or "", *values])


def way_back(place: str) -> str:
    """The address of a place that `_named_place` has named; the desk for everything else.

    Only a guarded page with at most one id can be named, and we build its address ourselves, so nothing
    leads away from here whatever stands in `place`.
    """
    endpoint, _, row = place.partition(_BETWEEN)
    rule = next((each for each in current_app.url_map.iter_rules() if each.endpoint == endpoint), None)
    if not rule or not _may_be_named(rule):
        return HOME
    try:
        values: dict[str, Any] = {name: uuid.UUID(row) for name in rule.arguments}
    except ValueError:
        return HOME
    return url_for(endpoint, **values)


def _may_be_named(rule: Rule) -> bool:
    guard = _guard(current_app, rule.endpoint)
    page = bool(guard and guard.permission and not guard.background)
    return page and "GET" in (rule.methods or ()) and len(rule.arguments) <= 1


# --- cookies -----------------------------------------------------------------------------------------


def cookie_name(name: str) -> str:
    """`__Host-` in front where the public address is https: then no other site can have set it."""
    return f"__Host-{name}" if here().settings.secure else name


def session_token() -> str:
    """The session token this browser sent; empty when it sent none."""
    return request.cookies.get(cookie_name(SESSION), "")


def set_cookie(response: Response, name: str, value: str) -> None:
    """Set SESSION or DOOR, for as long as the browser is open; an empty value takes it away."""
    response.set_cookie(
        cookie_name(name),
        value,
        max_age=None if value else 0,
        secure=here().settings.secure,
        httponly=True,
        samesite="Strict",
        path="/",
    )


# --- did the click come from our own page? -----------------------------------------------------------


def require_same_origin() -> None:
    """Raises NotAllowed when the browser says that the request came from another origin than ours.

    Sec-Fetch-Site decides where it is sent; older browsers and plain http send Origin or Referer. What
    sends none of the three is no browser, and the token that must come along decides alone.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        if site != "same-origin":
            raise NotAllowed(FOREIGN)
        return
    stated = request.headers.get("Origin") or request.headers.get("Referer")
    if stated and _origin(stated) not in (_origin(here().settings.base_url), _origin(request.host_url)):
        raise NotAllowed(FOREIGN)


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
    if not any([crypto.same(typed, token.encode()) for token in _tokens()]):  # noqa: C419  all are compared
        raise NotAllowed(FOREIGN)


def _tokens() -> list[str]:
    bound_to = g.get("bound_to") or _door_hash()
    return [hmac.digest(key, bound_to, "sha256").hex() for key in here().keyring.app_secrets("csrf")]


def _door_hash() -> bytes:
    return here().keyring.blind_index("door", door())


def door() -> str:
    """The nonce of this browser's sign-in page; a new one when it brought none."""
    if "door" not in g:
        g.door = request.cookies.get(cookie_name(DOOR)) or crypto.token()
    return str(g.door)


def keep_door(response: Response) -> None:
    """Hand the nonce to a browser that brought none."""
    if not request.cookies.get(cookie_name(DOOR)):
        set_cookie(response, DOOR, door())
