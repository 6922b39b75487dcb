"""The door under attack: one answer and one event for all of it, and the public form still answers (W1)."""

import json
import multiprocessing
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode

import pytest
import structlog
from argon2 import PasswordHasher
from werkzeug.test import TestResponse

from intake.accounts import credentials, sign_in
from intake.accounts.sign_in import SignInRefused
from intake.app import create_app, write_fallback_pages
from intake.conf.settings import Settings
from intake.core import logging
from intake.instance import Instance
from intake.server.wsgi import serve
from tests.accounts.test_sign_in import events
from tests.client import OURS, field
from tests.conftest import MovableClock
from tests.factories import AWAY, HOME_NETWORK, MARIA, PASSWORD, Person, add_account
from tests.web.auth.test_login import knock, typed

HOSTILE = {
    "lines": 'maria\n{"event": "signed_in", "level": "info"}\r\n',
    "terminal": "\x1b[2J\x1b]0;owned\x07\x1b[31mmaria@example.org",
    "ten kilobytes": "m" * 10_240 + "@example.org",
    "backwards": "\u202egro.elpmaxe@airam",
    "null": "maria\x00@example.org",
    "half a pair": "maria\ud83d@example.org",
}


@pytest.fixture
def maria(sqlite_instance: Instance) -> Person:
    return add_account(sqlite_instance)


@pytest.fixture
def logged(capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """Everything that was written on standard output and standard error."""
    yield lambda: "".join(capfd.readouterr())
    structlog.reset_defaults()


def alike(one: TestResponse, other: TestResponse) -> bool:
    """The same status, the same headers, the same sentence; only the address comes back as it was typed."""
    for answer in (one, other):
        answer.headers.remove("Content-Length")
    text = [re.search(r'role="alert"[^>]*>([^<]+)<', answer.text) for answer in (one, other)]
    return bool(
        one.status_code == other.status_code
        and sorted(one.headers) == sorted(other.headers)
        and text[0]
        and text[1]
        and text[0][1] == text[1][1]
    )


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_name_gets_the_usual_answer_one_event_and_stands_in_no_log(
    sqlite_instance: Instance, maria: Person, logged: Callable[[], str], name: str
) -> None:
    logging.configure()  # here, because the stream it writes to is another one while fixtures are set up
    app = create_app(sqlite_instance)
    web = app.test_client()
    body = urlencode(
        {"csrf": field(web.get("/sign-in").text, "csrf"), "email": name, "password": name, "code": name},
        errors="surrogatepass",
    )
    form = {"content_type": "application/x-www-form-urlencoded", "headers": OURS}
    answer = web.post("/sign-in", data=body, **form)
    usual = knock(app.test_client(), typed(sqlite_instance, maria, password="wrong"))
    assert answer.status_code == 422
    assert alike(answer, usual)
    assert Counter(events(sqlite_instance)) == {
        ("staff.refused", "no_account"): 1,
        ("staff.refused", "password"): 1,
    }
    structlog.get_logger().warning("looked", name="at the end")
    written = logged()
    assert "looked" in written
    assert not re.search(r"maria|airam|mmmm|\x1b|\\u001b|signed_in|owned", written)
    assert all(json.loads(line) for line in written.splitlines())


def test_a_sign_in_that_was_copied_whole_opens_nothing_a_second_time(
    sqlite_instance: Instance, maria: Person
) -> None:
    app = create_app(sqlite_instance)
    web = app.test_client()
    page = web.get("/sign-in")
    door = web.get_cookie("intake-door")
    assert door
    sent = {"csrf": field(page.text, "csrf"), **typed(sqlite_instance, maria)}
    assert web.post("/sign-in", data=sent, headers=OURS).status_code == 303
    thief = app.test_client()
    thief.set_cookie("intake-door", door.value, path="/")
    again = thief.post("/sign-in", data=sent, headers=OURS)
    assert (again.status_code, thief.get_cookie("intake")) == (422, None)
    assert Counter(events(sqlite_instance)) == {("staff.signed_in", "totp"): 1, ("staff.refused", "code"): 1}


FORGED = {
    "of no browser": {"csrf": "0" * 64},
    "of a desk page": {"csrf": "from the desk"},
    "without one": {"csrf": None},
}


@pytest.mark.parametrize("change", FORGED.values(), ids=FORGED)
def test_a_forged_sign_in_is_not_even_looked_at(
    sqlite_instance: Instance, maria: Person, change: dict[str, str | None]
) -> None:
    app = create_app(sqlite_instance)
    inside, web = app.test_client(), app.test_client()
    assert knock(inside, typed(sqlite_instance, maria)).status_code == 303
    sent = {**typed(sqlite_instance, maria), **change}
    if sent["csrf"] == "from the desk":
        sent["csrf"] = field(inside.get("/desk/account").text, "csrf")
    web.get("/sign-in")
    answer = web.post("/sign-in", data={name: word for name, word in sent.items() if word}, headers=OURS)
    assert answer.status_code == 403
    assert len(events(sqlite_instance)) == 1


@pytest.mark.parametrize("missing", ["password", "code", "email", "password code"])
def test_a_half_finished_sign_in_opens_nothing_and_looks_like_a_wrong_one(
    sqlite_instance: Instance, maria: Person, missing: str
) -> None:
    app = create_app(sqlite_instance)
    web = app.test_client()
    usual = knock(app.test_client(), typed(sqlite_instance, maria, code="000000"))
    sent = typed(sqlite_instance, maria)
    half = knock(web, {name: word for name, word in sent.items() if name not in missing.split()})
    assert alike(half, usual)
    assert web.get("/desk").status_code == 303
    assert web.get("/desk/rows").status_code == 401


def test_spoofed_headers_give_no_more_tries_and_lock_nobody_else_out(
    sqlite_instance: Instance, maria: Person
) -> None:
    web = create_app(sqlite_instance).test_client()
    csrf = field(web.get("/sign-in").text, "csrf")

    def wrong(place: int) -> int:
        spoofed = {
            "X-Forwarded-For": f"10.{place}.0.1, {HOME_NETWORK}",
            "X-Real-IP": f"10.{place}.0.1",
            "Forwarded": f"for=10.{place}.0.1",
            "True-Client-IP": HOME_NETWORK,
        }
        sent = {"csrf": csrf, "email": MARIA, "password": "wrong", "code": "000000"}
        away = {"REMOTE_ADDR": AWAY}
        return web.post("/sign-in", data=sent, headers={**OURS, **spoofed}, environ_base=away).status_code

    assert Counter(wrong(place) for place in range(200)) == {422: 60, 429: 140}
    other = create_app(sqlite_instance).test_client()  # as after a restart: the limits are kept in a file
    at_home = knock(other, typed(sqlite_instance, maria), address=HOME_NETWORK)
    assert at_home.status_code == 303
    again = create_app(sqlite_instance).test_client()
    assert knock(again, typed(sqlite_instance, maria), address=AWAY).status_code == 429


# --- two processes ----------------------------------------------------------------------------------------


def _knocking(settings: Settings, words: dict[str, str], place: int, go: Any, answers: Any) -> None:
    """25 at once with one code, as one process of two."""
    credentials.HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    credentials._slots = threading.BoundedSemaphore(25)
    instance = Instance.from_settings(settings, clock=MovableClock())
    came_in: list[str] = []

    def knock_once(number: int) -> None:
        attempt = sign_in.LoginAttempt(f"10.{place}.{number}.1")
        with suppress(SignInRefused):
            came_in.append(sign_in.sign_in(instance=instance, attempt=attempt, **words).token)

    threads = [threading.Thread(target=knock_once, args=(number,)) for number in range(25)]
    go.wait()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers.put(len(came_in))
    instance.database.close()


def test_of_fifty_at_once_in_two_processes_with_one_code_one_comes_in(
    instance: Instance,
) -> None:
    person = add_account(instance)
    words = {"email": MARIA, "password": PASSWORD, "code": person.code(instance)}
    spawn = multiprocessing.get_context("spawn")
    go, answers = spawn.Event(), spawn.Queue()
    workers = [
        spawn.Process(target=_knocking, args=(instance.settings, words, place, go, answers), daemon=True)
        for place in range(2)
    ]
    for worker in workers:
        worker.start()
    go.set()
    came_in = sum(answers.get(timeout=600) for _ in workers)
    for worker in workers:
        worker.join()
    assert came_in == 1
    assert Counter(events(instance)) == {("staff.signed_in", "totp"): 1, ("staff.refused", "code"): 49}


# --- hashing does not starve the form ---------------------------------------------------------------------


class Slow:
    """A hasher that answers when it is let, and counts how many wait in it at once."""

    def __init__(self) -> None:
        self.go, self.entered, self.lock = threading.Event(), threading.Semaphore(0), threading.Lock()
        self.inside = self.most = 0

    def verify(self, _hashed: str, _typed: bytes) -> bool:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.entered.release()
        self.go.wait()
        with self.lock:
            self.inside -= 1
        return False

    def check_needs_rehash(self, _hashed: str) -> bool:
        return False


@pytest.fixture
def served(make_instance: Callable[..., Instance], sqlite_url: str) -> Iterator[tuple[Instance, int]]:
    """The shipped server with four threads."""
    instance = make_instance(sqlite_url, web_threads=4)
    app, stop = create_app(instance), threading.Event()
    line = credentials._slots
    with socket.create_server(("127.0.0.1", 0)) as listening:
        pages = write_fallback_pages(app)
        work = (app, listening, instance.settings, stop, pages)
        thread = threading.Thread(target=serve, args=work)
        thread.start()
        yield instance, listening.getsockname()[1]
        stop.set()
        thread.join()
    credentials._slots = line


def ask_for(port: int, method: str, path: str, **more: Any) -> tuple[int, str, str]:
    """Status, body and cookie of one answer."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=120)) as web:
        web.request(method, path, headers={"Host": "localhost", **more.pop("headers", {})}, **more)
        answer = web.getresponse()
        return answer.status, answer.read().decode(), answer.getheader("Set-Cookie", "")


def test_while_passwords_are_looked_at_the_public_form_still_answers(
    served: tuple[Instance, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    instance, port = served
    add_account(instance)
    slow, statuses = Slow(), []
    _, page, cookie = ask_for(port, "GET", "/sign-in")
    words = {"csrf": field(page, "csrf"), "email": MARIA, "password": "wrong", "code": "1"}
    kind = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie.partition(";")[0], **OURS}
    monkeypatch.setattr(credentials, "HASHER", slow)

    def storm() -> None:
        statuses.append(ask_for(port, "POST", "/sign-in", body=urlencode(words), headers=kind)[0])

    threads = [threading.Thread(target=storm) for _ in range(12)]
    for thread in threads:
        thread.start()
    try:
        assert slow.entered.acquire(timeout=60)
        status, form, _ = ask_for(port, "GET", "/")
        assert (status, "<form" in form, slow.go.is_set()) == (200, True, False)
        assert ask_for(port, "GET", "/healthz")[0] == 200
    finally:  # or they would wait, and at last fail, in later tests
        slow.go.set()
        for thread in threads:
            thread.join()
    assert Counter(statuses)[429] + Counter(statuses)[422] == 12
    assert slow.most <= credentials._PARALLEL
