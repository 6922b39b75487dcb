"""Signing in and out: one page, one POST with password and second factor, or with a passkey."""

from flask import Blueprint, Response, g, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from intake.accounts import sign_in as accounts_sign_in
from intake.accounts.models import Browser
from intake.accounts.permissions import Member, may
from intake.accounts.sign_in import SignInRefused
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
login.record(
    lambda state: state.app.jinja_env.globals.update(
        csrf_token=csrf.csrf_token, passkey_options=cookies.passkey_options
    )
)


@login.get("/sign-in")
@guards.open_to_all
def page() -> ResponseReturnValue:
    """The sign-in page; redirects to the desk when already signed in."""
    try:
        member = guards.current_member(touch=False)
    except NotSignedIn:
        return _sign_in_page()
    return guards.redirect_to(_destination(member, request.args.get("next", "")))


def _destination(member: Member, page_name: str) -> str:
    return guards.next_url(page_name) if page_name else guards.home(member)


@login.post("/sign-in")
@guards.open_to_all
def sign_in() -> ResponseReturnValue:
    """Begin a session and redirect (303) to the requested page; else the page again: 422, 429 or 403."""
    csrf.require_same_origin()
    try:
        csrf.require_token()
        signed_in = _authenticate()
    except NotAllowed:
        return _sign_in_page(STALE_PAGE, NotAllowed.status)
    except (SignInRefused, TooMany) as refused:
        return _refused(refused)
    guards.begin_session(signed_in)
    saved_form = request.form.get(saved_forms.FIELD, "")
    page_name = request.form.get("next", "")
    response = (
        _restore_form(saved_form)
        if saved_form
        else guards.redirect_to(_destination(signed_in.member, page_name))
    )
    cookies.set_cookie(response, cookies.SESSION, signed_in.token)
    cookies.set_cookie(response, cookies.LOGIN, "")
    return response


def _authenticate() -> accounts_sign_in.SignedIn:
    password, passkey = request.form.get("password", ""), request.form.get("passkey", "")
    attempt = accounts_sign_in.LoginAttempt(
        address=request.remote_addr,
        browser=browser_family(request.headers.get("User-Agent", "")),
        previous_token=cookies.session_token(),
        login_nonce=cookies.login_nonce_bytes(),
    )
    if passkey and not password:
        return accounts_sign_in.sign_in_with_passkey(
            instance=current_service(), passkey=passkey, attempt=attempt
        )
    return accounts_sign_in.sign_in(
        instance=current_service(),
        email=request.form.get("email", ""),
        password=password,
        code=request.form.get("code", ""),
        attempt=attempt,
        passkey=passkey,
    )


def browser_family(user_agent: str) -> Browser:
    """The browser family by its User-Agent header; OTHER where unknown."""
    return next((browser for mark, browser in _USER_AGENT_MARKS if mark in user_agent), Browser.OTHER)


def _refused(refused: IntakeError) -> Response:
    response = _sign_in_page(refused.sentence, refused.status)
    if isinstance(refused, TooMany):
        response.headers["Retry-After"] = str(refused.retry_after)
    return response


def _sign_in_page(problem: str = "", status: int = 200) -> Response:
    context = {
        "problem": problem,
        "email": request.form.get("email", ""),
        "next": request.values.get("next", ""),
        "kept": request.form.get(saved_forms.FIELD, ""),
    }
    response = make_response(render_template("desk/sign_in.html", **context), status)
    cookies.keep_login_nonce(response)
    return response


@login.post("/sign-out")
@guards.open_to_all
def sign_out() -> ResponseReturnValue:
    """End this browser's session and clear its cache of our pages. Idempotent."""
    csrf.require_same_origin()
    try:
        guards.current_member(touch=False)
    except NotSignedIn:
        return _signed_out()
    csrf.require_token()
    with service_act() as act:
        accounts_sign_in.sign_out(act, cookies.session_token())
    return _signed_out()


def _signed_out() -> Response:
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
    guard = guards.guard_of(saved_form.endpoint) if saved_form else None
    if (
        not saved_form
        or not guard
        or not guard.restore
        or not guard.permission
        or not may(g.member, guard.permission)
    ):
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
