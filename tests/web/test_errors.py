"""Every failure is a page in the language of the path, with the phone and help right now (P4)."""

from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.exceptions import HTTPException

from intake.app import create_app, write_fallback_pages
from intake.core import errors
from intake.core.errors import IntakeError, TooMany
from intake.instance import Instance
from intake.web.errors import TITLES
from tests.client import read

EXPECTED = [
    each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, IntakeError)
]
STATUSES = [400, 404, 405, 413, 415, 422, 429, 500, 503]


def failing(app: Flask, failure: Exception) -> None:
    def fail() -> None:
        raise failure

    app.add_url_rule("/fail", view_func=fail)
    app.add_url_rule("/es/fail", "spanish", view_func=fail)


def http_error(status: int) -> HTTPException:
    failure = HTTPException()
    failure.code = status
    return failure


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize(("path", "spoken"), [("/fail", "en"), ("/es/fail", "es")])
def test_each_status_has_its_page(app: Flask, status: int, path: str, spoken: str) -> None:
    failing(app, http_error(status))
    answer = app.test_client().get(path)
    page = read(answer)
    assert answer.status_code == status
    assert page.one("html").attributes["lang"] == spoken
    assert (page.one("h1").words == TITLES[status]) == (spoken == "en")
    assert {"tel:911", "tel:988", "tel:+13055550142"} <= {each.attributes["href"] for each in page.all("a")}


@pytest.mark.parametrize("kind", [each for each in EXPECTED if each is not errors.SettingsError])
def test_our_own_failures_say_their_sentence(app: Flask, kind: type[IntakeError]) -> None:
    failing(app, kind({}) if kind is errors.Unprocessable else kind())
    answer = app.test_client().get("/fail")
    assert answer.status_code == kind.status
    assert kind.sentence in answer.get_data(as_text=True)


def test_too_many_says_how_long_to_wait(app: Flask) -> None:
    failing(app, TooMany(retry_after=90))
    assert app.test_client().get("/fail").headers["Retry-After"] == "90"


def test_a_wrong_method_says_which_are_right(app: Flask) -> None:
    answer = app.test_client().delete("/privacy")
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


def test_a_defect_shows_the_page_rendered_at_start_and_no_word_of_it(app: Flask) -> None:
    failing(app, RuntimeError("Zaraida"))
    answer = app.test_client().get("/es/fail")
    assert answer.status_code == 500
    assert "Zaraida" not in answer.get_data(as_text=True)
    assert read(answer).one("html").attributes["lang"] == "es"


def test_the_page_for_a_defect_needs_no_template(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("intake.web.errors.render_template", broken)
    monkeypatch.setattr("intake.web.public.form.render_template", broken)
    answer = app.test_client().get("/")
    assert answer.status_code == 500
    assert "988" in answer.get_data(as_text=True)


def test_a_page_that_is_rendered_ahead_says_hours_and_not_open_now(app: Flask) -> None:
    failing(app, http_error(503))
    words = app.test_client().get("/fail").get_data(as_text=True)
    assert "Monday to Friday" in words
    assert "Open now" not in words


def test_the_pages_for_the_proxy_stand_alone(
    make_instance: Callable[..., Instance], sqlite_url: str, tmp_path: Path
) -> None:
    app = create_app(make_instance(sqlite_url))
    write_fallback_pages(app)
    write_fallback_pages(app)
    written = {each.name: each.read_text(encoding="utf-8") for each in (tmp_path / "pages").iterdir()}
    assert set(written) == {f"{status}.{spoken}.html" for status in (500, 503) for spoken in ("en", "es")}
    for name, words in written.items():
        assert "988" in words
        assert "(305) 555-0142" in words
        assert "/static/" not in words
        assert "--paper:" in words
        assert ('<html lang="es">' in words) == (".es." in name)
