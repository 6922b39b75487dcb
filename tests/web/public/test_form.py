"""Asking for a call: kept once, confirmed at once, and nothing typed is ever lost (P1 to P3, C1)."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from structlog.testing import capture_logs

from intake.app import create_app
from intake.consent.models import Kind
from intake.consent.statements import Statements
from intake.core.errors import Unavailable
from intake.instance import Instance
from intake.leads import submission
from intake.leads.fields import CHOICES
from intake.leads.models import CloseReason, Lead, Suspicion
from tests.client import Page, code_on, fill_in, read
from tests.conftest import MovableClock
from tests.factories import EMAIL, NAME, SHOWN, every

Count = Callable[[Instance], int]


def assert_answers_preserved(page: Page) -> None:
    """Everything that `answers` typed and ticked is on the page again."""
    assert page.typed("preferred_name") == NAME
    assert page.typed("phone") == SHOWN
    assert page.typed("email") == EMAIL
    assert page.ticked("channels") == {"call", "email"}
    assert page.ticked("windows") == {"weekday_morning", "saturday_morning"}
    assert {name: page.ticked(name) for name in CHOICES} == {
        name: {next(iter(each.words))} for name, each in CHOICES.items()
    }
    assert page.ticked("time_zone") == {"America/New_York"}
    assert page.chosen == "US-FL"


def lead_in(instance: Instance) -> Lead:
    with instance.database.reading() as session:
        return session.scalars(select(Lead)).one()


def reference_on(page: Page) -> str:
    return page.all("output")[0].words.replace(" ", "")


@pytest.mark.parametrize(
    ("path", "language", "promise"),
    [
        ("/", "en", "A person will be in touch with you by 12 noon today (Eastern)."),
        (
            "/es/",
            "es",
            "Una persona se comunicará con usted hoy antes de las 12 del mediodía (hora del Este).",
        ),
    ],
)
def test_it_keeps_a_request_and_shows_what_to_keep(
    on_both: FlaskClient, instance: Instance, leads_in: Count, path: str, language: str, promise: str
) -> None:
    answer = on_both.post(path, data=fill_in(on_both, path))
    page, lead = read(answer), lead_in(instance)
    assert (answer.status_code, leads_in(instance)) == (200, 1)
    assert (reference_on(page), page.one("p", class_="promise").words) == (lead.reference, promise)
    assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{16}", code_on(page))
    assert page.typed("code") == code_on(page)
    assert lead.language == language
    assert "Set-Cookie" not in answer.headers


def test_the_confirmation_names_nobody(web: FlaskClient) -> None:
    words = web.post("/", data=fill_in(web)).get_data(as_text=True)
    for word in (*NAME.split(), SHOWN, "5550123", EMAIL, "zaraida"):
        assert word not in words


def test_the_confirmation_says_what_was_agreed_to_in_the_words_shown(
    web: FlaskClient, sqlite_instance: Instance
) -> None:
    page = read(web.post("/", data=fill_in(web)))
    shown = sqlite_instance.statements.in_force("en")
    answered = {each.words for each in page.all("dt")}
    assert {"Phone call · Yes", "Text message · No", "Email · Yes", "Voicemail · No"} <= answered
    text = " ".join(each.words for each in page.all("dd"))
    for kind in (Kind.USE, Kind.ADULT, Kind.CALL, Kind.EMAIL):
        assert f"“{shown[kind].label}”" in text
    assert shown[Kind.TEXT].label not in text


def test_the_same_page_sent_twice_is_one_request_with_one_code(
    on_both: FlaskClient, instance: Instance, leads_in: Count
) -> None:
    given = fill_in(on_both)
    first, second = (read(on_both.post("/", data=given)) for _ in range(2))
    assert code_on(first) == code_on(second)
    assert reference_on(first) == reference_on(second)
    assert leads_in(instance) == 1


def test_other_words_from_the_same_page_are_a_correction(on_both: FlaskClient, instance: Instance) -> None:
    given = fill_in(on_both)
    on_both.post("/", data=given)
    answer = on_both.post("/", data=given | {"windows": ["saturday_morning"]})
    page = read(answer)
    assert answer.status_code == 409
    assert page.typed("preferred_name") == NAME
    assert page.ticked("windows") == {"saturday_morning"}
    assert page.typed("token") != given["token"]
    again = on_both.post("/", data=given | {"windows": ["saturday_morning"], "token": page.typed("token")})
    assert again.status_code == 200
    with instance.database.reading() as session:
        old, new = session.scalars(select(Lead).order_by(Lead.follows.is_not(None))).all()
        assert (old.close_reason, new.follows) == (CloseReason.SUPERSEDED, old.id)


def test_an_erased_request_does_not_come_back_by_a_reload(
    on_both: FlaskClient, instance: Instance, leads_in: Count
) -> None:
    given = fill_in(on_both)
    on_both.post("/", data=given)
    with instance.database.transaction() as session:
        session.query(submission.Submission).one().lead_id = None
    answer = on_both.post("/", data=given)
    assert (answer.status_code, leads_in(instance)) == (409, 1)
    assert_answers_preserved(read(answer))


def test_a_page_left_open_for_days_still_goes_through(web: FlaskClient, clock: MovableClock) -> None:
    given = fill_in(web)
    clock.move(days=6)
    assert web.post("/", data=given).status_code == 200


@pytest.mark.parametrize("token", ["", "nonsense", "eyJuIjoiMSJ9.forged", None, "x" * 5000])
def test_a_token_that_is_not_ours_brings_the_page_back(
    web: FlaskClient, sqlite_instance: Instance, leads_in: Count, token: str | None
) -> None:
    given = fill_in(web, token=None) if token is None else fill_in(web, token=token)
    answer = web.post("/", data=given)
    page = read(answer)
    assert (answer.status_code, leads_in(sqlite_instance)) == (422, 0)
    assert_answers_preserved(page)
    assert web.post("/", data=fill_in(web) | {"token": page.typed("token")}).status_code == 200


def test_a_page_older_than_our_memory_comes_back_with_every_word(
    web: FlaskClient, clock: MovableClock, sqlite_instance: Instance, leads_in: Count
) -> None:
    given = fill_in(web)
    clock.move(days=8)
    answer = web.post("/", data=given)
    page = read(answer)
    assert (answer.status_code, leads_in(sqlite_instance)) == (422, 0)
    assert_answers_preserved(page)
    assert page.ticked("consent_use") == {"yes"}
    assert web.post("/", data=given | {"token": page.typed("token")}).status_code == 200
    assert lead_in(sqlite_instance).suspected is None


def with_new_words(instance: Instance) -> Instance:
    """The same service after the statement on use has got a new version."""
    now = instance.statements.in_force("en")[Kind.USE]
    newer = replace(now, version=now.version + 1, label=f"{now.label} Really.")
    return replace(instance, statements=Statements((*instance.statements.every, newer)))


def test_changed_statements_are_shown_and_ticked_anew(
    web: FlaskClient, sqlite_instance: Instance, leads_in: Count
) -> None:
    given = fill_in(web)
    later = create_app(with_new_words(sqlite_instance)).test_client()
    answer = later.post("/", data=given)
    page = read(answer)
    assert (answer.status_code, leads_in(sqlite_instance)) == (422, 0)
    assert (page.typed("preferred_name"), page.typed("phone")) == (NAME, SHOWN)
    assert page.ticked("windows") == {"weekday_morning", "saturday_morning"}
    assert page.ticked("channels") | page.ticked("consent_use") | page.ticked("adult") == set()
    assert "Really." in answer.get_data(as_text=True)
    assert "have changed" in page.one("h2", id="problems").words
    assert later.post("/", data=given | {"token": page.typed("token")}).status_code == 200


def test_a_confirmation_is_found_again_after_the_statements_changed(
    web: FlaskClient, sqlite_instance: Instance, leads_in: Count
) -> None:
    given = fill_in(web)
    code = code_on(read(web.post("/", data=given)))
    later = create_app(with_new_words(sqlite_instance)).test_client()
    page = read(later.post("/", data=given))
    found = read(later.post("/", data=given | {"token": page.typed("token")}))
    assert (code_on(found), leads_in(sqlite_instance)) == (code, 1)


def test_changing_the_language_keeps_every_word_and_sends_nothing(
    web: FlaskClient, sqlite_instance: Instance, leads_in: Count
) -> None:
    given = fill_in(web)
    answer = web.post("/es/", data=given | {"switch": "es"})
    page = read(answer)
    assert (answer.status_code, leads_in(sqlite_instance)) == (200, 0)
    assert page.one("html").attributes["lang"] == "es"
    assert_answers_preserved(page)
    assert page.all("div", role="alert") == []
    spanish = given | {"token": page.typed("token")}
    assert web.post("/es/", data=spanish).status_code == 200


def test_changing_the_language_of_a_half_filled_page_complains_of_nothing(web: FlaskClient) -> None:
    answer = web.post("/es/", data={"token": "x", "switch": "es", "preferred_name": "Ana", "phone": "12"})
    page = read(answer)
    assert (answer.status_code, page.typed("preferred_name"), page.typed("phone")) == (200, "Ana", "12")
    assert page.all("p", class_="error") == []


def test_statements_in_another_language_are_other_statements(
    web: FlaskClient, sqlite_instance: Instance, leads_in: Count
) -> None:
    answer = web.post("/es/", data=fill_in(web, "/"))
    assert (answer.status_code, leads_in(sqlite_instance)) == (422, 0)


PROBLEMS = [
    ({"preferred_name": " "}, "preferred_name", "Type the name you would like us to use."),
    ({"channels": None}, "by-call", "Tick at least one way for us to contact you."),
    ({"phone": "555 019"}, "phone", "Type your phone number with the area code, like 305 555 0199."),
    ({"email": "me@"}, "email", "Type your email address, like name@example.org."),
    ({"voicemail": "maybe"}, "voicemail-no", "Choose “No” or “Yes” for voicemail."),
    ({"windows": None}, "any", "Tick when we may contact you"),
    ({"windows": ["saturday_evening"]}, "any", "We are not open at these times in the next two weeks."),
    ({"region": ""}, "region", "Choose your state from the list."),
    ({"time_zone": "Mars/Olympus"}, "zone", "Choose your time zone, or leave it empty."),
    ({"asking_for": "nobody"}, "asking-self", "Choose one of the answers"),
    ({"call_language": "fr"}, "call_language", "Choose one of the answers"),
    ({"adult": None}, "adult", "Tick this box if you are 18 or older."),
    ({"consent_use": None}, "consent_use", "Tick this box to let us use what you typed."),
    ({"tell_article": "no"}, "tell_article", "Tick this box, or leave it empty."),
    ({"region": ["US-FL", "US-GA"]}, "region", "Please give one answer here."),
]  # fmt: skip


@pytest.mark.parametrize(("change", "place", "sentence"), PROBLEMS)
def test_a_problem_shows_on_top_and_at_its_place(
    web: FlaskClient,
    sqlite_instance: Instance,
    leads_in: Count,
    change: dict[str, object],
    place: str,
    sentence: str,
) -> None:
    answer = web.post("/", data=fill_in(web, **change))
    page = read(answer)
    assert (answer.status_code, leads_in(sqlite_instance)) == (422, 0)
    assert page.title == "Please look at 1 thing: ask for a call"
    summary = page.one("div", role="alert")
    assert {"autofocus", "tabindex"} <= set(summary.attributes)
    link = page.all("a", href=f"#{place}")[-1]
    assert link.words.startswith(sentence)
    assert [each for each in page.elements if each.attributes.get("id") == place]
    if place != "ask":
        assert any(each.words == link.words for each in page.all("p", class_="error"))
    if change != {"preferred_name": " "}:
        assert page.typed("preferred_name") == NAME


def test_all_problems_show_at_once_in_the_order_of_the_page(web: FlaskClient) -> None:
    page = read(web.post("/es/", data={"token": fill_in(web, "/es/")["token"]}))
    links = [each.attributes["href"] for each in page.all("a") if each.attributes["href"].startswith("#")]
    assert links[1:7] == ["#preferred_name", "#by-call", "#any", "#region", "#adult", "#consent_use"]
    assert page.title == "Por favor, revise 6 cosas: pedir una llamada"


def test_the_words_of_a_problem_page_are_not_markup(web: FlaskClient) -> None:
    text = '"><script>alert(1)</script>'
    answer = web.post("/", data=fill_in(web, preferred_name=text, phone=text, email=text, region=text))
    page = read(answer)
    assert page.typed("preferred_name") == page.typed("phone") == page.typed("email") == text
    assert [each.attributes.get("src", "").partition("?")[0] for each in page.all("script")] == [
        "/static/leave.js"
    ]


def test_somebody_under_18_is_shown_other_help_and_nothing_is_kept(
    web: FlaskClient, sqlite_instance: Instance, leads_in: Count
) -> None:
    page = read(web.post("/", data=fill_in(web, adult=None)))
    assert page.all("a", href="/under-18")
    assert leads_in(sqlite_instance) == 0
    help_page = web.get("/under-18").get_data(as_text=True)
    assert "988" in help_page
    assert "An adult you trust" in help_page
    assert leads_in(sqlite_instance) == 0


def test_when_our_side_is_down_the_words_stay_and_the_phone_comes_first(
    web: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object, **__: object) -> None:
        raise Unavailable

    monkeypatch.setattr(submission, "submit", down)
    given = fill_in(web)
    answer = web.post("/", data=given)
    page = read(answer)
    assert answer.status_code == 503
    assert_answers_preserved(page)
    summary = page.one("div", role="alert").words
    assert "(305) 555-0142" in summary
    assert "has not been sent" not in summary  # nobody can know
    monkeypatch.undo()
    assert web.post("/", data=given | {"token": page.typed("token")}).status_code == 200


def test_a_defect_of_ours_costs_nobody_their_words_and_tells_the_log_nothing(
    web: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(NAME + SHOWN + EMAIL)

    monkeypatch.setattr(submission, "submit", broken)
    with capture_logs() as logged:
        answer = web.post("/", data=fill_in(web))
    assert answer.status_code == 500
    assert_answers_preserved(read(answer))
    (event,) = logged
    assert (event["event"], event["error"], event["route"]) == (
        "unexpected_failure",
        "RuntimeError",
        "public.send",
    )
    assert NAME not in str(event)


def test_a_filled_trap_marks_and_keeps(
    web: FlaskClient, sqlite_instance: Instance, clock: MovableClock
) -> None:
    given = fill_in(web, website="https://example.org")
    clock.move(minutes=1)
    assert web.post("/", data=given).status_code == 200
    assert lead_in(sqlite_instance).suspected is Suspicion.HONEYPOT


@pytest.mark.parametrize(("seconds", "marked"), [(2, Suspicion.TOO_FAST), (3, None)])
def test_faster_than_a_person_marks_and_keeps(
    web: FlaskClient,
    sqlite_instance: Instance,
    clock: MovableClock,
    seconds: int,
    marked: Suspicion | None,
) -> None:
    given = fill_in(web)
    clock.move(seconds=seconds)
    assert web.post("/", data=given).status_code == 200
    assert lead_in(sqlite_instance).suspected is marked


def test_mending_one_answer_fast_marks_nobody(web: FlaskClient, sqlite_instance: Instance) -> None:
    page = read(web.post("/", data=fill_in(web, adult=None)))
    web.post("/", data=fill_in(web, token=page.typed("token")))
    assert lead_in(sqlite_instance).suspected is None


def test_a_crowd_from_one_place_is_marked_and_kept(
    web: FlaskClient, sqlite_instance: Instance, clock: MovableClock
) -> None:
    token = fill_in(web)["token"]
    for _ in range(30):
        web.post("/", data={"token": token})
    given = fill_in(web)
    clock.move(minutes=1)
    assert web.post("/", data=given).status_code == 200
    assert lead_in(sqlite_instance).suspected is Suspicion.TOO_FAST


def test_after_a_flood_from_a_place_everybody_who_asks_from_there_is_kept(
    web: FlaskClient, sqlite_instance: Instance, clock: MovableClock
) -> None:
    token = fill_in(web)["token"]
    for _ in range(500):
        assert web.post("/", data={"token": token}).status_code == 422
    for place in range(20):
        given = fill_in(web, phone=f"(305) 555-01{place:02}")
        clock.move(seconds=10)
        assert web.post("/", data=given).status_code == 200
    assert len(every(sqlite_instance, Lead)) == 20


def test_the_answer_is_the_same_for_a_new_and_for_a_known_number(web: FlaskClient) -> None:
    """Nobody learns by asking whether a number has asked before."""

    def shape() -> str:
        words = web.post("/", data=fill_in(web)).get_data(as_text=True)
        return re.sub(r"\b[0-9A-Z]{4}\b|(?<=value=\")[0-9A-Z]{16}", "-", words)

    assert shape() == shape()


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("?article=1", "You came from “Is Ketamine Addictive and Is It Safe for Depression?”."),
        ("?article=2", "You came from “Is Ketamine Addictive When Used for Depression?”."),
        ("?article=3", "will only know that you read one of the two"),
        ("?article=https://example.org", "will only know that you read one of the two"),
        ("", "will only know that you read one of the two"),
    ],
)
def test_the_page_says_what_the_clinic_would_learn_of_the_article(
    web: FlaskClient, query: str, text: str
) -> None:
    given = read(web.get(f"/{query}"))
    assert text in given.one("form", id="ask").words
    again = read(web.post("/", data={"token": given.typed("token")}))
    assert text in again.one("form", id="ask").words


def test_what_else_stands_in_the_address_leaves_no_trace(web: FlaskClient) -> None:
    plain, decked = (
        re.sub(r'name="token" value="[^"]+"', "", web.get(path).get_data(as_text=True))
        for path in ("/", "/?utm_source=a&gclid=b&lang=es&article=9")
    )
    assert plain == decked


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/xml", ""])
def test_what_is_no_form_gets_the_form(web: FlaskClient, kind: str) -> None:
    answer = web.post("/", data=b"{}", content_type=kind)
    assert answer.status_code == 415
    assert read(answer).one("form", id="ask")


def test_a_packed_body_is_not_unpacked(web: FlaskClient) -> None:
    answer = web.post("/", data=fill_in(web), headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 415
