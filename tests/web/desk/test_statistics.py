"""The numbers page and its file: who may see it, what it says, and that small counts stay inside (W2)."""

import csv
import re
from collections.abc import Callable, Iterator
from io import StringIO

import pytest
from playwright.sync_api import Page

from intake.accounts.models import Role
from intake.app import create_app
from intake.instance import Instance
from intake.leads.models import Outcome
from intake.reports.statistics import NOT_A_PERIOD
from intake.web.desk.statistics import as_csv
from tests.browser import axe_violations, serving, signed_in
from tests.client import CANARIES, OURS, Desk, token_of, words
from tests.factories import ANY, acts, ask, details_of, hire, note


@pytest.fixture
def desk(sqlite_instance: Instance) -> Desk:
    return Desk(sqlite_instance, hire(sqlite_instance, "Rosa Vidal", Role.SUPERVISOR))


def busy(desk: Desk, count: int = 14) -> None:
    """So many requests in English on one morning, two in Spanish, and two of them answered."""
    leads = [ask(desk.instance, **ANY).lead for _ in range(count)]
    leads += [ask(desk.instance, language="es", **ANY).lead for _ in range(2)]
    desk.instance.clock.move(minutes=25)
    for lead in leads[:2]:
        note(desk.instance, lead, desk.member, Outcome.THEY_CALLED_US)


def saved(desk: Desk, **period: str) -> list[list[str]]:
    answer = desk.post("/desk/numbers/save", **period)
    assert answer.status_code == 200
    return list(csv.reader(StringIO(answer.data.decode("utf-8-sig"))))


@pytest.mark.parametrize(
    ("roles", "status"),
    [((Role.SUPERVISOR,), 200), ((Role.PRIVACY_OFFICER,), 200), ((Role.COORDINATOR, Role.ADMIN), 403)],
)
def test_supervisors_and_privacy_officers_see_numbers(
    sqlite_instance: Instance, roles: tuple[Role, ...], status: int
) -> None:
    desk = Desk(sqlite_instance, hire(sqlite_instance, "Ana Ruiz", *roles))
    page = desk.get("/desk/numbers")
    assert page.status_code == status
    assert ('href="/desk/numbers"' in page.text) == (status == 200)


def test_who_may_not_see_them_may_not_save_them(sqlite_instance: Instance) -> None:
    desk = Desk(sqlite_instance, hire(sqlite_instance))
    assert desk.post("/desk/numbers/save").status_code == 403
    assert "report.exported" not in acts(sqlite_instance)


@pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
def test_the_page_tells_counts_and_nothing_of_anybody(instance: Instance, database_url) -> None:
    desk = Desk(instance, hire(instance, "Rosa Vidal", Role.SUPERVISOR))
    busy(desk)
    page = desk.get("/desk/numbers?days=7").text
    text = words(page)
    for sentence in (
        "From November 12, 2026 to November 18, 2026, Eastern time.",
        "Requests 16",
        "The most on one day: 16, on Nov 18.",
        "First contact, median 25 min",
        "Promises kept 2 of 2",
        "Wed Nov 18 16",
    ):
        assert sentence in text
    assert not [each for each in (*CANARIES, "Zara") if each in page]
    assert "0123" not in text  # in the words only: the random token of a form may hold any four figures


def test_every_picture_has_its_table(desk: Desk) -> None:
    busy(desk)
    page = desk.get("/desk/numbers").text
    figures = re.findall(r"<figure.*?</figure>", page, re.DOTALL)
    assert len(figures) == 7
    for each in figures:
        assert len(re.findall(r'<svg class="chart"[^>]*role="img" aria-label="[^"]+"', each)) == 1
        assert len(re.findall(r"<details>.*<table.*</table>", each, re.DOTALL)) == 1


def test_before_any_contact_it_says_so(desk: Desk) -> None:
    ask(desk.instance)
    assert "Nobody has been contacted yet." in words(desk.get("/desk/numbers").text)


def test_an_empty_period_says_so_and_offers_another(desk: Desk) -> None:
    ask(desk.instance)
    page = desk.get("/desk/numbers?from=2026-01-05&to=2026-01-06").text
    assert "Nobody asked for contact from January 5, 2026 to January 6, 2026." in words(page)
    assert "/desk/numbers?days=90" in page
    assert '<svg class="chart"' not in page


@pytest.mark.parametrize("query", ["days=0", "days=-7", "days=abc", "days=7&days=x", "days=%00", "%ff=%ff"])
def test_days_that_are_no_choice_are_calmly_ignored(desk: Desk, query: str) -> None:
    answer = desk.get(f"/desk/numbers?{query}")
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "query", ["from=2026-11-01", "from=%22%3Cb%3E&to=x", "from=2026-11-18&to=2026-11-01", "to=9999-12-31"]
)
def test_days_that_are_no_period_are_named_and_kept(desk: Desk, query: str) -> None:
    answer = desk.get(f"/desk/numbers?{query}")
    assert answer.status_code == 422
    assert NOT_A_PERIOD in words(answer.text)
    assert "988" in answer.text
    assert "<b>" not in answer.text
    assert query.partition("=")[2].partition("&")[0].replace("%22%3Cb%3E", "&#34;&lt;b&gt;") in answer.text


def test_the_file_hides_small_counts_and_has_no_totals(desk: Desk) -> None:
    busy(desk, 12)
    lines = saved(desk, days="7")
    assert lines[0] == ["Figure", "Name", "Count"]
    assert ["Requests per day", "2026-11-18", "14"] in lines
    assert ["Requests by hour of the day", "10:00", "14"] in lines
    assert ["Language", "English", "hidden"] in lines
    assert ["Language", "Spanish", "<11"] in lines
    assert {count for *_, count in lines[1:]} <= {"0", "14", "<11", "hidden"}
    assert not [line for line in lines if "total" in " ".join(line).lower()]
    assert not [line for line in lines if line[0].startswith("Minutes")]


def test_waiting_times_leave_only_when_enough_people_stand_behind_them(desk: Desk) -> None:
    leads = [ask(desk.instance, **ANY).lead for _ in range(11)]
    desk.instance.clock.move(minutes=25)
    for lead in leads:
        assert "Median" not in str(saved(desk))
        note(desk.instance, lead, desk.member, Outcome.THEY_CALLED_US)
    figure = "Minutes to first contact while we were open"
    assert [line for line in saved(desk) if line[0] == figure] == [
        [figure, "Median", "25"],
        [figure, "9 of 10 within", "25"],
    ]


def test_saving_is_recorded_and_the_files_name_is_neutral(desk: Desk) -> None:
    ask(desk.instance)
    answer = desk.post("/desk/numbers/save", **{"from": "2026-11-17", "to": "2026-11-18"})
    assert answer.mimetype == "text/csv"
    assert answer.headers["Content-Disposition"] == (
        'attachment; filename="numbers-2026-11-17-to-2026-11-18.csv"'
    )
    assert answer.headers["Cache-Control"] == "no-store"
    assert details_of(desk.instance, "report.exported") == ['{"count":2,"kind":"numbers"}']


def test_a_file_for_no_period_is_refused_and_not_recorded(desk: Desk) -> None:
    answer = desk.post("/desk/numbers/save", **{"from": "2026-11-18", "to": "2026-11-17"})
    assert answer.status_code == 422
    assert "report.exported" not in acts(desk.instance)


def test_a_file_asked_for_from_elsewhere_is_refused(desk: Desk) -> None:
    assert desk.web.post("/desk/numbers/save", headers=OURS).status_code == 403
    assert desk.web.get("/desk/numbers/save").status_code == 405


def test_the_file_speaks_the_language_of_the_page(desk: Desk) -> None:
    ask(desk.instance)
    answer = desk.web.post(
        "/desk/numbers/save", data={"csrf": desk.csrf()}, headers={**OURS, "Accept-Language": "es"}
    )
    assert answer.data.decode("utf-8-sig").startswith("Figura,Nombre,Cantidad\r\nPedidos por día,2026-10-20,")
    assert ",oculto\r\n" in answer.text


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\nx"])
def test_no_cell_is_a_formula(cell: str) -> None:
    assert next(csv.reader(StringIO(as_csv([[cell]]), newline=""))) == [f"'{cell}"]


# --- in a browser ------------------------------------------------------------------------------------


@pytest.fixture
def open_numbers(desk: Desk, page_at: Callable[..., Page]) -> Iterator[Callable[..., Page]]:
    """Serves the desk and opens its numbers for Rosa, who is signed in."""
    with serving(create_app(desk.instance)) as url:

        def open_page(query: str, width: int, **options: object) -> Page:
            page = page_at(width, base_url=url, **options)
            signed_in(page, url, token_of(desk.instance, desk.member)).goto(f"/desk/numbers{query}")
            return page

        yield open_page


@pytest.mark.parametrize("query", ["?days=90", "?from=2026-01-05&to=2026-01-06", "?from=x&to=y"])
@pytest.mark.parametrize(("width", "dark", "locale"), [(320, True, "es-US"), (1280, False, "en-US")])
def test_the_page_reads_well(
    open_numbers: Callable[..., Page], desk: Desk, query: str, width: int, *, dark: bool, locale: str
) -> None:
    busy(desk)
    complaints: list[str] = []
    page = open_numbers(query, width, dark=dark, locale=locale)
    page.on("console", lambda message: complaints.append(message.text))
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true })")
    assert axe_violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert complaints == []


def test_saving_is_one_press(open_numbers: Callable[..., Page], desk: Desk) -> None:
    busy(desk)
    page = open_numbers("?days=7", 1280, javascript=False)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").click()
    assert download.value.suggested_filename == "numbers-2026-11-12-to-2026-11-18.csv"
