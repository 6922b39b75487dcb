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

from intake.accounts import passkeys, sessions
from intake.accounts.permissions import Member, Permission, require
from intake.accounts.sessions import ActiveSession
from intake.core import i18n
from intake.core.errors import NotAllowed, NotSignedIn
from intake.core.i18n import N_
from intake.web.auth import cookies, csrf, saved_forms
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
            changing = request.method not in SAFE
            if changing:
                csrf.require_same_origin()
            try:
                g.member = current_member(touch=not background)
            except NotSignedIn:
                if background:
                    raise
                return _sign_in_page_for_form(guard) if changing else _redirect_to_sign_in()
            if changing:
                _require_csrf_token(guard)
            require(g.member, permission)
            return view(*args, **kwargs)

        vars(guarded)["guard"] = guard
        return guarded

    return declare


def open_to_all(view: View) -> View:
    """A view that needs no permission; declared, so that a test can tell it from a forgotten guard."""
    vars(view)["guard"] = Guard(None)
    return view


def guard_of(app: Flask, endpoint: str) -> Guard | None:
    """The guard of an endpoint; None where nothing was declared."""
    return getattr(app.view_functions.get(endpoint), "guard", None)


def guarded_routes(app: Flask) -> dict[tuple[str, str], Guard]:
    """The guard of every guarded view, by rule and method: `("/desk", "GET")`."""
    return {
        (rule.rule, method): guard
        for rule in app.url_map.iter_rules()
        if (guard := guard_of(app, rule.endpoint))
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def current_member(*, touch: bool) -> Member:
    """The signed-in staff member. Raises NotSignedIn. `touch`: this request prolongs the session."""
    token = cookies.session_token()
    if not token:
        raise NotSignedIn
    with service_read() as act:
        found = sessions.find(act, token)
    if touch and sessions.needs_touch(found, at=act.now):
        with service_act() as act:
            sessions.touch(act, found)
        found = replace(found, seen_at=act.now)
    g.found = found
    return found.member


def begin_session(found: ActiveSession) -> None:
    """Use the new session for the rest of this request: its member and its CSRF token."""
    g.found, g.member = found, found.member


def renew_session(token: str) -> None:
    """Use a renewed session token; `set_renewed_cookie` puts it into the response."""
    with service_read() as act:
        g.found = sessions.find(act, token)
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
        if saved_form and saved_forms.unseal_form(saved_form, g.found.member.id):
            raise saved_forms.StalePage(saved_form) from None
        raise


def set_language_from_browser() -> None:
    """Set the language from `Accept-Language`: staff pages have one address for all languages."""
    i18n.current_language.set(request.accept_languages.best_match(i18n.LANGUAGES) or i18n.DEFAULT)


def sign_in_page(problem: str, status: int, *, page_name: str, saved_form: str, email: str = "") -> Response:
    """The sign-in page. `page_name`: where to go from there; `saved_form`: what it puts back instead."""
    options = passkeys.request_options(
        cookies.login_nonce_bytes(), instance=current_service(), for_login=True
    )
    context = {"problem": problem, "email": email, "next": page_name, "kept": saved_form, "options": options}
    response = make_response(render_template("desk/sign_in.html", **context), status)
    cookies.keep_login_nonce(response)
    return response


def _sign_in_page_for_form(guard: Guard) -> Response:
    """The sign-in page (401) in answer to a form, which is sealed into it; it leads to the page above."""
    arguments = request.view_args or {}
    form_rule = request.url_rule.rule if request.url_rule else ""
    above = [
        rule
        for rule in current_app.url_map.iter_rules()
        if _can_be_next(rule) and f"{form_rule}/".startswith(f"{rule.rule}/")
    ]
    page_name = ""
    if above:
        nearest = max(above, key=lambda rule: len(rule.rule))
        values = [str(value) for name, value in arguments.items() if name in nearest.arguments]
        page_name = _SEPARATOR.join([nearest.endpoint, *values])
    saved_form = saved_forms.seal_form(guard.preserve_fields)
    problem = SESSION_ENDED_FORM_SAVED if saved_form else SESSION_ENDED
    return sign_in_page(problem, NotSignedIn.status, page_name=page_name, saved_form=saved_form)


def _redirect_to_sign_in() -> Response:
    """Redirect to the sign-in, unless there may be a session whose cookie was not sent.

    A link in web mail comes without our `SameSite=Strict` cookie. A page of our own that loads the same
    address again sends the cookie, if there is one.
    """
    # the requested page as its endpoint and at most one id; never a URL
    values = [str(value) for value in (request.view_args or {}).values()]
    page_name = _SEPARATOR.join([request.endpoint or "", *values])
    if request.headers.get("Sec-Fetch-Site") == "cross-site" and not cookies.session_token():
        return make_response(render_template("desk/arriving.html", address=next_url(page_name)))
    return redirect_to(url_for("login.page", next=page_name or None))


def redirect_to(address: str) -> Response:
    """Redirect with 303 See Other."""
    return make_response(redirect(address, 303))


def next_url(page_name: str) -> str:
    """The URL of a page named by its endpoint and at most one id; the desk for everything else.

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
    guard = guard_of(current_app, rule.endpoint)
    page = bool(guard and guard.permission and not guard.background)
    return page and "GET" in (rule.methods or ()) and len(rule.arguments) <= 1
