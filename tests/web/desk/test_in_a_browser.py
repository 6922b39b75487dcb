"""The desk in Chromium: by keyboard, and without a script. How it reads is in `test_accessibility`."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Error, Page, expect

from intake.calling.hours import Window
from intake.conf.clinic import Channel
from intake.instance import Instance
from intake.leads.models import Attempt, Outcome, Suspicion
from tests.factories import ANY, ask, every, hire, note, now, take

EVERY = frozenset(Channel)


def busy(instance: Instance) -> str:
    """A desk with something of everything. Returns the path of a request that may be called."""
    ben, clock = hire(instance, "Ben Ochoa"), instance.clock
    ask(instance, channels=EVERY, language="es", **ANY)
    clock.move(minutes=100)
    lead = ask(instance, channels=EVERY, tell_article=True, voicemail=False, **ANY).lead
    clock.move(minutes=40)
    somebody = {"phone": "+13055550166", "email": "somebody.else@example.org"}
    take(instance, ask(instance, suspected=Suspicion.TOO_FAST, **somebody, **ANY).lead, ben)
    ask(instance, region="US-TX", time_zone=None, windows=frozenset({Window.SATURDAY_MORNING}))
    for outcome in (Outcome.DECLINED, Outcome.BOOKED, Outcome.NO_ANSWER):
        other = ask(instance, phone=f"+1305555017{len(outcome)}"[:12], **ANY).lead
        take(instance, other, ben)
        note(instance, other, ben, outcome, booked_for=clock() + timedelta(days=2))
    return f"/desk/leads/{lead.id}"


def press(page: Page, key: str) -> None:
    """Press a key once the whole page is there: what was pressed before its script came is lost."""
    page.wait_for_load_state()
    page.keyboard.press(key)


def test_nothing_on_the_desk_breaks_the_policy(open_desk: Callable[..., Page], staffed: Instance) -> None:
    lead, complaints = busy(staffed), []
    page = open_desk("/desk")
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request", lambda request: complaints.append(request.url) if "localhost" not in request.url else None
    )
    for path in ("/desk", lead, "/desk/log", "/desk/stop"):
        page.goto(path)
    assert [each for each in complaints if not each.startswith("data:")] == []


@pytest.mark.parametrize("javascript", [True, False], ids=["javascript", "no-javascript"])
def test_a_request_is_revealed_and_noted(
    open_desk: Callable[..., Page], staffed: Instance, *, javascript: bool
) -> None:
    lead = ask(staffed, **ANY).lead
    page = open_desk("/desk", javascript=javascript)
    page.locator(".lead .who a").first.click()
    page.get_by_role("button", name="Reveal number").click()
    expect(page.locator(".masked.open")).to_have_text("(305) 555-0123")
    page.get_by_role("button", name="No answer").click()
    expect(page.locator(".done")).to_contain_text("Noted.")
    expect(page).to_have_url(re.compile(r"message=noted$"))
    assert now(staffed, lead).first_contact_at == staffed.clock()


def test_the_way_through_by_keyboard(open_desk: Callable[..., Page], staffed: Instance) -> None:
    ask(staffed, **ANY)
    page = open_desk("/desk")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("jk")  # letters are letters while somebody types
    page.keyboard.press("Tab")
    page.keyboard.press("j")
    expect(page.locator(".lead .who a").first).to_be_focused()
    page.keyboard.press("o")
    page.wait_for_url("**/leads/*")
    press(page, "r")
    expect(page.locator(".masked.open")).to_have_count(1)
    press(page, "4")
    expect(page.get_by_role("button", name="No answer")).to_be_focused()
    assert every(staffed, Attempt) == []
    page.keyboard.press("5")  # not allowed: nothing is chosen
    expect(page.get_by_role("button", name="No answer")).to_be_focused()
    page.keyboard.press("4")
    expect(page.locator(".done")).to_contain_text("Noted.")
    press(page, "c")
    expect(page.locator(".done")).to_contain_text("You have claimed this request")
    press(page, "q")
    page.wait_for_url("**/desk")
    press(page, "?")
    expect(page.locator("#keys-panel")).to_be_focused()


def test_the_keys_can_be_turned_off(open_desk: Callable[..., Page], staffed: Instance) -> None:
    ask(staffed, **ANY)
    page = open_desk("/desk")
    page.get_by_label("Turn the keys off in this browser").check()
    page.get_by_role("heading", name="Queue").click()
    page.keyboard.press("j")
    expect(page.locator(".lead .who a").first).not_to_be_focused()
    page.reload()
    expect(page.get_by_label("Turn the keys off in this browser")).to_be_checked()


def test_a_double_click_notes_once(open_desk: Callable[..., Page], staffed: Instance) -> None:
    lead = ask(staffed, **ANY).lead
    page = open_desk(f"/desk/leads/{lead.id}", javascript=False)
    page.get_by_role("button", name="Reveal number").click()
    page.get_by_role("button", name="No answer").dblclick()
    expect(page.locator(".done")).to_contain_text("Noted.")
    assert len(every(staffed, Attempt)) == 1


def test_going_back_after_the_hold_shows_nothing(open_desk: Callable[..., Page], staffed: Instance) -> None:
    lead = ask(staffed, **ANY).lead
    page = open_desk(f"/desk/leads/{lead.id}")
    page.get_by_role("button", name="Reveal number").click()
    expect(page.locator(".masked.open")).to_have_count(1)
    page.get_by_role("button", name="Release").click()
    expect(page.locator(".done")).to_contain_text("You released this request.")
    with pytest.raises(Error, match="ERR_CACHE_MISS"):  # it would have to be asked for, and sent, again
        page.go_back()
    expect(page.locator(".masked.open")).to_have_count(0)
