"""Legal holds on the desk: the officer's page, the forms on a lead, and what the person is told (K2)."""

import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Page, expect

from intake.accounts.models import Role
from intake.instance import Instance
from intake.leads.models import Erasure, Lead, LegalHold
from intake.privacy import retention
from tests.browser import axe_violations
from tests.client import CANARIES, NOWHERE, Desk, read, words
from tests.factories import ask, every, hire

GOOD = {"reason": "complaint", "last_day": "2026-12-18"}


@pytest.fixture
def desk(instance: Instance) -> Desk:
    return Desk(instance, hire(instance, "Olga Paz", Role.PRIVACY_OFFICER))


def test_a_hold_is_put_from_the_page_of_a_request_and_stands_on_the_list(desk: Desk) -> None:
    lead = ask(desk.instance).lead
    assert "No request is on legal hold." in words(desk.get("/desk/holds").text)
    answer = desk.act(lead, "hold", **GOOD)
    assert (answer.status_code, answer.location) == (303, f"/desk/leads/{lead.id}?message=hold_placed")
    page = words(desk.lead(lead))
    assert "Kept through December 18, 2026, even when its own time is over." in page
    assert "A complaint is being looked into. Since November 18, 2026." in page
    listed = desk.get("/desk/holds").text
    assert f"{lead.reference[:4]} {lead.reference[4:]}" in listed
    assert not [each for each in CANARIES if each in listed]


def test_the_story_tells_it(desk: Desk) -> None:
    lead = ask(desk.instance).lead
    desk.act(lead, "hold", **GOOD)
    desk.act(lead, "release")
    page = words(desk.lead(lead))
    assert "Legal hold put: A complaint is being looked into · you" in page
    assert "Legal hold ended: A complaint is being looked into · you" in page


@pytest.mark.parametrize("last_day", ["", "2026-11-18", "2027-11-19", "tomorrow", "9999-12-31", "x" * 10_000])
def test_a_day_that_does_not_work_comes_back_with_what_to_choose(desk: Desk, last_day: str) -> None:
    lead = ask(desk.instance).lead
    answer = desk.act(lead, "hold", reason="claim", last_day=last_day)
    page = read(answer)
    assert answer.status_code == 422
    assert "Choose the last day of the hold" in answer.text
    assert page.typed("last_day") == last_day
    assert page.chosen == "claim"
    assert every(desk.instance, LegalHold) == []


@pytest.mark.parametrize("reason", ["", "because of her", "COMPLAINT"])
def test_a_reason_is_one_of_the_list(desk: Desk, reason: str) -> None:
    answer = desk.act(ask(desk.instance).lead, "hold", reason=reason, last_day="2026-12-18")
    assert answer.status_code == 400
    assert every(desk.instance, LegalHold) == []


def test_a_request_that_is_not_there_is_not_held(desk: Desk) -> None:
    for act, more in (("hold", GOOD), ("release", {})):
        assert desk.post(f"/desk/leads/{NOWHERE}/{act}", **more).status_code == 404


def test_a_release_of_what_waited_to_be_erased_leads_to_the_list(desk: Desk) -> None:
    asked = ask(desk.instance)
    desk.act(asked.lead, "hold", **GOOD)
    desk.web.post("/manage/erase", data={"code": asked.code})
    assert "The person asked to be erased." in words(desk.lead(asked.lead))
    assert "asked to be erased" in words(desk.get("/desk/holds").text)
    answer = desk.act(asked.lead, "release")
    assert answer.location == "/desk/holds?message=hold_ended_and_erased"
    assert every(desk.instance, Lead) == []
    assert len(every(desk.instance, Erasure)) == 1


def test_others_see_that_it_is_held_and_cannot_change_it(instance: Instance) -> None:
    officer = Desk(instance, hire(instance, "Olga Paz", Role.PRIVACY_OFFICER))
    caller = Desk(instance, hire(instance, "Ana Ruiz", Role.COORDINATOR))
    lead = ask(instance).lead
    officer.act(lead, "hold", **GOOD)
    page = caller.lead(lead)
    assert "Kept through December 18, 2026" in words(page)
    assert "complaint" not in words(page)
    assert "Legal hold put · Olga Paz" in words(page)
    assert f"/desk/leads/{lead.id}/release" not in page
    for path in (f"/desk/leads/{lead.id}/hold", f"/desk/leads/{lead.id}/release", "/desk/holds/postpone"):
        assert caller.post(path, **GOOD).status_code == 403
    assert caller.get("/desk/holds").status_code == 403


def test_the_page_says_what_goes_and_why_and_puts_it_off(desk: Desk, clock) -> None:
    ask(desk.instance)
    assert "Nothing is due." in words(desk.get("/desk/holds").text)
    clock.move(days=89, hours=1)
    page = words(desk.get("/desk/holds").text)
    assert "1 request: 1 because they came in 90 days ago" in page
    assert desk.post("/desk/holds/postpone").location == "/desk/holds?message=postponed"
    assert "Nothing is due." in words(desk.get("/desk/holds").text)
    assert desk.post("/desk/holds/postpone").location == "/desk/holds?message=nothing_postponed"


def test_the_public_page_says_how_long_that_can_take(web: FlaskClient) -> None:
    days = retention.MAX_POSTPONEMENT.days
    assert f"up to {days} days more to check something" in words(web.get("/privacy").text)


# --- what the person is told ------------------------------------------------------------------------


def test_the_person_sees_the_hold_and_that_contact_stops_at_once(desk: Desk, web) -> None:
    asked = ask(desk.instance)
    desk.act(asked.lead, "hold", **GOOD)
    page = words(desk.web.post("/manage", data={"code": asked.code}).text)
    assert "For a legal reason we have to keep this request until" in page
    assert "If you ask now, all contact stops at once." in page
    answer = desk.web.post("/manage/erase", data={"code": asked.code})
    text = words(answer.text)
    assert answer.status_code == 200
    assert "Done. All contact has stopped. For a legal reason we cannot erase the request yet." in text
    assert "Then we erase it, as you asked." in text
    assert "I want to erase it" not in text
    assert "olga" not in answer.text.lower()
    assert "complaint" not in answer.text.lower().replace("complaints", "")


@pytest.mark.parametrize(("width", "dark"), [(320, True), (1280, False)])
def test_the_persons_page_reads_well_while_it_is_held(
    page_at: Callable[..., Page], address: str, sqlite_instance: Instance, width: int, *, dark: bool
) -> None:
    desk = Desk(sqlite_instance, hire(sqlite_instance, "Olga Paz", Role.PRIVACY_OFFICER))
    held = ask(sqlite_instance)
    desk.act(held.lead, "hold", **GOOD)
    page = page_at(width, dark=dark)
    page.goto(f"{address}/manage")
    page.fill("#code", held.code)
    page.press("#code", "Enter")
    expect(page.get_by_text(re.compile("For a legal reason we have to keep"))).to_be_visible()
    page.wait_for_load_state()
    assert axe_violations(page) == []


def test_an_old_second_factor_is_asked_for_again_before_anything_is_held(desk: Desk, clock) -> None:
    lead = ask(desk.instance).lead
    clock.move(minutes=6)
    answer = desk.act(lead, "hold", **GOOD)
    assert answer.status_code == 200
    assert 'name="again_code"' in answer.text
    assert f'value="{GOOD["last_day"]}"' in answer.text
    assert every(desk.instance, LegalHold) == []
