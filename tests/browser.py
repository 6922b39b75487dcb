"""A real Chromium for the journeys, and axe to look at what it shows."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from werkzeug.serving import make_server
from werkzeug.test import run_wsgi_app

from intake.leads.fields import CHOICES
from tests.factories import answers

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
LOOKS = ["color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size"]
"""The rules of these whose answer depends on colours and room."""
ALL_OR_NOTHING = "INTAKE_TEST_REQUIRE_ALL"
MISSING = "No Chromium was found. Install it, or set CHROMIUM to its path."
PATIENCE = 15_000
"""Milliseconds an expectation may wait; long, because a busy machine is no fault of the page."""
TO_START = 120_000
"""The same for the browser itself, which may be the first one on a cold machine."""


def chromium() -> str | None:
    """Where Chromium is, or None."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)


def pytest_report_header() -> str:
    """Say at the start what the journeys will run in."""
    return f"Chromium: {chromium() or 'NONE FOUND, journeys cannot run'}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without a Chromium leave the journeys out, unless all is asked for: then they fail."""
    if chromium() or os.environ.get(ALL_OR_NOTHING):
        return
    journeys = [item for item in items if "browser" in getattr(item, "fixturenames", ())]
    items[:] = [item for item in items if item not in journeys]
    config.hook.pytest_deselected(items=journeys)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once more, at the end, what was not tried."""
    if not chromium():
        terminalreporter.section("NOT TRIED: the journeys in a browser", "!", red=True, bold=True)
        terminalreporter.line(MISSING)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for the whole run of a worker."""
    program = chromium()
    if not program:
        pytest.fail(MISSING)
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE)  # of itself it waits for five seconds, whatever a page does
        launched = playwright.chromium.launch(executable_path=program, args=FLAGS, timeout=TO_START)
        yield launched
        launched.close()


@pytest.fixture
def page_at(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages of a given width: `page_at(320, javascript=False, dark=True, locale="es-US")`.

    Each has its own cookies. Further options are those of Playwright's `new_context`.
    """
    contexts: list[BrowserContext] = []

    def open_page(width: int = 1280, *, javascript: bool = True, dark: bool = False, **more: object) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            java_script_enabled=javascript,
            color_scheme="dark" if dark else "light",
            **more,
        )
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        return context.new_page()

    yield open_page
    for context in contexts:
        context.close()


class UnderWay:
    """The application, each answer made as a whole before any of it is sent, and those being made counted.

    The test server leaves a file open when a browser turns away in the middle of it, and ends without its
    threads; both would be found, by chance, in some later test.
    """

    def __init__(self, application: Any) -> None:
        self._application, self._over = application, False
        self._count, self._changed = 0, threading.Condition()

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        if not self._began():
            start_response("503 Service Unavailable", [])
            return []
        try:
            whole, status, headers = run_wsgi_app(self._application, environ, buffered=True)
        finally:
            self._ended()
        start_response(status, headers.to_wsgi_list())
        return list(whole)

    def end(self) -> None:
        """Begin no answer any more; returns when none is being made."""
        with self._changed:
            self._over = True
            self._changed.wait_for(lambda: self._count == 0)

    def _began(self) -> bool:
        with self._changed:
            self._count += not self._over
            return not self._over

    def _ended(self) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify_all()


@contextmanager
def serving(application: Any) -> Iterator[str]:
    """The application behind a real port while the block runs; its address."""
    counted = UnderWay(application)
    server = make_server("127.0.0.1", 0, counted, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        counted.end()


def fill(page: Page, **changes: object) -> None:
    """Type and tick good answers into the public form on `page`: a call at any time, and no more than asked.

    `changes` are those of `tests.factories.answers`.
    """
    least = {"channels": ["call"], "email": None, "windows": ["any"], "website": None}
    optional = dict.fromkeys(("voicemail", "time_zone", *CHOICES))
    for name, value in answers(None, **{**least, **optional, **changes}).items():
        if name == "region":
            page.select_option("#region", value)
        elif name in ("preferred_name", "phone", "email"):
            page.fill(f"#{name}", value)
        else:
            for each in value if isinstance(value, list) else [value]:
                page.check(f'[name={name}][value="{each}"]')


def signed_in(page: Page, url: str, token: str) -> Page:
    """The same page, with the session of a member of staff."""
    page.context.add_cookies([{"name": "intake", "value": token, "url": url, "sameSite": "Strict"}])
    return page


def axe_violations(page: Page, rules: Sequence[str] | None = None) -> list[str]:
    """What axe finds wrong with the page under WCAG 2.2 AA, or these rules of it: rule and first place."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(AXE_SCRIPT)
    only = {"type": "rule", "values": list(rules)} if rules else {"type": "tag", "values": WCAG}
    options = {"runOnly": only, "resultTypes": ["violations"]}
    found = page.evaluate("async (options) => (await axe.run(options)).violations", options)
    return [f"{each['id']}: {each['nodes'][0]['html'][:160]}" for each in found]
