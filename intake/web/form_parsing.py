"""What a form sent, and what can still be read of it when not all of it came through.

A form can come damaged: an old browser's letters, a file that a program added, a page cut short on a
bad network. Whoever typed it must not lose the rest. `sent()` takes whole forms alone; `readable()`
gathers what is left of any other, never more of it than `MOST` answers of `LONGEST` letters.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote_to_bytes

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from intake.core.errors import Unprocessable
from intake.core.i18n import N_

FORM = "application/x-www-form-urlencoded"
PARTS = "multipart/form-data"
LARGEST_SENT = 1_048_576
"""What the server in front of us takes in at all (web_server.py): beyond it nothing reaches this code."""
MOST, LONGEST = 100, 1_000
TOO_MUCH = 413
LOST = "\N{REPLACEMENT CHARACTER}"
A_FILE = N_("We cannot take files here. Please check your answers and send them again.")
NOT_ALL = N_("Not all of it reached us. Please check your answers and send them again.")
TOO_LONG = N_("That was too much to send at once. Please check your answers and send them again.")
LETTERS_LOST = N_("Some letters did not reach us. Please check this answer.")
CUT_OFF = N_("This answer is too long. Please make it shorter.")


class NotWhole(Unprocessable):
    """Not all of a form could be read. `problems` names the answers that suffered, by question."""

    def __init__(self, problems: Mapping[str, Sequence[str]], sentence: str, status: int) -> None:
        super().__init__(problems, sentence)
        self.status = status


@dataclass(frozen=True)
class Received:
    """The answers by question, and what is wrong with them (None: they came whole)."""

    given: Mapping[str, Sequence[str]]
    failure: NotWhole | None = None

    @property
    def whole(self) -> dict[str, Sequence[str]]:
        """Only the answers that came as they were typed."""
        suffered = self.failure.problems if self.failure else {}
        return {name: values for name, values in self.given.items() if name not in suffered}


class _Part(NamedTuple):
    name: str
    value: str


def sent() -> Received:
    """The answers of a form, whole or what is left of them. Raises UnsupportedMediaType for what is none."""
    plain = request.headers.get("Content-Encoding", "identity") == "identity"
    if not plain or request.mimetype not in (FORM, PARTS):
        raise UnsupportedMediaType
    try:
        whole = _whole()
    except RequestEntityTooLarge:
        return _readable(too_much=True)
    return _readable() if whole is None else Received(whole)


def _whole() -> dict[str, list[str]] | None:
    """The answers where every letter came through. Raises RequestEntityTooLarge."""
    written = request.get_data(cache=True)
    try:
        (unquote_to_bytes(written) if request.mimetype == FORM else written).decode()
    except UnicodeDecodeError:
        return None
    if request.files or (written and not request.form):
        return None
    return {name: list(values) for name, values in request.form.lists()}


def _readable(*, too_much: bool = False) -> Received:
    request.max_content_length = LARGEST_SENT
    body = request.get_data(cache=True)
    parts, file = _parts(body) if request.mimetype == PARTS else (_pairs(body), False)
    given: dict[str, list[str]] = {}
    problems: dict[str, list[str]] = {}
    for name, value in parts:
        given.setdefault(name, []).append(value[:LONGEST].replace(LOST, ""))
        suffered = CUT_OFF if len(value) > LONGEST else LETTERS_LOST if LOST in value else None
        if suffered:
            problems[name] = [suffered]
    sentence = A_FILE if file else TOO_LONG if too_much else NOT_ALL
    return Received(given, NotWhole(problems, sentence, TOO_MUCH if too_much else Unprocessable.status))


def _pairs(body: bytes) -> list[_Part]:
    """The first answers of a form as browsers send it."""
    text = "&".join(body.decode(errors="replace").split("&", MOST)[:MOST])
    return [_Part(*each) for each in parse_qsl(text, keep_blank_values=True, errors="replace")]


def _parts(body: bytes) -> tuple[list[_Part], bool]:
    """The first answers of a form in parts, and whether there was a file among them."""
    read: list[tuple[str, bytearray]] = []
    file = False
    for event in _events(body):
        if isinstance(event, Field | File):
            here = bytearray()
            file = file or isinstance(event, File)
        if isinstance(event, Field) and event.name:
            read.append((event.name, here))
        elif isinstance(event, Data):
            here += event.data
    return [_Part(name, value.decode(errors="replace")) for name, value in read], file


def _events(body: bytes) -> Iterator[Event]:
    """What stands in the parts, up to where they can no longer be read."""
    decoder = MultipartDecoder(request.mimetype_params.get("boundary", "").encode(), max_parts=MOST)
    try:
        decoder.receive_data(body)
        decoder.receive_data(None)
        while not isinstance(event := decoder.next_event(), Epilogue | NeedData):
            yield event
    except (ValueError, RequestEntityTooLarge):  # a letter that is none is a ValueError too
        return
