"""A second factor of the last five minutes, before acts that can do lasting harm (E9): one decorator."""

from collections.abc import Iterator
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
OURS = frozenset({"csrf", CODE, PASSKEY})
SECRET = frozenset({"password", "repeated"})
"""Not carried through the page that asks for the code: it would stand in there to be read."""


def require_recent_second_factor(view: View) -> View:
    """Ask for a second factor first, when the last one is older than five minutes; then go on.

    For what is posted. The page that asks carries every word that was typed, and sends it to the same
    address together with the code. The session's token is renewed.
    """

    @wraps(view)
    def confirmed(*args: Any, **kwargs: Any) -> ResponseReturnValue:
        if not g.found.recently_confirmed(current_service().clock()):
            code, passkey = request.form.get(CODE, ""), request.form.get(PASSKEY, "")
            if not code and not passkey:
                return _ask()
            try:
                token = sign_in.confirm_second_factor(
                    instance=current_service(), active=g.found, code=code, passkey=passkey
                )
            except (NotConfirmed, TooManyConfirmations) as refused:
                return _ask(refused.sentence, refused.status)
            guards.renew_session(token)
        return view(*args, **kwargs)

    vars(confirmed)["fresh"] = True
    return confirmed


def _ask(problem: str = "", status: int = 200) -> ResponseReturnValue:
    asking = passkeys.request_options(g.found.id.bytes, instance=current_service())
    page = render_template("desk/account_confirm.html", problem=problem, kept=list(_kept()), asking=asking)
    return make_response(page, status)


def _kept() -> Iterator[tuple[str, str]]:
    for name, values in request.form.lists():
        if name not in OURS | SECRET:
            yield from ((name, value) for value in values)
