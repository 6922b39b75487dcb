"""Parsing of submitted forms, including damaged ones, so that nobody loses what they typed.

A form can arrive damaged: bytes that are not UTF-8, a file that a program added, a body cut short on a
bad network. An intact form is parsed as it is; of a damaged one the readable fields are kept, at most
`MAX_FIELDS` of `MAX_LENGTH` characters, together with the problem of each.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote_to_bytes

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from intake.core.errors import Unprocessable
from intake.core.i18n import N_

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
MAX_BODY = 1_048_576
"""Bytes. The web server refuses larger bodies (`intake/server/wsgi.py`)."""
MAX_FIELDS, MAX_LENGTH = 100, 1_000
TOO_LARGE = 413
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
A_FILE = N_("We cannot take files here. Please check your answers and send them again.")
NOT_ALL = N_("Not all of it reached us. Please check your answers and send them again.")
TOO_LONG = N_("That was too much to send at once. Please check your answers and send them again.")
CHARACTERS_LOST = N_("Some letters did not reach us. Please check this answer.")
ANSWER_TOO_LONG = N_("This answer is too long. Please make it shorter.")


class DamagedForm(Unprocessable):
    """Not all of a form could be read. `problems` has message ids by field name."""

    def __init__(self, problems: Mapping[str, Sequence[str]], sentence: str, status: int) -> None:
        super().__init__(problems, sentence)
        self.status = status


@dataclass(frozen=True)
class ParsedForm:
    """The values by field name, and the failure when the form was damaged (None: intact)."""

    fields: Mapping[str, Sequence[str]]
    failure: DamagedForm | None = None

    @property
    def undamaged_fields(self) -> dict[str, Sequence[str]]:
        """Only the fields that arrived as they were typed."""
        damaged = self.failure.problems if self.failure else {}
        return {name: values for name, values in self.fields.items() if name not in damaged}


def parse_form() -> ParsedForm:
    """Parse the form of this request, damaged or not. Raises UnsupportedMediaType for other content."""
    uncompressed = request.headers.get("Content-Encoding", "identity") == "identity"
    if not uncompressed or request.mimetype not in (URLENCODED, MULTIPART):
        raise UnsupportedMediaType
    try:
        body = request.get_data(cache=True)
        (unquote_to_bytes(body) if request.mimetype == URLENCODED else body).decode()
        intact = not request.files and (request.form or not body)
    except UnicodeDecodeError:
        intact = False
    except RequestEntityTooLarge:
        return _parse_damaged(too_large=True)
    if not intact:
        return _parse_damaged()
    return ParsedForm({name: list(values) for name, values in request.form.lists()})


def _parse_damaged(*, too_large: bool = False) -> ParsedForm:
    """The first `MAX_FIELDS` fields that can be read, with the problem of each damaged one."""
    request.max_content_length = MAX_BODY
    body = request.get_data(cache=True)
    if request.mimetype == MULTIPART:
        parts, has_file = _multipart_fields(body)
    else:
        text = "&".join(body.decode(errors="replace").split("&", MAX_FIELDS)[:MAX_FIELDS])
        parts, has_file = parse_qsl(text, keep_blank_values=True, errors="replace"), False
    fields: dict[str, list[str]] = {}
    problems: dict[str, list[str]] = {}
    for name, value in parts:
        fields.setdefault(name, []).append(value[:MAX_LENGTH].replace(REPLACEMENT, ""))
        if len(value) > MAX_LENGTH:
            problems[name] = [ANSWER_TOO_LONG]
        elif REPLACEMENT in value:
            problems[name] = [CHARACTERS_LOST]
    sentence = A_FILE if has_file else TOO_LONG if too_large else NOT_ALL
    status = TOO_LARGE if too_large else Unprocessable.status
    return ParsedForm(fields, DamagedForm(problems, sentence, status))


def _multipart_fields(body: bytes) -> tuple[list[tuple[str, str]], bool]:
    """The fields of a multipart body up to where it can no longer be parsed, and whether it had a file."""
    decoder = MultipartDecoder(request.mimetype_params.get("boundary", "").encode(), max_parts=MAX_FIELDS)
    read: list[tuple[str, bytearray]] = []
    has_file = False
    with suppress(ValueError, RequestEntityTooLarge):  # an undecodable character is a ValueError too
        decoder.receive_data(body)
        decoder.receive_data(None)
        while not isinstance(event := decoder.next_event(), Epilogue | NeedData):
            if isinstance(event, Field | File):
                value = bytearray()
                has_file = has_file or isinstance(event, File)
            if isinstance(event, Field) and event.name:
                read.append((event.name, value))
            elif isinstance(event, Data):
                value += event.data
    return [(name, value.decode(errors="replace")) for name, value in read], has_file
