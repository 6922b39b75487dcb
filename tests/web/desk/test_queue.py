"""The desk's pages: what they show and hide, what an address may ask for, and the log (G2, G4, K3, W1)."""

import re
from datetime import UTC, datetime

import pytest

from intake.accounts.models import Role
from intake.app import create_app
from intake.audit import AuditEvent
from intake.calling.hours import Window
from intake.instance import Instance
from intake.leads.models import CloseReason, Lead, LeadStatus, Suppression, Suspicion
from intake.web.auth import guards
from tests.client import CANARIES, NOWHERE, OURS, Desk, words
from tests.factories import ANY, NAME, PHONE, ask, details_of, every, hire, now, take

PATHS = ("/desk", "/desk/stop", "/desk/log")


@pytest.fixture
def desk(sqlite_instance: Instance) -> Desk:
    return Desk(sqlite_instance, hire(sqlite_instance, "Ana Ruiz", *Role))


def test_every_address_of_the_desk_is_guarded(desk: Desk) -> None:
    app = create_app(desk.instance)
    declared = guards.guarded_routes(app)
    rules = {
        (rule.rule, method)
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/desk")
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert rules <= set(declared)
    assert all(declared[each].permission for each in rules)


@pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
def test_the_queue_shows_who_waits_and_nothing_of_them(instance: Instance, database_url) -> None:
    lead = ask(instance, suspected=Suspicion.TOO_FAST, **ANY).lead
    answer = Desk(instance, hire(instance)).get("/desk")
    assert answer.status_code == 200
    text = words(answer.text)
    assert f"{lead.reference[:4]} {lead.reference[4:]}" in text
    for word in ("Z.", "en", "check", "FL, 10 am", "call until 6 pm", "free", "in 2 h"):
        assert word in text
    assert not [each for each in CANARIES if each in answer.text]


def test_what_waits_stands_in_its_group(desk: Desk, clock) -> None:
    ask(desk.instance, **ANY)
    clock.move(minutes=130)
    ask(desk.instance, **ANY)
    ask(desk.instance, windows=frozenset({Window.SATURDAY_MORNING}))
    text = words(desk.get("/desk").text)
    assert re.search("Promise broken 1, call these first .*10 min late .*Call now 1 .*Opens later 1", text)
    assert "opens Sat 9 am" in text


def test_an_empty_queue_says_so(desk: Desk) -> None:
    text = words(desk.get("/desk").text)
    assert "Nobody is waiting." in text
    assert "Nothing. Open a request and claim it" in text


def test_an_empty_moment_says_when_the_next_opens(desk: Desk, clock) -> None:
    clock.set(datetime(2026, 11, 21, 19, 12, tzinfo=UTC))
    ask(desk.instance)
    text = words(desk.get("/desk").text)
    assert "Nobody may be called this minute. The next one opens Monday at 9 am." in text


def test_filters_that_fit_nobody_lead_back_to_all(desk: Desk) -> None:
    ask(desk.instance)
    text = words(desk.get("/desk?language=es").text)
    assert "No request fits these filters. Show all that wait" in text


@pytest.mark.parametrize(
    "query",
    [
        "show=everything&language=tlh&channel=pigeon&held=Ana",
        "after=x",
        "after=2026-11-18T10:00:00%2B00:00~",
        "after=0001-01-01T00:00:00%2B14:00~00000000-0000-4000-8000-000000000001",
        "after=9999-12-31T23:59:59-14:00~00000000-0000-4000-8000-000000000001",
        "after=%00&show=%00&message=%00",
        "message=../../etc/passwd&message=noted",
        "show=open&show=closed",
        "%ff=%ff&after=%ff",
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_nonsense_in_an_address_is_calmly_ignored(desk: Desk, path: str, query: str) -> None:
    ask(desk.instance)
    assert desk.get(f"{path}?{query}").status_code == 200


def test_what_we_hold_is_in_our_hands_and_can_be_given_back(desk: Desk) -> None:
    lead = ask(desk.instance).lead
    take(desk.instance, lead, desk.member)
    text = words(desk.get("/desk").text)
    assert "You, 20 min" in text
    assert "20 min left Release" in text
    answer = desk.act(lead, "give-back")
    assert answer.status_code == 303
    assert answer.location == f"/desk/leads/{lead.id}?message=released"
    assert now(desk.instance, lead).claimed_by is None


def test_a_colleagues_hold_shows_their_first_name_and_time(desk: Desk) -> None:
    lead = ask(desk.instance).lead
    take(desk.instance, lead, hire(desk.instance, "Ben Ochoa"))
    assert "Ben, 20 min" in words(desk.get("/desk").text)


def test_closed_requests_can_be_reached(desk: Desk) -> None:
    lead = ask(desk.instance).lead
    desk.act(lead, "close", version=1, reason="talked")
    assert now(desk.instance, lead).close_reason is CloseReason.TALKED
    text = words(desk.get("/desk?show=closed").text)
    assert lead.reference[:4] in text
    assert "We talked, and nothing is left to do." in text


def test_pages_follow_each_other(desk: Desk, monkeypatch) -> None:
    monkeypatch.setattr("intake.casework.queue.PAGE_SIZE", 1)
    leads = [ask(desk.instance, **ANY).lead for _ in range(2)]
    first = desk.get("/desk").text
    following = re.search(r'rel="next" href="([^"]+)"', first)
    second = desk.get(following[1].replace("&amp;", "&")).text
    # Whole, as they are shown: four figures alone may stand by chance in a token or an id of the page.
    references = [f"{each.reference[:4]} {each.reference[4:]}" for each in leads]
    seen = [each in page for page in (first, second) for each in references]
    assert sorted(seen) == [False, False, True, True]
    assert 'rel="next"' not in second


def test_the_page_speaks_the_language_of_the_browser(desk: Desk) -> None:
    answer = desk.get("/desk", **{"Accept-Language": "es-MX,es;q=0.9,en;q=0.1"})
    assert '<html lang="es">' in answer.text
    assert "Pedidos" in answer.text
    assert "Lista" in words(answer.text)


def test_it_finds_by_number_and_shows_the_words_for_callers(desk: Desk) -> None:
    lead = ask(desk.instance).lead
    answer = desk.post("/desk/find", term="(305) 555-0123")
    text = words(answer.text)
    assert lead.reference[:4] in text
    assert "I cannot tell you whether anybody has been in touch with us." in text
    assert NAME not in answer.text
    assert details_of(desk.instance, "leads.searched") == ['{"hit":true,"kind":"phone"}']


def test_a_reference_leads_straight_to_its_request(desk: Desk) -> None:
    lead = ask(desk.instance).lead
    answer = desk.post("/desk/find", term=lead.reference.lower())
    assert (answer.status_code, answer.location) == (303, f"/desk/leads/{lead.id}")


def test_nothing_found_is_an_answer(desk: Desk) -> None:
    answer = desk.post("/desk/find", term="somebody@example.org")
    assert answer.status_code == 200
    assert "Nothing is kept under this." in words(answer.text)


@pytest.mark.parametrize("term", ["", "Zaraïda", '"><script>alert(1)</script>', "\x00", "٣٠٥", "x" * 9000])
@pytest.mark.parametrize("path", ["/desk/find", "/desk/stop"])
def test_what_is_no_term_comes_back_with_what_to_type(desk: Desk, path: str, term: str) -> None:
    answer = desk.post(path, term=term)
    assert answer.status_code == 422
    assert "phone number or email address." in words(answer.text)
    assert "<script>alert" not in answer.text


@pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
def test_anybody_can_be_stopped_and_the_answer_tells_nothing(instance: Instance, database_url) -> None:
    lead, desk = ask(instance).lead, Desk(instance, hire(instance))
    known, unknown = (desk.post("/desk/stop", term=term) for term in ("305 555 0123", "305 555 0166"))
    assert known.status_code == unknown.status_code == 303
    assert known.location == unknown.location == "/desk/stop?message=contact_stopped"
    assert "From now on nobody here contacts" in words(desk.get(known.location).text)
    assert now(instance, lead).close_reason is CloseReason.STOPPED
    assert len(every(instance, Suppression)) == 2
    kinds = details_of(instance, "suppression.added")
    assert kinds == ['{"kind":"phone","reason":"asked"}'] * 2


def test_a_stopped_number_stops_the_next_request_too(desk: Desk) -> None:
    desk.post("/desk/stop", term=PHONE)
    lead = ask(desk.instance).lead
    text = words(desk.lead(lead))
    assert "Do not call. " in text
    assert "This number or address is on the do-not-contact list." in text
    assert "Reveal number" not in text


def test_unknown_and_hidden_requests_answer_with_the_same_bytes(sqlite_instance: Instance) -> None:
    lead, desk = ask(sqlite_instance).lead, Desk(sqlite_instance, hire(sqlite_instance))
    unknown = desk.get(f"/desk/leads/{NOWHERE}")
    assert unknown.status_code == 404
    with sqlite_instance.database.transaction() as session:
        session.delete(session.get_one(Lead, lead.id))
    gone = desk.get(f"/desk/leads/{lead.id}")
    assert (gone.status_code, gone.data) == (404, unknown.data)
    for act, sent in (("claim", {}), ("give-back", {}), ("reveal", {"channel": "call"})):
        answer = desk.act(lead, act, **sent)
        assert (answer.status_code, answer.data) == (404, unknown.data), act


def test_an_admin_alone_does_not_learn_whether_a_request_exists(sqlite_instance: Instance) -> None:
    lead, admin = (
        ask(sqlite_instance).lead,
        Desk(sqlite_instance, hire(sqlite_instance, "Ada Min", Role.ADMIN)),
    )
    there, nowhere = (admin.get(f"/desk/leads/{each}") for each in (lead.id, NOWHERE))
    assert (there.status_code, there.data) == (nowhere.status_code, nowhere.data)
    assert there.status_code == 403


def test_without_a_session_nothing_is_shown(sqlite_instance: Instance) -> None:
    lead = ask(sqlite_instance).lead
    stranger = create_app(sqlite_instance).test_client()
    for path in (*PATHS, f"/desk/leads/{lead.id}"):
        answer = stranger.get(path)
        assert answer.status_code == 303
        assert answer.location.startswith("/sign-in")
    assert stranger.post(f"/desk/leads/{lead.id}/reveal", headers=OURS).status_code == 401


def test_an_act_from_elsewhere_is_refused(desk: Desk) -> None:
    lead = ask(desk.instance).lead
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    answer = desk.web.post(f"/desk/leads/{lead.id}/claim", data={"csrf": desk.csrf()}, headers=elsewhere)
    assert answer.status_code == 403
    answer = desk.web.post(f"/desk/leads/{lead.id}/claim", data={"csrf": "x"}, headers=OURS)
    assert answer.status_code == 403
    assert now(desk.instance, lead).status is LeadStatus.NEW
    assert now(desk.instance, lead).claimed_by is None


def test_pages_are_kept_nowhere_and_carry_the_crisis_lines(desk: Desk) -> None:
    lead = ask(desk.instance).lead
    for path in (*PATHS, f"/desk/leads/{lead.id}"):
        answer = desk.get(path)
        assert answer.headers["Cache-Control"] == "no-store"
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        for line in ("911", "988", "1-800-662-4357", "(305) 555-0142"):
            assert line in answer.text
        assert not re.search(r'style="|<style|onclick|<script(?! src=)', answer.text)


def test_titles_and_addresses_name_nobody(desk: Desk) -> None:
    lead = ask(desk.instance).lead
    desk.act(lead, "reveal", channel="call")
    page = desk.lead(lead)
    title = re.search("<title>(.*)</title>", page)[1]
    assert title == f"Request {lead.reference[:4]} {lead.reference[4:]}"
    linked = [each for each in re.findall(r'(?:href|action)="([^"]+)"', page) if not each.startswith("tel:")]
    without_ids = [each.replace(str(lead.id), "") for each in linked]
    assert not [each for each in without_ids if "5550123" in each or "Quick" in each]


def test_one_look_at_a_request_is_one_event(desk: Desk) -> None:
    lead = ask(desk.instance).lead
    desk.lead(lead)
    about = [event for event in every(desk.instance, AuditEvent) if event.about == lead.id]
    assert sorted(event.action for event in about) == ["lead.submitted", "lead.viewed"]
