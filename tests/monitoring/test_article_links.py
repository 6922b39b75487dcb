"""The articles' addresses, asked of a real web server on the loopback (P6)."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from intake.conf.settings import Outbound
from intake.instance import Instance
from intake.monitoring import State, article_links, checks


class Site(BaseHTTPRequestHandler):
    """`/ok` answers, `/moved` leads to `/ok`, anything else is not there."""

    asked: list[str] = []  # noqa: RUF012  one for the whole server

    def do_GET(self) -> None:
        self.asked.append(self.path)
        code = {"/ok": 200, "/moved": 301}.get(self.path, 404)
        self.send_response(code)
        if code == 301:
            self.send_header("Location", "/ok")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def site() -> Iterator[str]:
    Site.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.daemon_threads = False  # so that closing it waits for those who still answer
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def looked(instance: Instance, *urls: str, outbound: Outbound = Outbound.YES) -> checks.Check:
    first, second = instance.clinic.articles
    pair = (replace(first, url=urls[0]), replace(second, url=urls[1]))
    clinic, settings = replace(instance.clinic, articles=pair), replace(instance.settings, outbound=outbound)
    return article_links.article_links(replace(instance, clinic=clinic, settings=settings))


@pytest.mark.parametrize(
    ("path", "state", "expected"),
    [
        ("/ok", State.GREEN, "Both articles answer"),
        ("/moved", State.AMBER, "Article 2 has moved to another address."),
        ("/gone", State.AMBER, "Article 2 does not answer (404)."),
    ],
)
def test_it_says_which_article_does_not_answer(sqlite_instance, site, path, state, expected) -> None:
    found = looked(sqlite_instance, f"{site}/ok", f"{site}{path}")
    assert (found.state, expected in found.sentence) == (state, True)


def test_a_site_that_is_not_there_is_reported(sqlite_instance, site) -> None:
    found = looked(sqlite_instance, "http://127.0.0.1:9/ok", f"{site}/ok")
    assert (found.state, found.sentence) == (State.AMBER, "Article 1 does not answer (URLError).")


def test_nobody_is_asked_where_that_is_not_allowed(sqlite_instance, site) -> None:
    found = looked(sqlite_instance, f"{site}/gone", f"{site}/gone", outbound=Outbound.NO)
    assert (found.state, Site.asked) == (State.GREEN, [])
