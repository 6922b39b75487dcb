"""The manage page: a code in POST bodies alone, a form for every act, and nothing for strangers (C2)."""

import json
import re
from collections.abc import Callable
from io import BytesIO
from itertools import pairwise

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from intake.app import create_app
from intake.core.errors import Unavailable
from intake.instance import Instance
from intake.leads.models import CloseReason, Lead, LeadStatus, Outcome
from intake.leads.submission import Submitted
from intake.web.public import manage
from tests.client import Element, Page, code_on, fill_in, read
from tests.factories import EMAIL, NAME, PHONE, ask, every, hire, note, now, show, take

ACTS = ("/manage/stop", "/manage/drop", "/manage/windows", "/manage/contact", "/manage/erase")
WITH_CODE = ("/manage", *ACTS, "/receipt", "/manage/copy")
PATHS = (*WITH_CODE, "/manage/without-code")
GOOD = {
    "/manage/drop": {"channel": "email"},
    "/manage/windows": {"windows": "any"},
    "/manage/contact": {"kind": "phone", "phone": "(813) 555-0144", "channels": "call"},
    "/receipt": {"as": "json"},
}
CANARIES = (NAME, *NAME.split(), PHONE, "5550123", "555-0123", EMAIL, "zaraida.quickfeather", "quickfeather")
RANDOM = re.compile(r"\b([0-9a-f]{64}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})\b")
"""Marks and ids, in which the figures of a number may stand by chance."""


def post(web: FlaskClient, path: str, asked: Submitted | str, **more: object):
    code = asked if isinstance(asked, str) else asked.code
    return web.post(path, data={"code": code, **more})


def rows(instance: Instance) -> dict[str, list[tuple]]:
    """Everything in the database, to see whether anything has changed."""
    with instance.database.reading() as session:
        tables = [
            "lead", "lead_key", "attempt", "submission", "consent_event", "suppression",
            "outbox_message", "audit_event", "erasure",
        ]  # fmt: skip
        return {table: sorted(map(repr, session.execute(text(f"SELECT * FROM {table}")))) for table in tables}


# --- seeing --------------------------------------------------------------------------------------------


def test_a_right_code_shows_what_is_held(on_both: FlaskClient, instance: Instance) -> None:
    asked = ask(instance)
    answer = post(on_both, "/manage", asked)
    page = read(answer)
    listed = {name.words: fact.words for name, fact in pairwise(facts(page)) if name.tag == "dt"}
    assert answer.status_code == 200
    assert page.one("p", class_="promise").words == (
        "A person will be in touch with you by 12 noon today (Eastern)."
    )
    assert listed["Name"] == "Z•••••"
    assert listed["Phone call"].startswith("(•••) •••-••23")
    assert listed["Text message"] == "You did not allow this"
    assert listed["Safe times"] == "weekday mornings"
    assert listed["Where"] == "Florida, Eastern time"
    assert listed["Article"] == "Not stored"
    assert listed["Kept until"] == "February 16, 2027, or until you erase it"
    assert "Nobody on our staff has opened it yet." in answer.text


def facts(page: Page) -> list[Element]:
    """The names and what stands beside them, in order."""
    return [each for each in page.elements if each.tag in ("dt", "dd")]


@pytest.mark.parametrize("path", WITH_CODE)
@pytest.mark.parametrize("prefix", ["", "/es"])
def test_no_page_shows_who_it_is_about(
    web: FlaskClient, sqlite_instance: Instance, path: str, prefix: str
) -> None:
    asked = ask(sqlite_instance, tell_article=True, article="Is Ketamine Addictive When Used for Depression?")
    answer = post(web, prefix + path, asked, **GOOD.get(path, {}))
    shown = RANDOM.sub("", answer.text.lower())
    assert not [each for each in CANARIES if each.lower() in shown]
    assert asked.code not in str(answer.headers)


def test_it_tells_by_role_who_has_looked(web: FlaskClient, sqlite_instance: Instance) -> None:
    asked, ana = ask(sqlite_instance), hire(sqlite_instance)
    take(sqlite_instance, asked.lead, ana)
    show(sqlite_instance, asked.lead, ana)
    words = post(web, "/manage", asked).text
    assert "On our staff, it was opened by: somebody who makes the calls." in words
    assert "Ana" not in words
    assert "Ruiz" not in words


def test_every_act_is_a_form_of_its_own_that_carries_the_code(
    web: FlaskClient, sqlite_instance: Instance
) -> None:
    asked = ask(sqlite_instance)
    page = read(post(web, "/manage", asked))
    actions = [each.attributes["action"] for each in page.all("form")]
    assert set(actions) == {*ACTS, "/receipt", "/manage/copy"}
    assert all(each.attributes["method"] == "post" for each in page.all("form"))
    assert [each.attributes["value"] for each in page.all("input", name="code")] == [asked.code] * len(
        actions
    )
    assert not any(asked.code in each.attributes.get("href", "") for each in page.all("a"))


def test_every_page_has_the_phone_the_lines_and_the_way_out(
    web: FlaskClient, sqlite_instance: Instance
) -> None:
    asked = ask(sqlite_instance)
    for path, code in [
        ("/manage", asked.code),
        ("/manage/without-code", ""),
        ("/manage", "0"),
        ("/manage/erase", asked.code),
    ]:
        page = read(post(web, path, code))
        links = {each.attributes.get("href") for each in page.all("a")}
        assert {"tel:+13055550142", "tel:988", "tel:911", "/exit"} <= links


def test_nothing_of_it_stays_in_a_browser(web: FlaskClient, sqlite_instance: Instance) -> None:
    asked = ask(sqlite_instance)
    for path in PATHS:
        for answer in (web.get(path), post(web, path, "0"), post(web, path, asked, **GOOD.get(path, {}))):
            assert answer.headers["Cache-Control"] == "no-store"
            assert "Set-Cookie" not in answer.headers
            assert "form-action 'self'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert asked.code not in str(answer.headers)


def test_titles_tell_nothing(web: FlaskClient, sqlite_instance: Instance) -> None:
    asked = ask(sqlite_instance)
    shown = [web.get("/manage"), post(web, "/manage", "x"), post(web, "/manage", asked)]
    shown += [post(web, "/manage/without-code", asked), post(web, "/manage/erase", asked)]
    assert {read(each).title for each in shown} == {"Your request", "Please check: your request"}


def test_the_other_language_opens_the_same_request(web: FlaskClient, sqlite_instance: Instance) -> None:
    asked = ask(sqlite_instance)
    page = read(post(web, "/manage", asked))
    switch = page.all("button", lang="es")
    assert {each.attributes["formaction"] for each in switch} == {"/es/manage"}
    assert {each.attributes["form"] for each in switch} == {"keep"}
    assert "Su pedido" in post(web, "/es/manage", asked).text


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Outcome.NO_ANSWER, "We have tried to reach you. You can also call us."),
        (Outcome.DECLINED, "This request is closed. Nobody will contact you about it."),
        (Outcome.BOOKED, "You have a consultation on November 19, 2026, at 10 am (Eastern)."),
    ],
)
def test_it_says_where_the_request_stands(
    web: FlaskClient, sqlite_instance: Instance, clock, outcome: Outcome, words: str
) -> None:
    asked, ana = ask(sqlite_instance), hire(sqlite_instance)
    take(sqlite_instance, asked.lead, ana)
    booked_for = clock.moment.replace(day=19)
    note(sqlite_instance, asked.lead, ana, outcome, booked_for=booked_for)
    page = read(post(web, "/manage", asked))
    assert page.one("p", class_="promise").words == words
    assert bool(page.all("form", action="/manage/windows")) == (outcome is not Outcome.DECLINED)


def test_a_broken_promise_is_owned(web: FlaskClient, sqlite_instance: Instance, clock) -> None:
    asked = ask(sqlite_instance)
    clock.move(hours=3)
    words = read(post(web, "/manage", asked)).one("p", class_="promise").words
    assert words == (
        "We said that we would be in touch by 12 noon today (Eastern), and we were not. We are sorry. "
        "Please call us."
    )


# --- acting --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "more", "done"),
    [
        ("/manage/stop", {}, "Done. All contact has stopped."),
        ("/manage/drop", {"channel": "email"}, "Done. We will not email you any more."),
        ("/manage/drop", {"channel": "call"}, "Done. We will not call you any more."),
        ("/manage/windows", {"windows": ["weekday_afternoon"]}, "Done. We have your new times."),
        ("/manage/erase", {}, "Done. Your request is erased."),
    ],
)
def test_an_act_answers_with_the_fresh_page_and_says_it_is_done(
    on_both: FlaskClient, instance: Instance, path: str, more: dict, done: str
) -> None:
    answer = post(on_both, path, ask(instance), **more)
    assert (answer.status_code, read(answer).one("p", role="status").words) == (200, done)


def test_a_stopped_request_offers_a_copy_and_an_erasure(on_both: FlaskClient, instance: Instance) -> None:
    asked = ask(instance)
    page = read(post(on_both, "/manage/stop", asked))
    assert {each.attributes["action"] for each in page.all("form")} == {
        "/receipt",
        "/manage/copy",
        "/manage/erase",
    }
    assert now(instance, asked.lead).close_reason is CloseReason.STOPPED
    assert "We erase this request on November 19, 2026." in page.one("p", class_="promise").words


def test_a_reload_repeats_no_harm(on_both: FlaskClient, instance: Instance) -> None:
    asked = ask(instance)
    for path, more in [*GOOD.items(), ("/manage/stop", {})]:
        if path == "/manage/contact":
            more = more | {"shown": mark(on_both, asked)}  # noqa: PLW2901  only this form has it
        first, again = post(on_both, path, asked, **more), post(on_both, path, asked, **more)
        assert (first.status_code, again.status_code) == (200, 200), path
    assert len(every(instance, Lead)) == 1


ELSEWHERE = "It was also changed in another window after you opened this one."


def test_the_second_of_two_windows_shows_what_the_first_has_done(
    on_both: FlaskClient, instance: Instance
) -> None:
    asked = ask(instance)
    first = second = shown_on(post(on_both, "/manage", asked))
    answer = post(on_both, "/manage/windows", asked, seen=first, windows=["weekday_afternoon"])
    assert ELSEWHERE not in read(answer).one("p", role="status").words
    late = read(post(on_both, "/manage/drop", asked, seen=second, channel="email"))
    assert late.one("p", role="status").words.startswith(f"Done. We will not email you any more. {ELSEWHERE}")
    assert late.ticked("windows") == {"weekday_afternoon"}
    assert now(instance, asked.lead).windows == "weekday_afternoon"


@pytest.mark.parametrize("path", ["/manage/windows", "/manage/drop", "/manage/stop"])
def test_the_same_page_sent_again_is_no_other_window(
    on_both: FlaskClient, instance: Instance, path: str
) -> None:
    asked = ask(instance)
    sent = {"seen": shown_on(post(on_both, "/manage", asked)), **GOOD.get(path, {})}
    for _ in range(2):
        assert ELSEWHERE not in read(post(on_both, path, asked, **sent)).one("p", role="status").words


def shown_on(answer: TestResponse) -> str:
    """By what a page knows that it is old."""
    return read(answer).all("input", name="seen")[0].attributes["value"]


def mark(web: FlaskClient, asked: Submitted) -> str:
    """The mark of the statements on the page."""
    return read(post(web, "/manage", asked)).all("input", name="shown")[0].attributes["value"]


def test_dropping_the_last_channel_says_that_all_contact_stopped(
    on_both: FlaskClient, instance: Instance
) -> None:
    asked = ask(instance)
    post(on_both, "/manage/drop", asked, channel="email")
    page = read(post(on_both, "/manage/drop", asked, channel="call"))
    assert page.one("p", role="status").words == "Done. All contact has stopped."


def test_new_times_bring_a_new_promise(on_both: FlaskClient, instance: Instance) -> None:
    page = read(post(on_both, "/manage/windows", ask(instance), windows=["weekday_afternoon"]))
    assert page.one("p", class_="promise").words.endswith("by 2 pm today (Eastern).")
    assert page.ticked("windows") == {"weekday_afternoon"}


@pytest.mark.parametrize("windows", [[], ["never"], ["saturday_evening"]])
def test_times_that_do_not_work_come_back_as_ticked(
    on_both: FlaskClient, instance: Instance, windows: list[str]
) -> None:
    asked = ask(instance)
    answer = post(on_both, "/manage/windows", asked, windows=windows)
    page = read(answer)
    assert answer.status_code == 422
    assert page.ticked("windows") <= set(windows)
    assert page.one("p", id="windows-wrong").words
    assert page.all("details")[0].attributes.get("open") == ""
    assert page.all("div", role="alert")[0].words.startswith("Please look at 1 thing Nothing has changed.")
    assert now(instance, asked.lead).windows == "weekday_morning"


def test_a_new_number_needs_a_fresh_yes(on_both: FlaskClient, instance: Instance) -> None:
    asked = ask(instance)
    page_text = {"kind": "phone", "phone": "(813) 555-0144", "shown": mark(on_both, asked)}
    refused = post(on_both, "/manage/contact", asked, **page_text)
    page = read(refused)
    assert refused.status_code == 422
    assert page.typed("phone") == "(813) 555-0144"
    assert page.one("p", id="channels-wrong").words == "Tick at least one way for us to contact you."
    assert page.ticked("windows") == {"weekday_morning"}
    kept = read(post(on_both, "/manage/contact", asked, **page_text, channels=["call", "text"]))
    assert kept.one("p", role="status").words == "Done. We have your new number."
    assert [each.words for each in facts(kept) if "••44" in each.words] == [
        "(•••) •••-••44No voicemail",
        "(•••) •••-••44",
    ]


def test_a_new_address_needs_a_fresh_yes(on_both: FlaskClient, instance: Instance) -> None:
    asked = ask(instance)
    page_text = {"kind": "email", "email": "new@example.net", "shown": mark(on_both, asked)}
    page = read(post(on_both, "/manage/contact", asked, **page_text))
    assert page.all("div", role="alert")[0].words.endswith("Tick at least one way for us to contact you.")
    assert [each.attributes["href"] for each in page.all("a") if each.attributes.get("href") == "#by-email"]
    kept = read(post(on_both, "/manage/contact", asked, **page_text, channels="email"))
    assert kept.one("p", role="status").words == "Done. We have your new address."
    assert "n•••••@•••••.net" in [each.words for each in facts(kept)]


def test_a_change_to_a_closed_request_is_refused_with_a_sentence(
    on_both: FlaskClient, instance: Instance
) -> None:
    asked = ask(instance)
    post(on_both, "/manage/stop", asked)
    answer = post(on_both, "/manage/windows", asked, windows="any")
    assert answer.status_code == 409
    assert "This request is closed, so there is nothing left to change." in answer.text


def test_a_drop_of_nothing_we_know_only_shows_the_page(on_both: FlaskClient, instance: Instance) -> None:
    asked = ask(instance)
    for channel in ("", "pigeon"):
        assert post(on_both, "/manage/drop", asked, channel=channel).status_code == 200
    assert now(instance, asked.lead).status is LeadStatus.NEW


def test_an_erased_request_leaves_a_page_and_a_dead_code(on_both: FlaskClient, instance: Instance) -> None:
    asked = ask(instance)
    assert "What stays: a record that you said yes and then no" in post(on_both, "/manage/erase", asked).text
    assert every(instance, Lead) == []
    assert post(on_both, "/manage/erase", asked).status_code == 422


def test_the_whole_way_of_a_person(on_both: FlaskClient, read_it: Callable[[], object]) -> None:
    """Ask, save the receipt from the confirmation, look, erase; as the pages offer it."""
    given = fill_in(on_both)
    read_it()
    code = code_on(read(on_both.post("/", data=given)))
    saved = on_both.post("/receipt", data={"code": code, "as": "text"})
    assert " ".join(code[place : place + 4] for place in range(0, 16, 4)) in saved.text
    assert post(on_both, "/manage", code).status_code == 200
    assert post(on_both, "/manage/erase", code).status_code == 200
    reload = on_both.post("/", data=given)
    assert reload.status_code == 409
    assert "We no longer have this request." in reload.text


# --- the receipt -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "name", "kind"),
    [
        ("text", "receipt.txt", "text/plain; charset=utf-8"),
        ("json", "receipt.json", "application/json"),
        ("", "receipt.txt", "text/plain; charset=utf-8"),
    ],
)
def test_a_receipt_is_a_file_with_a_neutral_name(
    web: FlaskClient, sqlite_instance: Instance, form: str, name: str, kind: str
) -> None:
    answer = post(web, "/receipt", ask(sqlite_instance), **{"as": form})
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert answer.headers["Content-Type"] == kind
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_json_is_json(web: FlaskClient, sqlite_instance: Instance) -> None:
    asked = ask(sqlite_instance)
    found = json.loads(post(web, "/receipt", asked, **{"as": "json"}).data)
    assert found["consents"][0]["data_subject"] == asked.lead.reference


# --- what a stranger learns --------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "/es"])
def test_every_code_that_opens_nothing_gets_the_same_answer_to_the_byte(
    on_both: FlaskClient, instance: Instance, prefix: str
) -> None:
    asked, over = ask(instance), ask(instance)
    erased = ask(instance, phone="+13055550177", email="other@example.org")
    post(on_both, "/manage/erase", erased)
    with instance.database.transaction() as session:
        session.get_one(Lead, over.lead.id).purge_after = instance.clock()
    instance.throttle._counters.reset()
    wrong = [
        {"code": each}
        for each in (
            "", "x", "0" * 16, erased.code, over.code, asked.code[:-1], asked.code * 2, asked.code + "0",
            "A" * 10_240, "\x00", "💊" * 16, "<script>", "' OR 1=1 --", "%00", asked.lead.reference,
        )
    ]  # fmt: skip
    wrong += [{}, {"code": [asked.code, asked.code]}, {"Code": asked.code}, {"code": ["", asked.code]}]
    seen = set()
    for path in WITH_CODE:
        for form in wrong:
            answer = on_both.post(prefix + path, data={**GOOD.get(path, {}), **form})
            headers = tuple(sorted(each for each in answer.headers.items() if each[0] != "Date"))
            seen.add((answer.status_code, answer.data, headers))
            instance.throttle._counters.reset()
    ((status, words, _),) = seen
    assert status == 422
    assert b"problems" in words
    assert now(instance, asked.lead).status is LeadStatus.NEW


@pytest.mark.parametrize(
    "more",
    [
        {"data": b"\xff\xfe", "content_type": "application/x-www-form-urlencoded"},
        {"data": b"code=%ff%fe", "content_type": "application/x-www-form-urlencoded"},
        {"data": b'{"code": "x"}', "content_type": "application/json"},
        {"data": b"code=x", "content_type": "text/plain"},
        {"data": b"--x\r\nbroken", "content_type": "multipart/form-data; boundary=x"},
        {"data": b"code=x", "headers": {"Content-Encoding": "gzip"}},
        {"data": b""},
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_what_cannot_be_read_is_answered_like_nothing_at_all(web: FlaskClient, more: dict, path: str) -> None:
    assert web.post(path, **more).data == web.post(path, data={}).data


@pytest.mark.parametrize("path", PATHS)
def test_a_file_is_no_code(web: FlaskClient, path: str) -> None:
    assert web.post(path, data={"code": (BytesIO(b"x"), "x.txt")}).data == web.post(path, data={}).data


@pytest.mark.parametrize("path", PATHS)
def test_too_much_is_refused_with_a_phone_number(web: FlaskClient, path: str) -> None:
    answer = web.post(path, data={"code": "x" * 70_000})
    assert answer.status_code == 413
    assert "(305) 555-0142" in answer.text


@pytest.mark.parametrize(("took", "waits"), [(0.0, 0.25), (0.02, 0.23), (0.249, 0.001), (0.26, 0.24)])
def test_without_the_code_an_answer_leaves_at_the_next_whole_step(
    monkeypatch, web: FlaskClient, took: float, waits: float
) -> None:
    slept: list[float] = []
    moments = iter([100.0, 100.0 + took])
    monkeypatch.setattr(manage, "monotonic", lambda: next(moments))
    monkeypatch.setattr(manage, "sleep", slept.append)
    post(web, "/manage/without-code", "", reference="ZZZZZZZZ", address=PHONE)
    assert slept == [pytest.approx(waits)]


@pytest.mark.parametrize("prefix", ["", "/es"])
def test_without_the_code_every_input_gets_the_same_answer_to_the_byte(
    on_both: FlaskClient, instance: Instance, prefix: str
) -> None:
    asked = ask(instance)
    other = ask(instance, phone="+13055550177", email="other@example.org").lead
    page_text = [
        {"address": PHONE},
        {"reference": asked.lead.reference, "address": "+13055550177"},
        {"reference": other.reference, "address": EMAIL},
        {"reference": "x" * 10_000, "address": EMAIL},
        {"reference": [asked.lead.reference] * 2, "address": ["nobody@example.org", PHONE]},
        {"reference": asked.lead.reference, "address": "(305) 555-0123"},
        {"reference": asked.lead.reference, "address": "(305) 555-0123"},
    ]
    path = f"{prefix}/manage/without-code"
    seen = {
        (answer.status_code, answer.data) for form in page_text for answer in [on_both.post(path, data=form)]
    }
    ((status, words),) = seen
    assert status == 200
    assert {"": "If we found your request, all contact has stopped.", "/es": "Si encontramos su pedido"}[
        prefix
    ] in words.decode()
    assert now(instance, asked.lead).close_reason is CloseReason.STOPPED
    assert now(instance, other).status is LeadStatus.NEW


@pytest.mark.parametrize("address", ["", "nonsense", "\x00", "y" * 10_000, "305 555", "sam@"])
def test_without_the_code_what_cannot_be_read_is_asked_for_anew(
    web: FlaskClient, sqlite_instance: Instance, address: str
) -> None:
    """By its spelling alone: the answer is the same for a reference that exists and for one that does not."""
    lead = ask(sqlite_instance).lead
    found = []
    for reference in (lead.reference, "ZZZZZZZZ"):
        answer = post(web, "/manage/without-code", "", reference=reference, address=address)
        assert answer.status_code == 422
        page = read(answer)
        assert page.typed("reference") == reference
        assert page.one("input", id="address").attributes["aria-invalid"] == "true"
        found.append(answer.text.replace(reference, ""))
    assert found[0] == found[1]
    assert "tel:988" in found[0]
    assert now(sqlite_instance, lead).status is LeadStatus.NEW


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("prefix", ["", "/es"])
def test_looking_changes_nothing(on_both: FlaskClient, instance: Instance, path: str, prefix: str) -> None:
    asked = ask(instance)
    before = rows(instance)
    words = {"code": asked.code, "reference": asked.lead.reference, "address": PHONE, "channel": "call"}
    shown = {on_both.get(prefix + path).data, on_both.get(prefix + path, query_string=words).data}
    assert on_both.head(prefix + path, query_string=words).status_code == 200
    assert on_both.options(prefix + path).status_code == 200
    assert len(shown) == 1
    assert asked.code.encode() not in shown.pop()
    assert rows(instance) == before


def test_an_address_carries_no_code(web: FlaskClient, sqlite_instance: Instance) -> None:
    asked = ask(sqlite_instance)
    assert web.post("/manage", query_string={"code": asked.code}).status_code == 422
    assert web.get(f"/manage/{asked.code}").status_code == 404


def test_other_methods_are_not_taken(web: FlaskClient) -> None:
    for path in PATHS:
        assert {web.open(path, method=each).status_code for each in ("PUT", "DELETE", "PATCH")} == {405}


# --- limits ------------------------------------------------------------------------------------------------


def test_wrong_codes_are_limited_and_the_page_says_whom_to_call(web: FlaskClient) -> None:
    statuses = [post(web, path, "wrong").status_code for path in (*WITH_CODE, *WITH_CODE, *WITH_CODE)]
    refused = post(web, "/manage", "wrong")
    assert statuses[:20] == [422] * 20
    assert set(statuses[20:]) == {429}
    assert 0 < int(refused.headers["Retry-After"]) <= 600
    assert "(305) 555-0142" in refused.text
    assert "There were too many tries from your network." in refused.text


def test_a_right_code_is_never_counted(web: FlaskClient, sqlite_instance: Instance) -> None:
    asked = ask(sqlite_instance)
    assert {post(web, "/manage", asked).status_code for _ in range(30)} == {200}


def test_strangers_lock_nobody_out_who_comes_from_elsewhere(
    web: FlaskClient, sqlite_instance: Instance
) -> None:
    asked = ask(sqlite_instance)
    for _ in range(25):
        post(web, "/manage", "wrong")
    assert post(web, "/manage", asked).status_code == 429
    elsewhere = {"environ_base": {"REMOTE_ADDR": "198.51.100.7"}}
    assert web.post("/manage", data={"code": asked.code}, **elsewhere).status_code == 200


def test_the_limit_ends_by_itself(web: FlaskClient, sqlite_instance: Instance, clock) -> None:
    asked = ask(sqlite_instance)
    for _ in range(25):
        post(web, "/manage", "wrong")
    clock.move(minutes=10)
    assert post(web, "/manage", asked).status_code == 200


def test_guesses_without_the_code_are_limited(web: FlaskClient) -> None:
    guess = {"reference": "x", "address": PHONE}
    statuses = [web.post("/manage/without-code", data=guess).status_code for _ in range(22)]
    assert statuses == [200] * 20 + [429] * 2


def test_when_counting_fails_people_get_in(web: FlaskClient, sqlite_instance: Instance) -> None:
    asked = ask(sqlite_instance)
    broken = sqlite_instance.settings.data_dir / "throttle.sqlite3"
    broken.unlink(missing_ok=True)
    broken.mkdir()
    assert post(web, "/manage", asked).status_code == 200
    assert post(web, "/manage", "wrong").status_code == 422


# --- when something is down --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
def test_a_database_that_is_away_gets_the_page_that_needs_none(
    sqlite_instance: Instance, monkeypatch, path: str
) -> None:
    asked = ask(sqlite_instance)
    web = create_app(sqlite_instance).test_client()

    def away(*_: object, **__: object) -> None:
        raise Unavailable

    monkeypatch.setattr(type(sqlite_instance.database), "transaction", away)
    answer = post(web, path, asked, **GOOD.get(path, {}))
    assert answer.status_code == 503
    assert "(305) 555-0142" in answer.text


def test_logs_hold_neither_code_nor_contact(web: FlaskClient, sqlite_instance: Instance, capfd) -> None:
    asked = ask(sqlite_instance)
    with capture_logs() as logged:
        for path in PATHS:
            for code in (asked.code, "wrong"):
                post(
                    web, path, code, reference=asked.lead.reference, address=PHONE, phone=PHONE, kind="phone"
                )
    sentence = repr(logged) + "".join(capfd.readouterr())
    assert not [each for each in (*CANARIES, asked.code, asked.lead.reference) if each in sentence]


def test_the_form_says_nothing_was_found_once_in_words(web: FlaskClient) -> None:
    page = read(post(web, "/manage", "wrong"))
    assert page.one("p", id="code-wrong").words == (
        "We found no request for this code. Please check each letter and figure."
    )
    assert page.typed("code") == ""
    assert re.search(r"autofocus", post(web, "/manage", "wrong").text)
