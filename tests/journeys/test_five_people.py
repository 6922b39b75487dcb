"""Five people who come in a bad hour, each all the way through the served service in a real browser."""

import itertools
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Error, Locator, Page, expect

from intake.instance import Instance
from intake.leads.models import CloseReason, Lead, LeadStatus
from tests.browser import fill
from tests.factories import EMAIL, NAME
from tests.journeys.conftest import Served

Open = Callable[..., Page]
BY_EMAIL_TOO = {"channels": ["call", "email"], "email": EMAIL}
TWO_AT_NIGHT = datetime(2026, 11, 19, 7, 0, tzinfo=UTC)
ELSEWHERE = "https://www.weather.gov/"
TELLING = re.compile(
    r"ketamin|depress|addict|adicci|clinic|clínica|mental|harbor|quickfeather", re.IGNORECASE
)
"""What a tab, a history or an address must not say."""
ENGLISH = re.compile(
    r"\b(the|and|you|your|yours|we|our|us|to|of|is|are|be|with|please|for|not|this|that|it|its|will|call|or|if|"
    r"on|by|from|at|open|day|time|times|request|code|yes|in|any|your|how|what|when|who|see|keep|page|privacy|"
    r"morning|afternoon|evening|today|tomorrow|name|number|phone|text|texts|erase|change)\b",
    re.IGNORECASE,
)
DRAWN = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{4}(?:\s+[0-9A-HJKMNP-TV-Z]{4})+\b")
"""A reference or a code in fours: drawn by lot, one of them may be THAT or WHEN."""
READ_ALOUD = """() => {
  const read = document.body.cloneNode(true);
  for (const each of read.querySelectorAll('[lang=en], script, style')) each.remove();
  const spoken = [...read.querySelectorAll('[aria-label], [title], [alt], [placeholder], [data-done]')];
  const said = spoken.flatMap((each) => ['aria-label', 'title', 'alt', 'placeholder', 'data-done']
    .map((name) => each.getAttribute(name) || ''));
  return [document.title, read.textContent, ...said].join(' ');
}"""
"""Everything the page says to eyes and ears, without what it marks as English."""
KEPT = """async () => [
  localStorage.length, sessionStorage.length, document.cookie.length, (await indexedDB.databases()).length,
  (await caches.keys()).length, (await navigator.serviceWorker.getRegistrations()).length,
]"""


def ask(page: Page, served: Served, prefix: str = "", **changes: object) -> str:
    """Ask as a person does, a minute after the page came; the private code."""
    page.goto(f"{served.url}{prefix}/")
    served.instance.clock.move(minutes=1)
    fill(page, **changes)
    page.locator(".send .btn").click()
    code = "".join(page.locator("#code-words").inner_text().split())
    page.wait_for_load_state()  # its scripts listen from then on
    return code


def open_with(page: Page, served: Served, code: str) -> None:
    page.goto(f"{served.url}/manage")
    enter(page, code)


def enter(page: Page, code: str) -> None:
    """Send the code; ends when the next page is there as a whole."""
    page.fill("#code", code)
    with page.expect_navigation():
        page.press("#code", "Enter")


def fits(page: Page) -> bool:
    box = page.locator("main").bounding_box()
    return bool(box) and box["x"] >= 0 and box["x"] + box["width"] <= page.viewport_size["width"]


# --- one at two in the night, on a small phone without a script ---------------------------------------


def test_at_two_in_the_night_on_a_small_phone(served: Served, page_at: Open) -> None:
    served.instance.clock.set(TWO_AT_NIGHT)
    page = page_at(320, javascript=False, dark=True, has_touch=True)
    page.goto(served.url)
    expect(page.locator(".phone .open")).to_have_text("Opens today at 9\u00a0am")
    expect(page.get_by_role("link", name="988", exact=True).first).to_be_visible()
    expect(page.locator(".send .promise")).to_contain_text("11\u00a0am today")
    page.get_by_label("What should we call you?").fill(NAME)
    page.get_by_role("button", name="Ask for a call").last.tap()
    expect(page.get_by_role("alert")).to_contain_text("Please look at 5 things")
    expect(page.locator("#preferred_name")).to_have_value(NAME)
    served.instance.clock.move(minutes=2)
    fill(page)
    page.get_by_role("button", name="Ask for a call").last.tap()
    expect(page.locator(".promise")).to_have_text(re.compile("A person will call you by 12 noon today"))
    assert fits(page)
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as text").tap()
    assert not TELLING.search(saved.value.suggested_filename)


# --- one whose partner reads the phone ----------------------------------------------------------------


def test_one_whose_partner_reads_the_phone(served: Served, page_at: Open) -> None:
    page = page_at(390)
    page.route(f"{ELSEWHERE}**", lambda route: route.fulfill(body="rain", content_type="text/plain"))
    seen: list[tuple[str, str]] = []
    for path in ("/safety", "/privacy", "/card", "/under-18", "/manage", "/nothing-here", "/"):
        page.goto(served.url + path)
        seen.append((page.title(), page.url))
    fill(page)
    page.reload()
    assert_nothing_typed(page)
    fill(page)
    page.goto(f"{served.url}/safety")
    page.go_back()
    assert_nothing_typed(page)
    ask(page, served)
    seen.append((page.title(), page.url))
    code = page.locator("#code-words").inner_text()
    assert page.evaluate(KEPT) == [0] * 6
    assert page.context.cookies() == []
    assert [each for each in seen if TELLING.search(" ".join(each))] == []
    for _ in range(3):
        page.keyboard.press("Shift")
    page.wait_for_url(ELSEWHERE)
    assert code not in gone_back(page)
    answer = page.request.get(f"{served.url}/exit", max_redirects=0)
    assert (answer.status, answer.headers["location"]) == (303, ELSEWHERE)
    assert answer.headers["clear-site-data"] == '"cache", "cookies", "storage"'
    assert answer.headers["cache-control"] == "no-store"


def assert_nothing_typed(page: Page) -> None:
    for box in ("#preferred_name", "#phone", "#email"):
        expect(page.locator(box)).to_have_value("")
    for tick in ("#by-call", "#adult", "#consent_use", "#any"):
        expect(page.locator(tick)).not_to_be_checked()


def gone_back(page: Page) -> str:
    """What the browser shows after its back button; a page that was not kept is an error of its own."""
    try:
        page.go_back()
    except Error:
        return ""
    return page.content()


# --- one who changes her mind -------------------------------------------------------------------------


def test_one_who_changes_her_mind(served: Served, page_at: Open) -> None:
    page = page_at(390)
    code = ask(page, served, **BY_EMAIL_TOO)
    open_with(page, served, code)
    page.get_by_text("Other safe times").click()
    page.uncheck("#any")
    page.check("[value=saturday_morning]")
    page.get_by_role("button", name="Keep these times").click()
    expect(page.get_by_role("status")).to_have_text("Done. We have your new times.")
    expect(page.locator(".promise")).to_contain_text("Saturday")
    page.get_by_role("button", name="Stop emails").click()
    expect(page.get_by_role("status")).to_have_text("Done. We will not email you any more.")
    expect(page.get_by_role("button", name="Stop emails")).to_have_count(0)
    page.get_by_role("button", name="Stop all contact").click()
    expect(page.get_by_role("status")).to_have_text("Done. All contact has stopped.")
    expect(page.locator(".promise")).to_contain_text("Nobody from the clinic will call, text or email you.")
    page.get_by_text("I want to erase it").click()
    page.get_by_role("button", name="Erase my request for good").click()
    expect(page.get_by_role("status")).to_have_text("Done. Your request is erased.")
    open_with(page, served, code)
    expect(page.get_by_role("alert")).to_be_focused()
    assert kept(served.instance) == []
    again = ask(page, served)
    assert again != code
    open_with(page, served, again)
    expect(page.locator(".promise")).to_contain_text("A person will call you by")
    assert kept(served.instance) == [(LeadStatus.NEW, None)]


def kept(instance: Instance) -> list[tuple[LeadStatus, CloseReason | None]]:
    """Where the requests stand that are still there."""
    with instance.database.reading() as session:
        return [(each.status, each.close_reason) for each in session.query(Lead)]


# --- one who speaks only Spanish ----------------------------------------------------------------------


def assert_spanish(page: Page) -> None:
    expect(page.locator("html")).to_have_attribute("lang", "es")
    said = re.sub(r"\S+@\S+|Harbor Lane Clinic", "", DRAWN.sub("", page.evaluate(READ_ALOUD)))
    assert [said[max(0, each.start() - 30) : each.end() + 30] for each in ENGLISH.finditer(said)] == []


def test_one_who_speaks_only_spanish(served: Served, page_at: Open) -> None:
    page = page_at(390, locale="es-US")
    for path in ("/es/privacy", "/es/safety", "/es/card", "/es/under-18", "/es/nada", "/es/manage"):
        page.goto(served.url + path)
        assert_spanish(page)
    enter(page, "nada")
    expect(page.locator(".problems")).to_be_focused()
    assert_spanish(page)
    page.goto(served.url)
    page.locator("header").get_by_role("button", name="Español").click()
    assert_spanish(page)
    page.check("#by-call")
    page.check("#by-text")
    page.check("#by-email")
    page.fill("#phone", "12")
    page.fill("#email", "yo@")
    page.locator(".send .btn").click()
    expect(page.get_by_role("alert")).to_contain_text("Por favor, revise 7 cosas")
    assert_spanish(page)
    served.instance.clock.move(minutes=1)
    fill(page, **BY_EMAIL_TOO)
    page.check("#tell_article")
    page.locator(".send .btn").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Gracias")
    assert_spanish(page)
    code = "".join(page.locator("#code-words").inner_text().split())
    with page.expect_download() as saved:
        page.get_by_role("button", name="Guardar como texto").click()
    receipt = Path(saved.value.path()).read_text(encoding="utf-8").replace("Harbor Lane Clinic", "")
    assert list(ENGLISH.findall(without_addresses(receipt))) == []
    page.goto(f"{served.url}/es/manage")
    enter(page, code)
    expect(page.locator("dl.held")).to_be_visible()
    assert_spanish(page)
    for wrong in (
        "form[action$='/manage/contact']:has(#phone) > .btn",
        "form[action$='/manage/windows'] > .btn",
    ):
        page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true })")
        if "windows" in wrong:
            page.uncheck("#any")
        with page.expect_navigation():  # the page before this one may have shown an alert, too
            page.locator(wrong).click()
        expect(page.get_by_role("alert")).to_be_visible()
        assert_spanish(page)
    page.locator("form[action$='/manage/stop'] button").click()
    expect(page.locator("p.done")).to_have_text("Listo. Ya no habrá ningún contacto.")
    assert_spanish(page)
    page.locator("summary").last.click()
    page.locator("form[action$='/manage/erase'] button").click()
    expect(page.locator("dl.held")).to_have_count(0)
    assert_spanish(page)


def without_addresses(words: str) -> str:
    """Without addresses, the title of the article, the lines a machine checks and what was drawn by lot."""
    addresses = r"https?://\S+|\S+@\S+|“[^”]*Ketamine[^”]*”|[a-z]+\.\d+\.es|sha256:\S+|^\S*[.:]\S*$"
    return re.sub(addresses, "", DRAWN.sub("", words))


# --- one with a screen reader -------------------------------------------------------------------------


def test_one_with_a_screen_reader(served: Served, page_at: Open) -> None:
    page = page_at(1280)
    page.goto(f"{served.url}/es/")
    expect(page.locator("article [lang=en]")).to_have_count(4)
    page.goto(served.url)
    for role in ("banner", "main", "contentinfo"):
        expect(page.get_by_role(role)).to_have_count(1)
    expect(page.locator(".crisis [lang=es]")).to_contain_text("En español")
    group = page.get_by_role("group", name="How may we contact you?")
    call = group.get_by_role("checkbox", name="may call me at the number I gave")
    expect(call).to_have_accessible_description(re.compile("A real person will call you"))
    call.check()
    expect(page.get_by_role("group", name="voicemail").get_by_role("radio").first).to_be_checked()
    expect(page.get_by_role("checkbox", name="Monday to Friday, Morning, 9 to 12")).to_be_visible()
    expect(page.get_by_role("columnheader", name="Saturday")).to_be_visible()
    expect(page.get_by_role("textbox", name="Leave this empty")).to_have_count(0)
    page.get_by_role("button", name="Ask for a call").last.click()
    summary = page.get_by_role("alert", name="Please look at 6 things")
    expect(summary).to_be_focused()
    expect(page).to_have_title("Please look at 6 things: ask for a call")
    for link in summary.get_by_role("link").all():
        leads_to_its_question(page, link)
    name = page.get_by_role("textbox", name="What should we call you?")
    expect(name).to_have_attribute("aria-invalid", "true")
    expect(name).to_have_accessible_description(re.compile("Type the name you would like us to use"))
    served.instance.clock.move(minutes=1)
    fill(page)
    page.get_by_role("button", name="Ask for a call").last.click()
    expect(page.get_by_role("status", name="Your private code")).to_be_visible()
    assert page.get_by_role("heading").first.inner_text() == "Thank you. We have your request."
    code = "".join(page.get_by_role("status", name="Your private code").inner_text().split())
    open_with(page, served, code)
    for name in ("Stop calls", "Stop all contact", "Save as text", "Change Safe times"):
        expect(page.get_by_role("button", name=name).or_(page.get_by_role("link", name=name))).to_be_visible()
    page.get_by_role("button", name="Stop calls").click()
    expect(page.get_by_role("status")).to_have_text("Done. All contact has stopped.")


def leads_to_its_question(page: Page, link: Locator) -> None:
    """The link of a summary moves the focus to an answer that is described by the same sentence."""
    sentence = link.inner_text()
    link.click()
    focused = page.locator(":focus")
    expect(focused).to_have_count(1)
    expect(focused).to_have_accessible_description(re.compile(re.escape(sentence)))


@pytest.mark.parametrize("prefix", ["", "/es"])
def test_a_screen_reader_hears_one_heading_under_the_other(
    served: Served, page_at: Open, prefix: str
) -> None:
    page = page_at(1280)
    ask(page, served, prefix)
    levels = page.evaluate(
        "() => [...document.querySelectorAll('h1, h2, h3')].map((each) => +each.tagName[1])"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
