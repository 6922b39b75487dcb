"""Signing in and out of the desk: one page, one POST with password and code."""

from flask import Blueprint, Response, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from intake.accounts import sign_in as accounts_sign_in
from intake.accounts.permissions import Member
from intake.accounts.sign_in import SignInRefused
from intake.core.errors import IntakeError, NotAllowed, NotSignedIn, TooMany
from intake.core.i18n import N_
from intake.web.auth import cookies, csrf, guards, restore_form, saved_forms
from intake.web.context import current_service
from intake.web.desk import routes
from intake.web.desk.account import browser_family

STALE = N_(
    "This page was open for a long time, or your browser did not keep its cookie. Please sign in here."
)
FORGET = '"cache", "storage"'
"""What a browser drops when somebody signs out. Not `"cookies"`: that would empty the jars of every
other service under the clinic's domain; ours are taken away by name."""

login = Blueprint("login", __name__)
login.before_request(guards.set_language_from_browser)
login.context_processor(routes.template_context)
login.record(
    lambda state: state.app.register_error_handler(saved_forms.OldPage, restore_form.restored_old_page)
)
login.record(
    lambda state: state.app.jinja_env.globals.update(
        csrf_token=guards.csrf_token, asking=cookies.passkey_options
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
        guards.require_token()
        signed_in = _signed_in()
    except NotAllowed:
        return _page(STALE, NotAllowed.status)
    except (SignInRefused, TooMany) as refused:
        return _refused(refused)
    guards.begin_session(signed_in)
    kept = request.form.get(saved_forms.FIELD, "")
    place = request.form.get("next", "")
    response = (
        restore_form.restored_page(kept) if kept else guards.redirect_to(_onward(signed_in.member, place))
    )
    cookies.set_cookie(response, cookies.SESSION, signed_in.token)
    cookies.set_cookie(response, cookies.DOOR, "")
    return response


def _signed_in() -> accounts_sign_in.SignedIn:
    password, passkey = request.form.get("password", ""), request.form.get("passkey", "")
    comer = accounts_sign_in.LoginAttempt(
        address=request.remote_addr,
        browser=browser_family(request.headers.get("User-Agent", "")),
        instead_of=cookies.session_token(),
        door=cookies.login_nonce_bytes(),
    )
    if passkey and not password:
        return accounts_sign_in.sign_in_with_passkey(instance=current_service(), passkey=passkey, comer=comer)
    return accounts_sign_in.sign_in(
        instance=current_service(),
        email=request.form.get("email", ""),
        password=password,
        code=request.form.get("code", ""),
        comer=comer,
        passkey=passkey,
    )


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
    guards.require_token()
    with current_service().database.transaction() as session:
        accounts_sign_in.sign_out(session, cookies.session_token(), instance=current_service())
    return _gone()


def _gone() -> Response:
    response = guards.redirect_to(url_for("login.page"))
    cookies.set_cookie(response, cookies.SESSION, "")
    response.headers["Clear-Site-Data"] = FORGET
    return response
