"""Error pages: one handler per kind of exception, and pages for 500 and 503 rendered at start.

Each page is in the language of the path and has the clinic's phone and the crisis lines (promise P4).
The pages for 500 and 503 need neither database nor templates when they are sent.
"""

import os
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path

import structlog
from flask import Flask, Response, current_app, render_template, request
from markupsafe import Markup
from werkzeug.exceptions import HTTPException

from intake.core import i18n
from intake.core.errors import IntakeError, TooMany
from intake.core.i18n import LANGUAGES, N_
from intake.core.paths import STATIC
from intake.web.context import set_language_from_path
from intake.web.headers import add_security_headers

EXTENSION_KEY = "intake-pages"
BAD_REQUEST, BROKEN, DOWN = 400, 500, 503
TITLES = {
    400: N_("We could not read what was sent"),
    401: N_("Please sign in first"),
    403: N_("This is not open to you"),
    404: N_("There is no such page here"),
    405: N_("This page does not work that way"),
    409: N_("This cannot be done now"),
    413: N_("That was too much to send at once"),
    415: N_("We could not read what was sent"),
    422: N_("Something needs to be put right"),
    429: N_("Please wait a little"),
    BROKEN: N_("We cannot take your request at the moment"),
    DOWN: N_("We cannot take your request at the moment"),
}
SENTENCES = {
    400: N_("Nothing was kept. Please go back to the first page and try again."),
    404: N_("The link may be old, or a letter may be missing in the address."),
    405: N_("Nothing was kept. Please go back to the first page and try again."),
    413: N_("Nothing was kept. Please go back to the first page and try again."),
    415: N_("Nothing was kept. Please go back to the first page and try again."),
    BROKEN: N_("Something on our side is not working."),
    DOWN: N_("Something on our side is not working."),
}

log = structlog.get_logger()


def init_app(app: Flask) -> None:
    """Register the request hooks (language, security headers) and the error handlers on `app`."""
    app.before_request(set_language_from_path)
    app.after_request(add_security_headers)
    app.register_error_handler(IntakeError, handle_expected_error)
    app.register_error_handler(HTTPException, handle_http_error)
    app.register_error_handler(Exception, handle_unexpected_error)


def handle_expected_error(error: IntakeError) -> Response:
    """The error page of an expected failure, with its status and sentence; `Retry-After` for 429."""
    response = error_page(error.status, error.sentence)
    if isinstance(error, TooMany):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def handle_http_error(error: HTTPException) -> Response:
    """The error page of an HTTP exception of Flask or Werkzeug; keeps its `Allow` header."""
    response = error_page(error.code or BROKEN)
    allowed = dict(error.get_headers()).get("Allow")
    if allowed:
        response.headers["Allow"] = allowed
    return response


def handle_unexpected_error(error: Exception) -> Response:
    """Log an unexpected exception and answer with the prepared page for 500."""
    log_defect(error)
    return error_page(BROKEN)


def log_defect(error: Exception) -> None:
    """Log the class of an exception, its route and its line of code; never its message or data."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    log.error(
        "unexpected_failure",
        error=type(error).__name__,
        route=request.endpoint,
        code=f"{Path(last.filename).stem}:{last.lineno}",
    )


def error_page(status: int, sentence: str | None = None) -> Response:
    """The error page for `status` in the language of the path. `sentence` is a message id."""
    if status >= BROKEN:
        pages: Mapping[tuple[int, str], bytes] = current_app.extensions[EXTENSION_KEY]
        return Response(pages[DOWN if status == DOWN else BROKEN, i18n.current_language.get()], status)
    context = {"title": TITLES.get(status, TITLES[400]), "sentence": sentence or SENTENCES.get(status, "")}
    return Response(render_template("error.html", **context, ahead=False), status)


def render_error_pages_ahead(app: Flask) -> None:
    """Render the pages for 500 and 503 in every language and keep them in the application."""
    app.extensions[EXTENSION_KEY] = dict(_render_error_pages(app, "error.html"))


def write_fallback_pages(app: Flask) -> dict[str, bytes]:
    """Write the pages for 500 and 503 as files (`pages/503.en.html` in the data folder); return them by name.

    A proxy in front can serve them while this service does not answer. A write that fails is logged and
    the older files stay: a full disk must not keep the service from starting.
    """
    folder = app.extensions["intake"].settings.data_dir / "pages"
    pages = {
        f"{status}.{language}.html": page
        for (status, language), page in _render_error_pages(app, "fallback.html")
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, page in pages.items():
            # in one step, because a proxy may be reading it
            unfinished = folder / f".{name}.{os.getpid()}"
            try:
                unfinished.write_bytes(page)
                unfinished.replace(folder / name)
            finally:
                unfinished.unlink(missing_ok=True)
    except OSError as error:
        log.warning("pages_not_written", error=type(error).__name__)
    return pages


def _render_error_pages(app: Flask, template: str) -> Iterator[tuple[tuple[int, str], bytes]]:
    style = Markup((STATIC / "site.css").read_text(encoding="utf-8"))  # noqa: S704  a file of ours
    for status in (BROKEN, DOWN):
        for language in LANGUAGES:
            context = {"title": TITLES[status], "sentence": SENTENCES[status], "style": style}
            with i18n.using_language(language), app.test_request_context(i18n.public_path("/")):
                yield (status, language), render_template(template, **context, ahead=True).encode()
