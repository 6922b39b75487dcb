"""Guards of staff pages: authentication, permission and CSRF, declared by a decorator on each view.

A view declares what it needs: `@permission_required(Permission.LIST_LEADS)`. The declaration is the
guard, and `guarded_routes()` lists them all, so that a test finds a view that forgot it.
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
from intake.web.context import current_service, service_act, service_read

HOME = "/desk"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
SESSION_ENDED = N_("Your session has ended, and nothing was done. Please sign in again.")
SESSION_ENDED_FORM_SAVED = N_(
    "Your session has ended, and nothing was done. Sign in again: what you typed will be put back."
)
_SEPARATOR = "~"

View = Callable[..., ResponseReturnValue]


@dataclass(frozen=True)
class Guard:
    """What a view requires. No permission: open to all. `background`: a poll of a page's own script.

    `preserve_fields`: the form fields that a sign-in carries on; never a secret. `restore`: renders the
    page with these fields again and performs nothing.
    """

    permission: Permission | None
    background: bool = False
    preserve_fields: tuple[str, ...] = ()
    restore: Callable[[SavedForm], Response] | None = None


def permission_required(
    permission: Permission,
    *,
    background: bool = False,
    preserve_fields: tuple[str, ...] = (),
    restore: Callable[[SavedForm], Response] | None = None,
) -> Callable[[View], View]:
    """Only for staff with `permission`; sets `g.member`. A poll (`background`) keeps no session alive.

    Without a session, GET redirects to the sign-in and back, a poll gets 401, and POST gets the sign-in
    page with 401, which restores `preserve_fields` afterwards. A POST must come from a page of ours (403).
    """
    guard = Guard(permission, background, preserve_fields, restore)

    def declare(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> ResponseReturnValue:
            return _refuse_or_load_member(guard, permission) or view(*args, **kwargs)

        return _declare(guarded, guard)

    return declare


def open_to_all(view: View) -> View:
    """A view that needs no permission; declared, so that a test can tell it from a forgotten guard."""

    @wraps(view)
    def unguarded(*args: Any, **kwargs: Any) -> ResponseReturnValue:
        return view(*args, **kwargs)

    return _declare(unguarded, Guard(None))


def _declare(view: View, guard: Guard) -> View:
    vars(view)["guard"] = guard
    return view


def guarded_routes(app: Flask) -> dict[tuple[str, str], Guard]:
    """The guard of every guarded view, by rule and method: `("/desk", "GET")`."""
    return {
        (rule.rule, method): guard
        for rule in app.url_map.iter_rules()
        if (guard := _guard(app, rule.endpoint))
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def _guard(app: Flask, endpoint: str) -> Guard | None:
    return getattr(app.view_functions.get(endpoint), "guard", None)


def guard_of(endpoint: str) -> Guard | None:
    """The guard of an endpoint; None where nothing was declared."""
    return _guard(current_app, endpoint)


def _refuse_or_load_member(guard: Guard, permission: Permission) -> Response | None:
    """Load `g.member`; None when this request may go on, else the response that leads to the sign-in."""
    changing = request.method not in SAFE
    if changing:
        require_same_origin()
    try:
        g.member = current_member(touch=not guard.background)
    except NotSignedIn:
        if guard.background:
            raise
        return _sign_in_page(guard) if changing else _redirect_to_sign_in()
    if changing:
        _require_csrf_token(guard)
    require(g.member, permission)
    return None


def current_member(*, touch: bool) -> Member:
    """The signed-in staff member. Raises NotSignedIn. `touch`: this request prolongs the session."""
    instance, token = current_service(), cookies.session_token()
    if not token:
        raise NotSignedIn
    with service_read() as act:
        found = sessions.find(act, token)
    if touch and sessions.needs_touch(found, at=instance.clock()):
        with service_act() as act:
            sessions.touch(act, found)
        found = replace(found, seen_at=instance.clock())
    return _signed_in_as(found)


def _signed_in_as(found: sessions.ActiveSession) -> Member:
    g.found, g.bound_to, g.page_owner = found, found.id.bytes, found.member.id
    return found.member


def set_language_from_browser() -> None:
    """Set the language from `Accept-Language`: staff pages have one address for all languages."""
    i18n.current_language.set(request.accept_languages.best_match(i18n.LANGUAGES) or i18n.DEFAULT)


def _sign_in_page(guard: Guard) -> Response:
    """The sign-in page (401) in answer to a POST, with the typed fields sealed into it."""
    saved_form = saved_forms.seal_form(guard.preserve_fields)
    context = {
        "problem": SESSION_ENDED_FORM_SAVED if saved_form else SESSION_ENDED,
        "email": "",
        "next": _page_name_of_form(),
        "kept": saved_form,
    }
    response = make_response(render_template("desk/sign_in.html", **context), NotSignedIn.status)
    cookies.keep_login_nonce(response)
    return response


def begin_session(signed_in: SignedIn) -> None:
    """Use the new session for the rest of this request: its member and its CSRF token."""
    with service_read() as act:
        g.member = _signed_in_as(sessions.find(act, signed_in.token))


def _redirect_to_sign_in() -> Response:
    """Redirect to the sign-in, unless there may be a session whose cookie was not sent.

    A link in web mail comes without our `SameSite=Strict` cookie. A page of our own that loads the same
    address again sends the cookie, if there is one.
    """
    if request.headers.get("Sec-Fetch-Site") == "cross-site" and not cookies.session_token():
        return make_response(render_template("desk/arriving.html", address=_this_url()))
    return redirect_to(url_for("login.page", next=_page_name() or None))


def home(member: Member) -> str:
    """The start page of a staff member: the queue, the accounts, or their own account."""
    if may(member, Permission.LIST_LEADS):
        return HOME
    return url_for("desk.accounts_page" if may(member, Permission.MANAGE_ACCOUNTS) else "desk.account_page")


def redirect_to(address: str) -> Response:
    """Redirect with 303 See Other."""
    return make_response(redirect(address, 303))


def _this_url() -> str:
    return next_url(_page_name())


def _page_name() -> str:
    """The requested page as its endpoint and at most one id; never a URL."""
    values = [str(value) for value in (request.view_args or {}).values()]
    return _SEPARATOR.join([request.endpoint or "", *values])


def _page_name_of_form() -> str:
    """The page on which the submitted form is: the nearest page above its URL that can be named."""
    form_rule = request.url_rule.rule if request.url_rule else ""
    above = [
        rule
        for rule in current_app.url_map.iter_rules()
        if _can_be_next(rule) and f"{form_rule}/".startswith(f"{rule.rule}/")
    ]
    nearest = max(above, key=lambda rule: len(rule.rule), default=None)
    values = [
        str(value)
        for name, value in (request.view_args or {}).items()
        if nearest and name in nearest.arguments
    ]
    return _SEPARATOR.join([nearest.endpoint if nearest else "", *values])


def next_url(page_name: str) -> str:
    """The URL of a page named by `_page_name`; the desk for everything else.

    Only a guarded page with at most one id can be named, and its URL is built here, so no value of
    `page_name` leads to another site.
    """
    endpoint, _, row_id = page_name.partition(_SEPARATOR)
    rule = next((each for each in current_app.url_map.iter_rules() if each.endpoint == endpoint), None)
    if not rule or not _can_be_next(rule):
        return HOME
    try:
        values: dict[str, Any] = {name: uuid.UUID(row_id) for name in rule.arguments}
    except ValueError:
        return HOME
    return url_for(endpoint, **values)


def _can_be_next(rule: Rule) -> bool:
    guard = _guard(current_app, rule.endpoint)
    page = bool(guard and guard.permission and not guard.background)
    return page and "GET" in (rule.methods or ()) and len(rule.arguments) <= 1


def renew_session(token: str) -> None:
    """Use a renewed session token; `set_renewed_cookie` puts it into the response."""
    with service_read() as act:
        _signed_in_as(sessions.find(act, token))
    g.renewed = token


def set_renewed_cookie(response: Response) -> Response:
    """Put a renewed session's token into the cookie."""
    if "renewed" in g:
        cookies.set_cookie(response, cookies.SESSION, g.renewed)
    return response


def _require_csrf_token(guard: Guard) -> None:
    """Raises NotAllowed as `csrf.require_token`, and StalePage for their own page of an earlier session."""
    try:
        csrf.require_token()
    except NotAllowed:
        saved_form = saved_forms.seal_form(guard.preserve_fields)
        if saved_form and saved_forms.unseal_form(saved_form, g.page_owner):
            raise saved_forms.StalePage(saved_form) from None
        raise
