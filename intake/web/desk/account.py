"""Somebody's own account: their sessions, password, second factor, recovery codes and passkeys."""

import uuid
from collections.abc import Mapping, Sequence

import segno
from flask import g, jsonify, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from intake.accounts import credentials, passkeys, profile, sessions
from intake.accounts.models import Browser
from intake.accounts.passkeys import EnoughPasskeys, NoPasskey
from intake.accounts.permissions import Permission
from intake.core.errors import Unprocessable
from intake.core.i18n import gettext
from intake.web.auth import guards
from intake.web.auth.reauth import fresh
from intake.web.context import here
from intake.web.desk.flash import said

# --- Which family a browser says it is of; nothing else of what it says is kept.

_SIGNS = (
    ("Edg", Browser.EDGE),
    ("Firefox/", Browser.FIREFOX),
    ("FxiOS/", Browser.FIREFOX),
    ("Chrome/", Browser.CHROME),
    ("CriOS/", Browser.CHROME),
    ("Safari/", Browser.SAFARI),
)
"""In this order: each browser also names the ones it wants to be taken for."""
BROWSERS = {
    Browser.CHROME: "Chrome",
    Browser.EDGE: "Edge",
    Browser.FIREFOX: "Firefox",
    Browser.SAFARI: "Safari",
}


def browser_family(stated: str) -> Browser:
    """The family, from the User-Agent header; OTHER for what we do not know."""
    return next((browser for sign, browser in _SIGNS if sign in stated), Browser.OTHER)


OWN = guards.signed_in(Permission.OWN_ACCOUNT)
JSON = "application/json"


@OWN
def account_page() -> ResponseReturnValue:
    """What there is, and what can be changed."""
    return _page()


def _page(problems: Mapping[str, Sequence[str]] | None = None, status: int = 200) -> ResponseReturnValue:
    instance, found = here(), g.found
    with instance.database.reading() as session:
        known = {
            "sessions": sessions.open_ones(session, staff_id=found.member.id, instance=instance),
            "passkeys": passkeys.of(session, found.member.id),
            "codes_left": credentials.recovery_codes_left(session, found.member.id),
            "creation": passkeys.creation(session, found.member, bound_to=found.id.bytes, instance=instance),
        }
    page = render_template(
        "desk/account.html",
        **known,
        found=found,
        place=passkeys.place(instance),
        problems=problems or {},
        browser=_browser,
        now=instance.clock(),
        said=said(),
    )
    return make_response(page, status)


def _browser(family: str) -> str:
    return BROWSERS.get(family) or gettext("Another browser")  # type: ignore[call-overload]


@OWN
def end_session(session_id: uuid.UUID) -> ResponseReturnValue:
    """End one of their sessions; what is not theirs is not there (404)."""
    with here().database.transaction() as session:
        profile.end_session(session, g.found, session_id, instance=here())
    return _back("session_ended")


@OWN
def end_others() -> ResponseReturnValue:
    """End every session but this one."""
    with here().database.transaction() as session:
        profile.end_others(session, g.found, instance=here())
    return _back("sessions_ended")


@OWN
@fresh
def change_password() -> ResponseReturnValue:
    """Take a new password; every other session ends."""
    password, repeated = request.form.get("password", ""), request.form.get("repeated", "")
    try:
        token = profile.change_password(instance=here(), found=g.found, password=password, repeated=repeated)
    except Unprocessable as refused:
        return _page(refused.problems, refused.status)
    guards.renewed(token)
    return _back("password_changed")


@OWN
@fresh
def new_codes() -> ResponseReturnValue:
    """Ten new recovery codes, shown once; every other session ends."""
    with here().database.transaction() as session:
        token, codes = profile.new_codes(session, g.found, instance=here())
    guards.renewed(token)
    return render_template("desk/account_codes.html", codes=codes)


@OWN
def factor_page() -> ResponseReturnValue:
    """A new second factor to scan; nothing changes before it has shown a code."""
    return _factor()


def _factor(problems: Mapping[str, Sequence[str]] | None = None, status: int = 200) -> ResponseReturnValue:
    proposed = profile.propose_factor(g.found, instance=here(), nonce=request.form.get("nonce", ""))
    page = render_template(
        "desk/account_factor.html",
        nonce=proposed.nonce,
        picture=picture(proposed.totp_uri),
        secret=secret_in(proposed.totp_uri),
        problems=problems or {},
    )
    return make_response(page, status)


@OWN
@fresh
def change_factor() -> ResponseReturnValue:
    """Use the new second factor from now on; every other session ends."""
    nonce, code = request.form.get("nonce", ""), request.form.get("new_code", "")
    try:
        with here().database.transaction() as session:
            token = profile.change_factor(session, g.found, nonce=nonce, code=code, instance=here())
    except Unprocessable as refused:
        return _factor(refused.problems, refused.status)
    guards.renewed(token)
    return _back("factor_changed")


@OWN
@fresh
def add_passkey() -> ResponseReturnValue:
    """Keep a passkey that this browser has just made."""
    try:
        with here().database.transaction() as session:
            answer = request.form.get("passkey", "")
            token = profile.add_passkey(session, g.found, answer, instance=here())
    except (NoPasskey, EnoughPasskeys) as refused:
        return _page({"passkey": [refused.sentence]}, refused.status)
    guards.renewed(token)
    return _back("passkey_added")


@OWN
@fresh
def remove_passkey(passkey_id: uuid.UUID) -> ResponseReturnValue:
    """Take a passkey away. The authenticator app stays, so it is never the last factor."""
    with here().database.transaction() as session:
        token = profile.remove_passkey(session, g.found, passkey_id, instance=here())
    guards.renewed(token)
    return _back("passkey_removed")


def _back(word: str) -> ResponseReturnValue:
    return guards.redirect_to(url_for("desk.account_page", said=word))


# --- how long a session goes on ------------------------------------------------------------------------


def seconds_left() -> int:
    """In how many seconds this session ends if nobody does anything."""
    return max(0, int((g.found.ends_at() - here().clock()).total_seconds()))


@guards.signed_in(Permission.OWN_ACCOUNT, background=True)
def left() -> ResponseReturnValue:
    """How long it still goes on, for the page's own script; asking extends nothing."""
    return jsonify({"seconds": seconds_left()})


@OWN
def stay() -> ResponseReturnValue:
    """Somebody is there: the fifteen minutes begin anew, as with every page they open."""
    if request.accept_mimetypes.best == JSON:
        return jsonify({"seconds": seconds_left()})
    return render_template("desk/account_stay.html", minutes=seconds_left() // 60)


# --- what an authenticator app needs -------------------------------------------------------------------


def picture(totp_uri: str) -> str:
    """The square that a phone scans, as the address of an image."""
    return str(segno.make(totp_uri, error="m").svg_data_uri(scale=4, border=3, light="#fff"))


def secret_in(totp_uri: str) -> str:
    """The same to be typed, in groups of four."""
    secret = credentials.secret_of(totp_uri)
    return " ".join(secret[place : place + 4] for place in range(0, len(secret), 4))
