"""The main job, end to end, in a real browser: somebody asks, it is kept, staff are told, staff call back."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from intake import audit
from intake.audit import Action, AuditEvent
from intake.instance import Instance
from intake.leads.models import Lead, LeadStatus
from tests.journeys.conftest import Served

NAME, NUMBER = "Quillon O’Brien-Tamsin", "(305) 555-0123"


def ask(page: Page, url: str) -> str:
    """Fill the form as somebody would who wants calls on weekday mornings and no voicemail."""
    page.goto(url)
    page.get_by_label("What should we call you?").fill(NAME)
    page.get_by_label("may call me").check()
    page.get_by_label("Your phone number").fill(NUMBER)
    page.get_by_label("Monday to Friday, Morning").check()
    page.get_by_label("Which state are you in?").select_option("US-FL")
    page.get_by_role("radio", name="Eastern").check()
    page.get_by_label("I am 18 or older").check()
    page.get_by_label("may use what I typed here").check()
    page.get_by_role("button", name="Ask for a call").last.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Thank you. We have your request.")
    return page.get_by_label("Your reference, to say on the phone").inner_text()


def sign_in(page: Page, served: Served) -> None:
    page.goto(f"{served.url}/sign-in")
    page.get_by_label("Work email").fill(served.account.email)
    page.get_by_label("Password").fill(served.account.password)
    page.get_by_label("Code from your authenticator app").fill(served.code())
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile("/desk$"))


@pytest.mark.parametrize("javascript", [True, False], ids=["javascript", "no-javascript"])
def test_a_person_asks_and_is_called_back(
    served: Served, page_at: Callable[..., Page], *, javascript: bool
) -> None:
    person = page_at(390, javascript=javascript)
    person.goto(served.url)
    expect(person.locator(".phone").first).to_contain_text("(305) 555-0142")
    expect(person.locator(".crisis")).to_contain_text("988")
    for title in ("Is Ketamine Addictive and Is It Safe for Depression?", "When Used for Depression?"):
        expect(person.get_by_role("link", name=title)).to_be_visible()
    served.instance.clock.move(minutes=-1)
    person.goto(served.url)
    served.instance.clock.move(minutes=1)  # a minute to read and fill the page
    reference = ask(person, served.url)
    expect(person.locator(".promise")).to_contain_text("by 12 noon today")
    expect(person.locator("main")).to_contain_text("We will not leave a voicemail")
    code = person.get_by_label("Your private code").inner_text()
    assert re.fullmatch(r"([0-9A-Z]{4} ){3}[0-9A-Z]{4}", " ".join(code.split()))
    assert NAME not in person.content()
    assert person.context.cookies() == []

    served.relay()
    mailbox = person.context.new_page()
    mailbox.goto(f"{served.url}/dev/mail")
    notice = mailbox.locator("article")
    expect(notice).to_have_count(1)
    expect(notice).to_contain_text("/desk")
    expect(notice).to_contain_text("ketamineclinics.com/our-blogs/is-ketamine-addictive")
    expect(notice).to_contain_text("is-ketamine-addictive-and-is-it-safe-for-depression")
    told = without_lots(notice.inner_text(), served.url)
    for word in (*NAME.split(), "0123", reference, reference.replace(" ", ""), "Florida", "morning"):
        assert word not in told

    desk = page_at(1280, javascript=javascript)
    sign_in(desk, served)
    row = desk.locator(".lead").first
    expect(row).to_contain_text("Q.")
    assert "Quillon" not in desk.content()
    row.get_by_role("link").first.click()
    expect(desk.locator(".banner")).to_contain_text("You may call")
    expect(desk.locator(".banner")).to_contain_text("voicemail")
    assert "Quillon" not in desk.content()
    assert "5550123" not in re.sub(r"\D", "", desk.locator("main").inner_text())
    desk.get_by_role("button", name="Reveal number").click()
    expect(desk.locator(".masked.open")).to_contain_text("(305) 555-0123")
    expect(desk.locator(".contact")).to_contain_text(NAME)
    desk.get_by_label("Consultation, if one was booked").fill("2026-11-20T14:00")
    with desk.expect_navigation():  # the page before this one has a status, too
        desk.get_by_role("button", name="Booked a consultation").click()
    expect(desk.get_by_role("status").first).to_be_visible()
    desk.get_by_text("Close without a call").click()
    desk.locator("form[action$=close]").get_by_label("Why").select_option(
        label="We talked, and nothing is left to do."
    )
    desk.get_by_role("button", name="Close the request").click()
    expect(desk.locator(".banner")).to_contain_text("closed")
    check_kept(served.instance, reference)
    desk.goto(f"{served.url}/desk/log")
    for act in ("Submitted", "reveal", "Sign"):
        expect(desk.locator("main")).to_contain_text(re.compile(act, re.IGNORECASE))


def without_lots(words: str, url: str) -> str:
    """Without the port and the Message-ID: both are drawn by lot and may hold any four figures."""
    assert url in words
    return re.sub(r"<[0-9a-f-]{36}@\S+>", "", words.replace(url, ""))


def check_kept(instance: Instance, reference: str) -> None:
    """The lead, and every step in the audit log, linked and verified."""
    with instance.database.transaction() as session:
        audit.link(session, keyring=instance.keyring, at=instance.clock())
    with instance.database.reading() as session:
        lead = session.query(Lead).filter_by(reference=reference.replace(" ", "")).one()
        acts = [each.action for each in session.query(AuditEvent)]
        found = audit.verify(session, keyring=instance.keyring)
    assert lead.status is LeadStatus.CLOSED
    assert {
        Action.LEAD_SUBMITTED,
        Action.STAFF_SIGNED_IN,
        Action.LEADS_LISTED,
        Action.LEAD_VIEWED,
        Action.LEAD_REVEALED,
        Action.ATTEMPT_LOGGED,
        Action.LEAD_CLOSED,
    } <= set(acts)
    assert found.intact
    assert found.unlinked == 0
