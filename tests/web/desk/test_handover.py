"""The hand-over: what one shift tells the next, masked like the queue (G2, N2, K3)."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from intake.accounts import sessions
from intake.accounts.models import Role
from intake.accounts.permissions import Member, StaffAct
from intake.act import Act
from intake.calling.hours import Window
from intake.casework import queue
from intake.casework.queue import Handover, HandoverKind
from intake.instance import Instance
from intake.leads.models import Outcome
from tests.client import CANARIES, OURS, Desk, words
from tests.conftest import MovableClock
from tests.factories import ANY, ask, details_of, hire, note, now, somebody, take

EMPTY = "Nothing is left to hand over."


def look(instance: Instance, member: Member) -> Handover:
    with instance.database.reading() as session:
        return queue.handover(StaffAct(session, instance, member))


def ids(page: Handover, kind: HandoverKind) -> list[object]:
    return [row.lead.id for row in page.rows[kind]]


def test_each_kind_holds_what_it_says_and_nothing_else(instance: Instance, clock: MovableClock) -> None:
    ana, ben = hire(instance), hire(instance, "Ben Ochoa")
    broken, tried, peeked = (somebody(instance, place) for place in (1, 2, 3))
    booked, tomorrow = somebody(instance, 4), somebody(instance, 5)
    take(instance, tried, ben)
    note(instance, tried, ben, Outcome.NO_ANSWER)
    for lead, when in ((booked, timedelta(hours=5)), (tomorrow, timedelta(hours=15))):
        take(instance, lead, ben)
        note(instance, lead, ben, Outcome.BOOKED, booked_for=clock() + when)
    take(instance, peeked, ana)
    clock.move(minutes=130)
    with instance.database.transaction() as session:  # somebody is there: a promise counts from now
        sessions.begin(Act(session, instance), staff_id=ana.id)
    mine, theirs = somebody(instance, 6), somebody(instance, 7)
    later = somebody(instance, 8, windows=frozenset({Window.SATURDAY_MORNING}))
    take(instance, mine, ana)
    take(instance, theirs, ben)
    page = look(instance, ana)
    assert sorted(map(str, ids(page, HandoverKind.CLAIMED))) == sorted([str(mine.id), str(theirs.id)])
    assert ids(page, HandoverKind.OPENED) == [peeked.id]
    assert sorted(map(str, ids(page, HandoverKind.BROKEN))) == sorted([str(broken.id), str(peeked.id)])
    assert sorted(map(str, ids(page, HandoverKind.DUE))) == sorted([str(mine.id), str(theirs.id)])
    assert ids(page, HandoverKind.TODAY) == [booked.id]
    assert page.mine == 1
    assert later.id not in {row.lead.id for rows in page.rows.values() for row in rows}


@pytest.mark.parametrize(
    ("booked_for", "today"),
    [
        (datetime(2026, 11, 19, 4, 59, tzinfo=UTC), True),
        (datetime(2026, 11, 19, 5, 0, tzinfo=UTC), False),
    ],
    ids=["before midnight", "at midnight"],
)
def test_today_is_the_clinics_day(sqlite_instance: Instance, booked_for: datetime, *, today: bool) -> None:
    ana, lead = hire(sqlite_instance), somebody(sqlite_instance, 1)
    take(sqlite_instance, lead, ana)
    note(sqlite_instance, lead, ana, Outcome.BOOKED, booked_for=booked_for)
    assert (ids(look(sqlite_instance, ana), HandoverKind.TODAY) == [lead.id]) is today


def test_the_page_says_when_there_is_more_than_fits(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "HANDOVER_LIMIT", 2)
    ana = hire(instance)
    for place in range(3):
        somebody(instance, place)
    page = look(instance, ana)
    assert len(page.rows[HandoverKind.DUE]) == 2
    assert page.more == {HandoverKind.DUE}


def test_the_page_shows_whose_it_is_and_nothing_of_anybody(
    sqlite_instance: Instance, clock: MovableClock
) -> None:
    ana = hire(sqlite_instance, "Ana Ruiz", *Role)
    desk = Desk(sqlite_instance, ana)
    assert EMPTY in words(desk.get("/desk/handover").text)
    lead = ask(sqlite_instance, **ANY).lead
    take(sqlite_instance, lead, hire(sqlite_instance, "Ben Ochoa"))
    page = desk.get("/desk/handover").text
    text = words(page)
    assert re.search(r"Claimed now 1 .*Ben, 20 min .*Looked at, nothing noted 0 Everything that was", text)
    assert "Promised within 4 hours 1" in text
    assert not [each for each in CANARIES if each in page]
    assert "Release" not in text
    assert details_of(sqlite_instance, "leads.listed")[-1] == '{"count":1,"kind":"handover"}'
    assert 'href="/desk/handover" aria-current="page"' in page


def test_all_of_mine_go_back_with_one_button(sqlite_instance: Instance) -> None:
    desk = Desk(sqlite_instance, hire(sqlite_instance, "Ana Ruiz"))
    leads = [somebody(sqlite_instance, place) for place in (1, 2)]
    for lead in leads:
        take(sqlite_instance, lead, desk.member)
    assert "Release all 2 you have claimed" in words(desk.get("/desk/handover").text)
    for _ in range(2):  # sent twice, it says the same
        answer = desk.post("/desk/give-back")
        assert (answer.status_code, answer.location) == (303, "/desk/handover?message=released_all")
    assert "You released all your requests." in words(desk.get(answer.location).text)
    assert [now(sqlite_instance, lead).claimed_by for lead in leads] == [None, None]


def test_only_who_may_hold_gives_back_and_only_from_our_own_page(sqlite_instance: Instance) -> None:
    officer = Desk(sqlite_instance, hire(sqlite_instance, "Pia Ott", Role.PRIVACY_OFFICER))
    assert officer.get("/desk/handover").status_code == 200
    assert officer.post("/desk/give-back").status_code == 403
    ana = Desk(sqlite_instance, hire(sqlite_instance))
    assert ana.web.post("/desk/give-back", headers=OURS).status_code == 403
    admin = Desk(sqlite_instance, hire(sqlite_instance, "Ada Min", Role.ADMIN))
    assert admin.get("/desk/handover").status_code == 403


def test_the_keyboard_walks_its_rows(open_desk: Callable[..., Page], staffed: Instance) -> None:
    page = open_desk("/desk/handover")
    expect(page.get_by_text(EMPTY)).to_be_visible()
    ben = hire(staffed, "Ben Ochoa")
    for place in range(3):
        take(staffed, somebody(staffed, place), ben)
    page.reload()
    expect(page.locator("tr.lead")).to_have_count(6)
    page.locator("h1").click()
    page.keyboard.press("j")
    expect(page.locator("tr.lead .who a").first).to_be_focused()
