"""The looking glass itself: axe sees a fault when there is one, and nothing where there is none."""

from playwright.sync_api import expect

from tests.browser import PATIENCE, axe_violations

GOOD = '<!doctype html><html lang="en"><title>A page</title><main><h1>A page</h1></main></html>'
BAD = GOOD.replace("<h1>", '<img src="data:,"><h1>')


def test_axe_passes_a_sound_page(page_at) -> None:
    page = page_at(320)
    page.set_content(GOOD)
    assert axe_violations(page) == []


def test_axe_names_a_fault_and_its_place(page_at) -> None:
    page = page_at(1280, dark=True, locale="es-US")
    page.set_content(BAD)
    assert axe_violations(page) == ['image-alt: <img src="data:,">']


def test_a_page_can_be_seen_without_javascript(page_at) -> None:
    page = page_at(320, javascript=False)
    page.set_content("<noscript>words alone</noscript>")
    expect(page.get_by_text("words alone")).to_be_visible(timeout=PATIENCE)
