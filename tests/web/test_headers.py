"""What every answer carries (P1, P5): nothing kept, nothing told, nothing framed; also errors and files."""

from collections.abc import Callable

import pytest
from flask import request
from flask.testing import FlaskClient

from intake.app import create_app
from intake.instance import Instance
from intake.web.templating import asset

EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "X-DNS-Prefetch-Control": "off",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
}
CASES = [
    ("GET", "/", 200),
    ("GET", "/es/privacy", 200),
    ("GET", "/exit", 303),
    ("GET", "/robots.txt", 200),
    ("GET", "/static/site.css", 200),
    ("GET", "/static/none.css", 404),
    ("GET", "/nothing", 404),
    ("DELETE", "/", 405),
    ("POST", "/", 415),
    ("OPTIONS", "/", 200),
    ("HEAD", "/", 200),
]


@pytest.mark.parametrize(("method", "path", "status"), CASES)
def test_every_answer_is_dressed(web: FlaskClient, method: str, path: str, status: int) -> None:
    with web.open(path, method=method) as answer:
        assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in EVERYWHERE} == EVERYWHERE
    assert "geolocation=()" in answer.headers["Permissions-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers
    assert "Vary" not in answer.headers
    assert "Strict-Transport-Security" not in answer.headers


def test_a_file_is_kept_under_the_mark_of_its_content_and_only_there(web: FlaskClient) -> None:
    with web.get(asset("site.css")) as right:
        assert right.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert right.headers["Content-Security-Policy"] == EVERYWHERE["Content-Security-Policy"]
    for path in ("/static/site.css?v=0", "/static/leave.js"):
        with web.get(path) as wrong:
            assert wrong.headers["Cache-Control"] == "no-store"


def test_behind_https_hsts_is_sent(make_instance: Callable[..., Instance], sqlite_url: str) -> None:
    web = create_app(make_instance(sqlite_url, base_url="https://ask.example.org")).test_client()
    for path in ("/", "/nothing", "/exit"):
        answer = web.get(path, base_url="https://ask.example.org")
        assert answer.headers["Strict-Transport-Security"] == "max-age=63072000"


def test_robots_may_look_and_learn_no_path(web: FlaskClient) -> None:
    assert web.get("/robots.txt").get_data(as_text=True) == "User-agent: *\nAllow: /\n"


@pytest.mark.parametrize(("hops", "seen"), [(0, "127.0.0.1"), (1, "203.0.113.9")])
def test_a_proxy_is_believed_only_where_one_is_set(
    make_instance: Callable[..., Instance], sqlite_url: str, hops: int, seen: str
) -> None:
    app = create_app(make_instance(sqlite_url, trusted_proxies=hops))
    text = []
    app.before_request(lambda: text.append(request.remote_addr))
    app.test_client().get("/", headers={"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Host": "evil.example"})
    assert text == [seen]
