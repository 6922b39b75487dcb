"""The staff door: who is signed in, what they may do, and whether a click came from our own page.

A staff page declares what it needs: `@signed_in(Permission.LIST_LEADS)`. The declaration is the guard,
and `declared()` lists them all, so that a test finds a page that forgot it.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

from flask import Flask, Response, current_app, g, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.routing import Rule

from intake.accounts import sessions
from intake.accounts.permissions import Member, Permission, may, require
from intake.accounts.sign_in import SignedIn
from intake.core import i18n
from intake.core.errors import NotAllowed, NotSignedIn
from intake.core.i18n import N_
from intake.web.auth import cookies, csrf, saved_forms
from intake.web.auth.csrf import require_same_origin
from intake.web.auth.saved_forms import SavedForm
from intake.web.context import current_service

HOME = "/desk"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
ENDED = N_("Your session has ended, and nothing was done. Please sign in again.")
KEPT = N_("Your session has ended, and nothing was done. Sign in again: what you typed will be put back.")
_BETWEEN = "~"

View = Callable[..., ResponseReturnValue]


@dataclass(frozen=True)
class Guard:
    """What a page needs. No permission: anybody may come. `background`: a page's own poll, not a person.

    `keeps`: the fields of a form that a sign-in may carry on; never a secret. `restore`: the page that
    shows them again and performs nothing.
    """

    permission: Permission | None
    background: bool = False
    keeps: tuple[str, ...] = ()
    restore: Callable[[SavedForm], Response] | None = None


def signed_in(
    permission: Permission,
    *,
    background: bool = False,
    keeps: tuple[str, ...] = (),
    restore: Callable[[SavedForm], Response] | None = None,
) -> Callable[[View], View]:
    """Only for staff with `permission`; sets `g.member`. A poll (`background`) keeps no session alive.

    Without a session a page leads to the sign-in and back; a poll gets 401, and what changes something
    a sign-in with 401, which gives back the fields it `keeps`. What changes something must come from our
    own page (403).
    """
    guard = Guard(permission, background, keeps, restore)

    def declare(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> ResponseReturnValue:
            return _refusal(guard, permission) or view(*args, **kwargs)

        return _declare(guarded, guard)

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


def guard_of(endpoint: str) -> Guard | None:
    """What the page behind a route's name needs; None where nothing was declared."""
    return _guard(current_app, endpoint)


def _refusal(guard: Guard, permission: Permission) -> Response | None:
    """None when this request may go on; the way to the sign-in when a page was asked for."""
    changing = request.method not in SAFE
    if changing:
        require_same_origin()
    try:
        g.member = current_member(touch=not guard.background)
    except NotSignedIn:
        if guard.background:
            raise
        return _ended(guard) if changing else _to_sign_in()
    if changing:
        _require_fresh_token(guard)
    require(g.member, permission)
    return None


def current_member(*, touch: bool) -> Member:
    """Who is signed in. Raises NotSignedIn. `touch`: this request counts as somebody being there."""
    instance, token = current_service(), cookies.session_token()
    if not token:
        raise NotSignedIn
    with instance.database.reading() as session:
        found = sessions.find(session, token, instance=instance)
    if touch and sessions.needs_touch(found, at=instance.clock()):
        with instance.database.transaction() as session:
            sessions.touch(session, found, instance=instance)
        found = replace(found, seen_at=instance.clock())
    return _signed_in_as(found)


def _signed_in_as(found: sessions.ActiveSession) -> Member:
    g.found, g.bound_to, g.whose = found, found.id.bytes, found.member.id
    return found.member


def set_language_from_browser() -> None:
    """Staff pages have one address for both languages; the browser's wish decides."""
    i18n.current_language.set(request.accept_languages.best_match(i18n.LANGUAGES) or i18n.DEFAULT)


# --- the way to the sign-in and back -----------------------------------------------------------------


def _ended(guard: Guard) -> Response:
    """The sign-in in the place of an act, with what was typed sealed into it."""
    kept = saved_forms.seal_form(guard.keeps)
    words = {"problem": KEPT if kept else ENDED, "email": "", "next": _page_of_form(), "kept": kept}
    response = make_response(render_template("desk/sign_in.html", **words), NotSignedIn.status)
    cookies.keep_login_nonce(response)
    return response


def begin_session(signed_in: SignedIn) -> None:
    """Let the rest of this very request be the new session's: its member, and the token of its forms."""
    with current_service().database.reading() as session:
        g.member = _signed_in_as(sessions.find(session, signed_in.token, instance=current_service()))


def _to_sign_in() -> Response:
    """To the sign-in, unless there may be a session that we cannot see from here.

    A link in web mail comes without our Strict cookie. A page of our own that loads the same address
    again brings the cookie along, if there is one.
    """
    if request.headers.get("Sec-Fetch-Site") == "cross-site" and not cookies.session_token():
        return make_response(render_template("desk/arriving.html", address=_this_url()))
    return redirect_to(url_for("login.page", next=_place_name() or None))


def home(member: Member) -> str:
    """Where somebody's day begins: at the queue, or where they look after accounts."""
    if may(member, Permission.LIST_LEADS):
        return HOME
    return url_for("desk.accounts_page" if may(member, Permission.MANAGE_ACCOUNTS) else "desk.account_page")


def redirect_to(address: str) -> Response:
    """See other: the answer to a POST, and the way somewhere else."""
    return make_response(redirect(address, 303))


def _this_url() -> str:
    return next_url(_place_name())


def _place_name() -> str:
    """The page that was asked for, as the name of a route and at most one id; never an address."""
    values = [str(value) for value in (request.view_args or {}).values()]
    return _BETWEEN.join([request.endpoint or "", *values])


def _page_of_form() -> str:
    """The page on which the form of this address stands: the nearest one above it that can be named."""
    sent_to = request.url_rule.rule if request.url_rule else ""
    above = [
        rule
        for rule in current_app.url_map.iter_rules()
        if _can_be_next(rule) and f"{sent_to}/".startswith(f"{rule.rule}/")
    ]
    nearest = max(above, key=lambda rule: len(rule.rule), default=None)
    values = [
        str(value)
        for name, value in (request.view_args or {}).items()
        if nearest and name in nearest.arguments
    ]
    return _BETWEEN.join([nearest.endpoint if nearest else "", *values])


def next_url(place: str) -> str:
    """The address of a place that `_named_place` has named; the desk for everything else.

    Only a guarded page with at most one id can be named, and we build its address ourselves, so nothing
    leads away from here whatever stands in `place`.
    """
    endpoint, _, row = place.partition(_BETWEEN)
    rule = next((each for each in current_app.url_map.iter_rules() if each.endpoint == endpoint), None)
    if not rule or not _can_be_next(rule):
        return HOME
    try:
        values: dict[str, Any] = {name: uuid.UUID(row) for name in rule.arguments}
    except ValueError:
        return HOME
    return url_for(endpoint, **values)


def _can_be_next(rule: Rule) -> bool:
    guard = _guard(current_app, rule.endpoint)
    page = bool(guard and guard.permission and not guard.background)
    return page and "GET" in (rule.methods or ()) and len(rule.arguments) <= 1


# --- cookies -----------------------------------------------------------------------------------------


def renew_session(token: str) -> None:
    """From now on this browser's session has another token; `hand_over` puts it into the answer."""
    instance = current_service()
    with instance.database.reading() as session:
        _signed_in_as(sessions.find(session, token, instance=instance))
    g.renewed = token


def set_renewed_cookie(response: Response) -> Response:
    """Put a renewed session's token into the cookie."""
    if "renewed" in g:
        cookies.set_cookie(response, cookies.SESSION, g.renewed)
    return response


def _require_fresh_token(guard: Guard) -> None:
    """Raises NotAllowed as `csrf.require_token`, and OldPage for a page of theirs from an earlier session."""
    try:
        csrf.require_token()
    except NotAllowed:
        kept = saved_forms.seal_form(guard.keeps)
        if kept and saved_forms.unseal_form(kept, g.whose):
            raise saved_forms.OldPage(kept) from None
        raise
