"""A form that came damaged: what can be read of it comes back, and nothing of it is kept (P1)."""

from collections.abc import Callable
from io import BytesIO
from urllib.parse import quote, urlencode

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from intake.instance import Instance
from tests.client import Page, fill_in, read
from tests.factories import EMAIL, NAME, SHOWN, ask
from tests.web.public.test_form import assert_answers_preserved

Count = Callable[[Instance], int]
FORM, PARTS = "application/x-www-form-urlencoded", "multipart/form-data"
A_FILE = "We cannot take files here. Please check your answers and send them again."
TOO_MUCH = "That was too much to send at once. Please check your answers and send them again."
NOT_ALL = "Not all of it reached us. Please check your answers and send them again."
LETTERS_LOST = "Some letters did not reach us. Please check this answer."


def body_of(given: dict[str, object]) -> bytes:
    return urlencode(given, doseq=True).encode()


def in_parts(given: dict[str, object], mark: bytes = b"mark") -> bytes:
    """As a browser writes a form in parts, so that a test can break it."""
    pairs = [
        (name, each)
        for name, value in given.items()
        for each in (value if isinstance(value, list) else [value])
    ]
    head = b'--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    written = [head % (mark, name.encode(), str(value).encode()) for name, value in pairs]
    return b"".join([*written, b"--%s--\r\n" % mark])


def text(answer: TestResponse) -> str:
    """What stands on top of the page that came back."""
    return read(answer).one("div", role="alert").words


def can_be_sent(web: FlaskClient, page: Page, **mended: object) -> bool:
    """Whether the page that came back goes through, its answers and its token as they are."""
    return web.post("/", data=fill_in(web, token=page.typed("token"), **mended)).status_code == 200


def test_a_form_in_parts_is_read(web: FlaskClient) -> None:
    assert web.post("/", data=fill_in(web), content_type=PARTS).status_code == 200


@pytest.mark.parametrize("content", [b"x", b"\xff\xd8\xff\xe0 a picture"])
@pytest.mark.parametrize("question", ["upload", "phone"])
def test_a_file_costs_nobody_their_words(
    on_both: FlaskClient, instance: Instance, leads_in: Count, question: str, content: bytes
) -> None:
    given = fill_in(on_both)
    data = {**given, question: [given.get(question, ""), (BytesIO(content), "x.txt")]}
    answer = on_both.post("/", data=data, content_type=PARTS)
    page = read(answer)
    assert (answer.status_code, leads_in(instance)) == (422, 0)
    assert page.one("h2", id="problems").words == A_FILE
    assert_answers_preserved(page)
    assert page.ticked("consent_use") == page.ticked("adult") == {"yes"}
    assert can_be_sent(on_both, page)


@pytest.mark.parametrize("bad", [b"%ff", b"\xff", b"%C3"])
def test_an_undecodable_character_is_named_at_its_answer(
    web: FlaskClient, sqlite_instance: Instance, leads_in: Count, bad: bytes
) -> None:
    body = body_of(fill_in(web)).replace(b"zaraida.quick", b"zaraida" + bad + b".quick")
    answer = web.post("/", data=body, content_type=FORM)
    page = read(answer)
    assert (answer.status_code, leads_in(sqlite_instance)) == (422, 0)
    assert [each.words for each in page.all("a", href="#email")] == [LETTERS_LOST]
    assert page.one("p", id="email-wrong").words == LETTERS_LOST
    assert "What we could read of it is still here." in text(answer)
    assert_answers_preserved(page)
    assert can_be_sent(web, page)


def test_an_undecodable_character_in_a_multipart_field_is_named_too(web: FlaskClient) -> None:
    body = in_parts(fill_in(web)).replace("Zaraïda".encode(), "Zaraïda".encode("latin-1"))
    answer = web.post("/", data=body, content_type=f"{PARTS}; boundary=mark")
    page = read(answer)
    assert answer.status_code == 422
    assert page.typed("preferred_name") == NAME.replace("ï", "")
    assert page.one("p", id="preferred_name-wrong").words == LETTERS_LOST
    assert (page.typed("phone"), page.typed("email")) == (SHOWN, EMAIL)


@pytest.mark.parametrize("body", [b"%80=1", b"\xff=x&preferred_name=Ana", b"&&", b"%ff", b"diagnosis=%ff"])
def test_an_undecodable_character_elsewhere_brings_the_page_back(web: FlaskClient, body: bytes) -> None:
    answer = web.post("/", data=body, content_type=FORM)
    assert answer.status_code == 422
    assert text(answer).startswith(NOT_ALL)
    assert read(answer).typed("preferred_name") == ("Ana" if b"Ana" in body else "")


@pytest.mark.parametrize("kind", [FORM, f"{PARTS}; boundary=mark"])
def test_too_much_is_a_413_with_every_other_answer(
    web: FlaskClient, sqlite_instance: Instance, leads_in: Count, kind: str
) -> None:
    given = fill_in(web) | {"preferred_name": "x" * 70_000}
    answer = web.post("/", data=body_of(given) if kind == FORM else in_parts(given), content_type=kind)
    page = read(answer)
    assert (answer.status_code, leads_in(sqlite_instance)) == (413, 0)
    assert page.typed("preferred_name") == "x" * 1_000
    assert (
        page.one("p", id="preferred_name-wrong").words == "This answer is too long. Please make it shorter."
    )
    assert "(305) 555-0142" in answer.text
    assert len(answer.data) < 64 * 1024
    assert (page.typed("phone"), page.chosen, page.ticked("adult")) == (SHOWN, "US-FL", {"yes"})
    assert can_be_sent(web, page)


def test_a_large_picture_is_a_413_that_speaks_of_files(web: FlaskClient) -> None:
    data = fill_in(web) | {"picture": (BytesIO(b"\xff" * 500_000), "x.jpg")}
    answer = web.post("/", data=data, content_type=PARTS)
    assert answer.status_code == 413
    assert text(answer).startswith(A_FILE)
    assert_answers_preserved(read(answer))


@pytest.mark.parametrize("kind", [FORM, f"{PARTS}; boundary=mark"])
def test_a_thousand_questions_are_not_read(web: FlaskClient, kind: str) -> None:
    given = fill_in(web) | {f"q{number}": "x" * 60 for number in range(1100)}
    answer = web.post("/", data=body_of(given) if kind == FORM else in_parts(given), content_type=kind)
    assert answer.status_code == 413
    assert text(answer).startswith(TOO_MUCH)
    assert_answers_preserved(read(answer))


def test_more_than_the_server_takes_is_a_page_with_the_phone(web: FlaskClient) -> None:
    answer = web.post("/", data={"preferred_name": "x" * 1_100_000})
    assert answer.status_code == 413
    assert "(305) 555-0142" in answer.text


@pytest.mark.parametrize("cut", [40, 200, 600, -12])
def test_a_form_cut_short_keeps_what_came(web: FlaskClient, cut: int) -> None:
    """Also cut inside a word, a letter or the mark between the parts."""
    body = in_parts({"preferred_name": "Ana", **fill_in(web, preferred_name=None)})[:cut]
    answer = web.post("/", data=body, content_type=f"{PARTS}; boundary=mark")
    assert answer.status_code == 422
    assert text(answer).startswith(NOT_ALL)
    assert read(answer).typed("preferred_name") == ("" if cut == 40 else "Ana")


@pytest.mark.parametrize("kind", [PARTS, f"{PARTS}; boundary=", f"{PARTS}; boundary=other"])
def test_parts_that_nobody_can_tell_apart_bring_the_empty_page(web: FlaskClient, kind: str) -> None:
    answer = web.post("/", data=in_parts(fill_in(web)), content_type=kind)
    assert answer.status_code == 422
    assert text(answer).startswith(NOT_ALL)


def test_the_language_of_a_damaged_form_changes_and_keeps_what_came(web: FlaskClient) -> None:
    body = body_of(fill_in(web) | {"switch": "es"}) + b"&website=%ff"
    answer = web.post("/es/", data=body, content_type=FORM)
    page = read(answer)
    assert (answer.status_code, page.one("html").attributes["lang"]) == (200, "es")
    assert_answers_preserved(page)


def test_in_spanish_the_problem_is_in_spanish(web: FlaskClient) -> None:
    body = body_of(fill_in(web, "/es/")) + b"&phone=%ff"
    answer = web.post("/es/", data=body, content_type=FORM)
    assert "Lo que pudimos leer sigue aquí." in text(answer)
    assert "Algunas letras no nos llegaron." in text(answer)


def test_a_damaged_number_is_not_taken_for_the_new_one(web: FlaskClient, sqlite_instance: Instance) -> None:
    code = ask(sqlite_instance).code
    body = urlencode({"code": code, "kind": "phone", "channels": "call"}) + "&phone=305%ff5550144"
    answer = web.post("/manage/contact", data=body, content_type=FORM)
    assert answer.status_code == 422
    assert read(answer).all("a", href="#phone")
    assert "Nothing has changed." in answer.text
    assert "call" in read(answer).ticked("channels")


def test_stopping_works_also_in_a_damaged_form(web: FlaskClient, sqlite_instance: Instance) -> None:
    body = f"code={quote(ask(sqlite_instance).code)}&junk=%ff"
    answer = web.post("/manage/stop", data=body, content_type=FORM)
    assert answer.status_code == 200
    assert "Done. All contact has stopped." in answer.text
