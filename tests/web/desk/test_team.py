"""A supervisor's page: sharing out, taking back, and how whoever lost a hold is told (G2, W1)."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from intake.accounts.models import Role
from intake.instance import Instance
from intake.leads.models import Lead, Outcome
from tests.client import CANARIES, Desk, field, words
from tests.conftest import MovableClock
from tests.factories import acts, details_of, hire, now, somebody, take


@pytest.fixture
def sue(sqlite_instance: Instance) -> Desk:
    return Desk(sqlite_instance, hire(sqlite_instance, "Sue Perez", Role.SUPERVISOR))


@pytest.fixture
def ana(sqlite_instance: Instance) -> Desk:
    return Desk(sqlite_instance, hire(sqlite_instance))


def picks(page: str) -> list[str]:
    return re.findall(r'name="pick" value="([^"]+)"', page)


def take_back(sue: Desk, ana: Desk, lead: Lead) -> None:
    answer = sue.post("/desk/team/take-back", pick=f"{lead.id}~{ana.member.id}")
    assert answer.location == "/desk/team?message=revoked"


def test_one_request_or_several_are_handed_to_whom_was_chosen(sue: Desk, ana: Desk) -> None:
    leads = [somebody(sue.instance, place) for place in range(3)]
    page = sue.get("/desk/team").text
    assert not [each for each in CANARIES if each in page]
    assert details_of(sue.instance, "leads.listed")[-1] == '{"count":3,"kind":"team"}'
    answer = sue.post("/desk/team/share", pick=picks(page)[:2], to=ana.member.id)
    assert answer.location == "/desk/team?message=shared"
    assert "Handed over." in words(sue.get(answer.location).text)
    theirs = [lead for lead in leads if now(sue.instance, lead).claimed_by == ana.member.id]
    assert len(theirs) == 2
    assert "Handed over: you · Sue Perez" in words(ana.lead(theirs[0]))


def test_an_old_page_hands_over_nothing_that_has_changed_and_says_so(sue: Desk, ana: Desk) -> None:
    lead, other = somebody(sue.instance, 1), somebody(sue.instance, 2)
    page = sue.get("/desk/team").text
    take(sue.instance, lead, ana.member)
    answer = sue.post("/desk/team/share", pick=picks(page), to=sue.member.id)
    assert answer.location == "/desk/team?message=shared_some"
    holders = [now(sue.instance, each).claimed_by for each in (lead, other)]
    assert holders == [ana.member.id, sue.member.id]
    answer = sue.post("/desk/team/take-back", pick=f"{other.id}~{ana.member.id}")
    assert "Nothing was taken back" in words(sue.get(answer.location).text)


def test_what_is_missing_is_named_and_what_was_picked_stays(sue: Desk, ana: Desk) -> None:
    lead = somebody(sue.instance, 1)
    pick = picks(sue.get("/desk/team").text)[0]
    answer = sue.post("/desk/team/share", pick=pick)
    assert answer.status_code == 422
    assert "Choose who shall have them." in answer.text
    assert f'value="{pick}" aria-label="Pick' in answer.text
    assert re.search(rf'value="{pick}"[^>]* checked', answer.text)
    answer = sue.post("/desk/team/share", to=ana.member.id)
    assert (answer.status_code, "Pick at least one request." in answer.text) == (422, True)
    assert re.search(rf'value="{ana.member.id}" checked', answer.text)
    take(sue.instance, lead, ana.member)
    assert "Pick at least one request." in sue.post("/desk/team/take-back").text


@pytest.mark.parametrize("pick", ["x", "~", "{id}~-1", "{id}~9" + "9" * 40, "{id}~٣", "{id}"])
@pytest.mark.parametrize("path", ["share", "take-back"])
def test_nonsense_for_a_pick_is_refused(sue: Desk, path: str, pick: str) -> None:
    lead = somebody(sue.instance, 1)
    answer = sue.post(f"/desk/team/{path}", pick=pick.format(id=lead.id), to=sue.member.id)
    assert answer.status_code == 400
    assert now(sue.instance, lead).claimed_by is None


@pytest.mark.parametrize("act", ["claim", "reveal", "outcome", "close"])
def test_a_revoked_claim_shows_at_the_next_act_and_work_can_go_on(
    sue: Desk, ana: Desk, clock: MovableClock, act: str
) -> None:
    lead = somebody(sue.instance, 1)
    take(sue.instance, lead, ana.member)
    clock.move(minutes=1)
    page = ana.lead(lead)
    sent = {name: field(page, name) for name in ("seen", "version", "attempt")}
    sent |= {"channel": "call", "outcome": "no_answer", "reason": "declined"}
    clock.move(minutes=1)
    take_back(sue, ana, lead)
    clock.move(minutes=1)
    before = acts(sue.instance, lead)
    answer = ana.act(lead, act, **sent)
    assert answer.status_code == 409
    assert "Sue Perez" in answer.text
    sentence = words(answer.text)
    assert "took this request back" in sentence or "Taken back: you · Sue Perez" in sentence
    assert sorted({*acts(sue.instance, lead)} - {*before}) in ([], ["lead.viewed"])
    again = ana.lead(lead)
    assert "took this request back" in words(again)
    answer = ana.act(lead, act, **{**sent, "seen": field(again, "seen")}, hold="yes")
    assert answer.status_code in (200, 303)
    assert "took this request back" not in words(ana.lead(lead))


@pytest.mark.parametrize("outcome", [Outcome.ASKED_TO_STOP, Outcome.THEY_CALLED_US])
def test_what_the_person_did_is_noted_whoever_holds_the_request(
    sue: Desk, ana: Desk, clock: MovableClock, outcome: Outcome
) -> None:
    lead = somebody(sue.instance, 1)
    take(sue.instance, lead, ana.member)
    page = ana.lead(lead)
    clock.move(minutes=1)
    take_back(sue, ana, lead)
    sent = {name: field(page, name) for name in ("seen", "version", "attempt")}
    assert ana.act(lead, "outcome", **sent, channel="call", outcome=outcome).status_code == 303


def test_a_colleague_who_took_it_meanwhile_is_named_and_so_is_who_took_it_back(
    sue: Desk, ana: Desk, clock: MovableClock
) -> None:
    lead, ben = somebody(sue.instance, 1), hire(sue.instance, "Ben Ochoa")
    take(sue.instance, lead, ana.member)
    clock.move(minutes=1)
    take_back(sue, ana, lead)
    clock.move(minutes=1)
    take(sue.instance, lead, ben)
    text = words(ana.lead(lead))
    assert "Ben Ochoa has claimed this" in text
    assert "Sue Perez took this request back" in text
    assert "took this request back" not in words(sue.lead(lead))


def test_the_log_names_the_colleague(sue: Desk, ana: Desk) -> None:
    lead = somebody(sue.instance, 1)
    take(sue.instance, lead, ana.member)
    take_back(sue, ana, lead)
    officer = Desk(sue.instance, hire(sue.instance, "Pia Ott", Role.PRIVACY_OFFICER))
    log = officer.get("/desk/log").text
    assert "Taken back: Ana Ruiz" in words(log)
    assert str(ana.member.id) not in re.sub(r'value="[^"]+"', "", log)


def test_with_nothing_to_share_the_page_says_so(sue: Desk, ana: Desk) -> None:
    assert "Nothing is free, and nobody else has claimed a request." in words(sue.get("/desk/team").text)
    take(sue.instance, somebody(sue.instance, 1), ana.member)
    assert "Whatever waits is claimed." in words(sue.get("/desk/team").text)


def test_in_a_browser_two_are_picked_by_the_keyboard_and_handed_over(
    open_desk: Callable[..., Page], staffed: Instance
) -> None:
    ben = hire(staffed, "Ben Ochoa")
    leads = [somebody(staffed, place) for place in range(2)]
    page = open_desk("/desk/team", 390)
    for box in page.locator("input[name=pick]").all():
        box.press("Space")
    page.get_by_label("Ben Ochoa").check()
    page.get_by_role("button", name="Hand over").click()
    expect(page.get_by_text("Handed over.")).to_be_visible()
    assert {now(staffed, lead).claimed_by for lead in leads} == {ben.id}
