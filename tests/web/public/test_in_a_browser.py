"""The public pages in Chromium: readable by everybody, at every width, with and without a script (P1, P5)."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser import axe_violations, fill
from tests.factories import NAME, SHOWN

Open = Callable[..., Page]
CALL_OR_TEXT = {"channels": ["call", "text"]}
ELSEWHERE = "https://www.weather.gov/"


def send(page: Page) -> None:
    """Send the form, and wait until the whole answer is there: the old page has a heading, too."""
    with page.expect_event("load"):
        page.locator(".send .btn").click()
    expect(page.locator("h1")).to_be_visible()


def overflow(page: Page) -> int:
    """By how much the page is wider than the screen."""
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


def look(page: Page) -> None:
    assert axe_violations(page) == []
    assert overflow(page) <= 0


@pytest.mark.parametrize("path", ["/", "/es/"])
@pytest.mark.parametrize(("width", "dark"), [(320, False), (768, True), (1280, False)])
def test_it_reads_well_empty_wrong_and_kept(
    page_at: Open, address: str, path: str, width: int, *, dark: bool
) -> None:
    page = page_at(width, dark=dark)
    text: list[str] = []
    page.on("console", lambda message: text.append(message.text))
    page.goto(address + path)
    look(page)
    fill(page, **CALL_OR_TEXT, windows=["weekday_morning"])
    page.uncheck("#consent_use")
    page.fill("#phone", "12")
    send(page)
    expect(page.locator(".problems")).to_be_focused()
    look(page)
    page.check("#consent_use")
    page.fill("#phone", SHOWN)
    send(page)
    expect(page.locator(".token")).to_have_count(2)
    look(page)
    assert [each for each in text if "422" not in each] == []


@pytest.mark.parametrize("path", ["/privacy", "/es/safety", "/card", "/es/under-18", "/nothing", "/es/card"])
@pytest.mark.parametrize("width", [320, 1280])
def test_the_other_pages_read_well(page_at: Open, address: str, path: str, width: int) -> None:
    page = page_at(width, dark=width == 320)
    page.goto(address + path)
    look(page)


@pytest.mark.parametrize("path", ["/", "/es/", "/es/card"])
def test_it_reflows_at_twice_the_size_on_a_small_phone(page_at: Open, address: str, path: str) -> None:
    """200 % on a screen of 320 px leaves 160: nothing has to be scrolled sideways."""
    page = page_at(160)
    page.goto(address + path)
    assert overflow(page) <= 0


def test_no_request_leaves_for_another_place(page_at: Open, address: str) -> None:
    page = page_at(390)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    fill(page)
    send(page)
    assert asked
    assert [each for each in asked if not each.startswith((address, "data:,"))] == []
    assert page.context.cookies() == []
    assert page.evaluate("[localStorage.length, sessionStorage.length]") == [0, 0]


def test_the_enter_key_asks_and_does_not_change_the_language(page_at: Open, address: str) -> None:
    page = page_at(390, javascript=False)
    page.goto(address)
    page.fill("#preferred_name", NAME)
    page.press("#preferred_name", "Enter")
    expect(page.locator(".problems")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_the_language_changes_without_a_script_and_keeps_every_word(page_at: Open, address: str) -> None:
    page = page_at(320, javascript=False)
    page.goto(address)
    fill(page, **CALL_OR_TEXT)
    page.locator("header").get_by_role("button", name="Español").click()
    expect(page.locator("html")).to_have_attribute("lang", "es")
    expect(page.locator("#preferred_name")).to_have_value(NAME)
    expect(page.locator("#phone")).to_have_value(SHOWN)
    expect(page.locator("#by-text")).to_be_checked()
    expect(page.locator("#region")).to_have_value("US-FL")
    expect(page.locator(".problems")).to_have_count(0)


def test_details_open_under_their_tick_without_a_script(page_at: Open, address: str) -> None:
    page = page_at(390, javascript=False)
    page.goto(address)
    for hidden in ("#phone", "#email", "#voicemail-no", "#zone", ".someone"):
        expect(page.locator(hidden)).to_be_hidden()
    expect(page.locator("#website")).not_to_be_in_viewport()
    page.check("#by-text")
    expect(page.locator("#phone")).to_be_visible()
    expect(page.locator("#voicemail-no")).to_be_hidden()
    page.check("#by-call")
    expect(page.locator("#voicemail-no")).to_be_visible()
    page.check("#by-email")
    expect(page.locator("#email")).to_be_visible()
    page.click("details:has(.asking) > summary")
    page.check("#asking-other")
    expect(page.locator(".someone")).to_be_visible()
    page.check("#any")
    expect(page.locator(".week")).to_be_hidden()


@pytest.mark.parametrize(
    ("state", "zones"),
    [
        ("US-FL", ["Eastern", "Central"]),
        ("US-TX", ["Central", "Mountain"]),
        ("US-OR", ["Mountain", "Pacific"]),
        ("US-AK", ["Alaska", "Hawaii-Aleutian"]),
        ("US-AZ", ["Most of Arizona", "Navajo Nation"]),
        ("US-GA", []),
    ],
)
def test_a_split_state_asks_for_its_own_two_zones(
    page_at: Open, address: str, state: str, zones: list[str]
) -> None:
    page = page_at(390, javascript=False)
    page.goto(address)
    page.select_option("#region", state)
    assert [each.inner_text().strip() for each in page.locator(".zone .opt:visible").all()] == zones


def leave_by_link(page: Page) -> None:
    page.locator(".leave").click()


def leave_by_key(page: Page) -> None:
    for _ in range(3):
        page.keyboard.press("Shift")


@pytest.mark.parametrize("leave", [leave_by_link, leave_by_key])
def test_leaving_blanks_the_page_and_going_back_shows_nothing_typed(
    page_at: Open, address: str, leave: Callable[[Page], None]
) -> None:
    page = page_at(390)
    page.route(f"{ELSEWHERE}**", lambda route: route.fulfill(body="rain", content_type="text/plain"))
    page.goto(f"{address}/safety")
    page.goto(address)
    fill(page)
    leave(page)
    page.wait_for_url(ELSEWHERE)
    page.go_back()
    expect(page).to_have_url(f"{address}/safety")
    page.goto(address)
    expect(page.locator("#preferred_name")).to_have_value("")
    expect(page.locator("#by-call")).not_to_be_checked()


def test_leaving_needs_no_script(page_at: Open, address: str) -> None:
    page = page_at(390, javascript=False)
    page.route(f"{ELSEWHERE}**", lambda route: route.fulfill(body="rain", content_type="text/plain"))
    page.goto(address)
    fill(page)
    leave_by_link(page)
    page.wait_for_url(ELSEWHERE)
    page.go_back()
    expect(page.locator("#preferred_name")).to_have_value("")


def test_shift_used_for_capitals_does_not_leave(page_at: Open, address: str) -> None:
    page = page_at(390)
    page.goto(address)
    page.locator("#preferred_name").press_sequentially("ABCD")
    page.keyboard.press("Shift")
    page.keyboard.press("Shift")
    page.keyboard.press("Tab")
    page.keyboard.press("Shift")
    expect(page.locator("#preferred_name")).to_have_value("ABCD")


def test_the_strip_never_hides_what_has_the_focus(page_at: Open, address: str) -> None:
    """WCAG 2.4.11: forwards and backwards through the page, nothing focused lies under the strip."""
    page = page_at(320)
    page.goto(address)
    covered = """() => {
      const focused = document.activeElement, strip = document.querySelector('.strip');
      if (focused === document.body || strip.contains(focused)) return false;
      return focused.getBoundingClientRect().bottom <= strip.getBoundingClientRect().bottom;
    }"""
    for key in ["Tab"] * 45 + ["Shift+Tab"] * 40:
        page.keyboard.press(key)
        skip = page.evaluate("document.activeElement.matches('.skip, .vh')")
        assert skip or not page.evaluate(covered)


def test_the_private_code_is_copied_as_it_is_shown(page_at: Open, address: str) -> None:
    page = page_at(390, permissions=["clipboard-read", "clipboard-write"])
    page.goto(address)
    fill(page)
    send(page)
    page.get_by_role("button", name="Copy the code").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    code = " ".join(page.locator("#code-words").inner_text().split())
    assert page.evaluate("navigator.clipboard.readText()").split() == code.split()


def test_the_card_prints_alone(page_at: Open, address: str) -> None:
    page = page_at(768)
    page.goto(f"{address}/card")
    page.emulate_media(media="print")
    expect(page.locator(".card")).to_be_visible()
    for rest in ("footer", ".crisis", "h1", ".strip"):
        expect(page.locator(rest)).to_be_hidden()
