"""Accepting an invitation: the link, then a password and an authenticator app, then recovery codes."""

from collections.abc import Mapping, Sequence

import segno
from flask import Blueprint, make_response, render_template, request
from flask.typing import ResponseReturnValue

from intake.accounts import credentials, invitations
from intake.accounts.invitations import InvalidInvitation
from intake.core.errors import NotAllowed, TooMany, Unprocessable
from intake.security import rate_limits
from intake.web.auth import cookies, csrf, guards
from intake.web.auth.login import STALE_PAGE
from intake.web.context import current_service, service_read

invitation = Blueprint("joining", __name__)
invitation.before_request(guards.set_language_from_browser)


@invitation.get("/join")
@guards.open_to_all
def page() -> ResponseReturnValue:
    """The page of an invitation link. The token is in the fragment, so that only the form sends it."""
    return _link_page()


def _link_page(problem: str = "", status: int = 200) -> ResponseReturnValue:
    response = make_response(render_template("desk/account_join.html", problem=problem), status)
    cookies.keep_login_nonce(response)
    return response


@invitation.post("/join")
@guards.open_to_all
def join() -> ResponseReturnValue:
    """The page to choose a password on; with a password, accept and show the recovery codes once."""
    csrf.require_same_origin()
    instance = current_service()
    # the token alone, also where the whole link was pasted
    token = "".join(request.form.get("invitation", "").rpartition("#")[2].split())
    try:
        csrf.require_token()
        network = rate_limits.network(request.remote_addr)
        if not instance.throttle.hit(rate_limits.SIGN_IN_NETWORK, network).allowed:
            return _link_page(TooMany.sentence, TooMany.status)
        if "password" not in request.form:
            return _credentials_page(token)
        password, code = request.form["password"], request.form.get("code", "")
        try:
            codes = invitations.accept(instance=instance, token=token, password=password, code=code)
        except Unprocessable as refused:
            return _credentials_page(token, refused.problems, refused.status)
    except NotAllowed:
        return _link_page(STALE_PAGE, NotAllowed.status)
    except (InvalidInvitation, TooMany) as refused:
        return _link_page(refused.sentence, refused.status)
    return render_template("desk/account_joined.html", codes=codes)


def _credentials_page(
    token: str, problems: Mapping[str, Sequence[str]] | None = None, status: int = 200
) -> ResponseReturnValue:
    with service_read() as act:
        taking = invitations.find_open(act, token)
    page = render_template(
        "desk/account_choose.html",
        taking=taking,
        invitation=token,
        picture=qr_code(taking.totp_uri),
        secret=totp_secret(taking.totp_uri),
        problems=problems or {},
    )
    return make_response(page, status)


def qr_code(totp_uri: str) -> str:
    """A QR code of the TOTP URI, as a data URI of an SVG image."""
    return str(segno.make(totp_uri, error="m").svg_data_uri(scale=4, border=3, light="#fff"))


def totp_secret(totp_uri: str) -> str:
    """The TOTP secret to be typed, in groups of four characters."""
    secret = credentials.secret_from_uri(totp_uri)
    return " ".join(secret[place : place + 4] for place in range(0, len(secret), 4))
