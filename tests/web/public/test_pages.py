"""The public pages, each in both languages: what stands on every one, and what stands on none."""

import gzip
import re
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from intake.app import create_app
from intake.calling.regions import REGIONS, options_of
from intake.core.paths import STATIC
from intake.instance import Instance
from intake.leads.fields import CHOICES
from intake.web.public.form import ZONE_KEYS, states, zones
from tests.client import Element, fill_in, read

PAGES = ["/", "/privacy", "/safety", "/card", "/under-18"]
BOTH = [*PAGES, *(f"/es{path}" for path in PAGES)]
MISSING = ["/nothing-here", "/es/nothing-here"]
CRISIS = {"tel:911", "tel:988", "sms:988", "tel:+18006624357", "tel:+18004874889", "https://988lifeline.org/"}
TELLING = re.compile(
    r"ketamin|depress|addict|adicci|mental|suicid|clinic|clínic|health|salud|drog|drug", re.IGNORECASE
)
FIRST_VIEW = 14 * 1024

ASKED = {
    "token", "website", "preferred_name", "channels", "voicemail", "phone", "email", "windows", "region",
    "time_zone", *CHOICES, "adult", "consent_use", "tell_article",
}  # fmt: skip


@pytest.mark.parametrize("path", [*BOTH, *MISSING])
def test_help_and_phone_stand_on_every_page(web: FlaskClient, path: str) -> None:
    answer = web.get(path)
    page = read(answer)
    there = {each.attributes["href"] for each in page.all("a")}
    assert answer.status_code == (404 if path in MISSING else 200)
    assert there >= CRISIS | {"tel:+13055550142"}
    assert page.one("html").attributes["lang"] == ("es" if path.startswith("/es") else "en")
    assert page.one("a", class_="leave").attributes["href"] == (
        "/es/exit" if path.startswith("/es") else "/exit"
    )
    assert page.one("section", class_="crisis")


@pytest.mark.parametrize("path", [*BOTH, *MISSING])
def test_nothing_in_the_tab_or_the_address_tells_what_it_is_about(web: FlaskClient, path: str) -> None:
    page = read(web.get(path))
    assert page.title
    assert TELLING.search(page.title + path) is None


@pytest.mark.parametrize("path", BOTH)
def test_no_page_asks_another_place_for_anything(web: FlaskClient, path: str) -> None:
    page = read(web.get(path))
    loaded = [*page.all("script"), *page.all("img"), *page.all("iframe"), *page.all("link", rel="stylesheet")]
    fetched = [each.attributes.get("src") or each.attributes.get("href", "") for each in loaded]
    assert fetched
    assert all(each.startswith("/static/") for each in fetched)
    for link in page.all("a"):
        if urlsplit(link.attributes["href"]).scheme == "https":
            assert "noreferrer" in link.attributes["rel"]
            assert link.attributes["referrerpolicy"] == "no-referrer"


@pytest.mark.parametrize("path", BOTH)
def test_every_page_exists_in_the_other_language(web: FlaskClient, path: str) -> None:
    other = path.removeprefix("/es") if path.startswith("/es") else f"/es{path}"
    page = read(web.get(path))
    if path in {"/", "/es/"}:
        switch = page.all("button", name="switch")
        assert {each.attributes["formaction"] for each in switch} == {other}
    else:
        assert page.all("a", href=other)
    assert web.get(other).status_code == 200


@pytest.mark.parametrize("path", BOTH)
def test_no_link_of_ours_leads_nowhere(web: FlaskClient, path: str) -> None:
    page = read(web.get(path))
    for link in page.all("a"):
        href = link.attributes["href"]
        if href.startswith("/"):
            assert web.get(href).status_code in {200, 303}, href
        if href.startswith("#"):
            assert [each for each in page.elements if each.attributes.get("id") == href[1:]], href


def test_the_page_asks_only_what_was_agreed_on(web: FlaskClient) -> None:
    page = read(web.get("/"))
    named = {
        each.attributes["name"] for each in [*page.all("input"), *page.all("select"), *page.all("textarea")]
    }
    assert named == ASKED
    assert page.all("textarea") == []


def test_nothing_is_ticked_beforehand_but_no_voicemail(web: FlaskClient) -> None:
    page = read(web.get("/"))
    ticked = [each for each in page.all("input") if "checked" in each.attributes]
    assert [(each.attributes["name"], each.attributes["value"]) for each in ticked] == [("voicemail", "no")]
    assert page.chosen == ""
    first, second = page.all("input", name="voicemail")
    assert (first.attributes["value"], second.attributes["value"]) == ("no", "name_and_number")


def test_the_statements_stand_word_for_word(web: FlaskClient, sqlite_instance: Instance) -> None:
    for path, language in (("/", "en"), ("/es/", "es")):
        words = read(web.get(path)).one("form", id="ask").words
        for statement in sqlite_instance.statements.in_force(language).values():
            assert statement.label in words
            if statement.kind != "voicemail":
                assert statement.help in words
        no, yes = (each.words for each in read(web.get(path)).all("label", class_="opt")[:2])
        assert f"{no} {yes}" == sqlite_instance.statements.in_force(language)["voicemail"].help


def test_the_two_articles_are_shown_alike_and_below_the_form(web: FlaskClient) -> None:
    page = read(web.get("/"))
    cards = page.all("article")
    links = [each for each in page.all("a", target="_blank") if each.attributes.get("hreflang") == "en"]
    assert len(cards) == len(links) == 2
    assert all(
        each.attributes["rel"] == "noopener noreferrer"
        and each.attributes["referrerpolicy"] == "no-referrer"
        and "(opens in a new tab)" in each.words
        for each in links
    )
    lengths = sorted(len(each.words) for each in cards)
    assert lengths[1] < lengths[0] * 1.3
    assert [each.attributes.keys() for each in cards] == [{}.keys()] * 2
    form = page.one("form", id="ask")
    assert page.elements.index(form) < page.elements.index(cards[0])
    assert "do not fully agree" in page.one("section", id="articles").words


def test_it_says_when_we_are_open_and_by_when_we_would_call(web: FlaskClient) -> None:
    words = read(web.get("/")).one("main").words
    assert "Open now until 6 pm (Eastern time)" in words
    assert "Ask now, and we will be in touch by 12 noon today (Eastern)." in words
    assert "We are open Monday to Friday 9 am to 6 pm, Saturday 9 am to 3 pm (Eastern time)." in words


def test_the_grid_says_closed_where_nobody_could_be_called(web: FlaskClient) -> None:
    page = read(web.get("/"))
    values = {each.attributes["value"] for each in page.all("input", name="windows")}
    assert "saturday_evening" not in values
    assert len(values) == 6
    assert [each.words for each in page.all("td", class_="none")] == ["closed"]


def test_the_two_zones_of_a_state_are_opened_by_the_stylesheet() -> None:
    """The letters of each split state have a rule, and every answer belongs to the state that shows it."""
    style = (STATIC / "site.css").read_text()
    shown = {zone.key: zone for zone in zones()}
    for state in states("en"):
        names = {option.name for option in options_of(state.code)}
        assert {shown[key].name for key in state.zone_keys} == names
        if state.zone_keys:
            pair = ", ".join(f".{key}" for key in state.zone_keys)
            assert f".place:has(.{state.zone_keys}:checked) :is({pair})" in style
    assert len({zone.value for zone in zones()}) == len(ZONE_KEYS)
    assert len(states("es")) == len(REGIONS)


def test_states_are_listed_by_the_name_in_the_language() -> None:
    assert [each.name for each in states("es")][6:9] == ["Carolina del Sur", "Colorado", "Connecticut"]


@pytest.mark.parametrize("path", ["/", "/es/"])
def test_the_first_view_is_light(web: FlaskClient, path: str) -> None:
    page = read(web.get(path))
    files = [page.one("link", rel="stylesheet").attributes["href"], page.one("script").attributes["src"]]
    weight = 0
    for each in (path, *files):
        with web.get(each) as answer:
            weight += len(gzip.compress(answer.data))
    assert weight <= FIRST_VIEW


def test_the_card_carries_our_address_from_the_settings(
    make_instance: Callable[..., Instance], sqlite_url: str
) -> None:
    web = create_app(make_instance(sqlite_url, base_url="https://ask.example.org")).test_client()
    answer = web.get("/card", base_url="https://ask.example.org")
    assert "ask.example.org" in read(answer).one("section", class_="card").words


@pytest.mark.parametrize("path", ["/exit", "/es/exit"])
def test_the_way_out_forgets_us(web: FlaskClient, path: str) -> None:
    answer = web.get(path)
    assert (answer.status_code, answer.headers["Location"]) == (303, "https://www.weather.gov/")
    assert answer.headers["Clear-Site-Data"] == '"cache", "cookies", "storage"'


@pytest.mark.parametrize("path", ["/es", "/privacy/", "/es/privacy/"])
def test_a_slash_more_or_less_is_the_same_page(web: FlaskClient, path: str) -> None:
    assert web.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/fr/", "/fr", "/en/", "/esp", "/es-mx/", "/../", "/static/nothing.css"])
def test_other_languages_and_paths_get_the_page_with_help(web: FlaskClient, path: str) -> None:
    answer = web.get(path)
    assert answer.status_code == 404
    assert "988" in answer.get_data(as_text=True)


def test_a_foreign_host_is_not_ours(app: Flask) -> None:
    answer = app.test_client().get("/", base_url="http://evil.example")
    assert answer.status_code == 400
    assert "evil.example" not in answer.get_data(as_text=True)
    assert "988" in answer.get_data(as_text=True)


def test_every_hint_and_problem_is_tied_to_its_field(web: FlaskClient) -> None:
    page = read(web.post("/", data={"token": fill_in(web)["token"], "channels": ["call", "text", "email"]}))
    known = {each.attributes["id"] for each in page.elements if "id" in each.attributes}
    tied = [each for each in page.elements if "aria-describedby" in each.attributes]
    assert {word for each in tied for word in each.attributes["aria-describedby"].split()} <= known
    wrong = {each.attributes["name"] for each in page.elements if "aria-invalid" in each.attributes}
    assert wrong == {"preferred_name", "phone", "email", "windows", "region", "adult", "consent_use"}


def test_only_the_names_that_help_a_person_type_are_filled_in(web: FlaskClient) -> None:
    page = read(web.get("/"))
    text = {each.attributes["name"]: each.attributes["autocomplete"] for each in boxes(page.all("input"))}
    assert text == {"website": "off", "preferred_name": "given-name", "phone": "tel", "email": "email"}
    assert page.one("form", id="ask").attributes["autocomplete"] == "off"
    assert "novalidate" in page.one("form", id="ask").attributes


def boxes(inputs: list[Element]) -> list[Element]:
    return [each for each in inputs if "autocomplete" in each.attributes]
