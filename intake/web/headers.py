"""Security and caching headers of every response."""

from flask import Response, request

from intake.conf.settings import Settings
from intake.web.context import current_service, is_staff_page
from intake.web.templating import YEAR, content_hash

BAD_REQUEST = 400
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
STAFF_POLICY = f"{POLICY}; connect-src 'self'"
POLICIES = {"public": POLICY, "staff": STAFF_POLICY}
"""The content security policy of public pages and of staff pages."""
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
    """Set the security and caching headers on a response; also on errors, files and redirects.

    `no-store` for pages; a year for a static file whose URL has the hash of its content.
    """
    response.headers.update(headers_for(current_service().settings))
    if is_staff_page():
        response.headers["Content-Security-Policy"] = STAFF_POLICY
        response.headers["Referrer-Policy"] = "same-origin"
    if request.endpoint == "static":
        name = str((request.view_args or {}).get("filename"))
        is_versioned = response.status_code < BAD_REQUEST and request.args.get("v") == content_hash(name)
        one_year = f"public, max-age={int(YEAR.total_seconds())}, immutable"
        response.headers["Cache-Control"] = one_year if is_versioned else "no-store"
    else:
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def headers_for(settings: Settings) -> dict[str, str]:
    """The headers of a public response; the web server also sets them on what it answers itself."""
    secure = {"Strict-Transport-Security": f"max-age={2 * int(YEAR.total_seconds())}"}
    return HEADERS | (secure if settings.secure else {})
