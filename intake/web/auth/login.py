"""Signing in and out: one page, one POST with password and second factor, or with a passkey."""

from contextlib import suppress

from flask import Blueprint, Response, current_app, g, request, url_for
from flask.typing import ResponseReturnValue

from intake.accounts import sign_in as accounts_sign_in
from intake.accounts.models import Browser
from intake.accounts.permissions import Member, Permission
from intake.accounts.sign_in import LoginAttempt, SignInRefused
from intake.core.errors import IntakeError, NotAllowed, NotSignedIn, Refused, TooMany
from intake.core.i18n import N_
from intake.web import errors
from intake.web.auth import cookies, csrf, guards, saved_forms
from intake.web.context import current_service, service_act

STALE_PAGE = N_(
    "This page was open for a long time, or your browser did not keep its cookie. Please sign in here."
)
CLEAR_SITE_DATA = '"cache", "storage"'
"""`Clear-Site-Data` at sign-out. Not `"cookies"`: that would delete the cookies of every other service
under the clinic's domain; ours are deleted by name."""

_USER_AGENT_MARKS = (
    ("Edg", Browser.EDGE),
    ("Firefox/", Browser.FIREFOX),
    ("FxiOS/", Browser.FIREFOX),
    ("Chrome/", Browser.CHROME),
    ("CriOS/", Browser.CHROME),
    ("Safari/", Browser.SAFARI),
)
"""In this order, because a browser's User-Agent also names others."""

login = Blueprint("login", __name__)
login.before_request(guards.set_language_from_browser)
login.add_app_template_global(csrf.csrf_token)


@login.get("/sign-in")
@guards.open_to_all
def page() -> ResponseReturnValue:
    """The sign-in page; redirects to the desk when already signed in."""
    try:
        member = guards.current_member(touch=False)
    except NotSignedIn:
        return _sign_in_page()
    return guards.redirect_to(_destination(member, request.args.get("next", "")))


def _sign_in_page(problem: str = "", status: int = 200) -> Response:
    email, saved_form = request.form.get("email", ""), request.form.get(saved_forms.FIELD, "")
    page_name = request.values.get("next", "")
    return guards.sign_in_page(problem, status, page_name=page_name, saved_form=saved_form, email=email)


def _destination(member: Member, page_name: str) -> str:
    """The requested page, else where a member begins: the queue, the accounts, or their own account."""
    if page_name:
        return guards.next_url(page_name)
    if Permission.LIST_LEADS in member.permissions:
        return guards.HOME
    manages = Permission.MANAGE_ACCOUNTS in member.permissions
    return url_for("desk.accounts_page" if manages else "desk.account_page")


@login.post("/sign-in")
@guards.open_to_all
def sign_in() -> ResponseReturnValue:
    """Begin a session and redirect (303) to the requested page; else the page again: 422, 429 or 403."""
    csrf.require_same_origin()
    instance, form = current_service(), request.form
    password, passkey = form.get("password", ""), form.get("passkey", "")
    user_agent = request.headers.get("User-Agent", "")
    attempt = LoginAttempt(
        address=request.remote_addr,
        browser=next((family for mark, family in _USER_AGENT_MARKS if mark in user_agent), Browser.OTHER),
        previous_token=cookies.session_token(),
        login_nonce=cookies.login_nonce_bytes(),
    )
    try:
        csrf.require_token()
        if passkey and not password:
            signed_in = accounts_sign_in.sign_in_with_passkey(
                instance=instance, passkey=passkey, attempt=attempt
            )
        else:
            email, code = form.get("email", ""), form.get("code", "")
            signed_in = accounts_sign_in.sign_in(
                instance=instance, email=email, password=password, code=code, attempt=attempt, passkey=passkey
            )
    except NotAllowed:
        return _sign_in_page(STALE_PAGE, NotAllowed.status)
    except (SignInRefused, TooMany) as refused:
        response = _sign_in_page(refused.sentence, refused.status)
        if isinstance(refused, TooMany):
            response.headers["Retry-After"] = str(refused.retry_after)
        return response
    guards.begin_session(signed_in.active)
    saved_form = form.get(saved_forms.FIELD, "")
    if saved_form:
        response = _restore_form(saved_form)
    else:
        response = guards.redirect_to(_destination(g.member, form.get("next", "")))
    cookies.set_cookie(response, cookies.SESSION, signed_in.token)
    cookies.set_cookie(response, cookies.LOGIN, "")
    return response


@login.post("/sign-out")
@guards.open_to_all
def sign_out() -> ResponseReturnValue:
    """End this browser's session and clear its cache of our pages. Idempotent."""
    csrf.require_same_origin()
    with suppress(NotSignedIn):
        guards.current_member(touch=False)
        csrf.require_token()
        with service_act() as act:
            accounts_sign_in.sign_out(act, cookies.session_token())
    response = guards.redirect_to(url_for("login.page"))
    cookies.set_cookie(response, cookies.SESSION, "")
    response.headers["Clear-Site-Data"] = CLEAR_SITE_DATA
    return response


def _restore_form(sealed: str) -> Response:
    """Render the page of a saved form after a new sign-in, to be submitted once more. Performs nothing.

    A form of another staff member, an expired or a damaged one redirects to the desk with a flash
    message; a lead that was erased meanwhile answers 404.
    """
    saved_form = saved_forms.unseal_form(sealed, g.member.id)
    guard = guards.guard_of(current_app, saved_form.endpoint) if saved_form else None
    if not saved_form or not guard or not guard.restore or guard.permission not in g.member.permissions:
        return guards.redirect_to(url_for("desk.queue_page", message="not_restored"))
    try:
        return guard.restore(saved_form)
    except IntakeError as problem:
        return errors.handle_expected_error(problem)


@login.app_errorhandler(saved_forms.StalePage)
def _restore_stale_page(found: saved_forms.StalePage) -> Response:
    """Restore the form of a page that was open since before a new sign-in in the same browser."""
    response = _restore_form(found.sealed_form)
    response.status_code = max(response.status_code, Refused.status)
    return response
