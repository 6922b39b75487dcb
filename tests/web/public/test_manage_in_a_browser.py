"""The manage page in Chromium: every width, both lights and languages, and without a script (C2)."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from intake.instance import Instance
from intake.leads.models import Lead
from tests.browser import axe_violations
from tests.factories import ask, every

Open = Callable[..., Page]


def look(page: Page) -> None:
    assert axe_violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def press(page: Page, action: str) -> None:
    """Press the last button of the form that leads to `action`, and wait until the whole answer is there."""
    with page.expect_event("load"):
        page.locator(f"form[action$='{action}'] button").last.click()


def enter(page: Page, field: str) -> None:
    """Send the form of a field by the Enter key, and wait until the whole answer is there."""
    with page.expect_event("load"):
        page.press(field, "Enter")


def keep_number(page: Page) -> None:
    """Send the new number, and wait until the whole answer is there."""
    with page.expect_event("load"):
        page.locator("form:has(#phone) > .btn").click()


@pytest.mark.parametrize("prefix", ["", "/es"])
@pytest.mark.parametrize(("width", "dark"), [(320, True), (1280, False)])
def test_it_reads_well_in_every_state(
    page_at: Open, address: str, sqlite_instance: Instance, prefix: str, width: int, *, dark: bool
) -> None:
    asked = ask(sqlite_instance)
    page = page_at(width, dark=dark)
    text: list[str] = []
    page.on("console", lambda message: text.append(message.text))
    page.goto(f"{address}{prefix}/manage")
    look(page)
    page.fill("#code", "wrong")
    enter(page, "#code")
    expect(page.locator(".problems")).to_be_focused()
    look(page)
    page.fill("#code", asked.code.lower())
    enter(page, "#code")
    expect(page.locator("dl.held")).to_be_visible()
    for summary in page.locator("summary").all():
        summary.click()
    look(page)
    page.check("#by-call")
    page.fill("#phone", "12")
    keep_number(page)
    expect(page.locator(".problems")).to_be_focused()
    look(page)
    page.fill("#phone", "305 555 0144")
    keep_number(page)
    expect(page.locator("p.done")).to_be_visible()
    press(page, "/manage/stop")
    look(page)
    page.locator("summary").last.click()
    press(page, "/manage/erase")
    expect(page.locator("p.done")).to_be_visible()
    look(page)
    assert [each for each in text if "422" not in each] == []
    assert every(sqlite_instance, Lead) == []


@pytest.mark.parametrize("prefix", ["", "/es"])
def test_the_answer_to_everybody_reads_well(page_at: Open, address: str, prefix: str) -> None:
    page = page_at(320)
    page.goto(f"{address}{prefix}/manage")
    page.fill("#reference", "nobody")
    page.fill("#address", "nobody@example.org")
    enter(page, "#address")
    expect(page.locator("p.done")).to_be_visible()
    look(page)


def test_everything_works_without_a_script(
    page_at: Open, address: str, sqlite_instance: Instance, tmp_path: Path
) -> None:
    asked = ask(sqlite_instance)
    page = page_at(320, javascript=False)
    page.goto(f"{address}/manage")
    page.fill("#code", asked.code)
    enter(page, "#code")
    with page.expect_download() as started:
        page.locator("#keep button[value=text]").click()
    saved = started.value
    saved.save_as(tmp_path / "saved")
    assert saved.suggested_filename == "receipt.txt"
    assert "Harbor Lane Clinic" in (tmp_path / "saved").read_text()
    page.locator("button[value=email]").click()
    expect(page.locator("p.done")).to_have_text("Done. We will not email you any more.")
    page.locator("header .link").click()
    expect(page.locator("h1")).to_have_text("Su pedido")
    press(page, "/manage/stop")
    expect(page.locator("p.done")).to_have_text("Listo. Ya no habrá ningún contacto.")
    assert asked.code not in page.url


def test_going_back_after_erasing_opens_nothing(
    page_at: Open, address: str, sqlite_instance: Instance
) -> None:
    asked = ask(sqlite_instance)
    page = page_at(1280)
    page.goto(f"{address}/manage")
    page.fill("#code", asked.code)
    enter(page, "#code")
    page.locator("summary").last.click()
    press(page, "/manage/erase")
    expect(page.locator("p.done")).to_be_visible()
    page.goto(f"{address}/manage")
    assert page.input_value("#code") == ""
    page.fill("#code", asked.code)
    page.goto(f"{address}/safety")
    page.go_back()
    expect(page.locator("#code")).to_have_value("")


def test_it_keeps_nothing_in_the_browser(page_at: Open, address: str, sqlite_instance: Instance) -> None:
    page = page_at(1280)
    page.goto(f"{address}/manage")
    page.fill("#code", ask(sqlite_instance).code)
    enter(page, "#code")
    expect(page.locator("dl.held")).to_be_visible()
    assert page.context.cookies() == []
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0


@pytest.mark.parametrize("prefix", ["", "/es"])
def test_it_reflows_at_twice_the_size_on_a_small_phone(
    page_at: Open, address: str, sqlite_instance: Instance, prefix: str
) -> None:
    page = page_at(160)
    page.goto(f"{address}{prefix}/manage")
    page.fill("#code", ask(sqlite_instance).code)
    enter(page, "#code")
    expect(page.locator("dl.held")).to_be_visible()
    for summary in page.locator("summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
