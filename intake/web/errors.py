"""The pages for when something went wrong.

One handler renders each failure in the language of the path, with the clinic's phone and the crisis
lines (promise P4). The pages for 500 and 503 are rendered once at start, so that they need nothing.
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
from intake.web.context import public_path, set_language_from_path
from intake.web.headers import add_security_headers

READY = "intake-pages"
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


def prepare(app: Flask) -> None:
    """Hook in: the language before, the headers after, one page for every failure."""
    app.before_request(set_language_from_path)
    app.after_request(add_security_headers)
    app.register_error_handler(IntakeError, expected)
    app.register_error_handler(HTTPException, refused)
    app.register_error_handler(Exception, unexpected)


def expected(error: IntakeError) -> Response:
    """A failure that carries its own status and sentence."""
    answer = failure(error.status, error.sentence)
    if isinstance(error, TooMany):
        answer.headers["Retry-After"] = str(error.retry_after)
    return answer


def refused(error: HTTPException) -> Response:
    """What Flask or Werkzeug would not take: no such page, too large, not that way."""
    answer = failure(error.code or BROKEN)
    allowed = dict(error.get_headers()).get("Allow")
    if allowed:
        answer.headers["Allow"] = allowed
    return answer


def unexpected(error: Exception) -> Response:
    """A defect of ours: the page that needs nothing."""
    report(error)
    return failure(BROKEN)


def report(error: Exception) -> None:
    """Log what kind of defect and where it is, and nothing of what it was about."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    log.error(
        "unexpected_failure",
        error=type(error).__name__,
        route=request.endpoint,
        code=f"{Path(last.filename).stem}:{last.lineno}",
    )


def failure(status: int, sentence: str | None = None) -> Response:
    """The page for `status`, in the language of the path. `sentence` is a message id."""
    if status >= BROKEN:
        return Response(_ready()[DOWN if status == DOWN else BROKEN, i18n.current_language.get()], status)
    words = {"title": TITLES.get(status, TITLES[400]), "sentence": sentence or SENTENCES.get(status, "")}
    return Response(render_template("error.html", **words, ahead=False), status)


def _ready() -> Mapping[tuple[int, str], bytes]:
    pages: Mapping[tuple[int, str], bytes] = current_app.extensions[READY]
    return pages


def render_error_pages_ahead(app: Flask) -> None:
    """Render the pages for 500 and 503 now, so that later they need nothing that may be broken."""
    app.extensions[READY] = dict(_rendered_ahead(app, "error.html"))


def write_fallback_pages(app: Flask) -> dict[str, bytes]:
    """The same pages as files that need no process: `pages/503.en.html` in the data folder.

    For the proxy in front, to be served when nobody else answers (decisions.md 22). Returns them by name.
    Where they cannot be written now, the older ones stay: a full disk must not keep us from serving.
    """
    folder = app.extensions["intake"].settings.data_dir / "pages"
    pages = {
        f"{status}.{spoken}.html": page for (status, spoken), page in _rendered_ahead(app, "fallback.html")
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, page in pages.items():
            _put(folder / name, page)
    except OSError as failed:
        log.warning("pages_not_written", error=type(failed).__name__)
    return pages


def _put(file: Path, words: bytes) -> None:
    """All of it or nothing: a proxy may be reading."""
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(words)
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


def _rendered_ahead(app: Flask, template: str) -> Iterator[tuple[tuple[int, str], bytes]]:
    style = Markup((STATIC / "site.css").read_text(encoding="utf-8"))  # noqa: S704  a file of ours
    for status in (BROKEN, DOWN):
        for spoken in LANGUAGES:
            words = {"title": TITLES[status], "sentence": SENTENCES[status], "style": style}
            with i18n.using_language(spoken), app.test_request_context(public_path("/")):
                yield (status, spoken), render_template(template, **words, ahead=True).encode()
