"""What is counted, and how: on both databases, in the clinic's hours, and after an erasure too (W2, W3)."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta

import pytest

from intake.accounts.models import Role
from intake.accounts.permissions import Member, StaffAct
from intake.act import Act
from intake.audit import Actor
from intake.casework import outcomes
from intake.conf.clinic import Channel
from intake.consent.models import Method
from intake.core.errors import NotAllowed, Unprocessable
from intake.instance import Instance
from intake.leads import suppression
from intake.leads.models import CloseReason, ErasureReason, Lead, Outcome
from intake.leads.submission import AlreadySent, submit
from intake.privacy import retention
from intake.reports import statistics
from intake.reports.periods import Ending, PromiseResult
from intake.reports.statistics import Period, Statistics, WaitTimes
from tests.factories import ANY, acting, ask, hire, note, now, request_for, take

FRIDAY_FIVE = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)
"""5 pm Eastern: an hour before the clinic closes; on Saturday it opens at 9."""
PERIOD = Period(date(2026, 11, 16), date(2026, 11, 22))


@pytest.fixture
def rosa(instance: Instance) -> Member:
    return hire(instance, "Rosa Vidal", Role.SUPERVISOR)


def counted(instance: Instance, member: Member, period: Period = PERIOD) -> Statistics:
    with instance.database.reading() as session:
        return statistics.gather(StaffAct(session, instance, member), period=period)


def some(counts: dict) -> dict:
    """What is not zero."""
    return {key: count for key, count in counts.items() if count}


def answered(instance: Instance, member: Member, outcome: Outcome, number: int = 0) -> Lead:
    """A lead of its own person, with one outcome."""
    own = {"phone": f"+130555501{number:02}", "email": f"somebody.{number}@example.org"}
    lead = ask(instance, **ANY, **own).lead
    take(instance, lead, member)
    note(instance, lead, member, outcome, booked_for=instance.clock() + timedelta(days=2))
    return lead


def erase(instance: Instance, lead: Lead, reason: ErasureReason = ErasureReason.DUE) -> None:
    with instance.database.transaction() as session:
        found = session.get_one(Lead, lead.id)
        retention.erase(Act(session, instance, Actor.person()), found, reason=reason)


def test_nothing_is_counted_as_nothing(instance: Instance, rosa: Member) -> None:
    found = counted(instance, rosa)
    assert (found.received, found.promises_due, found.wait_times) == (0, 0, None)
    assert set(found.per_day.values()) == {0}
    assert len(found.per_day) == 7


def test_a_request_counts_in_its_day_hour_language_and_channels(instance: Instance, rosa: Member) -> None:
    ask(instance)
    ask(instance, language="es", channels=frozenset({Channel.TEXT}), email=None, **ANY)
    found = counted(instance, rosa)
    assert found.received == 2
    assert some(found.per_day) == {date(2026, 11, 18): 2}
    assert found.by_hour[2][10] == sum(map(sum, found.by_hour)) == 2
    assert found.per_hour[10] == 2
    assert found.languages == {"en": 1, "es": 1}
    assert found.channels == {Channel.CALL: 1, Channel.TEXT: 1, Channel.EMAIL: 1}


def test_a_day_is_the_clinics_day(instance: Instance, rosa: Member, clock) -> None:
    clock.set(datetime(2026, 11, 17, 4, 59, tzinfo=UTC))
    ask(instance)
    clock.set(datetime(2026, 11, 17, 5, 0, tzinfo=UTC))
    ask(instance)
    day = date(2026, 11, 16)
    found = counted(instance, rosa, Period(day, day))
    assert some(found.per_day) == {day: 1}
    assert found.by_hour[0][23] == 1
    assert counted(instance, rosa).received == 2


def test_a_corrected_request_counts_once(instance: Instance, rosa: Member) -> None:
    first = request_for(instance)
    corrected = replace(first, phone="+13055550124")
    with instance.database.transaction() as session:
        submit(Act(session, instance), first)
    with pytest.raises(AlreadySent) as refused, instance.database.transaction() as session:
        submit(Act(session, instance), corrected)
    fresh = request_for(instance, phone="+13055550124")
    token = replace(fresh.token, follows=refused.value.follows)
    with instance.database.transaction() as session:
        submit(Act(session, instance), replace(fresh, token=token))
    found = counted(instance, rosa)
    assert (found.received, found.languages["en"], found.channels[Channel.CALL]) == (1, 1, 1)
    assert some(found.endings) == {Ending.OPEN: 1}


def test_waiting_counts_only_while_the_clinic_is_open(instance: Instance, rosa: Member, clock) -> None:
    clock.set(FRIDAY_FIVE)
    lead = ask(instance, **ANY).lead
    clock.move(hours=16, minutes=30)
    take(instance, lead, rosa)
    note(instance, lead, rosa, Outcome.NO_ANSWER)
    clock.move(hours=1)
    take(instance, lead, rosa)
    note(instance, lead, rosa, Outcome.REACHED)
    found = counted(instance, rosa)
    wait = timedelta(hours=1, minutes=30)
    assert found.wait_times == WaitTimes(1, wait, wait)
    assert found.wait_times_by_week == {date(2026, 11, 16): found.wait_times}


def test_who_is_reached_while_it_is_closed_did_not_wait(instance: Instance, rosa: Member, clock) -> None:
    clock.set(FRIDAY_FIVE + timedelta(hours=3))
    lead = ask(instance, **ANY).lead
    clock.move(minutes=40)
    note(instance, lead, rosa, Outcome.THEY_CALLED_US)
    found = counted(instance, rosa)
    assert found.wait_times == WaitTimes(1, timedelta(0), timedelta(0))
    assert some(found.promises) == {PromiseResult.KEPT: 1}


def test_half_wait_no_longer_than_the_median_and_nine_of_ten_no_longer_than_the_ninth() -> None:
    minutes = [timedelta(minutes=each) for each in (50, 10, 20, 40, 30, 60, 70, 80, 90, 1000)]
    assert WaitTimes.of(minutes) == WaitTimes(10, timedelta(minutes=55), timedelta(minutes=90))
    assert WaitTimes.of(minutes[:3]) == WaitTimes(3, timedelta(minutes=20), timedelta(minutes=50))


def test_promises_are_kept_broken_late_or_not_due(instance: Instance, rosa: Member, clock) -> None:
    late = ask(instance, **ANY).lead
    broken = ask(instance, **ANY).lead
    kept = ask(instance, **ANY).lead
    ended = ask(instance, **ANY).lead
    close(instance, ended, rosa, CloseReason.DECLINED)
    clock.set(now(instance, kept).promise_at)
    note(instance, kept, rosa, Outcome.THEY_CALLED_US)
    clock.move(minutes=1)
    note(instance, broken, rosa, Outcome.THEY_CALLED_US)
    ahead = ask(instance, **ANY).lead
    assert now(instance, ahead).promise_at > clock() > now(instance, late).promise_at
    found = counted(instance, rosa)
    assert found.promises == dict.fromkeys(PromiseResult, 1)
    assert found.promises_due == 3


def close(instance: Instance, lead: Lead, member: Member, reason: CloseReason) -> None:
    acting(instance, lead, member, outcomes.close, reason=reason, version=now(instance, lead).version)


def test_a_promise_is_broken_when_a_request_is_closed_late_without_contact(
    instance: Instance, rosa: Member, clock
) -> None:
    lead = ask(instance, **ANY).lead
    clock.move(hours=4)
    close(instance, lead, rosa, CloseReason.NOT_REACHED)
    found = counted(instance, rosa)
    assert some(found.promises) == {PromiseResult.BROKEN: 1}
    assert some(found.endings) == {Ending.NOT_REACHED: 1}


@pytest.mark.parametrize(
    ("outcome", "ending"),
    [
        (Outcome.BOOKED, Ending.BOOKED),
        (Outcome.DECLINED, Ending.DECLINED),
        (Outcome.WRONG_NUMBER, Ending.WRONG_NUMBER),
        (Outcome.ASKED_TO_STOP, Ending.STOPPED),
        (Outcome.NO_ANSWER, Ending.OPEN),
        (Outcome.THEY_CALLED_US, Ending.BOOKED),
    ],
)
def test_a_request_ends_once(instance: Instance, rosa: Member, outcome: Outcome, ending: Ending) -> None:
    answered(instance, rosa, outcome)
    assert some(counted(instance, rosa).endings) == {ending: 1}


def test_a_booked_consultation_stays_one_when_it_is_tidied_away(instance: Instance, rosa: Member) -> None:
    for number, reason in enumerate((CloseReason.TALKED, CloseReason.DECLINED)):
        close(instance, answered(instance, rosa, Outcome.BOOKED, number), rosa, reason)
    assert some(counted(instance, rosa).endings) == {Ending.BOOKED: 1, Ending.DECLINED: 1}


def test_a_stop_counts_wherever_it_came_from(instance: Instance, rosa: Member) -> None:
    lead = ask(instance).lead
    with instance.database.transaction() as session:
        found = session.get_one(Lead, lead.id)
        suppression.stop(Act(session, instance, Actor.person()), found, method=Method.MANAGE_PAGE)
    counts = counted(instance, rosa)
    assert some(counts.endings) == {Ending.STOPPED: 1}
    assert some(counts.promises) == {PromiseResult.ENDED: 1}


def test_what_is_erased_still_counts_without_its_promise(instance: Instance, rosa: Member, clock) -> None:
    booked = answered(instance, rosa, Outcome.BOOKED, 1)
    opened = answered(instance, rosa, Outcome.NO_ANSWER, 2)
    answered(instance, rosa, Outcome.DECLINED, 3)
    before = counted(instance, rosa)
    clock.move(minutes=1)
    erase(instance, booked)
    erase(instance, opened)
    after = counted(instance, rosa)
    assert (before.retained, after.retained) == (3, 1)
    assert some(after.promises) == {PromiseResult.KEPT: 1}
    assert some(after.endings) == {Ending.BOOKED: 1, Ending.DECLINED: 1, Ending.ERASED: 1}
    for name in ("received", "per_day", "by_hour", "languages", "channels", "wait_times"):
        assert getattr(after, name) == getattr(before, name)


def test_who_asks_us_to_erase_has_asked_us_to_stop(instance: Instance, rosa: Member) -> None:
    erase(instance, answered(instance, rosa, Outcome.BOOKED), ErasureReason.ASKED)
    assert some(counted(instance, rosa).endings) == {Ending.STOPPED: 1}


def test_it_costs_the_same_few_statements_however_many_there_are(
    instance: Instance,
    rosa: Member,
    statements: Callable[[Instance], AbstractContextManager[list[str]]],
) -> None:
    for number in range(5):
        answered(instance, rosa, Outcome.DECLINED, number)
    with statements(instance) as sent:
        assert counted(instance, rosa).received == 5
    assert len(sent) == 4
    sealed = ("lead.name", "lead.phone", "lead.email", "lead.asking_for", "lead.article", "lead_key")
    assert not [each for each in sealed if each in " ".join(sent)]


@pytest.mark.parametrize("role", [Role.COORDINATOR, Role.ADMIN])
def test_who_may_not_see_numbers_gets_none(sqlite_instance: Instance, role: Role) -> None:
    with pytest.raises(NotAllowed):
        counted(sqlite_instance, hire(sqlite_instance, "Ben Ochoa", role))


def test_there_is_no_room_for_a_league_table_money_or_a_rate() -> None:
    names = {each.name for each in fields(Statistics)}
    assert not [
        name for name in names if set(name.split("_")) & {"staff", "member", "rate", "score", "price"}
    ]


# --- the period --------------------------------------------------------------------------------------

TODAY = date(2026, 11, 18)


def test_a_period_is_read_with_both_its_days() -> None:
    found = Period.parse("2026-11-01", "2026-11-18", today=TODAY)
    assert (found.length, found.days[0], found.days[-1]) == (18, date(2026, 11, 1), TODAY)
    assert Period.until(TODAY, days=30).length == 30


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("", "2026-11-18"),
        ("2026-11-01", ""),
        ("tomorrow", "\x00"),
        ("2026-11-18", "2026-11-17"),
        ("2026-11-18", "2026-11-19"),
        ("2025-11-17", "2026-11-18"),
        ("0001-01-01", "0001-01-02"),
        ("9999-12-31", "9999-12-31"),
        ("2026-02-30", "2026-11-18"),
    ],
)
def test_what_is_no_period_is_refused_with_a_sentence(first: str, last: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        Period.parse(first, last, today=TODAY)
    assert refused.value.sentence == statistics.NOT_A_PERIOD
