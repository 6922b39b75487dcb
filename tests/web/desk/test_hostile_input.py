"""Whatever is sent to the desk gets a clear answer: no defect, no word that was not escaped (K3, W1)."""

import io
import re
from collections.abc import Iterator
from html import unescape

import pytest
from flask import Flask
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.routing import Rule

from intake.accounts.models import Role, StaffMember
from intake.act import Act
from intake.app import create_app
from intake.audit.service import PageStart
from intake.conf.clinic import Channel
from intake.instance import Instance
from intake.leads.models import Attempt
from intake.privacy import self_service
from tests.client import NOWHERE, OURS, Desk, field, words
from tests.factories import ANY, PHONE, ask, every, hire, now, take

SCRIPT = '"><script>alert(1)</script>'
HOSTILE = {
    "script": SCRIPT,
    "attribute": "' autofocus onfocus='alert(1)",
    "template": "{{ 7 * 7 }}{% raw %}",
    "right-to-left": "\u202emoc.live\u202c \u0627\u0644\u0639\u0631\u0628\u064a\u0629",
    "zero-width": "\u200b\u200d\ufeff\u2066a\u2069",
    "four-bytes": "\U0001f600\U0001d518\U00020bb7",
    "combining": "a" + "\u0301" * 200,
    "controls": "a\x07\x1b[31m\x7f\x85",
    "entity": "&lt;b&gt;&amp;lt;",
}
NONSENSE = {
    "empty": b"",
    "word": b"x",
    "null": b"%00",
    "not utf-8": b"%ff%fe",
    "half a pair": b"%ed%a0%80",
    "figure": b"%c2%b2",
    "negative": b"-1",
    "many figures": b"9" * 40,
    "ten kilobytes": b"x" * 10_240,
    "path": b"..%2f..%2fetc%2fpasswd",
    "quote": b"%27%20OR%201%3d1%20--",
    "script": b"%22%3e%3cscript%3ealert(1)%3c%2fscript%3e",
    "right-to-left": "\u202eabc\u200b\U0001f600".encode(),
    "lines": b"a%0d%0aSet-Cookie:%20a=b",
    "list": b"%5b%5d",
}
RIGHT = {
    "desk.outcome": {
        "attempt": str(NOWHERE),
        "version": "1",
        "seen": str(NOWHERE),
        "channel": "call",
        "outcome": "booked",
        "booked_for": "2026-11-23T09:30",
        "hold": "yes",
    },
    "desk.close": {"version": "1", "seen": str(NOWHERE), "reason": "talked"},
    "desk.reveal": {"channel": "call"},
    "desk.undo_act": {"act": str(NOWHERE)},
    "desk.lead_page_again": {"outcome": "booked", "channel": "call", "booked_for": "2026-11-23T09:30"},
    "desk.save_note": {"note": "after six", "mark": ""},
    "desk.hold_lead": {"reason": "authority", "last_day": "2027-01-15"},
    "desk.find_lead": {"term": PHONE},
    "desk.stop_anyone": {"term": "305 555 0166"},
    "desk.save_numbers": {"from": "2026-11-01", "to": "2026-11-18", "days": "30"},
}
"""A form as our own page sends it, for each route that has fields; one field at a time goes wrong."""
ASKED = ("show", "language", "channel", "held", "after", "message", "action", "from", "to", "days", "next")
"""What an address of the desk may ask for, whatever page it is."""
AFTER_ERASURE = "desk.looks_page"
"""Who looked at a request is told to the privacy officer after its erasure too: on purpose."""
CLEAR = {200, 303, 304, 400, 404, 409, 422}


@pytest.fixture
def desk(sqlite_instance: Instance) -> Desk:
    return Desk(sqlite_instance, hire(sqlite_instance, "Ana Ruiz", *Role))


def rules(app: Flask, method: str) -> list[Rule]:
    """The routes of the desk that answer a method."""
    return [
        each for each in app.url_map.iter_rules() if each.rule.startswith("/desk") and method in each.methods
    ]


def path_of(rule: Rule, lead_id: object = NOWHERE) -> str:
    return rule.build(dict.fromkeys(rule.arguments, lead_id), append_unknown=False)[1]


def of_leads(app: Flask) -> Iterator[tuple[str, Rule]]:
    for method in ("GET", "POST"):
        yield from ((method, rule) for rule in rules(app, method) if "lead_id" in rule.arguments)


def send(desk: Desk, path: str, body: bytes, kind: str = "application/x-www-form-urlencoded"):
    return desk.web.post(path, data=body, content_type=kind, headers=OURS)


def clear(answer) -> None:
    """An answer that somebody can read, with nothing in it that a browser would run."""
    assert answer.status_code in CLEAR, answer.status_code
    assert "<script>alert" not in answer.text
    assert "Set-Cookie: a=b" not in str(answer.headers)
    if answer.mimetype == "text/html" and answer.status_code not in (303, 304):
        assert "<h1" in answer.text


def form_of(fields: dict[str, str], csrf: str, wrong: str | None = None, with_: bytes = b"") -> bytes:
    parts = [b"csrf=" + csrf.encode()]
    parts += [
        name.encode() + b"=" + (with_ if name == wrong else word.encode()) for name, word in fields.items()
    ]
    return b"&".join(parts)


# --- ids -------------------------------------------------------------------------------------------


def test_gone_and_never_there_are_the_same_bytes_on_every_route(desk: Desk) -> None:
    asked, csrf = ask(desk.instance, **ANY), desk.csrf()
    with desk.instance.database.transaction() as session:
        self_service.erase(Act(session, desk.instance), code=asked.code)
    unknown = desk.get(f"/desk/leads/{NOWHERE}").data
    for method, rule in of_leads(desk.web.application):
        for lead_id in (asked.lead.id, NOWHERE):
            if rule.endpoint == AFTER_ERASURE and lead_id == asked.lead.id:
                continue
            body = form_of(RIGHT.get(rule.endpoint, {}), csrf)
            path = path_of(rule, lead_id)
            answer = send(desk, path, body) if method == "POST" else desk.get(path)
            assert (answer.status_code, answer.data) == (404, unknown), (method, rule.rule)


@pytest.mark.parametrize("role", [Role.ADMIN, Role.PRIVACY_OFFICER])
def test_what_a_role_may_not_see_answers_as_if_it_were_not_there(
    sqlite_instance: Instance, role: Role
) -> None:
    desk, lead = Desk(sqlite_instance, hire(sqlite_instance, "Pia Ott", role)), ask(sqlite_instance).lead
    csrf = field(desk.get("/desk/stop").text, "csrf") if role is not Role.ADMIN else ""
    for method, rule in of_leads(desk.web.application):
        answers = []
        for lead_id in (lead.id, NOWHERE):
            path, body = path_of(rule, lead_id), form_of(RIGHT.get(rule.endpoint, {}), csrf)
            answers.append(send(desk, path, body) if method == "POST" else desk.get(path))
        there, nowhere = answers
        if there.status_code in (403, 404):
            assert (there.status_code, there.data) == (nowhere.status_code, nowhere.data), rule.rule
        else:
            assert role is Role.PRIVACY_OFFICER, rule.rule
    assert now(sqlite_instance, lead).version == 1


@pytest.mark.parametrize(
    "row",
    ["x", "0", "-1", "%00", "%ff", "x" * 10_240, "..%2f..", f"{NOWHERE}x", f"{{{NOWHERE}}}", "%3cscript%3e"],
)
def test_what_is_no_id_is_not_there(desk: Desk, row: str) -> None:
    csrf = desk.csrf()
    for method, rule in of_leads(desk.web.application):
        path = re.sub("<[^>]+>", lambda _: row, rule.rule)
        answer = send(desk, path, form_of({}, csrf)) if method == "POST" else desk.get(path)
        assert answer.status_code == 404, (method, path)


# --- fields and addresses --------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_in_any_field_of_any_form_is_answered(desk: Desk, wrong: bytes) -> None:
    lead, csrf = ask(desk.instance, **ANY).lead, desk.csrf()
    for rule in rules(desk.web.application, "POST"):
        fields, path = RIGHT.get(rule.endpoint, {"term": "x"}), path_of(rule, lead.id)
        for name in fields:
            clear(send(desk, path, form_of(fields, csrf, name, wrong)))
    assert [each for each in every(desk.instance, Attempt) if each.lead_id != lead.id] == []


def test_a_field_that_comes_twice_counts_once(desk: Desk) -> None:
    lead, csrf = ask(desk.instance, **ANY).lead, desk.csrf()
    for rule in rules(desk.web.application, "POST"):
        right, path = form_of(RIGHT.get(rule.endpoint, {}), csrf), path_of(rule, lead.id)
        clear(send(desk, path, right + b"&" + right))
        for name in RIGHT.get(rule.endpoint, {}):
            clear(send(desk, path, name.encode() + b"=x&" + right))
            clear(send(desk, path, right + b"&" + name.encode() + b"=x"))


def test_a_form_without_one_of_its_fields_is_answered(desk: Desk) -> None:
    lead, csrf = ask(desk.instance, **ANY).lead, desk.csrf()
    for rule in rules(desk.web.application, "POST"):
        fields = RIGHT.get(rule.endpoint, {})
        for name in fields:
            rest = {each: word for each, word in fields.items() if each != name}
            clear(send(desk, path_of(rule, lead.id), form_of(rest, csrf)))


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b'{"outcome": ["reached"], "version": {}}'),
        ("text/plain", b"outcome=reached"),
        ("application/x-www-form-urlencoded", b"\xff\xfe&&=&=="),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\n--"),
        ("multipart/form-data", b"no boundary"),
        ("", b""),
    ],
)
def test_what_is_no_form_of_ours_is_refused(desk: Desk, kind: str, body: bytes) -> None:
    lead = ask(desk.instance, **ANY).lead
    for rule in rules(desk.web.application, "POST"):
        answer = send(desk, path_of(rule, lead.id), body, kind)
        assert answer.status_code in (400, 403, 415), rule.rule
    assert now(desk.instance, lead).version == 1


def test_a_file_in_the_place_of_a_word_is_no_word(desk: Desk) -> None:
    lead, csrf = ask(desk.instance, **ANY).lead, desk.csrf()
    for rule in rules(desk.web.application, "POST"):
        for name in RIGHT.get(rule.endpoint, {}):
            sent = {"csrf": csrf, **RIGHT[rule.endpoint], name: (io.BytesIO(b"\x00" * 100), "a.bin")}
            clear(desk.web.post(path_of(rule, lead.id), data=sent, headers=OURS))


class Watched(ImmutableMultiDict[str, str]):
    """What was asked for in an address or a form; remembers which names were looked for."""

    looked_for: set[str] = set()  # noqa: RUF012  one for all requests

    def __getitem__(self, key: str) -> str:
        self.looked_for.add(key)
        return super().__getitem__(key)

    def getlist(self, key: str, *more: object) -> list[str]:
        self.looked_for.add(key)
        return super().getlist(key, *more)


@pytest.mark.parametrize("wrong", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_in_any_address_is_answered(desk: Desk, wrong: bytes, monkeypatch) -> None:
    """Every name alone that the page looks for, and all that any page looks for at once."""
    monkeypatch.setattr(desk.web.application.request_class, "parameter_storage_class", Watched)
    lead, text = ask(desk.instance, **ANY).lead, wrong.decode("latin-1")
    for rule in rules(desk.web.application, "GET"):
        path, tried = path_of(rule, lead.id), set()
        Watched.looked_for.clear()
        clear(desk.web.get(path))
        clear(desk.web.get(f"{path}?" + "&".join(f"{name}={text}&{name}=x" for name in ASKED)))
        while names := Watched.looked_for - tried:
            tried |= names
            for name in names:
                clear(desk.web.get(f"{path}?{name}={text}"))


@pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59+00:00"])
def test_a_cursor_at_the_ends_of_time_finds_a_page(instance: Instance, database_url, at: str) -> None:
    desk = Desk(instance, hire(instance, "Ana Ruiz", *Role))
    ask(instance, **ANY)
    spot = PageStart.read(f"{at}~{NOWHERE}")
    for path in ("/desk", "/desk?show=closed", "/desk/log"):
        joined = "&" if "?" in path else "?"
        assert desk.get(f"{path}{joined}after={str(spot).replace('+', '%2B')}").status_code == 200


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
@pytest.mark.parametrize("wrong", ["null", "not utf-8", "half a pair", "many figures", "ten kilobytes"])
def test_what_a_stricter_database_would_choke_on_is_answered_too(
    instance: Instance, database_url, wrong: str
) -> None:
    desk = Desk(instance, hire(instance, "Ana Ruiz", *Role))
    lead, csrf = ask(instance, **ANY).lead, desk.csrf()
    for rule in rules(desk.web.application, "POST"):
        fields = RIGHT.get(rule.endpoint, {"term": "x"})
        for name in fields:
            clear(send(desk, path_of(rule, lead.id), form_of(fields, csrf, name, NONSENSE[wrong])))


def test_far_too_much_is_too_much(desk: Desk) -> None:
    csrf = desk.csrf()
    answer = send(desk, "/desk/stop", form_of({"term": "9" * 2_000_000}, csrf))
    assert answer.status_code == 413


# --- what a page shows -----------------------------------------------------------------------------


def marked_up(page: str) -> str:
    """A page without what stands in its text: only there could a word of somebody's do harm."""
    return " ".join(re.findall(r"<[^>]*>", page))


def harmless(page: str, word: str) -> None:
    for sign in ("<script>alert", "onfocus='alert", "49%"):
        assert sign not in page
    assert word not in marked_up(page) or not re.search("[<>\"']", word)
    assert not re.search(r"<title>[^<]*[\u202a-\u202e\u2066-\u2069]", page)


@pytest.mark.parametrize("word", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_word_in_any_field_of_a_lead_is_only_a_word(desk: Desk, word: str) -> None:
    every_channel = {"channels": frozenset(Channel), "voicemail": True, **ANY}
    lead = ask(
        desk.instance, preferred_name=word, email=f"{word}@example.org", tell_article=True, **every_channel
    ).lead
    for path in ("/desk", "/desk/rows", "/desk/handover", "/desk/log", f"/desk/leads/{lead.id}"):
        answer = desk.get(path)
        assert answer.status_code == 200, path
        harmless(answer.text, word)
        assert word not in unescape(answer.text), path
    for channel in Channel:
        shown = desk.act(lead, "reveal", channel=channel.value)
        assert shown.status_code == 200
        harmless(shown.text, word)
        assert "<bdi>" in shown.text
    assert word in unescape(shown.text)
    found = desk.post("/desk/find", term=PHONE)
    harmless(found.text, word)


@pytest.mark.parametrize("word", HOSTILE.values(), ids=HOSTILE)
def test_what_was_typed_comes_back_escaped(desk: Desk, word: str) -> None:
    lead = ask(desk.instance, **ANY).lead
    take(desk.instance, lead, desk.member)
    for path in ("/desk/find", "/desk/stop"):
        answer = desk.post(path, term=word)
        assert answer.status_code == 422
        harmless(answer.text, word)
        assert word in unescape(answer.text)
    answer = desk.note(lead, "booked", booked_for=word)
    assert answer.status_code == 422
    harmless(answer.text, word)


@pytest.mark.parametrize("word", HOSTILE.values(), ids=HOSTILE)
def test_a_colleague_with_a_hostile_name_is_only_a_name(desk: Desk, word: str) -> None:
    lead, ben = ask(desk.instance, **ANY).lead, hire(desk.instance, "Ben Ochoa")
    with desk.instance.database.transaction() as session:
        session.get_one(StaffMember, ben.id).name = word
    take(desk.instance, lead, ben)
    for path in ("/desk", "/desk/handover", "/desk/log", f"/desk/leads/{lead.id}"):
        answer = desk.get(path)
        assert answer.status_code == 200
        harmless(answer.text, word)
    answer = desk.act(lead, "claim")
    assert answer.status_code == 409
    harmless(answer.text, word)
    assert words(answer.text)


def test_the_table_of_forms_names_routes_that_are_there(sqlite_instance: Instance) -> None:
    app = create_app(sqlite_instance)
    assert set(RIGHT) <= {rule.endpoint for rule in rules(app, "POST")}
