"""The evidence report at the desk and as files: for officer and admin, recorded, readable, the same."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Page

from intake.accounts.models import Role
from intake.app import create_app
from intake.instance import Instance
from intake.reports import compliance
from intake.web.desk.privacy import as_html
from intake.web.headers import POLICIES
from tests.browser import axe_violations
from tests.client import CANARIES, Desk, field, words
from tests.factories import ask, details_of, hire, relay_turn

PATH = "/desk/evidence"
ONCE = ["Ott", "Pia", "pia@example.org"]


class Reader(Desk):
    """The desk of somebody who may read the report."""

    def csrf(self) -> str:
        return field(self.get("/desk/account").text, "csrf")


@pytest.fixture
def officer(sqlite_instance: Instance) -> Reader:
    return Reader(sqlite_instance, hire(sqlite_instance, "Pia Ott", Role.PRIVACY_OFFICER))


def report_in(page: str) -> str:
    """The words of the report alone, without the frame of the desk."""
    return words(page.partition('<div class="evidence">')[2].partition("</main>")[0])


def test_open_findings_stand_first_and_the_unknown_after_them(officer: Reader) -> None:
    page = officer.get(PATH).text
    heads = re.findall(r'<h2 id="(\w+)"', page)
    assert heads[:2] == ["findings", "unknown"]
    text = report_in(page)
    assert text.index("The relay has never run.") < text.index("Last backup that was taken")
    assert "Last backup that was taken not known None is on record. not known not known" in text
    assert "✓" not in page


def test_reading_and_saving_are_recorded(officer: Reader) -> None:
    officer.get(PATH)
    officer.post("/desk/evidence/save", kind="json")
    officer.post("/desk/evidence/save", kind="html")
    assert len(details_of(officer.instance, "evidence.read")) == 1
    assert sorted(details_of(officer.instance, "evidence.saved")) == ['{"kind":"html"}', '{"kind":"json"}']


def test_it_leaves_only_after_a_fresh_second_factor(officer: Reader) -> None:
    officer.instance.clock.move(minutes=6)
    assert "Is it you?" in words(officer.post("/desk/evidence/save", kind="json").text)
    assert details_of(officer.instance, "evidence.saved") == []


def test_the_json_is_english_whoever_asks_and_the_page_is_not(officer: Reader) -> None:
    sent = {"csrf": officer.csrf(), "kind": "json"}
    head = {"Sec-Fetch-Site": "same-origin", "Accept-Language": "es"}
    answer = officer.web.post("/desk/evidence/save", data=sent, headers=head)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="evidence-2026-11-18.json"'
    sentence = json.loads(answer.text)
    assert (sentence["format"], sentence["sections"][1]["title"]) == (
        compliance.FORMAT,
        "Who can sign in",
    )
    page = officer.web.post("/desk/evidence/save", data={**sent, "kind": "html"}, headers=head).text
    assert '<html lang="es">' in page
    assert "Quién puede entrar" in page


def test_the_file_needs_nothing_beside_it(officer: Reader) -> None:
    page = officer.post("/desk/evidence/save", kind="html").text
    assert "container: evidence" in page
    assert re.findall(r'(?:src|href)="(?!data:)[^"]*"', page) == []
    assert "url(" not in page
    assert "@import" not in page


def test_page_and_file_tell_the_same(officer: Reader) -> None:
    relay_turn(officer.instance)
    at_the_desk = report_in(officer.get(PATH).text)
    in_the_file = words(officer.post("/desk/evidence/save", kind="html").text)
    for each in compliance.gather(officer.instance, policies=POLICIES).figures():
        assert each.label in at_the_desk
        assert each.label in in_the_file


def test_nobody_stands_in_it(officer: Reader) -> None:
    lead = ask(officer.instance).lead
    relay_turn(officer.instance)
    for page in (report_in(officer.get(PATH).text), officer.post("/desk/evidence/save", kind="json").text):
        assert [each for each in (*CANARIES, *ONCE, lead.reference, str(lead.id)) if each in page] == []


@pytest.mark.parametrize("role", Role)
def test_the_officer_and_the_admin_may_and_find_the_way(sqlite_instance: Instance, role: Role) -> None:
    desk = Reader(sqlite_instance, hire(sqlite_instance, "Ben Ochoa", role))
    may = role in (Role.PRIVACY_OFFICER, Role.ADMIN)
    assert desk.get(PATH).status_code == (200 if may else 403)
    if may:
        home = "/desk/log" if role is Role.PRIVACY_OFFICER else "/desk/service"
        assert f'href="{PATH}"' in desk.get(home).text
        assert f'href="{home}"' in desk.get(PATH).text


def test_every_answer_carries_a_policy_that_the_report_tells_of(app: Flask) -> None:
    """Whoever gives one page another policy has to tell the report of it."""
    web = app.test_client()
    for rule in app.url_map.iter_rules():
        if "GET" in (rule.methods or ()) and not rule.arguments:
            assert web.get(rule.rule).headers["Content-Security-Policy"] in POLICIES.values(), rule.rule


def test_the_document_tells_of_every_field_and_figure(officer: Reader) -> None:
    document = (Path(__file__).parents[3] / "docs" / "evidence.md").read_text(encoding="utf-8")
    report = json.loads(officer.post("/desk/evidence/save", kind="json").text)
    names = {each["name"] for section in report["sections"] for each in section["figures"]}
    section = report["sections"][0]
    keys = {*report, *report["findings"][0], *section, *section["figures"][0]}
    assert {each for each in names | keys if f"`{each}`" not in document} == set()
    sections = {each["name"] for each in report["sections"]}
    written = set(re.findall(rf"^\| `((?:{'|'.join(sections)})\.[a-z_]+)` \|", document, re.MULTILINE))
    assert written == names


@pytest.mark.parametrize(("width", "dark", "locale"), [(320, True, "es-US"), (1280, False, "en-US")])
def test_it_reads_well(
    page_at: Callable[..., Page],
    address: str,
    officer: Reader,
    tmp_path: Path,
    width: int,
    locale: str,
    *,
    dark: bool,
) -> None:
    page = page_at(width, dark=dark, locale=locale)
    token = officer.web.get_cookie("intake").value
    page.context.add_cookies([{"name": "intake", "value": token, "url": address, "sameSite": "Strict"}])
    page.goto(address + PATH)
    assert axe_violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    file = tmp_path / "evidence.html"
    file.write_text(officer.post("/desk/evidence/save", kind="html").text)
    page.goto(file.as_uri())
    assert axe_violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert page.evaluate("getComputedStyle(document.querySelector('.findings')).borderTopWidth") == "2px"


def test_both_files_can_be_made_without_the_desk(sqlite_instance: Instance) -> None:

    with create_app(sqlite_instance).test_request_context("/"):
        page = as_html(compliance.gather(sqlite_instance, policies=POLICIES))
    assert page.lstrip().startswith("<!doctype html>")
