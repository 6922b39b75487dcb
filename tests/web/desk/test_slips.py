"""Slips at the desk: undoing, pages gone stale, and words that outlive a session (G1, G2, W1)."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from html import unescape

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from intake.accounts import sessions
from intake.accounts.models import Role, StaffRole
from intake.act import Act
from intake.app import create_app
from intake.conf.clinic import Channel
from intake.instance import Instance
from intake.leads.models import Attempt, CloseReason, Lead, LeadStatus, Outcome, Suppression
from intake.privacy import self_service
from intake.web.auth import saved_forms
from tests.client import OURS, Desk, field, words
from tests.factories import (
    ANY,
    EVERY_WAY,
    NEVER_BACK,
    PASSWORD,
    PHONE,
    Person,
    acts,
    add_account,
    ask,
    every,
    given_aloud,
    hire,
    now,
    take,
)

on_both = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)


@pytest.fixture
def desk(sqlite_instance: Instance) -> Desk:
    return Desk(sqlite_instance, hire(sqlite_instance))


@pytest.fixture
def ben(sqlite_instance: Instance) -> Desk:
    return Desk(sqlite_instance, hire(sqlite_instance, "Ben Ochoa"))


def form(page: str, act: str) -> dict[str, str]:
    """The hidden fields of the form on a page that is sent to `act`."""
    found = re.search(rf'<form[^>]*action="[^"]*/{act}".*?</form>', page, re.DOTALL)
    assert found, f"no form for {act}"
    pairs = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', found[0])
    return {name: unescape(value) for name, value in pairs}


def press(desk: Desk, lead: Lead, act: str, sent: dict[str, str]) -> TestResponse:
    return desk.web.post(f"/desk/leads/{lead.id}/{act}", data=sent, headers=OURS)


# --- undo ------------------------------------------------------------------------------------------


@on_both
def test_what_was_noted_can_be_undone_from_the_page(instance: Instance, database_url, clock) -> None:
    lead, desk = ask(instance, **ANY).lead, Desk(instance, hire(instance))
    desk.act(lead, "claim")
    desk.note(lead, "no_answer")
    clock.move(seconds=61)
    page = desk.lead(lead)
    assert "Last step: No answer. It can be undone for 4 min." in words(page)
    answer = press(desk, lead, "undo", form(page, "undo"))
    assert answer.location == f"/desk/leads/{lead.id}?message=undone"
    page = desk.get(answer.location).text
    assert "Undone. The request is what it was before." in words(page)
    assert "<s>No answer</s>" in page
    assert "Undone: No answer · you" in words(page)
    assert "Phone call: 0 of 3 tries." in words(page)
    assert 'data-key="u"' not in page
    assert now(instance, lead).status is LeadStatus.NEW


def test_the_minutes_are_the_servers_and_run_out(desk: Desk, clock) -> None:
    lead = ask(desk.instance, **ANY).lead
    desk.act(lead, "claim")
    desk.note(lead, "another_time")
    sent = form(desk.lead(lead), "undo")
    for seconds, left in ((0, "5 min"), (60, "4 min"), (120, "2 min"), (119, "1 min")):
        clock.move(seconds=seconds)
        assert f"It can be undone for {left}." in words(desk.lead(lead))
    clock.move(seconds=1)
    assert "It can be undone" not in words(desk.lead(lead))
    answer = press(desk, lead, "undo", sent)
    assert answer.status_code == 409
    assert "Five minutes have passed, so this can no longer be undone." in words(answer.text)
    assert now(desk.instance, lead).status is LeadStatus.TRYING


def test_undo_is_offered_to_whoever_did_it_and_to_a_supervisor(desk: Desk, ben: Desk) -> None:
    lead = ask(desk.instance, **ANY).lead
    desk.act(lead, "claim")
    desk.note(lead, "declined")
    sent = form(desk.lead(lead), "undo")
    assert "Last step: Decided not to go on, Closed: They decided not to go on. It can" in words(
        desk.lead(lead)
    )
    assert 'data-key="u"' not in ben.lead(lead)
    assert press(ben, lead, "undo", {**sent, "csrf": ben.csrf()}).status_code == 403
    sue = Desk(desk.instance, hire(desk.instance, "Sue Day", Role.SUPERVISOR))
    assert press(sue, lead, "undo", form(sue.lead(lead), "undo")).status_code == 303
    assert now(desk.instance, lead).status is LeadStatus.NEW


def test_somebody_who_acted_since_is_not_overruled(desk: Desk, ben: Desk) -> None:
    lead = ask(desk.instance, **ANY).lead
    desk.act(lead, "claim")
    desk.note(lead, "another_time")
    sent = form(desk.lead(lead), "undo")
    ben.act(lead, "claim")
    answer = press(desk, lead, "undo", sent)
    assert answer.status_code == 409
    assert "Ben Ochoa has claimed this request until" in words(answer.text)
    ben.note(lead, "reached")
    answer = press(desk, lead, "undo", sent)
    assert answer.status_code == 409
    assert "Something else has happened since" in words(answer.text)
    assert [each.undone_at for each in every(desk.instance, Attempt)] == [None, None]


def test_an_undo_of_what_is_erased_answers_like_any_request_that_is_not_there(desk: Desk) -> None:
    asked = ask(desk.instance, **ANY)
    desk.act(asked.lead, "claim")
    desk.note(asked.lead, "no_answer")
    sent, nowhere = form(desk.lead(asked.lead), "undo"), ask(desk.instance, phone="+13055550166").lead
    with desk.instance.database.transaction() as session:
        self_service.erase(Act(session, desk.instance), code=asked.code)
        session.delete(session.get_one(Lead, nowhere.id))
    gone, never = press(desk, asked.lead, "undo", sent), press(desk, nowhere, "undo", sent)
    assert (gone.status_code, gone.data) == (404, never.data)


def test_what_cannot_be_undone_says_so_before(desk: Desk) -> None:
    lead = ask(desk.instance, **EVERY_WAY).lead
    desk.act(lead, "claim")
    text = words(desk.lead(lead))
    assert "Closes, and the number is never called again. Cannot be undone" in text
    assert "on every request with this number or address. Cannot be undone" in text
    assert "For five minutes it can be undone." in text
    assert "This cannot be undone." in words(desk.get("/desk/stop").text)
    for outcome in ("wrong_number", "asked_to_stop"):
        desk.note(lead, outcome)
        assert 'data-key="u"' not in desk.lead(lead)


# --- pages gone stale ------------------------------------------------------------------------------


def stale(desk: Desk, lead: Lead, act: str = "outcome") -> dict[str, str]:
    """The fields of a page that is open while something else happens."""
    return form(desk.lead(lead), act)


@on_both
def test_a_stale_page_shows_who_did_what_and_one_press_goes_on(
    instance: Instance, database_url, clock
) -> None:
    desk = Desk(instance, hire(instance))
    ben = Desk(instance, hire(instance, "Ben Ochoa"))
    lead = ask(instance, **ANY).lead
    desk.act(lead, "claim")
    clock.move(minutes=1)
    open_page = stale(desk, lead)
    clock.move(minutes=25)
    ben.act(lead, "claim")
    clock.move(seconds=5)
    ben.note(lead, "another_time")
    clock.move(minutes=1)
    chosen = {"channel": "call", "outcome": "booked", "booked_for": "2026-11-23T09:30"}
    answer = press(desk, lead, "outcome", {**open_page, "csrf": desk.csrf(), **chosen})
    text = words(answer.text)
    assert answer.status_code == 409
    assert "Nothing was noted. Since your page was loaded:" in text
    assert re.search(r"10:26 am Asked for another time · Ben Ochoa .*Claimed · Ben Ochoa", text)
    assert "Asked for contact" not in text
    assert "Booked a consultation, Phone call, Monday at 9:30 am" in text
    assert [each.outcome for each in every(instance, Attempt)] == [Outcome.ANOTHER_TIME]
    on = press(desk, lead, "outcome", form(answer.text, "outcome"))
    assert on.location == f"/desk/leads/{lead.id}?message=booked"
    assert now(instance, lead).booked_for == datetime(2026, 11, 23, 14, 30, tzinfo=UTC)


def test_going_back_keeps_what_was_chosen_and_notes_nothing(desk: Desk, clock) -> None:
    lead = ask(desk.instance, **EVERY_WAY).lead
    desk.act(lead, "claim")
    open_page = stale(desk, lead)
    clock.move(minutes=1)
    desk.note(lead, "another_time")
    chosen = {"channel": "email", "outcome": "booked", "booked_for": "2026-11-23T09:30"}
    answer = press(desk, lead, "outcome", {**open_page, **chosen})
    assert answer.status_code == 409
    back = press(desk, lead, "again", form(answer.text, "again"))
    assert back.status_code == 200
    assert "Nothing was noted yet. You had chosen Booked a consultation, Email" in words(back.text)
    assert 'name="booked_for" step="300" value="2026-11-23T09:30"' in back.text
    assert now(desk.instance, lead).booked_for is None


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [("windows", "Request changed"), ("drop", "Permission taken back"), ("stop", "All contact stopped")],
)
def test_what_the_person_changed_makes_a_page_stale_too(
    desk: Desk, changed: str, sentence: str, clock
) -> None:
    asked = ask(desk.instance, **EVERY_WAY)
    desk.act(asked.lead, "claim")
    open_page = stale(desk, asked.lead)
    clock.move(minutes=1)
    with desk.instance.database.transaction() as session:
        if changed == "windows":
            self_service.change_windows(
                Act(session, desk.instance), code=asked.code, chosen=["weekday_morning"]
            )
        elif changed == "drop":
            self_service.withdraw_channel(Act(session, desk.instance), code=asked.code, channel=Channel.TEXT)
        else:
            self_service.stop(Act(session, desk.instance), code=asked.code)
    answer = press(desk, asked.lead, "outcome", {**open_page, "channel": "call", "outcome": "no_answer"})
    text = words(answer.text)
    assert answer.status_code == 409
    assert f"Since your page was loaded: 10:01 am {sentence}" in text
    assert "No answer, Phone call" in text
    assert ("This request is closed, so it can no longer be noted." in text) is (changed == "stop")
    assert every(desk.instance, Attempt) == []


def test_a_stale_close_keeps_its_reason(desk: Desk, ben: Desk, clock) -> None:
    lead = ask(desk.instance, **ANY).lead
    open_page = stale(desk, lead, "close")
    clock.move(minutes=1)
    ben.note(lead, "they_called_us")
    answer = press(desk, lead, "close", {**open_page, "reason": "talked"})
    assert answer.status_code == 409
    assert "They called us · Ben Ochoa" in words(answer.text)
    assert "Close: We talked, and nothing is left to do." in words(answer.text)
    assert press(desk, lead, "close", form(answer.text, "close")).status_code == 303
    assert now(desk.instance, lead).close_reason is CloseReason.TALKED


def test_two_who_book_do_not_overwrite_each_other(desk: Desk, ben: Desk, clock) -> None:
    lead = ask(desk.instance, **ANY).lead
    open_page = stale(desk, lead)
    clock.move(minutes=1)
    ben.note(lead, "they_called_us", booked_for="2026-11-23T09:30")
    theirs = {"outcome": "they_called_us", "channel": "call", "booked_for": "2026-11-24T09:30"}
    answer = press(desk, lead, "outcome", {**open_page, **theirs})
    assert answer.status_code == 409
    assert now(desk.instance, lead).booked_for == datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
    press(desk, lead, "outcome", form(answer.text, "outcome"))
    assert now(desk.instance, lead).booked_for == datetime(2026, 11, 24, 14, 30, tzinfo=UTC)


def test_a_stop_never_waits_for_a_fresh_page(desk: Desk, ben: Desk) -> None:
    lead = ask(desk.instance, **ANY).lead
    open_page = stale(desk, lead)
    ben.note(lead, "they_called_us")
    answer = press(desk, lead, "outcome", {**open_page, "outcome": "asked_to_stop", "channel": "call"})
    assert answer.location.endswith("message=stopped")


def test_a_stale_page_shows_no_number_and_records_none(desk: Desk, clock) -> None:
    lead = ask(desk.instance, **ANY).lead
    open_page = form(desk.act(lead, "reveal", channel="call").text, "outcome")
    with desk.instance.database.transaction() as session:
        session.get_one(Lead, lead.id).number_zones = "America/Chicago"
    before = acts(desk.instance, lead).count("lead.revealed")
    clock.move(minutes=1)
    answer = press(desk, lead, "outcome", {**open_page, "channel": "call", "outcome": "no_answer"})
    assert answer.status_code == 409
    assert PHONE not in answer.text
    assert acts(desk.instance, lead).count("lead.revealed") == before


# --- words that outlive a session ------------------------------------------------------------------


class Browser:
    """Somebody who signs in with password and code."""

    def __init__(self, instance: Instance, person: Person, app: object | None = None) -> None:
        self.instance, self.person = instance, person
        self.web: FlaskClient = create_app(instance).test_client()
        self.door = ""

    def come_in(self, page: TestResponse | None = None, person: Person | None = None) -> TestResponse:
        """Fill in the sign-in that a page shows, a fresh one unless said otherwise."""
        whose, shown = person or self.person, page or self.web.get("/sign-in")
        typed = {"email": whose.member.email, "password": whose.password, "code": whose.code(self.instance)}
        return self.web.post("/sign-in", data={**form(shown.text, "sign-in"), **typed}, headers=OURS)


@pytest.fixture
def maria(instance: Instance) -> Browser:
    browser = Browser(instance, add_account(instance))
    assert browser.come_in().status_code == 303
    return browser


def end_by_idling(browser: Browser, clock) -> None:
    clock.move(minutes=15)


def end_elsewhere(browser: Browser, clock) -> None:
    clock.move(minutes=1)
    with browser.instance.database.transaction() as session:
        sessions.end_all(Act(session, browser.instance), staff_id=browser.person.member.id)
        sessions.delete_ended(Act(session, browser.instance))


def end_in_another_tab(browser: Browser, clock) -> None:
    clock.move(minutes=1)
    token = field(browser.web.get("/desk/stop").text, "csrf")
    assert browser.web.post("/sign-out", data={"csrf": token}, headers=OURS).status_code == 303
    assert browser.web.get_cookie("intake") is None


ENDS = [end_by_idling, end_elsewhere, end_in_another_tab]
CHOSEN = {"channel": "call", "outcome": "booked", "booked_for": "2026-11-23T09:30"}


@pytest.mark.parametrize("end", ENDS)
def test_an_outcome_with_its_time_comes_back_after_signing_in(
    instance: Instance, maria: Browser, clock, end: Callable[[Browser, object], None]
) -> None:
    lead = ask(instance, **ANY).lead
    take(instance, lead, maria.person.member)
    open_page = form(maria.web.get(f"/desk/leads/{lead.id}").text, "outcome")
    end(maria, clock)
    path = f"/desk/leads/{lead.id}/outcome"
    ended = maria.web.post(path, data={**open_page, **CHOSEN}, headers=OURS)
    assert ended.status_code == 401
    assert "Your session has ended, and nothing was done. Sign in again: what you typed" in words(ended.text)
    assert "2026-11-23" not in ended.text
    assert every(instance, Attempt) == []
    back = maria.come_in(ended)
    assert back.status_code == 200
    assert "Location" not in back.headers
    assert "You had chosen Booked a consultation, Phone call, Monday at 9:30 am" in words(back.text)
    assert 'name="booked_for" step="300" value="2026-11-23T09:30"' in back.text
    assert every(instance, Attempt) == []
    noted = maria.web.post(path, data=form(back.text, "outcome"), headers=OURS)
    assert noted.location == f"/desk/leads/{lead.id}?message=booked"
    assert now(instance, lead).booked_for == datetime(2026, 11, 23, 14, 30, tzinfo=UTC)


@pytest.mark.parametrize("end", ENDS)
def test_a_number_to_stop_comes_back_after_signing_in(
    instance: Instance, maria: Browser, clock, end: Callable[[Browser, object], None]
) -> None:
    token = field(maria.web.get("/desk/stop").text, "csrf")
    end(maria, clock)
    sent = {"csrf": token, "term": "305 555 0166"}
    ended = maria.web.post("/desk/stop", data=sent, headers=OURS)
    assert ended.status_code == 401
    assert not [each for each in NEVER_BACK if each in ended.text]
    back = maria.come_in(ended)
    assert 'value="305 555 0166"' in back.text
    assert "nothing was done yet. Press the button once more." in words(back.text)
    assert every(instance, Suppression) == []
    again = {"term": "305 555 0166", "csrf": form(back.text, "desk/stop")["csrf"]}
    assert maria.web.post("/desk/stop", data=again, headers=OURS).status_code == 303
    assert len(every(instance, Suppression)) == 1


@pytest.mark.parametrize("end", ENDS)
def test_a_sheet_half_read_aloud_comes_back_after_signing_in(
    instance: Instance, maria: Browser, clock, end: Callable[[Browser, object], None]
) -> None:
    page = maria.web.get("/desk/phone?language=es").text
    end(maria, clock)
    text = given_aloud(language="es", token=field(page, "token"), csrf=field(page, "csrf"))
    ended = maria.web.post("/desk/phone", data=text, headers=OURS)
    assert ended.status_code == 401
    assert not [each for each in NEVER_BACK if each in ended.text]
    back = maria.come_in(ended)
    assert "The caller speaks Spanish" in back.text
    assert "Go on where you were." in words(back.text)
    assert every(instance, Lead) == []
    shown = {"token": field(back.text, "token"), "csrf": field(back.text, "csrf")}
    assert 'value="Rosalind Quill"' in back.text
    for ticked in ("call", "text", "weekday_morning"):
        assert re.search(rf'value="{ticked}"[^>]* checked', back.text), ticked
    kept = maria.web.post("/desk/phone", data={**text, **shown}, headers=OURS)
    assert kept.status_code == 200
    assert [lead.language for lead in every(instance, Lead)] == ["es"]


def ended_form(browser: Browser, clock, term: str = "305 555 0166") -> TestResponse:
    token = field(browser.web.get("/desk/stop").text, "csrf")
    clock.move(minutes=15)
    return browser.web.post("/desk/stop", data={"csrf": token, "term": term}, headers=OURS)


def test_a_wrong_password_keeps_the_words_on_the_page(sqlite_instance: Instance, clock) -> None:
    maria = Browser(sqlite_instance, add_account(sqlite_instance))
    maria.come_in()
    ended = ended_form(maria, clock)
    wrong = maria.web.post(
        "/sign-in", data={**form(ended.text, "sign-in"), "password": "not this one"}, headers=OURS
    )
    assert wrong.status_code == 422
    assert "not this one" not in wrong.text
    assert 'value="305 555 0166"' in maria.come_in(wrong).text


def test_nobody_else_gets_the_words(sqlite_instance: Instance, clock) -> None:
    maria = Browser(sqlite_instance, add_account(sqlite_instance))
    joe = add_account(sqlite_instance, "joe@example.org", name="Joe")
    maria.come_in()
    answer = maria.come_in(ended_form(maria, clock), joe)
    assert answer.location == "/desk?message=not_restored"
    page = maria.web.get(answer.location)
    assert "it was somebody else’s, or too old." in words(page.text)
    assert not [each for each in NEVER_BACK if each in page.text]


def test_words_grow_old(sqlite_instance: Instance, clock) -> None:
    maria = Browser(sqlite_instance, add_account(sqlite_instance))
    maria.come_in()
    ended = ended_form(maria, clock)
    clock.move(hours=12)
    assert maria.come_in(ended).location == "/desk?message=not_restored"


@pytest.mark.parametrize("damage", ["x", "", "é", "====", "A" * 40, "<script>alert(1)</script>", "x" * 20000])
def test_a_damaged_field_leads_to_the_desk(sqlite_instance: Instance, clock, damage: str) -> None:
    maria = Browser(sqlite_instance, add_account(sqlite_instance))
    page = maria.web.get("/sign-in")
    typed = {
        "email": maria.person.member.email,
        "password": PASSWORD,
        "code": maria.person.code(sqlite_instance),
    }
    sent = {**form(page.text, "sign-in"), **typed, "kept": damage}
    answer = maria.web.post("/sign-in", data=sent, headers=OURS)
    assert answer.status_code == 303
    assert answer.location in ("/desk", "/desk?message=not_restored")


def test_a_page_from_before_they_signed_in_again_elsewhere_loses_nothing_and_does_nothing(
    instance: Instance, maria: Browser, clock
) -> None:
    lead = ask(instance, **ANY).lead
    take(instance, lead, maria.person.member)
    open_page = form(maria.web.get(f"/desk/leads/{lead.id}").text, "outcome")
    clock.move(minutes=16)
    maria.come_in()
    path = f"/desk/leads/{lead.id}/outcome"
    answer = maria.web.post(path, data={**open_page, **CHOSEN}, headers=OURS)
    assert answer.status_code == 409
    assert "You had chosen Booked a consultation, Phone call, Monday at 9:30 am" in words(answer.text)
    assert every(instance, Attempt) == []
    joe = Desk(instance, add_account(instance, "joe@example.org", name="Joe").member)
    assert press(joe, lead, "outcome", {**open_page, **CHOSEN}).status_code == 403
    noted = maria.web.post(path, data=form(answer.text, "outcome"), headers=OURS)
    assert noted.location.endswith("message=booked")


def test_too_much_is_not_carried_and_the_page_does_not_promise_it(sqlite_instance: Instance, clock) -> None:
    maria = Browser(sqlite_instance, add_account(sqlite_instance))
    maria.come_in()
    ended = ended_form(maria, clock, "9" * saved_forms.MAX_BYTES)
    assert ended.status_code == 401
    assert "Your session has ended, and nothing was done. Please sign in again." in words(ended.text)
    assert "kept" not in form(ended.text, "sign-in")


def test_an_act_without_words_leads_back_to_its_page(sqlite_instance: Instance, clock) -> None:
    maria, lead = Browser(sqlite_instance, add_account(sqlite_instance)), ask(sqlite_instance, **ANY).lead
    maria.come_in()
    token = field(maria.web.get("/desk/stop").text, "csrf")
    clock.move(minutes=15)
    path = f"/desk/leads/{lead.id}"
    ended = maria.web.post(f"{path}/reveal", data={"csrf": token, "channel": "call"}, headers=OURS)
    assert ended.status_code == 401
    assert maria.come_in(ended).location == path
    assert "lead.revealed" not in acts(sqlite_instance, lead)


def test_words_for_a_lead_that_is_gone_meet_the_answer_of_any_that_is_not_there(
    sqlite_instance: Instance, clock
) -> None:
    maria, asked = Browser(sqlite_instance, add_account(sqlite_instance)), ask(sqlite_instance, **ANY)
    maria.come_in()
    open_page = form(maria.web.get(f"/desk/leads/{asked.lead.id}").text, "outcome")
    clock.move(minutes=15)
    path = f"/desk/leads/{asked.lead.id}/outcome"
    ended = maria.web.post(path, data={**open_page, **CHOSEN}, headers=OURS)
    with sqlite_instance.database.transaction() as session:
        self_service.erase(Act(session, sqlite_instance), code=asked.code)
    answer = maria.come_in(ended)
    assert answer.status_code == 404
    assert answer.data == maria.web.get(f"/desk/leads/{asked.lead.id}").data


def test_a_role_that_was_taken_away_takes_the_words_along(sqlite_instance: Instance, clock) -> None:
    maria = Browser(sqlite_instance, add_account(sqlite_instance, roles=[Role.COORDINATOR, Role.ADMIN]))
    maria.come_in()
    ended = ended_form(maria, clock)
    with sqlite_instance.database.transaction() as session:
        session.delete(session.get_one(StaffRole, (maria.person.member.id, Role.COORDINATOR)))
    assert maria.come_in(ended).location == "/desk?message=not_restored"


def test_every_form_that_keeps_words_has_a_page_that_shows_them_and_no_secret(
    sqlite_instance: Instance,
) -> None:
    app = create_app(sqlite_instance)
    keeping = {
        rule.endpoint: guard
        for rule in app.url_map.iter_rules()
        if (guard := getattr(app.view_functions[rule.endpoint], "guard", None)) and guard.preserve_fields
    }
    assert len(keeping) > 1
    assert {endpoint for endpoint, guard in keeping.items() if not guard.restore} == set()
    secrets = {
        name
        for guard in keeping.values()
        for name in guard.preserve_fields
        if re.search("password|code|csrf", name)
    }
    assert secrets == set()
