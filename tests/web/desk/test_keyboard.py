"""Every outcome by its button and by its key, and the last try that leaves somebody in peace (G1, G2)."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from intake.app import create_app
from intake.core.paths import STATIC, TEMPLATES
from intake.instance import Instance
from intake.leads.models import Attempt, CloseReason, LeadStatus, Outcome
from intake.web.desk.lead_actions import OUTCOME_ORDER
from tests.browser import serving, signed_in
from tests.client import Desk, token_of, words
from tests.factories import CALL_ONLY, EVERY_WAY, ask, every, hire, now, take

KEYS = {
    **{outcome: str(place) for place, outcome in enumerate(OUTCOME_ORDER, 1)},
    Outcome.THEY_CALLED_US: "0",
    Outcome.ASKED_TO_STOP: "s",
}
CLOSED = {
    Outcome.DECLINED: CloseReason.DECLINED,
    Outcome.WRONG_NUMBER: CloseReason.WRONG_NUMBER,
    Outcome.ASKED_TO_STOP: CloseReason.STOPPED,
}


@pytest.fixture
def open_lead(sqlite_instance: Instance, page_at: Callable[..., Page]) -> Iterator[Callable[[], Page]]:
    """The page of a lead that Ana holds, in a browser."""
    ana, lead = hire(sqlite_instance), ask(sqlite_instance, **EVERY_WAY).lead
    take(sqlite_instance, lead, ana)
    with serving(create_app(sqlite_instance)) as url:

        def open_page() -> Page:
            page = signed_in(page_at(1280, base_url=url), url, token_of(sqlite_instance, ana))
            page.goto(f"/desk/leads/{lead.id}")
            return page

        yield open_page


def prepare(page: Page, outcome: Outcome) -> None:
    """What has to be filled in before: a channel for a message, a time for a booking."""
    if outcome is Outcome.MESSAGE_SENT:
        page.locator("input[type=radio][value=email]").check()
    if outcome is Outcome.BOOKED:
        page.locator("#booked-for").fill("2026-11-23T09:30")


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_by_its_key_pressed_twice(
    open_lead: Callable[[], Page], sqlite_instance: Instance, outcome: Outcome
) -> None:
    page = open_lead()
    prepare(page, outcome)
    page.locator("h1").first.click()
    page.keyboard.press(KEYS[outcome])
    expect(page.locator(f'button[value="{outcome}"]')).to_be_focused()
    assert every(sqlite_instance, Attempt) == []
    page.keyboard.press(KEYS[outcome])
    expect(page.get_by_role("status").filter(has_text="Back to the queue")).to_be_visible()
    assert [each.outcome for each in every(sqlite_instance, Attempt)] == [outcome]


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
def test_every_outcome_by_its_button(instance: Instance, database_url, outcome: Outcome) -> None:
    lead, desk = ask(instance, **EVERY_WAY).lead, Desk(instance, hire(instance))
    desk.act(lead, "claim")
    channel = "email" if outcome is Outcome.MESSAGE_SENT else "call"
    time = {"booked_for": "2026-11-23T09:30"} if outcome is Outcome.BOOKED else {}
    assert f'value="{outcome}" data-choice="{KEYS[outcome]}"' in desk.lead(lead)
    assert desk.note(lead, outcome.value, channel=channel, **time).status_code == 303
    after, (attempt,) = now(instance, lead), every(instance, Attempt)
    assert (attempt.outcome, attempt.channel) == (outcome, channel)
    assert after.close_reason is CLOSED.get(outcome)
    open_still = LeadStatus.BOOKED if outcome is Outcome.BOOKED else LeadStatus.TRYING
    assert after.status is (LeadStatus.CLOSED if outcome in CLOSED else open_still)


@pytest.mark.parametrize("outcome", ["no_answer", "somebody_else"])
def test_the_last_try_says_so_closes_and_leaves_them_in_peace(
    sqlite_instance: Instance, outcome: str, clock
) -> None:
    lead, desk = ask(sqlite_instance, **CALL_ONLY).lead, Desk(sqlite_instance, hire(sqlite_instance))
    for last in (False, False, True):
        clock.move(days=1)
        desk.get("/desk")
        desk.act(lead, "claim")
        text = words(desk.lead(lead))
        assert ("The last try there is: closes the request, and nobody tries again" in text) is last
        desk.note(lead, outcome)
        assert (now(sqlite_instance, lead).status is LeadStatus.CLOSED) is last
        if not last:
            assert "Do not call now." in words(desk.lead(lead))
    text = words(desk.lead(lead))
    assert "This request is closed. We could not reach them. Nobody here tries again." in text
    assert "Phone call: 3 of 3 tries." in text
    assert "Reveal number" not in text
    assert desk.act(lead, "reveal", channel="call").status_code == 409


def test_an_undo_by_its_key(open_lead: Callable[[], Page], sqlite_instance: Instance) -> None:
    page = open_lead()
    page.get_by_role("button", name="No answer").click()
    expect(page.locator("button[data-key=u]")).to_be_visible()
    page.wait_for_load_state()  # a key that comes before the script is lost
    page.keyboard.press("u")
    expect(page.get_by_role("status").filter(has_text="Undone.")).to_be_visible()
    assert [each.undone_at is not None for each in every(sqlite_instance, Attempt)] == [True]


def test_the_list_names_every_key_once_and_no_other() -> None:
    """What the templates and the script listen to is what `?` shows, and no key means two things."""
    pages = {path.name: path.read_text() for path in (TEMPLATES / "desk").glob("*.html")}
    listed = re.findall(r"<kbd>(.)</kbd>", pages.pop("_keys.html"))
    assert len(listed) == len(set(listed))
    pressed = {key for page in pages.values() for key in re.findall(r'data-key="(.)"', page)}
    script = (STATIC / "desk.js").read_text()
    heard = set(re.findall(r"[{,]\s+(\w|\"\?\"): \(\) =>", script.partition("const acts")[2]))
    assert pressed.isdisjoint(heard | set(KEYS.values()))
    assert set(listed) == pressed | {each.strip('"') for each in heard} | {"0", "9", "s"}
