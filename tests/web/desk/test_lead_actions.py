"""Saying how it went on the page: what can be noted, and what is refused in words (G2 to G4)."""

import re
from datetime import UTC, datetime

import pytest

from intake.audit import AuditEvent
from intake.conf.clinic import Channel
from intake.instance import Instance
from intake.leads.models import Attempt, CloseReason, LeadStatus, Outcome
from intake.web.desk.lead_actions import OUTCOME_ORDER
from tests.client import CANARIES, NOWHERE, Desk, field, words
from tests.factories import ANY, SHOWN, ask, every, hire, note, now, take


@pytest.fixture
def desk(sqlite_instance: Instance) -> Desk:
    return Desk(sqlite_instance, hire(sqlite_instance))


@pytest.fixture
def ben(sqlite_instance: Instance) -> Desk:
    return Desk(sqlite_instance, hire(sqlite_instance, "Ben Ochoa"))


def test_a_voicemail_that_is_not_allowed_stays_in_its_place_with_the_reason(desk: Desk) -> None:
    lead = ask(desk.instance).lead
    page = desk.act(lead, "reveal", channel="call").text
    button = re.search(r"<button[^>]*>(?:(?!<button).)*Left a voicemail.*?</button>", page)[0]
    assert 'aria-disabled="true"' in button
    assert "They said no voicemail" in button
    assert "name=" not in button
    answer = desk.note(lead, "voicemail_left")
    assert answer.status_code == 409
    assert "They said no voicemail. It cannot be noted that one was left." in words(answer.text)
    assert every(desk.instance, Attempt) == []


def test_every_outcome_stands_on_the_page_and_stop_is_last(desk: Desk) -> None:
    lead = ask(desk.instance, channels=frozenset(Channel), voicemail=True).lead
    page = desk.act(lead, "reveal", channel="call").text
    offered = re.findall(r'name="outcome" value="([^"]+)"', page)
    assert offered == [*(each.value for each in OUTCOME_ORDER), "they_called_us", "asked_to_stop"]
    assert set(offered) == {each.value for each in Outcome}


@pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
def test_an_outcome_leads_back_to_the_page_and_says_so(instance: Instance, database_url) -> None:
    lead, desk = ask(instance).lead, Desk(instance, hire(instance))
    desk.act(lead, "reveal", channel="call")
    answer = desk.note(lead, "no_answer")
    assert (answer.status_code, answer.location) == (303, f"/desk/leads/{lead.id}?message=noted")
    page = desk.get(answer.location).text
    assert 'role="status">Noted.' in page
    assert "No answer · you" in words(page)
    assert "Phone call: 1 of 3 tries." in words(page)
    assert not [each for each in CANARIES if each in page]


def test_a_page_sent_twice_is_answered_twice_and_noted_once(desk: Desk) -> None:
    lead = ask(desk.instance).lead
    page = desk.act(lead, "reveal", channel="call").text
    sent = {name: field(page, name) for name in ("attempt", "version")}
    answers = [
        desk.act(lead, "outcome", channel="call", outcome="no_answer", **sent).location for _ in range(2)
    ]
    assert answers == [f"/desk/leads/{lead.id}?message=noted"] * 2
    assert len(every(desk.instance, Attempt)) == 1


def test_what_changed_meanwhile_shows_on_the_page_as_it_is_now(desk: Desk) -> None:
    lead = ask(desk.instance, **ANY).lead
    page = desk.act(lead, "reveal", channel="call").text
    old = field(page, "version")
    note(desk.instance, lead, desk.member, Outcome.ANOTHER_TIME)
    take(desk.instance, lead, desk.member)
    answer = desk.note(lead, "no_answer", version=old)
    assert answer.status_code == 409
    assert "Something has changed since this page was loaded." in words(answer.text)
    assert "Asked for another time · you" in words(answer.text)
    assert field(answer.text, "version") != old


def test_a_booking_keeps_its_time_on_the_clinics_clock(desk: Desk) -> None:
    lead = ask(desk.instance).lead
    desk.act(lead, "reveal", channel="call")
    answer = desk.note(lead, "booked", booked_for="2026-11-23T09:30")
    assert answer.location.endswith("message=booked")
    assert now(desk.instance, lead).booked_for == datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
    assert "Consultation Monday at 9:30 am." in words(desk.lead(lead))
    assert "Mon 9:30 am" in words(desk.get("/desk?show=booked").text)


@pytest.mark.parametrize(
    "typed", ["", "tomorrow", "2026-11-17T09:30", "0001-01-01T00:00", "9999-12-31T23:59", "2026-13-45T99:99"]
)
def test_a_booking_without_a_time_to_come_says_what_to_choose(desk: Desk, typed: str) -> None:
    lead = ask(desk.instance).lead
    desk.act(lead, "reveal", channel="call")
    answer = desk.note(lead, "booked", booked_for=typed)
    assert answer.status_code == 422
    assert "Choose the day and time of the consultation" in words(answer.text)
    assert f'value="{typed}" aria-invalid="true" aria-describedby="time-problem"' in answer.text
    assert SHOWN in answer.text
    assert now(desk.instance, lead).status is LeadStatus.NEW


def test_what_they_did_can_be_noted_while_a_colleague_holds_it(desk: Desk, ben: Desk) -> None:
    lead = ask(desk.instance).lead
    take(desk.instance, lead, ben.member)
    page = desk.lead(lead)
    assert re.findall(r'name="outcome" value="([^"]+)"', page) == ["they_called_us", "asked_to_stop"]
    assert desk.note(lead, "they_called_us").location.endswith("message=noted_theirs")
    assert now(desk.instance, lead).claimed_by == ben.member.id


def test_asked_to_stop_ends_it_for_good(desk: Desk, ben: Desk) -> None:
    lead = ask(desk.instance).lead
    take(desk.instance, lead, ben.member)
    answer = desk.note(lead, "asked_to_stop")
    assert answer.location.endswith("message=stopped")
    text = words(desk.lead(lead))
    assert "Stop. They asked us to stop." in text
    assert "Taken back · Call" in text
    assert "Reveal" not in text
    assert desk.act(lead, "reveal", channel="call").status_code == 409


def test_a_call_that_cannot_be_noted_for_a_channel_says_so(desk: Desk) -> None:
    lead = ask(desk.instance).lead
    take(desk.instance, lead, desk.member)
    answer = desk.note(lead, "reached", channel="text")
    assert answer.status_code == 409
    assert "They did not agree to this way of contact" in words(answer.text)


@pytest.mark.parametrize(
    ("act", "sent"),
    [
        ("reveal", {}),
        ("reveal", {"channel": "pigeon"}),
        ("reveal", {"channel": "call\x00"}),
        ("outcome", {}),
        ("outcome", {"attempt": "x", "version": "1", "outcome": "reached", "channel": "call"}),
        ("outcome", {"attempt": str(NOWHERE), "version": "-1", "outcome": "reached", "channel": "call"}),
        ("outcome", {"attempt": str(NOWHERE), "version": "²", "outcome": "reached", "channel": "call"}),
        ("outcome", {"attempt": str(NOWHERE), "version": "9" * 40, "outcome": "reached", "channel": "call"}),
        ("outcome", {"attempt": str(NOWHERE), "version": "1", "outcome": "eaten", "channel": "call"}),
        ("close", {"version": "1", "reason": "bored"}),
        ("close", {"reason": "talked"}),
    ],
)
def test_what_no_page_of_ours_sends_is_a_calm_400(desk: Desk, act: str, sent: dict[str, str]) -> None:
    lead = ask(desk.instance).lead
    assert desk.act(lead, act, **sent).status_code == 400
    assert now(desk.instance, lead).version == 1


def test_closing_for_a_reason_that_only_follows_is_refused(desk: Desk) -> None:
    lead = ask(desk.instance).lead
    assert desk.act(lead, "close", version=1, reason="stopped").status_code == 409
    assert now(desk.instance, lead).status is LeadStatus.NEW


def test_closing_by_hand_says_so_and_names_the_reason(desk: Desk) -> None:
    lead = ask(desk.instance).lead
    assert desk.act(lead, "close", version=1, reason="talked").location.endswith("message=closed")
    assert now(desk.instance, lead).close_reason is CloseReason.TALKED
    text = words(desk.lead(lead))
    assert "This request is closed. We talked, and nothing is left to do." in text
    assert "This request is closed. What they do can still be noted." in text


def test_every_act_on_the_page_is_one_event(desk: Desk) -> None:
    lead = ask(desk.instance).lead
    for act, sent, named in (
        ("claim", {}, "claim.taken"),
        ("give-back", {}, "claim.given_back"),
        ("reveal", {"channel": "call"}, "lead.revealed"),
        ("close", {"version": 1, "reason": "talked"}, "lead.closed"),
    ):
        before = len(about(desk, lead))
        desk.act(lead, act, **sent)
        assert [event.action for event in about(desk, lead)][before:] == [named]


def about(desk: Desk, lead: object) -> list[AuditEvent]:
    """The events about a lead in the order in which they were written."""
    with desk.instance.database.reading() as session:
        rows = session.connection().exec_driver_sql("SELECT id FROM audit_event ORDER BY rowid")
        order = [row[0] for row in rows]
    events = [event for event in every(desk.instance, AuditEvent) if event.about == lead.id]
    return sorted(events, key=lambda event: order.index(str(event.id)))
