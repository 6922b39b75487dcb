"""Undo: five minutes for the last act on a lead, all of it or nothing, never what ends contact (G1, G4)."""

import threading
import uuid
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from intake.accounts.models import Role
from intake.accounts.permissions import Member, StaffAct
from intake.act import Act
from intake.audit import service
from intake.calling.availability import Interval
from intake.casework import outcomes, queue, undo
from intake.casework.models import UndoState
from intake.casework.undo import LeadChangedSince, UndoExpired
from intake.conf.clinic import Channel
from intake.core.errors import IntakeError, NotAllowed, NotFound
from intake.instance import Instance
from intake.leads import claims, eligibility, reveal
from intake.leads.claims import ChangedMeanwhile, ClaimedByAnother
from intake.leads.models import Attempt, CloseReason, ErasureReason, Lead, LeadStatus, Outcome
from intake.privacy import retention, self_service
from intake.reports import periods
from tests.factories import ANY, CALL_ONLY, acting, acts, ask, details_of, every, hire, note, now, show, take

UNDOABLE = sorted(set(Outcome) - undo.IRREVERSIBLE)


def held(instance: Instance, **changes: object) -> tuple[Lead, Member]:
    """A lead that a coordinator has claimed."""
    lead, ana = ask(instance, **(ANY | changes)).lead, hire(instance)
    take(instance, lead, ana)
    return now(instance, lead), ana


def kept(instance: Instance, lead: Lead) -> UndoState | None:
    with instance.database.reading() as session:
        return session.get(UndoState, lead.id)


def take_back(instance: Instance, lead: Lead, member: Member, act_id: uuid.UUID | None = None) -> None:
    before = kept(instance, lead)
    acting(instance, lead, member, undo.undo, act_id=act_id or (before.act_id if before else uuid.uuid4()))


def stands(lead: Lead) -> dict[str, object]:
    return undo.snapshot(lead)


def close(instance: Instance, lead: Lead, member: Member, reason: CloseReason = CloseReason.TALKED) -> None:
    version = now(instance, lead).version
    acting(instance, lead, member, outcomes.close, reason=reason, version=version)


@pytest.mark.parametrize("outcome", UNDOABLE)
def test_whatever_was_noted_is_as_if_it_had_not_been(instance: Instance, outcome: Outcome, clock) -> None:
    lead, ana = held(instance, voicemail=True)
    before, channel = stands(lead), Channel.EMAIL if outcome is Outcome.MESSAGE_SENT else Channel.CALL
    clock.move(seconds=30)
    attempt = note(instance, lead, ana, outcome, channel=channel, booked_for=clock() + timedelta(days=2))
    assert stands(now(instance, lead)) != before
    clock.move(minutes=4, seconds=59)
    take_back(instance, lead, ana)
    after = now(instance, lead)
    assert stands(after) == before
    assert after.version > lead.version
    with instance.database.reading() as session:
        assert session.get_one(Attempt, attempt.id).undone_at == clock()
        assert eligibility.contact_status(session, after).tries == ()
    assert "attempt.undone" in acts(instance, lead)


def test_spacing_and_caps_count_as_if_it_had_not_been(instance: Instance, clock) -> None:
    lead, ana = held(instance, **CALL_ONLY)
    with instance.database.reading() as session:
        before = eligibility.verdict(Act(session, instance), lead, channel=Channel.CALL)
    note(instance, lead, ana, Outcome.NO_ANSWER)
    with instance.database.reading() as session:
        shut = eligibility.verdict(Act(session, instance), lead, channel=Channel.CALL)
    assert (before.allowed, shut.allowed) == (True, False)
    take_back(instance, lead, ana)
    with instance.database.reading() as session:
        assert eligibility.verdict(Act(session, instance), lead, channel=Channel.CALL) == before


def test_the_last_try_closes_and_its_undo_opens_again(instance: Instance, clock) -> None:
    lead, ana = held(instance, **CALL_ONLY)
    for last in (False, False, True):
        clock.move(days=1)
        take(instance, lead, ana)
        before = stands(now(instance, lead))
        note(instance, lead, ana, Outcome.NO_ANSWER)
        assert (now(instance, lead).status is LeadStatus.CLOSED) is last
    assert now(instance, lead).close_reason is CloseReason.NOT_REACHED
    clock.move(minutes=1)
    take_back(instance, lead, ana)
    assert stands(now(instance, lead)) == before
    with instance.database.reading() as session:
        assert eligibility.contact_status(session, now(instance, lead)).tried(Channel.CALL) == 2
    assert details_of(instance, "lead.reopened") == ['{"reason":"not_reached"}']
    note(instance, lead, ana, Outcome.REACHED)
    assert now(instance, lead).status is LeadStatus.TRYING


def test_a_close_by_hand_can_be_undone(instance: Instance, clock) -> None:
    lead, ana = held(instance)
    before = stands(lead)
    close(instance, lead, ana)
    clock.move(minutes=2)
    take_back(instance, lead, ana)
    assert stands(now(instance, lead)) == before
    assert details_of(instance, "lead.reopened") == ['{"reason":"talked"}']
    assert "attempt.undone" not in acts(instance, lead)


def test_of_two_bookings_the_earlier_one_comes_back(instance: Instance, clock) -> None:
    lead, ana = held(instance)
    first, second = clock() + timedelta(days=2), clock() + timedelta(days=3)
    note(instance, lead, ana, Outcome.BOOKED, booked_for=first)
    clock.move(hours=3)
    note(instance, lead, ana, Outcome.THEY_CALLED_US, booked_for=second)
    assert now(instance, lead).booked_for == second
    take_back(instance, lead, ana)
    assert (now(instance, lead).booked_for, now(instance, lead).status) == (first, LeadStatus.BOOKED)


def test_twice_is_as_good_as_once(instance: Instance, clock) -> None:
    lead, ana = held(instance)
    attempt = note(instance, lead, ana, Outcome.NO_ANSWER)
    for _ in range(2):
        take_back(instance, lead, ana, attempt.id)
    clock.move(minutes=10)
    take_back(instance, lead, ana, attempt.id)
    note(instance, lead, ana, Outcome.REACHED)
    take_back(instance, lead, ana, attempt.id)
    assert acts(instance, lead).count("attempt.undone") == 1
    assert now(instance, lead).status is LeadStatus.TRYING


@pytest.mark.parametrize(("seconds", "open_still"), [(299, True), (300, False), (301, False)])
def test_after_five_minutes_it_stays(
    sqlite_instance: Instance, clock, seconds: int, *, open_still: bool
) -> None:
    lead, ana = held(sqlite_instance)
    note(sqlite_instance, lead, ana, Outcome.NO_ANSWER)
    clock.move(seconds=seconds)
    if open_still:
        take_back(sqlite_instance, lead, ana)
        return
    with pytest.raises(UndoExpired):
        take_back(sqlite_instance, lead, ana)
    assert now(sqlite_instance, lead).status is LeadStatus.TRYING


@pytest.mark.parametrize("outcome", sorted(undo.IRREVERSIBLE))
def test_what_ends_contact_for_good_cannot_be_undone(instance: Instance, outcome: Outcome) -> None:
    lead, ana = held(instance)
    note(instance, lead, ana, Outcome.THEY_CALLED_US)
    take(instance, lead, ana)
    earlier = kept(instance, lead)
    attempt = note(instance, lead, ana, outcome)
    assert kept(instance, lead) is None
    for act_id in (attempt.id, earlier.act_id):
        with pytest.raises(LeadChangedSince):
            take_back(instance, lead, ana, act_id)
    assert now(instance, lead).status is LeadStatus.CLOSED


def test_only_whoever_did_it_or_a_supervisor(instance: Instance, clock) -> None:
    lead, ana = held(instance)
    note(instance, lead, ana, Outcome.NO_ANSWER)
    for name, role in (("Ben Ochoa", Role.COORDINATOR), ("Pia Ott", Role.PRIVACY_OFFICER)):
        with pytest.raises(NotAllowed):
            take_back(instance, lead, hire(instance, name, role))
    sue = hire(instance, "Sue Day", Role.SUPERVISOR)
    take_back(instance, lead, sue)
    after = now(instance, lead)
    assert (after.status, after.claimed_by) == (LeadStatus.NEW, None)


def test_nobody_undoes_over_a_colleague_who_took_it_since(instance: Instance) -> None:
    lead, ana = held(instance)
    note(instance, lead, ana, Outcome.ANOTHER_TIME)
    take(instance, lead, hire(instance, "Ben Ochoa"))
    with pytest.raises(ClaimedByAnother):
        take_back(instance, lead, ana)


def test_a_colleague_who_held_it_all_along_is_no_reason_against(instance: Instance) -> None:
    lead, ben = held(instance)
    ana = hire(instance, "Cleo Diaz")
    note(instance, lead, ana, Outcome.THEY_CALLED_US)
    take_back(instance, lead, ana)
    after = now(instance, lead)
    assert (after.status, after.claimed_by) == (LeadStatus.NEW, ben.id)


def test_the_hold_does_not_come_back_while_a_colleague_holds_the_same_person(instance: Instance) -> None:
    lead, ana = held(instance)
    other = ask(instance, **ANY).lead
    note(instance, lead, ana, Outcome.ANOTHER_TIME)
    take(instance, other, hire(instance, "Ben Ochoa"))
    take_back(instance, lead, ana)
    assert now(instance, lead).claimed_by is None
    with pytest.raises(ClaimedByAnother):
        acting(instance, lead, ana, claims.claim)


@pytest.mark.parametrize("act", ["windows", "drop", "stop", "noted"])
def test_what_happened_since_stands(instance: Instance, act: str, clock) -> None:
    asked = ask(instance, **ANY)
    lead, ana = asked.lead, hire(instance)
    take(instance, lead, ana)
    attempt = note(instance, lead, ana, Outcome.ANOTHER_TIME)
    clock.move(minutes=1)
    with instance.database.transaction() as session:
        if act == "windows":
            self_service.change_windows(Act(session, instance), code=asked.code, chosen=["weekday_morning"])
        elif act == "drop":
            self_service.withdraw_channel(Act(session, instance), code=asked.code, channel=Channel.EMAIL)
        elif act == "stop":
            self_service.stop(Act(session, instance), code=asked.code)
    if act == "noted":
        note(instance, lead, hire(instance, "Ben Ochoa"), Outcome.THEY_CALLED_US)
    before = stands(now(instance, lead))
    with pytest.raises(LeadChangedSince):
        take_back(instance, lead, ana, attempt.id)
    assert stands(now(instance, lead)) == before


def test_a_dropped_channel_makes_an_open_page_stale(instance: Instance) -> None:
    asked = ask(instance, channels=frozenset(Channel), **ANY)
    lead, ana = asked.lead, hire(instance)
    take(instance, lead, ana)
    shown = now(instance, lead).version
    with instance.database.transaction() as session:
        self_service.withdraw_channel(Act(session, instance), code=asked.code, channel=Channel.TEXT)
    with pytest.raises(ChangedMeanwhile):
        note(instance, lead, ana, Outcome.NO_ANSWER, version=shown)


def test_what_is_erased_cannot_be_undone_and_keeps_nothing(instance: Instance) -> None:
    lead, ana = held(instance)
    note(instance, lead, ana, Outcome.NO_ANSWER)
    with instance.database.transaction() as session:
        found = session.get_one(Lead, lead.id)
        retention.erase(Act(session, instance, self_service.PERSON), found, reason=ErasureReason.ASKED)
    assert every(instance, UndoState) == []
    with pytest.raises(NotFound):
        take_back(instance, lead, ana)


def test_the_id_of_another_leads_act_undoes_nothing(instance: Instance) -> None:
    lead, ana = held(instance)
    other = ask(instance, phone="+13055550166", email="somebody.else@example.org", **ANY).lead
    take(instance, other, ana)
    attempt = note(instance, lead, ana, Outcome.NO_ANSWER)
    note(instance, other, ana, Outcome.NO_ANSWER)
    with pytest.raises(LeadChangedSince):
        take_back(instance, other, ana, attempt.id)
    assert now(instance, other).status is LeadStatus.TRYING


def test_a_page_whose_note_was_undone_notes_nothing_by_itself(instance: Instance) -> None:
    lead, ana = held(instance)
    attempt = note(instance, lead, ana, Outcome.NO_ANSWER)
    take_back(instance, lead, ana)
    with pytest.raises(ChangedMeanwhile):
        note(instance, lead, ana, Outcome.NO_ANSWER, attempt_id=attempt.id)
    assert len(every(instance, Attempt)) == 1


def test_what_was_revealed_does_not_show_again_by_an_undo(instance: Instance, clock) -> None:
    lead, ana = held(instance)
    show(instance, lead, ana)
    clock.move(seconds=10)
    note(instance, lead, ana, Outcome.NO_ANSWER)
    clock.move(seconds=10)
    take_back(instance, lead, ana)
    assert now(instance, lead).claimed_by == ana.id
    with instance.database.transaction() as session:
        found = queue.one(StaffAct(session, instance, ana), lead.id)
        events = service.events_about(session, lead.id)
        assert (
            reveal.record_reveal(
                StaffAct(session, instance, ana), found, eligibility.contact_status(session, found), events
            )
            == []
        )


def test_what_was_undone_counts_in_no_number(instance: Instance, clock) -> None:
    lead, ana = held(instance)
    during = Interval(clock() - timedelta(hours=1), clock() + timedelta(hours=1))
    for act in (lambda: note(instance, lead, ana, Outcome.DECLINED), lambda: close(instance, lead, ana)):
        clock.move(seconds=10)
        act()
        clock.move(seconds=10)
        with instance.database.reading() as session:
            assert periods.load_outcomes(session, during)[0].ending is not periods.Ending.OPEN
        take_back(instance, lead, ana)
        with instance.database.reading() as session:
            trace = periods.load_outcomes(session, during)[0]
        assert (trace.ending, trace.contact_at) == (periods.Ending.OPEN, None)


def test_of_many_undoing_at_once_one_does_and_none_fails(instance: Instance) -> None:
    lead, ana = held(instance)
    attempt = note(instance, lead, ana, Outcome.DECLINED)
    failed: list[Exception] = []

    def press() -> None:
        try:
            take_back(instance, lead, ana, attempt.id)
        except (IntakeError, SQLAlchemyError) as error:
            failed.append(error)

    pressing = [threading.Thread(target=press) for _ in range(6)]
    for each in pressing:
        each.start()
    for each in pressing:
        each.join()
    assert failed == []
    assert acts(instance, lead).count("attempt.undone") == acts(instance, lead).count("lead.reopened") == 1
    with instance.database.reading() as session:
        assert session.scalars(select(Lead.status)).one() is LeadStatus.NEW
