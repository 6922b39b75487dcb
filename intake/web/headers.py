"""Security and caching headers, put on every answer of the application."""

from flask import Response, request

from intake.conf.settings import Settings
from intake.web.context import current_service, is_staff_page
from intake.web.templating import YEAR, mark_of

BAD_REQUEST = 400
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
STAFF_POLICY = f"{POLICY}; connect-src 'self'"
POLICIES = {"public": POLICY, "staff": STAFF_POLICY}
"""What every answer carries, by whom it is for."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-DNS-Prefetch-Control": "off",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": (
        "accelerometer=(), autoplay=(), browsing-topics=(), camera=(), display-capture=(), "
        "geolocation=(), gyroscope=(), hid=(), idle-detection=(), "
        "magnetometer=(), microphone=(), midi=(), payment=(), screen-wake-lock=(), "
        "serial=(), usb=()"
    ),
}


def add_security_headers(response: Response) -> Response:
    """Put on the headers: on every answer, also on errors, files and redirects."""
    response.headers.update(headers_for(current_service().settings))
    if is_staff_page():
        response.headers["Content-Security-Policy"] = STAFF_POLICY
        response.headers["Referrer-Policy"] = "same-origin"
    _cache_headers(response)
    return response


def headers_for(settings: Settings) -> dict[str, str]:
    """The headers of a public answer; also of those that the server gives before we are asked."""
    secure = {"Strict-Transport-Security": f"max-age={2 * int(YEAR.total_seconds())}"}
    return HEADERS | (secure if settings.secure else {})


def _cache_headers(response: Response) -> None:
    """Nothing of a page stays in a browser; a file of ours may, under the mark of its content."""
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-store")
        return
    name = str((request.view_args or {}).get("filename"))
    marked = response.status_code < BAD_REQUEST and request.args.get("v") == mark_of(name)
    for_a_year = f"public, max-age={int(YEAR.total_seconds())}, immutable"
    response.headers["Cache-Control"] = for_a_year if marked else "no-store"
