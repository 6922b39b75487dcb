"""Signing in and out of the desk: one page, one POST with password and code."""

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
from intake.web.context import current_service

STALE = N_(
    "This page was open for a long time, or your browser did not keep its cookie. Please sign in here."
)
FORGET = '"cache", "storage"'
"""What a browser drops when somebody signs out. Not `"cookies"`: that would empty the jars of every
other service under the clinic's domain; ours are taken away by name."""

_SIGNS = (
    ("Edg", Browser.EDGE),
    ("Firefox/", Browser.FIREFOX),
    ("FxiOS/", Browser.FIREFOX),
    ("Chrome/", Browser.CHROME),
    ("CriOS/", Browser.CHROME),
    ("Safari/", Browser.SAFARI),
)
"""In this order: each browser also names the ones it wants to be taken for."""

login = Blueprint("login", __name__)
login.before_request(guards.set_language_from_browser)
login.record(
    lambda state: state.app.jinja_env.globals.update(
        csrf_token=csrf.csrf_token, asking=cookies.passkey_options
    )
)


@login.get("/sign-in")
@guards.open_to_all
def page() -> ResponseReturnValue:
    """The sign-in; whoever is signed in goes on to the desk."""
    try:
        member = guards.current_member(touch=False)
    except NotSignedIn:
        return _page()
    return guards.redirect_to(_onward(member, request.args.get("next", "")))


def _onward(member: Member, place: str) -> str:
    return guards.next_url(place) if place else guards.home(member)


@login.post("/sign-in")
@guards.open_to_all
def sign_in() -> ResponseReturnValue:
    """Begin a session: 303 to where somebody wanted to go. Otherwise the page again: 422, 429 or 403."""
    csrf.require_same_origin()
    try:
        csrf.require_token()
        signed_in = _signed_in()
    except NotAllowed:
        return _page(STALE, NotAllowed.status)
    except (SignInRefused, TooMany) as refused:
        return _refused(refused)
    guards.begin_session(signed_in)
    kept = request.form.get(saved_forms.FIELD, "")
    place = request.form.get("next", "")
    response = _restored_page(kept) if kept else guards.redirect_to(_onward(signed_in.member, place))
    cookies.set_cookie(response, cookies.SESSION, signed_in.token)
    cookies.set_cookie(response, cookies.DOOR, "")
    return response


def _signed_in() -> accounts_sign_in.SignedIn:
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


def browser_family(stated: str) -> Browser:
    """The family, from the User-Agent header; OTHER for what we do not know."""
    return next((browser for sign, browser in _SIGNS if sign in stated), Browser.OTHER)


def _refused(refused: IntakeError) -> Response:
    response = _page(refused.sentence, refused.status)
    if isinstance(refused, TooMany):
        response.headers["Retry-After"] = str(refused.retry_after)
    return response


def _page(problem: str = "", status: int = 200) -> Response:
    words = {
        "problem": problem,
        "email": request.form.get("email", ""),
        "next": request.values.get("next", ""),
        "kept": request.form.get(saved_forms.FIELD, ""),
    }
    response = make_response(render_template("desk/sign_in.html", **words), status)
    cookies.keep_login_nonce(response)
    return response


@login.post("/sign-out")
@guards.open_to_all
def sign_out() -> ResponseReturnValue:
    """End this browser's session and have it forget our pages. Twice is as good as once."""
    csrf.require_same_origin()
    try:
        guards.current_member(touch=False)
    except NotSignedIn:
        return _gone()
    csrf.require_token()
    with current_service().database.transaction() as session:
        accounts_sign_in.sign_out(session, cookies.session_token(), instance=current_service())
    return _gone()


def _gone() -> Response:
    response = guards.redirect_to(url_for("login.page"))
    cookies.set_cookie(response, cookies.SESSION, "")
    response.headers["Clear-Site-Data"] = FORGET
    return response


# --- after signing in again: the page that somebody was on, with what they had typed, and nothing done ---


def _restored_page(sealed: str) -> Response:
    """The page for what the sign-in carried, asking for one more press. Performs nothing.

    Somebody else's words, old ones and damaged ones lead to the desk with a sentence; a lead that is
    gone meanwhile answers as any lead that is not there.
    """
    kept = saved_forms.unseal_form(sealed, g.member.id)
    guard = guards.guard_of(kept.endpoint) if kept else None
    if (
        not kept
        or not guard
        or not guard.restore
        or not guard.permission
        or not may(g.member, guard.permission)
    ):
        return guards.redirect_to(url_for("desk.queue_page", said="not_put_back"))
    try:
        return guard.restore(kept)
    except IntakeError as problem:
        return errors.expected(problem)


@login.app_errorhandler(saved_forms.OldPage)
def _restored_old_page(found: saved_forms.OldPage) -> Response:
    """The same for a page that was open since before they signed in again elsewhere in this browser."""
    answer = _restored_page(found.kept)
    answer.status_code = max(answer.status_code, Refused.status)
    return answer
