"""What browsers and proxies are told and believed, on every route there is.

The routes come from the application, so a new one is held against all of this by itself.
"""

from collections.abc import Callable, Iterator
from http.cookies import SimpleCookie
from urllib.parse import quote, urlsplit

import pytest
from flask import Flask
from sqlalchemy import text
from werkzeug.test import TestResponse

from intake.app import LARGEST_BODY, create_app
from intake.core.errors import IntakeError, TooMany, Unavailable
from intake.db.types import Base
from intake.instance import Instance
from intake.web.auth.guards import guarded_routes
from tests.conftest import MovableClock
from tests.factories import ANY, ask
from tests.web.test_headers import EVERYWHERE
from tests.web.test_route_walk import ALL, Somebody, address, routes

STAFF = {
    **EVERYWHERE,
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": f"{EVERYWHERE['Content-Security-Policy']}; connect-src 'self'",
}
"""A page of staff asks our own server whether anything is new, and nobody else."""
FAILURES: dict[int, Exception] = {429: TooMany(retry_after=90), 500: RuntimeError(), 503: Unavailable()}
HELP = ("tel:988", "tel:+13055550142")
ELSEWHERE = "evil.example"
FORWARDED = {
    "X-Forwarded-Host": ELSEWHERE,
    "X-Forwarded-Proto": "gopher",
    "X-Forwarded-Port": "666",
    "X-Forwarded-Prefix": f"//{ELSEWHERE}",
    "X-Original-URL": f"//{ELSEWHERE}/",
    "Forwarded": f"host={ELSEWHERE};proto=gopher",
}
FOREIGN = (
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": f"https://{ELSEWHERE}"},
    {"Origin": "null"},
)
WAYS_OUT = tuple(
    place.format(ELSEWHERE)
    for place in (
        "//{}", "https://{}", "https:{}", "/\\{}", "\\\\{}", "/%09/{}", "/%5c{}", "///{}", "/%2f%2f{}",
        "@{}", "javascript:alert(1)//{}", "/x%0d%0aLocation:%20//{}",
    )
)  # fmt: skip
BY_A_POLL = ("audit_event", "chain_link", "staff_session")
"""What looking alone may write: that somebody looked, and that they are there."""


@pytest.fixture(params=["nobody", "everything"])
def somebody(request: pytest.FixtureRequest, app: Flask, sqlite_instance: Instance) -> Somebody:
    """Whoever is not signed in, and whoever may do everything."""
    return Somebody(app, sqlite_instance, None if request.param == "nobody" else ALL)


def every_route(app: Flask) -> Iterator[tuple[str, str]]:
    """Each method with a path that this very route answers; leaving ends a session, so it comes last."""
    found = [(name.split()[0], address(rule)) for name, rule in routes(app)]
    return iter(sorted(found, key=lambda each: each[1] == "/sign-out"))


def dressed(answer: TestResponse, path: str) -> None:
    """All headers, nothing that is kept, no cookie that anybody but us can read, no word of who we are."""
    wanted = STAFF if "connect-src" in answer.headers["Content-Security-Policy"] else EVERYWHERE
    assert {name: answer.headers.get(name) for name in wanted} == wanted, path
    assert answer.headers["X-Frame-Options"] == "DENY", path
    assert answer.headers["Cache-Control"] == "no-store", path
    page_text = {"Server", "X-Powered-By", "Access-Control-Allow-Origin"} & set(answer.headers.keys())
    assert not page_text, path
    if answer.mimetype.startswith("text/"):
        assert "charset=utf-8" in answer.headers["Content-Type"], path
    for written in answer.headers.getlist("Set-Cookie"):
        for cookie in SimpleCookie(written).values():
            assert cookie["httponly"], path
            assert cookie["samesite"] == "Strict", path
            assert not cookie["domain"], path
            assert cookie["path"] == "/", path


def stays_on_site(answer: TestResponse, leave_to: str) -> None:
    """A redirect goes to a path of ours, or out by the one way that the clinic has set."""
    to = answer.headers.get("Location", "/")
    found = urlsplit(to)
    assert to == leave_to or (not found.netloc and not found.scheme and to.startswith("/")), to
    assert not to.startswith(("//", "/\\")), to


def rows(instance: Instance, *but: str) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table."""
    with instance.database.reading() as session:
        return {
            name: sorted((tuple(row) for row in session.execute(text(f'SELECT * FROM "{name}"'))), key=str)
            for name in Base.metadata.tables
            if name not in but
        }


# --- headers and pages -----------------------------------------------------------------------------------


def test_every_answer_of_every_route_is_dressed(app: Flask, somebody: Somebody) -> None:
    for method, path in every_route(app):
        dressed(somebody.ask(method, path), path)


def test_what_is_not_there_and_what_does_not_work_that_way_is_dressed(app: Flask, somebody: Somebody) -> None:
    for method, path in every_route(app):
        for wrong in (somebody.ask(method, f"{path.rstrip('/')}/nothing/here"), somebody.ask("PATCH", path)):
            assert wrong.status_code in (404, 405), path
            dressed(wrong, path)


@pytest.mark.parametrize("status", FAILURES)
def test_every_failure_of_every_route_is_dressed_and_helps(sqlite_instance: Instance, status: int) -> None:
    app = create_app(sqlite_instance)
    web = app.test_client()

    @app.before_request
    def fail() -> None:
        raise FAILURES[status]

    for method, path in every_route(app):
        answer = web.open(path, method=method, buffered=True)
        assert answer.status_code == status, path
        dressed(answer, path)
        assert all(each in answer.text for each in HELP), path
        assert ("Retry-After" in answer.headers) == (status == 429), path


def test_what_is_too_large_is_dressed_and_changes_nothing(
    app: Flask, somebody: Somebody, sqlite_instance: Instance
) -> None:
    before = rows(sqlite_instance, *BY_A_POLL)
    for method, path in every_route(app):
        if method == "POST":
            sent = {"csrf": somebody.csrf, "x": "y" * (LARGEST_BODY + 1)}
            answer = somebody.web.post(path, data=sent, headers={"Sec-Fetch-Site": "same-origin"})
            dressed(answer, path)
            if path != "/sign-out":  # whoever has no session is led to the door before anything is read
                assert 400 <= answer.status_code < 500, path
                assert all(each in answer.text for each in HELP), path
    assert rows(sqlite_instance, *BY_A_POLL) == before


# --- whose click it was ------------------------------------------------------------------------------------


def mutations(app: Flask) -> list[str]:
    """Where something is changed for whoever is signed in."""
    guarded = {rule for rule, method in guarded_routes(app) if method == "POST"}
    return [address(rule) for name, rule in routes(app) if name.startswith("POST") and rule.rule in guarded]


def test_a_click_from_elsewhere_changes_nothing(app: Flask, sqlite_instance: Instance) -> None:
    """With the right token and the right cookie, but from another place."""
    anybody = Somebody(app, sqlite_instance, ALL)
    ask(sqlite_instance, **ANY)
    before = rows(sqlite_instance)
    assert len(mutations(app)) > 30
    for path in mutations(app):
        for headers in FOREIGN:
            answer = anybody.web.post(
                path, data={"csrf": anybody.csrf, "term": "3055550123"}, headers=headers
            )
            assert answer.status_code == 403, (path, headers)
            dressed(answer, path)
    assert rows(sqlite_instance) == before


def test_a_click_without_the_token_of_this_session_changes_nothing(
    app: Flask, sqlite_instance: Instance
) -> None:
    anybody = Somebody(app, sqlite_instance, ALL)
    other = Somebody(app, sqlite_instance, frozenset(list(ALL)[:2]))
    before = rows(sqlite_instance)
    wrong = (None, "", "x", other.csrf, anybody.csrf[:-1], anybody.csrf.upper() + " ", "\ud800", "é" * 40)
    for path in mutations(app):
        for token in wrong:
            sent = {"term": "3055550123"} | (
                {} if token is None else {"csrf": token.encode("utf-8", "replace")}
            )
            answer = anybody.web.post(path, data=sent, headers={"Sec-Fetch-Site": "same-origin"})
            assert answer.status_code == 403, (path, token)
    assert rows(sqlite_instance) == before


def test_looking_changes_nothing(
    app: Flask, somebody: Somebody, sqlite_instance: Instance, clock: MovableClock
) -> None:
    """Each page twice, also as a mail scanner or a browser that looks ahead would."""
    ask(sqlite_instance, **ANY)
    before = rows(sqlite_instance, *BY_A_POLL)
    for method, path in every_route(app):
        if method == "GET":
            for headers in ({}, {"Sec-Purpose": "prefetch"}):
                somebody.web.get(path, headers=headers, buffered=True)
                somebody.web.head(path, buffered=True)
    assert rows(sqlite_instance, *BY_A_POLL) == before


# --- whose word we take ------------------------------------------------------------------------------------


def test_another_name_than_ours_is_refused_and_not_repeated(app: Flask, somebody: Somebody) -> None:
    for method, path in every_route(app):
        for host in (ELSEWHERE, f"localhost.{ELSEWHERE}", f"localhost@{ELSEWHERE}", f"{ELSEWHERE}#localhost"):
            answer = somebody.web.open(path, method=method, headers={"Host": host}, buffered=True)
            assert answer.status_code == 400, (path, host)
            assert ELSEWHERE not in answer.text + str(answer.headers), (path, host)


def test_what_others_say_about_where_we_are_is_not_believed(app: Flask, somebody: Somebody) -> None:
    for method, path in every_route(app):
        answer = somebody.web.open(path, method=method, headers=FORWARDED, buffered=True)
        assert ELSEWHERE not in answer.get_data(as_text=True) + str(answer.headers), path
        assert "gopher" not in str(answer.headers), path


def test_no_redirect_leads_away(app: Flask, somebody: Somebody, sqlite_instance: Instance) -> None:
    leading = [
        (method, path)
        for method, path in every_route(app)
        if path == "/sign-in" or "Location" in somebody.web.open(path, method=method, buffered=True).headers
    ]
    assert len(leading) > 2
    for place in WAYS_OUT:
        asked = f"?next={place}&to={place}&url={place}&return={place}"
        for method, path in leading:
            answer = somebody.web.open(path + asked, method=method, buffered=True)
            stays_on_site(answer, sqlite_instance.clinic.leave_to)
        stays_on_site(somebody.web.get(f"/{quote(place)}"), sqlite_instance.clinic.leave_to)


def test_every_expected_failure_is_dressed(make_instance: Callable[..., Instance], sqlite_url: str) -> None:
    """Behind TLS a browser is told to stay there, whatever went wrong."""
    secure = make_instance(sqlite_url, base_url="https://ask.example.org")
    kinds = [each for each in IntakeError.__subclasses__() if each.__module__ == "intake.core.errors"]
    for kind in kinds:
        app = create_app(secure)

        @app.before_request
        def fail(kind: type[IntakeError] = kind) -> None:
            raise kind([]) if kind.__name__ == "SettingsError" else kind({}) if kind.status == 422 else kind()

        answer = app.test_client().get("/", base_url="https://ask.example.org")
        assert answer.status_code == kind.status
        assert answer.headers["Strict-Transport-Security"] == "max-age=63072000"
        dressed(answer, kind.__name__)
