"""The two cookies there are: a session's token, and the nonce of a sign-in page."""

from flask import Response, g, request

from intake.accounts import passkeys
from intake.security import crypto
from intake.web.context import current_service

SESSION, DOOR = "intake", "intake-door"
"""Cookies: a session's token, and the nonce that binds a sign-in page to the browser it was shown to."""


def cookie_name(name: str) -> str:
    """`__Host-` in front where the public address is https: then no other site can have set it."""
    return f"__Host-{name}" if current_service().settings.secure else name


def session_token() -> str:
    """The session token this browser sent; empty when it sent none."""
    return request.cookies.get(cookie_name(SESSION), "")


def set_cookie(response: Response, name: str, value: str) -> None:
    """Set SESSION or DOOR, for as long as the browser is open; an empty value takes it away."""
    response.set_cookie(
        cookie_name(name),
        value,
        max_age=None if value else 0,
        secure=current_service().settings.secure,
        httponly=True,
        samesite="Strict",
        path="/",
    )


def login_nonce() -> str:
    """The nonce of this browser's sign-in page; a new one when it brought none."""
    if "door" not in g:
        g.door = request.cookies.get(cookie_name(DOOR)) or crypto.token()
    return str(g.door)


def passkey_options() -> str:
    """What a browser has to know to use a passkey on this very sign-in page, as JSON."""
    return passkeys.request_options(login_nonce_bytes(), instance=current_service(), for_login=True)


def login_nonce_bytes() -> bytes:
    """What a sign-in page's passkey challenge is bound to."""
    return login_nonce().encode("utf-8", "replace")


def keep_login_nonce(response: Response) -> None:
    """Hand the nonce to a browser that brought none."""
    if not request.cookies.get(cookie_name(DOOR)):
        set_cookie(response, DOOR, login_nonce())
