"""Nothing that is sent is a defect of ours: no 5xx, no word that was not escaped.

Forms are drawn near to good ones, because nonsense is turned away at the first question. How many are tried
is INTAKE_TEST_EXAMPLES; `make drills` tries far more than the suite.
"""

import os
import socket
from collections.abc import Callable
from contextlib import closing, suppress

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from intake.accounts import credentials, passkeys
from intake.audit import chain
from intake.casework import search
from intake.conf import secrets
from intake.consent import receipt
from intake.core.errors import IntakeError
from intake.instance import Instance
from intake.leads import form_token, notes
from intake.privacy import erasure_ledger
from intake.security import crypto
from intake.security.rate_limits import network
from intake.web.auth.guards import next_url
from intake.web.public.form import ANCHORS
from tests.cli.conftest import Service, free_port, processes_of
from tests.client import fill_in, read
from tests.drills.asking import ask_once
from tests.factories import ask
from tests.web.desk.test_hostile_input import RIGHT
from tests.web.test_route_walk import ALL, Somebody, address, routes

EXAMPLES = int(os.environ.get("INTAKE_TEST_EXAMPLES", "80"))
often = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
FORM, PARTS = "application/x-www-form-urlencoded", "multipart/form-data; boundary=m"
SCRIPT = "<script>alert(1)</script>"
CRUEL = (
    "", " ", "\0", "\r\n", "a\r\nBcc: x@example.org", "\x0b\x0c\x1c\x1e\x85\u2028\u2029",
    "\u202e\u2066\u200b\ufeff",
    "\ud800", "\udfff\ud800", "\U0010ffff", "\ufffe", "e\u0301" * 200, "İıſK", "ﷺ" * 50, "٠١٢٣٤٥٦٧٨٩",
    "²½Ⅷ",
    SCRIPT, f'"{SCRIPT}', "{{7*7}}", "%s%n", "' OR 1=1 --", "../../etc/passwd", "9" * 400, "-1", "1e999",
    "NaN",
    "=1+1", "+13055550123;ext=9", "(305) 555-0123 x" + "1" * 90, "a@b", '"a b"@example.org', "x@xn--p1ai",
    "x@[127.0.0.1]", "a" * 65 + "@example.org", "x@" + "a." * 130 + "org", "yes\0", "YES", "any\n",
    "us-fl", "US-XX",
    "America/../../etc", "0000-00-00T00:00", "9999-12-31T23:59", "2026-02-30", "2026-11-01T01:30", "24:00",
)  # fmt: skip
words = st.one_of(
    st.sampled_from(CRUEL), st.text(max_size=40), st.text(st.characters(codec=None), max_size=12)
)
NAMES = (*ANCHORS, "token", "website", "switch")
near = st.dictionaries(st.sampled_from(NAMES), st.lists(words, max_size=3), max_size=3)
ACTS = sorted(
    {name for fields in RIGHT.values() for name in fields} | {"csrf", "code", "kind", "address", "as"}
)


def sendable(fields: dict[str, object]) -> dict[str, list[bytes]]:
    """As a browser that has gone wrong would send it: also half a pair of surrogates goes out."""
    listed = {name: value if isinstance(value, list) else [value] for name, value in fields.items()}
    return {
        name: [each.encode("utf-8", "surrogatepass") for each in values] for name, values in listed.items()
    }


def body_of(fields: dict[str, list[bytes]]) -> bytes:
    """Each byte written out, so that every one arrives."""
    pairs = [(name, each) for name, values in fields.items() for each in values]
    return "&".join(f"{name}={''.join(f'%{byte:02x}' for byte in each)}" for name, each in pairs).encode()


def harmless(answer) -> None:
    """Below 500; nothing of it would run; whoever is refused is shown whom to call."""
    assert answer.status_code < 500
    assert SCRIPT not in answer.text
    assert answer.status_code < 400 or answer.mimetype != "text/html" or "tel:988" in answer.text


# --- forms -------------------------------------------------------------------------------------------------


@often
@given(changes=near)
@example(changes={"preferred_name": ["\ud800"]})
@example(changes={"phone": ["²"], "channels": ["call", "call"]})
def test_a_form_that_is_nearly_right(web: FlaskClient, changes: dict[str, list[str]]) -> None:
    given_ = sendable({**fill_in(web), **changes})
    answer = web.post("/", data=body_of(given_), content_type=FORM)
    harmless(answer)
    if answer.status_code == 200:
        return
    page = read(answer)
    assert page.all("form"), "the words did not come back"


@often
@given(
    body=st.binary(max_size=400),
    kind=st.sampled_from((FORM, PARTS, "application/json", "", "x/y; charset=z")),
)
@example(
    body=b"--m\r\nContent-Disposition: form-data; name=\"a\"; filename*=UTF-8''%ff\r\n\r\n\xff\r\n--m--",
    kind=PARTS,
)
@example(body=b"&=&&=%&%%%=%zz&a=b;c=d", kind=FORM)
def test_any_bytes_at_all(web: FlaskClient, body: bytes, kind: str) -> None:
    for path in ("/", "/es/", "/manage", "/manage/contact", "/manage/without-code", "/receipt", "/sign-in"):
        harmless(web.post(path, data=body, content_type=kind))


@often
@given(fields=st.dictionaries(st.sampled_from(ACTS), words, max_size=5), place=st.integers(0, 10_000))
def test_any_field_at_any_route(everybody: tuple[Somebody, list[tuple[str, str]]], fields, place) -> None:
    """Whoever may do everything sends anything to anywhere, in the body and in the address."""
    somebody, every = everybody
    method, path = every[place % len(every)]
    sent = sendable({"csrf": somebody.csrf} | fields)
    query = body_of(sendable(fields)).decode("ascii", "replace")
    target = f"{path}?{query}"
    answer = somebody.web.open(
        target,
        method=method,
        data=body_of(sent) if method == "POST" else None,
        content_type=FORM,
        headers={"Sec-Fetch-Site": "same-origin"},
        buffered=True,
    )
    harmless(answer)


@pytest.fixture
def everybody(app: Flask, sqlite_instance: Instance) -> tuple[Somebody, list[tuple[str, str]]]:
    """Whoever may do everything, and every route but the one that ends their session."""
    somebody = Somebody(app, sqlite_instance, ALL)
    lead = str(ask(sqlite_instance).lead.id)
    nowhere = "00000000-0000-4000-8000-00000000dead"
    left_out = {"/sign-out", "/dev/mail"}
    found = [(name.split()[0], address(rule)) for name, rule in routes(app)]
    known = [(method, path.replace(nowhere, lead)) for method, path in found if path not in left_out]
    return somebody, [*known, *[each for each in found if nowhere in each[1]]]


@often
@given(headers=st.dictionaries(
    st.sampled_from((
        "Cookie", "Accept-Language", "X-Forwarded-For", "Content-Type", "Content-Length",
        "If-None-Match", "Range",
        "Authorization", "Origin", "Referer", "If-Modified-Since", "Accept", "Content-Encoding",
        "Sec-Fetch-Site",
    )),
    st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60),
    max_size=4,
))  # fmt: skip
def test_any_header(web: FlaskClient, headers: dict[str, str]) -> None:
    for method, path in (
        ("GET", "/"),
        ("POST", "/"),
        ("GET", "/desk"),
        ("GET", "/static/site.css"),
        ("GET", "/metrics"),
    ):
        answer = web.open(path, method=method, headers=headers, buffered=True)
        assert answer.status_code < 500


# --- parsers -----------------------------------------------------------------------------------------------

PARSERS: dict[str, Callable[[str, Instance], object]] = {
    "token": lambda text, instance: form_token.unsign(text, keyring=instance.keyring),
    "code": lambda text, _: crypto.normalise_crockford(text),
    "contact": lambda text, _: search.read_contact(text),
    "term": lambda text, _: search.read_term(text),
    "note": lambda text, _: notes.clean_note(text),
    "ledger": lambda text, _: erasure_ledger.parse(text),
    "anchors": lambda text, _: chain.parse_anchors(text),
    "receipt": lambda text, instance: receipt.verify(
        text.encode("utf-8", "replace"), instance.keyring.app_secrets("receipt")
    ),
    "second factor": lambda text, _: credentials.normalise_code(text),
    "passkey": lambda text, _: passkeys.parse_answer(text),
    "network": lambda text, _: network(text),
    "key": lambda text, _: secrets.parse_key(text),
    "sealing keys": lambda text, _: secrets.parse_sealing_keys(text),
    "app keys": lambda text, _: secrets.parse_app_keys(text),
}
"""Whatever reads words that somebody else wrote."""
REFUSING = ("key", "sealing keys", "app keys")
"""What a setting holds is refused with a ValueError, which the settings name."""
SHAPES = (
    "k1:", ",", "\n", " ", "2026-11-18T15:00:00+00:00 ", "00000000-0000-4000-8000-00000000dead ",
    "stopped:asked:",
    "intake-anchor-1 ", '{"id": ', "[", "}", '"rawId": "', "A" * 43, "0" * 64, "-----", "::ffff:", "/",
    "%", "=",
)  # fmt: skip
shaped = st.lists(st.one_of(st.sampled_from(SHAPES), words), max_size=8).map("".join)


@pytest.mark.parametrize("name", PARSERS)
@often
@given(text=shaped)
@example(text="\ud800")
@example(text="[" * 20_000)
@example(text="9" * 5_000)
def test_whatever_is_read_is_read_or_refused(sqlite_instance: Instance, name: str, text: str) -> None:
    """The only ways out are an answer and a refusal that has a sentence."""
    with suppress(ValueError if name in REFUSING else IntakeError):
        PARSERS[name](text, sqlite_instance)


@often
@given(place=words)
def test_the_way_back_is_a_page_of_ours(app: Flask, place: str) -> None:
    with app.test_request_context("/"):
        assert next_url(place).startswith("/desk")


# --- the server --------------------------------------------------------------------------------------------

LINES = (
    b"GET / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\n", b"GET /%ff%fe HTTP/1.0\r\n",
    b"PUT http://x/ HTTP/1.1\r\n", b"\r\n",
    b"Host: 127.0.0.1\r\n", b"Host: a\r\nHost: b\r\n", b"Content-Length: 5\r\n", b"Content-Length: -1\r\n",
    b"Content-Length: 99999999999999999999\r\n", b"Transfer-Encoding: chunked\r\n",
    b"5\r\nabcde\r\n0\r\n\r\n",
    b"ffffffffffffffff\r\n", b"Content-Type: multipart/form-data; boundary=\r\n",
    b"Cookie: intake=\xff\r\n", b"\0", b"\n",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n", b"Expect: 100-continue\r\n", b"X: \r\n y\r\n",
    b"GET " + b"/" * 9000,
)  # fmt: skip


@pytest.fixture(scope="module")
def hostile_service(tmp_path_factory, _sqlite_template) -> object:
    service = Service(tmp_path_factory.mktemp("hostile") / "var", free_port(), _sqlite_template).migrate()
    service.start("serve")
    service.wait_until_up()
    yield service
    service.end()


@often
@given(pieces=st.lists(st.one_of(st.sampled_from(LINES), st.binary(max_size=60)), min_size=1, max_size=8))
def test_any_bytes_on_the_line(hostile_service: Service, pieces: list[bytes]) -> None:
    with closing(socket.create_connection(("127.0.0.1", hostile_service.port), timeout=30)) as line:
        with suppress(OSError):
            line.sendall(b"".join(pieces))
            line.shutdown(socket.SHUT_WR)
        answer = _whatever_comes(line)
    assert not answer.startswith(b"HTTP/1.") or answer[9:10] in b"1234", answer[:200]


def _whatever_comes(line: socket.socket) -> bytes:
    received = b""
    with suppress(OSError):
        while more := line.recv(65536):
            received += more
    return received


def test_after_all_that_it_serves(hostile_service: Service) -> None:
    before = set(processes_of(hostile_service.folder))
    assert ask_once(hostile_service.port, 1)
    assert set(processes_of(hostile_service.folder)) == before
