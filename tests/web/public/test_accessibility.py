"""Every public page in both languages, looked at once and asked for everything.

axe under WCAG 2.2 AA, a screen of 320 px, text at twice its size, forced colours, reduced motion, the order
of headings: one load of a page answers for all of them, so that the whole round stays short.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Page, expect

from intake.app import write_fallback_pages
from intake.instance import Instance
from tests.browser import PATIENCE, axe_violations
from tests.web.public.pages import PAGES, STATUS, show

Open = Callable[..., Page]
LANGUAGES = {"en": "", "es": "/es"}
HTML = {"Content-Type": "text/html; charset=utf-8"}
WIDER = """() => document.documentElement.scrollWidth <= innerWidth ? [] :
  [...document.querySelectorAll('body *')]
  .filter((each) => each.getBoundingClientRect().right > innerWidth)
  .map((each) => each.outerHTML.slice(0, 90))"""
"""What makes the page wider than the screen."""
TEXT_IN_PLACE = """() => {
  const hidden = '.vh, .skip, .trap, .strip, option, script, style, [hidden]', boxes = [], found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, words = node.textContent.trim();
    if (!words || node.parentElement.closest(hidden) || !node.parentElement.checkVisibility()) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      if (box.right > innerWidth + 1 || box.left < -1) found.push(`cut: ${words}`);
      for (const [other, its] of boxes) {
        const across = Math.min(box.right, other.right) - Math.max(box.left, other.left);
        const down = Math.min(box.bottom, other.bottom) - Math.max(box.top, other.top);
        if (across > 2 && down > 0.4 * Math.min(box.height, other.height)) found.push(`${its} / ${words}`);
      }
      boxes.push([box, words]);
    }
  }
  for (const each of document.querySelectorAll('button, a, summary, h1, h2, h3'))
    if (!each.closest(hidden) && each.scrollWidth > each.clientWidth + 1 && each.clientWidth)
      found.push(`too wide: ${each.textContent.trim()}`);
  return found;
}"""
"""Every line of text lies on the screen, and no two lie on each other."""
SEEN_IN_FORCED_COLOURS = """() => {
  const found = [], controls = 'a[href], button, input:not([type=hidden]), select, summary';
  for (const each of document.querySelectorAll(controls)) {
    if (each.closest('.trap, .vh') || !each.checkVisibility()) continue;
    const style = getComputedStyle(each), drawn = parseFloat(style.borderTopWidth) > 0;
    const own = ['checkbox', 'radio'].includes(each.type) ? style.appearance !== 'none' : drawn;
    const link = each.matches('a, summary, .link');
    const paper = getComputedStyle(document.body).backgroundColor;
    if (link ? style.color === paper : !own) found.push(each.outerHTML);
    each.focus();
    const focused = getComputedStyle(each);
    if (focused.outlineStyle === 'none' || parseFloat(focused.outlineWidth) < 2) found.push(each.outerHTML);
  }
  return found;
}"""
"""Every control has an edge of its own where backgrounds are taken away, and shows when it has the focus."""
MOVING = """() => [...document.querySelectorAll('*')].filter((each) => {
  const style = getComputedStyle(each);
  return style.animationName !== 'none' || parseFloat(style.transitionDuration) > 0;
}).map((each) => each.outerHTML.slice(0, 80))"""
TICK = 100
"""Milliseconds between two looks at a page that has not settled."""
HEADINGS = "() => [...document.querySelectorAll('h1, h2, h3, h4')].map((each) => +each.tagName[1])"


def settled(page: Page, seen: str) -> list[str]:
    """What is wrong once the page has settled: right after a change of size a layout is half done."""
    for _ in range(PATIENCE // TICK):
        if not (wrong := page.evaluate(seen)):
            break
        page.wait_for_timeout(TICK)
    return wrong


def look(page: Page, spoken: str) -> None:
    """All of it, on the page as it is now open; without a word when it is well."""
    assert page.locator("html").get_attribute("lang") == spoken
    assert page.title().strip()
    expect(page.locator("main h1")).to_have_count(1)
    levels = page.evaluate(HEADINGS)
    assert all(after <= before + 1 for before, after in zip([1, *levels], levels, strict=False)), levels
    for summary in page.locator("summary").all():
        summary.click()
    assert axe_violations(page) == []
    assert settled(page, WIDER) == []
    assert settled(page, TEXT_IN_PLACE) == []
    page.emulate_media(forced_colors="active", reduced_motion="reduce")
    page.keyboard.press("Tab")
    assert settled(page, SEEN_IN_FORCED_COLOURS) == []
    assert settled(page, MOVING) == []
    assert page.evaluate("document.getAnimations().length") == 0
    page.emulate_media(forced_colors="none")
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert settled(page, WIDER) == []
    assert settled(page, TEXT_IN_PLACE) == []
    page.set_viewport_size({"width": 1280, "height": 900})
    assert settled(page, TEXT_IN_PLACE) == []


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("spoken", LANGUAGES)
def test_everybody_can_read_it(
    page_at: Open, app: Flask, web: FlaskClient, sqlite_instance: Instance, name: str, spoken: str
) -> None:
    answer = PAGES[name](web, sqlite_instance, LANGUAGES[spoken])
    assert answer.status_code == STATUS.get(name, 200)
    page = page_at(320, dark=spoken == "es")
    show(page, answer.data, dict(answer.headers))
    look(page, spoken)


@pytest.mark.parametrize("spoken", LANGUAGES)
def test_everybody_can_read_the_page_that_needs_nobody(
    page_at: Open, app: Flask, tmp_path: Path, spoken: str
) -> None:
    write_fallback_pages(app)
    page = page_at(320, dark=spoken == "es")
    show(page, (tmp_path / "pages" / f"503.{spoken}.html").read_bytes(), HTML)
    look(page, spoken)


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ("document.querySelector('h1').style.marginBottom = '-3rem'", TEXT_IN_PLACE),
        ("document.querySelector('h1').style.whiteSpace = 'nowrap'", TEXT_IN_PLACE),
        ("document.querySelector('.send .btn').style.border = 'none'", SEEN_IN_FORCED_COLOURS),
        ("document.querySelector('.send .btn').style.outline = 'none'", SEEN_IN_FORCED_COLOURS),
        ("document.querySelector('.btn').style.transitionDuration = '1s'", MOVING),
    ],
)
def test_the_glasses_see_a_fault_when_there_is_one(
    page_at: Open, app: Flask, web: FlaskClient, change: str, seen: str
) -> None:
    page = page_at(320)
    answer = web.get("/")
    show(page, answer.data, dict(answer.headers))
    page.emulate_media(reduced_motion="reduce")
    assert settled(page, seen) == []
    page.evaluate(change)
    assert page.evaluate(seen) != []


def reach(page: Page, selector: str) -> None:
    """Press Tab until this has the focus."""
    for _ in range(120):
        page.keyboard.press("Tab")
        if page.evaluate("wanted => document.activeElement.matches(wanted)", selector):
            return
    pytest.fail(f"The Tab key does not reach {selector}")


def enter(page: Page) -> None:
    """Send a form; Tab goes its way only when the whole answer is there."""
    with page.expect_event("load"):
        page.keyboard.press("Enter")


def test_the_keyboard_alone_leads_from_the_form_to_the_receipt_and_to_the_stop(
    page_at: Open, address: str
) -> None:
    page = page_at(390)
    page.goto(address)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    reach(page, "#preferred_name")
    page.keyboard.type("Zaraida")
    reach(page, "#by-call")
    page.keyboard.press("Space")
    reach(page, "#phone")
    page.keyboard.type("305 555 0123")
    reach(page, "#any")
    page.keyboard.press("Space")
    reach(page, "#region")
    page.keyboard.type("Georgia")
    reach(page, "#adult")
    page.keyboard.press("Space")
    reach(page, ".send .btn")
    enter(page)
    expect(page.locator(".problems")).to_be_focused()
    reach(page, ".problems a")
    page.keyboard.press("Enter")
    expect(page.locator("#consent_use")).to_be_focused()
    page.keyboard.press("Space")
    reach(page, ".send .btn")
    enter(page)
    code = "".join(page.locator("#code-words").inner_text().split())
    reach(page, "button[name=as]")
    with page.expect_download() as saved:
        page.keyboard.press("Enter")
    assert code in "".join(Path(saved.value.path()).read_text().split())
    reach(page, "main a[href='/manage']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/manage")
    reach(page, "#code")
    page.keyboard.type(code)
    enter(page)
    expect(page.locator("dl.held")).to_be_visible()
    reach(page, "form[action='/manage/stop'] button")
    page.keyboard.press("Enter")
    expect(page.locator("p.done")).to_have_text("Done. All contact has stopped.")
