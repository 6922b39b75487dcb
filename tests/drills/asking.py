"""People of flesh and bone at a real port: one page, one form, one answer."""

import http.client
import re
import threading
import time
from contextlib import closing, suppress
from typing import NamedTuple, Self
from urllib.parse import urlencode

from tests.factories import answers

TOKEN = re.compile(r'name="token" value="([^"]+)"')
REFERENCE = re.compile(r'aria-labelledby="ref"><span>([^<]+)</span>')
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Answer(NamedTuple):
    """What came back; nothing at all when nobody answered to the end."""

    status: int = 0
    words: str = ""


def sent(port: int, method: str, path: str = "/", *, form: str = "") -> Answer:
    """One request over a connection of its own."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with closing(line), suppress(OSError, http.client.HTTPException):
        line.request(method, path, form, FORM if form else {})
        answer = line.getresponse()
        return Answer(answer.status, answer.read().decode())
    return Answer()


def form_of(number: int, token: str, **changes: object) -> str:
    """What person number so-and-so types and ticks, as a browser sends it: a call, at any time."""
    own = {"preferred_name": f"Person {number}", "phone": f"+1212555{100 + number % 100:04}"}
    least = {"channels": "call", "email": None, "windows": "any"}
    return urlencode(answers(token, **{**own, **least, **changes}), doseq=True)


def reference_in(words: str) -> str:
    """The reference on a confirmation, without its gap; empty on any other page."""
    found = REFERENCE.search(words)
    return found[1].replace(" ", "") if found else ""


def code_in(words: str) -> str:
    """The private code on a confirmation."""
    found = re.search(r'id="code-words"[^>]*>(.*?)</output>', words, re.DOTALL)
    return re.sub(r"<[^>]+>|\s", "", found[1]) if found else ""


def ask_once(port: int, number: int, *, wanted: str = "reference") -> str:
    """Open the page, send it, and give the reference or the code; empty when it was not taken."""
    token = TOKEN.search(sent(port, "GET").words)
    words = sent(port, "POST", form=form_of(number, token[1])).words if token else ""
    return reference_in(words) if wanted == "reference" else code_in(words)


class Crowd:
    """People who ask, one page after the other, as long as the block lasts.

    They keep the references they were given, and the forms that were not answered with one.
    """

    PEOPLE = 4

    def __init__(self, port: int) -> None:
        self.port = port
        self.acknowledged: list[str] = []
        self.unsure: list[str] = []
        self._over = threading.Event()
        self._people = [threading.Thread(target=self._ask, args=(person,)) for person in range(self.PEOPLE)]

    def __enter__(self) -> Self:
        for person in self._people:
            person.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for person in self._people:
            person.join()

    def all_in_the_end(self) -> list[str]:
        """Whoever got no answer sends the same page again; every reference that anybody has then."""
        again = [reference_in(sent(self.port, "POST", form=form).words) for form in self.unsure]
        assert all(again), "a page that was sent again was not taken"
        return [*self.acknowledged, *again]

    def _ask(self, person: int) -> None:
        number = person
        while not self._over.is_set():
            token = TOKEN.search(sent(self.port, "GET").words)
            if not token:
                time.sleep(0.02)
                continue
            number += self.PEOPLE
            form = form_of(number, token[1])
            reference = reference_in(sent(self.port, "POST", form=form).words)
            if reference:
                self.acknowledged.append(reference)
            else:
                self.unsure.append(form)
