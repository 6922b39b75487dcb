"""Views of the own account: sessions, password, second factor, recovery codes and passkeys."""

import uuid
from collections.abc import Mapping, Sequence

from flask import g, jsonify, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from intake.accounts import credentials, passkeys, profile, sessions
from intake.accounts.models import Browser
from intake.accounts.passkeys import InvalidPasskey, TooManyPasskeys
from intake.accounts.permissions import Permission, StaffAct
from intake.act import Act
from intake.core.errors import Unprocessable
from intake.core.i18n import gettext
from intake.web.auth import guards
from intake.web.auth.invitation import qr_code, totp_secret
from intake.web.auth.reauth import require_recent_second_factor
from intake.web.context import current_service, service_act
from intake.web.desk.layout import flash_message, seconds_left

own_account = guards.permission_required(Permission.OWN_ACCOUNT)
JSON = "application/json"


@own_account
def account_page() -> ResponseReturnValue:
    """The own account."""
    return _page()


def _page(problems: Mapping[str, Sequence[str]] | None = None, status: int = 200) -> ResponseReturnValue:
    instance, found = current_service(), g.found
    with instance.database.reading() as session:
        context = {
            "sessions": sessions.list_active(Act(session, instance), staff_id=found.member.id),
            "passkeys": passkeys.list_passkeys(session, found.member.id),
            "codes_left": credentials.recovery_codes_left(session, found.member.id),
            "creation": passkeys.creation_options(
                StaffAct(session, instance, found.member), bound_to=found.id.bytes
            ),
        }
    page = render_template(
        "desk/account.html",
        **context,
        found=found,
        place=passkeys.relying_party_id(instance),
        problems=problems or {},
        browser=_browser,
        now=instance.clock(),
        message=flash_message(),
    )
    return make_response(page, status)


def _browser(family: Browser) -> str:
    return gettext("Another browser") if family is Browser.OTHER else family.value.capitalize()


@own_account
def end_session(session_id: uuid.UUID) -> ResponseReturnValue:
    """End one of the own sessions; 404 for any other."""
    with service_act() as act:
        profile.end_session(act, g.found, session_id)
    return _redirect_with("session_ended")


@own_account
def end_others() -> ResponseReturnValue:
    """End every session but this one."""
    with service_act() as act:
        profile.end_others(act, g.found)
    return _redirect_with("sessions_ended")


@own_account
@require_recent_second_factor
def change_password() -> ResponseReturnValue:
    """Change the password; every other session ends."""
    password, repeated = request.form.get("password", ""), request.form.get("repeated", "")
    try:
        token = profile.change_password(
            instance=current_service(), active=g.found, password=password, repeated=repeated
        )
    except Unprocessable as refused:
        return _page(refused.problems, refused.status)
    guards.renew_session(token)
    return _redirect_with("password_changed")


@own_account
@require_recent_second_factor
def new_codes() -> ResponseReturnValue:
    """Ten new recovery codes, shown once; every other session ends."""
    with service_act() as act:
        token, codes = profile.renew_recovery_codes(act, g.found)
    guards.renew_session(token)
    return render_template("desk/account_codes.html", codes=codes)


@own_account
def factor_page() -> ResponseReturnValue:
    """A new second factor to scan; it is used only after a code of it was entered."""
    return _factor_form()


def _factor_form(
    problems: Mapping[str, Sequence[str]] | None = None, status: int = 200
) -> ResponseReturnValue:
    proposed = profile.propose_factor(
        g.found, instance=current_service(), nonce=request.form.get("nonce", "")
    )
    page = render_template(
        "desk/account_factor.html",
        nonce=proposed.nonce,
        picture=qr_code(proposed.totp_uri),
        secret=totp_secret(proposed.totp_uri),
        problems=problems or {},
    )
    return make_response(page, status)


@own_account
@require_recent_second_factor
def change_factor() -> ResponseReturnValue:
    """Use the new second factor from now on; every other session ends."""
    nonce, code = request.form.get("nonce", ""), request.form.get("new_code", "")
    try:
        with service_act() as act:
            token = profile.change_factor(act, g.found, nonce=nonce, code=code)
    except Unprocessable as refused:
        return _factor_form(refused.problems, refused.status)
    guards.renew_session(token)
    return _redirect_with("factor_changed")


@own_account
@require_recent_second_factor
def add_passkey() -> ResponseReturnValue:
    """Store a passkey that this browser has just created."""
    try:
        with service_act() as act:
            answer = request.form.get("passkey", "")
            token = profile.add_passkey(act, g.found, answer)
    except (InvalidPasskey, TooManyPasskeys) as refused:
        return _page({"passkey": [refused.sentence]}, refused.status)
    guards.renew_session(token)
    return _redirect_with("passkey_added")


@own_account
@require_recent_second_factor
def remove_passkey(passkey_id: uuid.UUID) -> ResponseReturnValue:
    """Remove a passkey. The authenticator app stays, so it is never the last factor."""
    with service_act() as act:
        token = profile.remove_passkey(act, g.found, passkey_id)
    guards.renew_session(token)
    return _redirect_with("passkey_removed")


def _redirect_with(message: str) -> ResponseReturnValue:
    return guards.redirect_to(url_for("desk.account_page", message=message))


@guards.permission_required(Permission.OWN_ACCOUNT, background=True)
def session_time_left() -> ResponseReturnValue:
    """Seconds left as JSON, for the page's script; it does not extend the session."""
    return jsonify({"seconds": seconds_left()})


@own_account
def extend_session() -> ResponseReturnValue:
    """Extend the session by its idle timeout, as every page does."""
    if request.accept_mimetypes.best == JSON:
        return jsonify({"seconds": seconds_left()})
    return render_template("desk/account_stay.html", minutes=seconds_left() // 60)
