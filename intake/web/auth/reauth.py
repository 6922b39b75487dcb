"""Re-authentication: a decorator for views that need a second factor given in the last five minutes."""

from functools import wraps
from typing import Any

from flask import g, make_response, render_template, request
from flask.typing import ResponseReturnValue

from intake.accounts import passkeys, sign_in
from intake.accounts.sign_in import NotConfirmed, TooManyConfirmations
from intake.web.auth import guards
from intake.web.auth.guards import View
from intake.web.context import current_service

CODE, PASSKEY = "again_code", "again_passkey"
CONFIRMATION_FIELDS = frozenset({"csrf", CODE, PASSKEY})
NEVER_CARRIED = frozenset({"password", "repeated"})
"""Fields that the confirmation page does not carry, because its source would show them."""


def require_recent_second_factor(view: View) -> View:
    """Ask for a second factor first when the last one is older than five minutes; then call the view.

    For POST. The confirmation page carries every other field of the form and sends it to the same
    URL together with the code. The session token is renewed.
    """

    @wraps(view)
    def confirmed(*args: Any, **kwargs: Any) -> ResponseReturnValue:
        if not g.found.recently_confirmed(current_service().clock()):
            code, passkey = request.form.get(CODE, ""), request.form.get(PASSKEY, "")
            if not code and not passkey:
                return _confirmation_page()
            try:
                token = sign_in.confirm_second_factor(
                    instance=current_service(), active=g.found, code=code, passkey=passkey
                )
            except (NotConfirmed, TooManyConfirmations) as refused:
                return _confirmation_page(refused.sentence, refused.status)
            guards.renew_session(token)
        return view(*args, **kwargs)

    vars(confirmed)["requires_second_factor"] = True
    return confirmed


def _confirmation_page(problem: str = "", status: int = 200) -> ResponseReturnValue:
    carried = [
        (name, value)
        for name, values in request.form.lists()
        if name not in CONFIRMATION_FIELDS | NEVER_CARRIED
        for value in values
    ]
    options = passkeys.request_options(g.found.id.bytes, instance=current_service())
    context = {"problem": problem, "carried": carried, "options": options}
    return make_response(render_template("desk/account_confirm.html", **context), status)
