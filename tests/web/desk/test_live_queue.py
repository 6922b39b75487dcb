"""The queue that updates itself and never moves what is under a hand, and the clock of a hold (G2)."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Locator, Page, expect

from intake.accounts.models import Role
from intake.accounts.permissions import Member
from intake.calling.hours import Window
from intake.instance import Instance
from intake.leads.models import Lead, Outcome
from tests.browser import axe_violations
from tests.client import CANARIES, Desk, words
from tests.conftest import MovableClock
from tests.factories import details_of, hire, note, now, somebody, take

LATER = {"windows": frozenset({Window.SATURDAY_MORNING})}
NEWS = ".news [role=status]"
POLL = "document.dispatchEvent(new Event('visibilitychange'))"


@pytest.fixture
def desk(sqlite_instance: Instance) -> Desk:
    return Desk(sqlite_instance, hire(sqlite_instance, "Ana Ruiz", *Role))


@pytest.fixture(autouse=True)
def _polls_only_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """No page asks by itself in between, however long a test takes."""
    monkeypatch.setattr("intake.web.desk.queue.POLL_SECONDS", 3600)


@pytest.fixture
def ben(staffed: Instance) -> Member:
    return hire(staffed, "Ben Ochoa")


def row(page: Page, lead: Lead) -> Locator:
    return page.locator(f'[data-lead="{lead.id}"]')


def poll(page: Page) -> None:
    """Let the page ask now, and wait until it has an answer; what it makes of it comes right after."""
    with page.expect_response(lambda answer: "/desk/rows" in answer.url):
        page.evaluate(POLL)


# --- the address that is polled ----------------------------------------------------------------------


def test_a_poll_is_answered_with_nothing_while_nothing_has_changed(desk: Desk) -> None:
    lead = somebody(desk.instance, 1)
    first = desk.get("/desk/rows")
    assert first.status_code == 200
    same = desk.get("/desk/rows", **{"If-None-Match": first.headers["ETag"]})
    assert (same.status_code, same.data) == (304, b"")
    take(desk.instance, lead, hire(desk.instance, "Ben Ochoa"))
    changed = desk.get("/desk/rows", **{"If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200
    assert "Ben, 20 min" in words(changed.text)
    assert changed.headers["Cache-Control"] == "no-store"
    assert not [each for each in CANARIES if each in changed.text]


def test_a_poll_asks_for_the_page_as_it_was_filtered(desk: Desk) -> None:
    somebody(desk.instance, 1, language="es")
    page = desk.get("/desk?language=en&held=nobody").text
    asked = re.search(r'data-from="([^"]+)"', page)[1].replace("&amp;", "&")
    assert asked == "/desk/rows?language=en&held=nobody"
    assert "No request fits these filters." in desk.get(asked).text


def test_a_poll_is_recorded_when_it_shows_somebody_new_and_not_each_minute(
    desk: Desk, clock: MovableClock
) -> None:
    somebody(desk.instance, 1)
    who = re.search('data-who="([^"]+)"', desk.get("/desk").text)[1]
    tag = desk.get("/desk/rows", **{"If-None-Match": f'"{who}"'}).headers["ETag"]
    for _ in range(3):
        clock.move(minutes=1)
        tag = desk.get("/desk/rows", **{"If-None-Match": tag}).headers["ETag"]
    assert details_of(desk.instance, "leads.listed") == ['{"count":1}']
    somebody(desk.instance, 2)
    desk.get("/desk/rows", **{"If-None-Match": tag})
    assert sorted(details_of(desk.instance, "leads.listed")) == ['{"count":1}', '{"count":2}']


def test_a_poll_keeps_no_session_alive(desk: Desk, clock: MovableClock) -> None:
    for _ in range(3):
        clock.move(minutes=4, seconds=59)
        assert desk.web.get("/desk/rows").status_code == 200
    clock.move(minutes=1)
    assert desk.web.get("/desk/rows").status_code == 401
    assert desk.web.get("/desk").status_code == 303


# --- what the page makes of it -----------------------------------------------------------------------


def test_the_row_in_focus_stays_where_it_is(open_desk: Callable[..., Page], staffed: Instance) -> None:
    first, lead = somebody(staffed, 1), somebody(staffed, 2, **LATER)
    page = open_desk("/desk")
    mine = row(page, lead).get_by_role("link")
    mine.focus()
    before = row(page, lead).bounding_box()
    for place in range(3):
        new = somebody(staffed, 10 + place)
        poll(page)
        expect(page.locator(NEWS)).to_have_text(f"{place + 1} new request{'s' if place else ''}")
        assert row(page, lead).bounding_box() == before
        expect(mine).to_be_focused()
        expect(row(page, new)).to_have_count(0)
    assert axe_violations(page) == []
    page.keyboard.press("n")
    expect(page.locator("[data-lead]")).to_have_count(5)
    expect(page.locator("[data-lead] a:focus")).to_have_count(1)
    expect(row(page, first).get_by_role("link")).not_to_be_focused()
    expect(page.locator(".news button")).to_be_hidden()


def test_the_row_under_the_pointer_stays_until_the_pointer_leaves(
    open_desk: Callable[..., Page], staffed: Instance
) -> None:
    lead = somebody(staffed, 2, **LATER)
    page = open_desk("/desk")
    row(page, lead).hover()
    before = row(page, lead).bounding_box()
    new = somebody(staffed, 3)
    poll(page)
    expect(page.locator(NEWS)).to_have_text("1 new request")
    assert row(page, lead).bounding_box() == before
    page.get_by_role("heading", name="Queue").hover()
    expect(row(page, new)).to_have_count(1)
    expect(page.locator(NEWS)).to_have_text("")


def test_a_list_in_nobodys_hand_takes_new_rows_by_itself_and_says_so(
    open_desk: Callable[..., Page], staffed: Instance
) -> None:
    page = open_desk("/desk")
    expect(page.get_by_text("The list updates by itself.")).to_be_visible()
    new = somebody(staffed, 1)
    poll(page)
    expect(row(page, new)).to_have_count(1)
    expect(page.locator(NEWS)).to_have_text("1 new request")
    expect(page.get_by_role("heading", name="Queue 1")).to_have_count(1)
    poll(page)
    expect(page.locator(NEWS)).to_have_text("")


def test_words_change_in_place_and_what_is_gone_waits(
    open_desk: Callable[..., Page], staffed: Instance, ben: Member
) -> None:
    lead, other = somebody(staffed, 1), somebody(staffed, 2)
    page = open_desk("/desk")
    row(page, lead).get_by_role("link").focus()
    take(staffed, lead, ben)
    poll(page)
    expect(row(page, lead).locator(".held")).to_have_text("Ben, 20 min")
    note(staffed, lead, ben, Outcome.DECLINED)
    poll(page)
    expect(row(page, lead).locator(".gate")).to_have_text("no longer in this list")
    expect(row(page, lead).get_by_role("link")).to_be_focused()
    page.get_by_label("Find").focus()
    expect(row(page, lead)).to_have_count(0)
    expect(row(page, other)).to_have_count(1)


def test_scrolling_stays_when_rows_come_in_above(open_desk: Callable[..., Page], staffed: Instance) -> None:
    for place in range(40):
        somebody(staffed, place, **LATER)
    page = open_desk("/desk")
    last = page.locator("[data-lead]").last  # they stand in no order that is promised
    last.scroll_into_view_if_needed()
    page.mouse.move(5, 5)
    before = last.bounding_box()["y"]
    new = somebody(staffed, 50)
    poll(page)
    expect(row(page, new)).to_have_count(1)
    assert abs(last.bounding_box()["y"] - before) < 1


def test_a_failing_poll_shows_a_calm_notice_that_goes_away(
    open_desk: Callable[..., Page], staffed: Instance
) -> None:
    lead = somebody(staffed, 1)
    page = open_desk("/desk")
    page.route("**/desk/rows*", lambda route: route.fulfill(status=503, body=""))
    poll(page)
    expect(page.locator(NEWS)).to_contain_text("The list cannot be updated right now.")
    expect(row(page, lead)).to_have_count(1)
    page.unroute("**/desk/rows*")
    poll(page)
    expect(page.locator(NEWS)).to_have_text("")


def test_an_ended_session_shows_a_notice_and_leads_to_the_sign_in(
    open_desk: Callable[..., Page], staffed: Instance, clock: MovableClock
) -> None:
    page = open_desk("/desk")
    clock.move(minutes=16)
    poll(page)
    expect(page.locator(NEWS)).to_have_text("You are signed out, so the list is no longer updated.")
    page.get_by_role("link", name="Sign in").click()
    expect(page).to_have_url(re.compile("/sign-in"))


def test_without_a_script_the_list_is_refreshed_by_hand(
    open_desk: Callable[..., Page], staffed: Instance
) -> None:
    page = open_desk("/desk", javascript=False)
    expect(page.get_by_text("The list updates by itself.")).not_to_be_visible()
    expect(page.locator(".news button")).to_be_hidden()
    lead = somebody(staffed, 1)
    page.get_by_role("link", name="Refresh").click()
    expect(row(page, lead)).to_have_count(1)


# --- the clock of a hold -----------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [timedelta(hours=-1), timedelta(hours=1)], ids=["behind", "ahead"])
def test_a_hold_counts_down_by_the_servers_clock(
    open_desk: Callable[..., Page], staffed: Instance, clock: MovableClock, wrong: timedelta
) -> None:
    lead = somebody(staffed, 1)
    page = open_desk("/desk/stop")
    page.clock.install(time=clock() + wrong)
    page.clock.pause_at(clock() + wrong + timedelta(minutes=1))  # from here it goes on only when told
    page.goto(f"/desk/leads/{lead.id}")
    page.get_by_role("button", name="Reveal number").click()
    expect(page.locator(".masked.open")).to_have_count(1)
    clock.move(minutes=5)
    page.goto(f"/desk/leads/{lead.id}")
    says = page.locator("form[data-left] [data-says]")
    expect(says).to_have_text("Yours for 15 min")
    page.clock.fast_forward("07:00")
    expect(says).to_have_text("Yours for 8 min")
    page.clock.fast_forward("06:30")
    expect(says).to_have_text("Yours for 1:30")
    expect(page.locator("form[data-left] [role=status]")).to_have_text(
        "Two minutes of your claim are left. Extend it if you need longer."
    )
    expect(page.locator(".masked.open")).to_have_count(1)
    page.clock.fast_forward("02:00")
    expect(says).to_have_text("Your claim has run out.")
    expect(page.locator(".masked.open")).to_have_count(0)
    assert "555" not in page.locator(".contact").inner_text()
    expect(page.get_by_role("button", name="Release")).to_have_count(0)
    clock.move(minutes=14)
    page.keyboard.press("c")
    expect(page.locator(".done")).to_contain_text("You have claimed this request for 20 minutes.")


def test_a_hold_can_be_extended(open_desk: Callable[..., Page], staffed: Instance, clock) -> None:
    lead = somebody(staffed, 1)
    page = open_desk(f"/desk/leads/{lead.id}")
    page.get_by_role("button", name="Claim", exact=True).click()
    expect(page.locator(".done")).to_contain_text("You have claimed this request")
    clock.move(minutes=12)
    page.reload()
    expect(page.get_by_text(re.compile("Yours for [78] min"))).to_be_visible()
    page.keyboard.press("e")
    expect(page.get_by_text(re.compile("Yours for (19|20) min"))).to_be_visible()
    assert now(staffed, lead).claimed_until == clock() + timedelta(minutes=20)


def test_a_colleagues_hold_that_runs_out_can_be_taken_over(
    open_desk: Callable[..., Page], staffed: Instance, clock: MovableClock, ben: Member
) -> None:
    lead = somebody(staffed, 1)
    take(staffed, lead, ben)
    page = open_desk("/desk/stop")
    page.clock.install(time=datetime(2001, 1, 1, tzinfo=UTC))
    page.goto(f"/desk/leads/{lead.id}")
    expect(page.get_by_text("Ben Ochoa has claimed this for")).to_be_visible()
    expect(page.get_by_role("button", name="Claim", exact=True)).to_have_count(0)
    page.clock.fast_forward("20:01")
    expect(page.locator("form [data-says]")).to_have_text("The claim of Ben Ochoa has run out.")
    page.get_by_role("button", name="Claim", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Ben Ochoa has claimed this request until 10:20 am.")
    clock.move(minutes=20)
    page = open_desk(f"/desk/leads/{lead.id}")
    page.get_by_role("button", name="Claim", exact=True).click()
    expect(page.locator(".done")).to_contain_text("You have claimed this request")
