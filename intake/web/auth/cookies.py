"""The two cookies: the session token, and the login nonce of a sign-in page."""

from flask import Response, g, request

from intake.security import crypto
from intake.web.context import current_service

SESSION, LOGIN = "intake", "intake-door"
"""Cookie names: the session token, and the nonce that binds a sign-in page to one browser."""


def cookie_name(name: str) -> str:
    """`__Host-` in front where the public address is https: then no other site can have set it."""
    return f"__Host-{name}" if current_service().settings.secure else name


def session_token() -> str:
    """The session token this browser sent; empty when it sent none."""
    return request.cookies.get(cookie_name(SESSION), "")


def set_cookie(response: Response, name: str, value: str) -> None:
    """Set SESSION or LOGIN, for as long as the browser is open; an empty value takes it away."""
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
    """The login nonce of this browser; a new one when it sent none."""
    if "login_nonce" not in g:
        g.login_nonce = request.cookies.get(cookie_name(LOGIN)) or crypto.token()
    return str(g.login_nonce)


def login_nonce_bytes() -> bytes:
    """The login nonce as bytes; the passkey challenge of a sign-in page is bound to it."""
    return login_nonce().encode("utf-8", "replace")


def keep_login_nonce(response: Response) -> None:
    """Set the login nonce cookie where the browser sent none."""
    if not request.cookies.get(cookie_name(LOGIN)):
        set_cookie(response, LOGIN, login_nonce())
