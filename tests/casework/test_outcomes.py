"""Outcomes: what may be logged, what follows from it, and that a form sent twice logs once (G2, G3, G4)."""

import threading
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from intake.accounts.models import Role
from intake.accounts.permissions import Member, StaffAct
from intake.act import Act
from intake.calling.gate import Refusal
from intake.casework import outcomes
from intake.casework.outcomes import NotAgreed, NoVoicemail, OutcomeNotPossible, PageAlreadyUsed
from intake.conf.clinic import Channel
from intake.consent import service as consent
from intake.consent.models import Kind, State
from intake.core.errors import NotAllowed, NotFound, Refused, Unprocessable
from intake.instance import Instance
from intake.leads import claims, eligibility
from intake.leads.claims import AlreadyClosed, ChangedMeanwhile, ClaimedByAnother, NotClaimed
from intake.leads.models import (
    Attempt,
    CloseReason,
    Lead,
    LeadStatus,
    Outcome,
    Suppression,
    SuppressionReason,
)
from tests.factories import ANY, CALL_ONLY, acting, acts, ask, details_of, every, hire, note, now, take

NEVER_CLOSES = sorted(set(Outcome) - {*outcomes.CLOSE_REASON_BY_OUTCOME, Outcome.ASKED_TO_STOP})


def held(instance: Instance, **changes: object) -> tuple[Lead, Member]:
    """A lead that a coordinator has claimed."""
    lead, ana = ask(instance, **changes).lead, hire(instance)
    take(instance, lead, ana)
    return lead, ana


def test_a_try_keeps_the_promise_ends_the_hold_and_is_recorded_once(instance: Instance) -> None:
    lead, ana = held(instance)
    attempt = note(instance, lead, ana, Outcome.NO_ANSWER)
    after = now(instance, lead)
    assert after.status is LeadStatus.TRYING
    assert after.first_contact_at == attempt.at == instance.clock()
    assert after.claimed_by is None
    assert after.version == lead.version + 1
    assert acts(instance, lead) == ["attempt.logged", "claim.taken", "lead.submitted"]
    assert details_of(instance, "attempt.logged") == ['{"channel":"call","outcome":"no_answer"}']


def test_an_attempt_names_the_consent_it_relied_on(instance: Instance) -> None:
    lead, ana = held(instance)
    attempt = note(instance, lead, ana, Outcome.REACHED)
    with instance.database.reading() as session:
        assert attempt.consent_event_id == consent.current(session, lead.id)[Kind.CALL].id


def test_it_needs_our_hold(instance: Instance) -> None:
    lead, ana, ben = ask(instance).lead, hire(instance), hire(instance, "Ben Ochoa")
    with pytest.raises(NotClaimed):
        note(instance, lead, ana, Outcome.NO_ANSWER)
    take(instance, lead, ben)
    with pytest.raises(ClaimedByAnother):
        note(instance, lead, ana, Outcome.NO_ANSWER)
    assert every(instance, Attempt) == []


def test_a_hold_that_ran_out_during_the_call_still_counts(instance: Instance, clock) -> None:
    lead, ana = held(instance)
    clock.move(minutes=45)
    note(instance, lead, ana, Outcome.REACHED)
    assert now(instance, lead).status is LeadStatus.TRYING


def test_a_hold_that_ran_out_is_lost_to_the_colleague_who_took_it(instance: Instance, clock) -> None:
    lead, ana = held(instance)
    clock.move(minutes=45)
    take(instance, lead, hire(instance, "Ben Ochoa"))
    with pytest.raises(ClaimedByAnother):
        note(instance, lead, ana, Outcome.REACHED)


def test_it_refuses_who_may_not_log(instance: Instance) -> None:
    lead = ask(instance).lead
    with pytest.raises(NotAllowed):
        note(instance, lead, hire(instance, "Pia Ott", Role.PRIVACY_OFFICER), Outcome.THEY_CALLED_US)


def test_a_voicemail_cannot_be_noted_without_consent(instance: Instance) -> None:
    lead, ana = held(instance)
    with pytest.raises(NoVoicemail):
        note(instance, lead, ana, Outcome.VOICEMAIL_LEFT)
    assert every(instance, Attempt) == []
    assert now(instance, lead).claimed_by == ana.id


def test_a_voicemail_can_be_noted_with_consent(instance: Instance) -> None:
    lead, ana = held(instance, voicemail=True)
    note(instance, lead, ana, Outcome.VOICEMAIL_LEFT)
    assert now(instance, lead).status is LeadStatus.TRYING


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - outcomes.ALWAYS_ALLOWED))
def test_nothing_is_noted_for_a_channel_they_refused(sqlite_instance: Instance, outcome: Outcome) -> None:
    lead, ana = held(sqlite_instance)
    with pytest.raises(NotAgreed):
        note(sqlite_instance, lead, ana, outcome, channel=Channel.TEXT)
    assert every(sqlite_instance, Attempt) == []


@pytest.mark.parametrize(
    ("outcome", "channel"),
    [
        (Outcome.MESSAGE_SENT, Channel.CALL),
        (Outcome.NO_ANSWER, Channel.EMAIL),
        (Outcome.VOICEMAIL_LEFT, Channel.EMAIL),
        (Outcome.SOMEBODY_ELSE, Channel.EMAIL),
    ],
)
def test_an_outcome_must_fit_its_channel(
    sqlite_instance: Instance, outcome: Outcome, channel: Channel
) -> None:
    lead, ana = held(sqlite_instance)
    with pytest.raises(OutcomeNotPossible):
        note(sqlite_instance, lead, ana, outcome, channel=channel)


@pytest.mark.parametrize("outcome", NEVER_CLOSES)
def test_outcomes_that_leave_a_lead_open(sqlite_instance: Instance, outcome: Outcome, clock) -> None:
    lead, ana = held(sqlite_instance, voicemail=True)
    channel = Channel.EMAIL if outcome is Outcome.MESSAGE_SENT else Channel.CALL
    note(sqlite_instance, lead, ana, outcome, channel=channel, booked_for=clock() + timedelta(days=2))
    booked = outcome in (Outcome.BOOKED, Outcome.THEY_CALLED_US)
    after = now(sqlite_instance, lead)
    assert after.status is (LeadStatus.BOOKED if booked else LeadStatus.TRYING)
    assert after.purge_after == lead.purge_after


@pytest.mark.parametrize("wait", [None, timedelta(0), timedelta(minutes=-5), timedelta(days=400)])
def test_a_booking_needs_a_time_to_come(sqlite_instance: Instance, wait: timedelta | None, clock) -> None:
    lead, ana = held(sqlite_instance)
    with pytest.raises(Unprocessable) as refused:
        note(
            sqlite_instance,
            lead,
            ana,
            Outcome.BOOKED,
            booked_for=clock() + wait if wait is not None else None,
        )
    assert list(refused.value.problems) == ["booked_for"]
    assert now(sqlite_instance, lead).status is LeadStatus.NEW


def test_a_booking_keeps_its_time(instance: Instance) -> None:
    lead, ana = held(instance)
    time = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
    note(instance, lead, ana, Outcome.BOOKED, booked_for=time)
    assert (now(instance, lead).status, now(instance, lead).booked_for) == (LeadStatus.BOOKED, time)


def test_a_booked_lead_stays_booked_when_a_call_goes_unanswered(instance: Instance, clock) -> None:
    lead, ana = held(instance, **CALL_ONLY)
    note(instance, lead, ana, Outcome.BOOKED, booked_for=clock() + timedelta(days=9))
    for _ in range(3):
        clock.move(days=1)
        take(instance, lead, ana)
        note(instance, lead, ana, Outcome.NO_ANSWER)
    assert now(instance, lead).status is LeadStatus.BOOKED


def test_declining_closes_and_shortens_the_keeping(instance: Instance, clock) -> None:
    lead, ana = held(instance)
    note(instance, lead, ana, Outcome.DECLINED)
    after = now(instance, lead)
    assert (after.status, after.close_reason) == (LeadStatus.CLOSED, CloseReason.DECLINED)
    assert after.closed_at == clock()
    assert after.purge_after == clock() + timedelta(days=instance.clinic.retention.closed_days)
    assert details_of(instance, "lead.closed") == ['{"reason":"declined"}']


def test_a_late_close_never_keeps_longer(instance: Instance, clock) -> None:
    lead, ana = ask(instance).lead, hire(instance)
    clock.move(days=instance.clinic.retention.open_days - 1)
    take(instance, lead, ana)
    note(instance, lead, ana, Outcome.DECLINED)
    assert now(instance, lead).purge_after == lead.purge_after


def test_the_last_unanswered_call_closes_respectfully(instance: Instance, clock) -> None:
    lead, ana = ask(instance, **CALL_ONLY).lead, hire(instance)
    for tried in range(3):
        assert now(instance, lead).status is not LeadStatus.CLOSED, tried
        take(instance, lead, ana)
        note(instance, lead, ana, Outcome.NO_ANSWER)
        clock.move(days=1)
    assert now(instance, lead).close_reason is CloseReason.NOT_REACHED
    assert details_of(instance, "lead.closed") == ['{"reason":"not_reached"}']


def test_another_channel_with_tries_left_keeps_the_lead_open(instance: Instance, clock) -> None:
    lead, ana = ask(instance, **ANY).lead, hire(instance)
    for _ in range(3):
        take(instance, lead, ana)
        note(instance, lead, ana, Outcome.NO_ANSWER)
        clock.move(days=1)
    assert now(instance, lead).status is LeadStatus.TRYING


def test_a_wrong_number_closes_suppresses_and_is_forgotten_at_once(instance: Instance, clock) -> None:
    lead, ana = held(instance)
    note(instance, lead, ana, Outcome.WRONG_NUMBER)
    after = now(instance, lead)
    assert (after.close_reason, after.purge_after) == (CloseReason.WRONG_NUMBER, clock())
    (suppression,) = every(instance, Suppression)
    assert (suppression.contact_index, suppression.reason) == (
        lead.phone_index,
        SuppressionReason.WRONG_NUMBER,
    )
    assert suppression.by == ana.id
    assert details_of(instance, "suppression.added") == ['{"kind":"phone","reason":"wrong_number"}']


def stopped(instance: Instance, lead: Lead) -> None:
    after = now(instance, lead)
    assert (after.status, after.close_reason) == (LeadStatus.CLOSED, CloseReason.STOPPED)
    assert after.claimed_by is None
    with instance.database.reading() as session:
        holding = consent.current(session, lead.id)
        verdicts = eligibility.verdicts(Act(session, instance), after)
    assert {kind for kind in holding if holding[kind].state is State.GIVEN} == {Kind.ADULT}
    assert all(Refusal.STOPPED in verdict.refusals for verdict in verdicts.values())
    listed = {each.contact_index for each in every(instance, Suppression)}
    assert {lead.phone_index, lead.email_index} - {None} <= listed


def test_asked_to_stop_ends_everything(instance: Instance, clock) -> None:
    lead, ana = held(instance)
    note(instance, lead, ana, Outcome.ASKED_TO_STOP)
    stopped(instance, lead)
    hours = instance.clinic.retention.stopped_hours
    assert now(instance, lead).purge_after == clock() + timedelta(hours=hours)
    assert acts(instance, lead) == ["attempt.logged", "claim.taken", "lead.stopped", "lead.submitted"]
    with instance.database.reading() as session:
        holding = consent.current(session, lead.id)
        assert consent.verify_proof(session, keyring=instance.keyring) == []
    taken_back = {Kind.USE, Kind.CALL, Kind.EMAIL}
    assert {kind for kind in holding if holding[kind].state is State.WITHDRAWN} == taken_back


def test_asked_to_stop_works_whoever_holds_the_lead(instance: Instance) -> None:
    lead, _ = held(instance)
    note(instance, lead, hire(instance, "Ben Ochoa"), Outcome.ASKED_TO_STOP, version=99)
    stopped(instance, lead)


@pytest.mark.parametrize(
    "before", [Outcome.BOOKED, Outcome.DECLINED, Outcome.NO_ANSWER, Outcome.WRONG_NUMBER]
)
def test_asked_to_stop_works_from_any_status(instance: Instance, before: Outcome, clock) -> None:
    lead, ana = held(instance)
    note(instance, lead, ana, before, booked_for=clock() + timedelta(days=1))
    kept_until = now(instance, lead).purge_after
    note(instance, lead, ana, Outcome.ASKED_TO_STOP)
    stopped(instance, lead)
    assert now(instance, lead).purge_after <= kept_until


def test_asked_to_stop_twice_is_as_good_as_once(instance: Instance) -> None:
    lead, ana = held(instance)
    note(instance, lead, ana, Outcome.ASKED_TO_STOP)
    note(instance, lead, ana, Outcome.ASKED_TO_STOP)
    stopped(instance, lead)
    assert len(every(instance, Suppression)) == 2


def test_a_stop_reaches_every_lead_with_the_same_number(instance: Instance) -> None:
    lead, other = ask(instance).lead, ask(instance, email="somebody@example.org").lead
    stranger = ask(instance, phone="+13055550177", email="stranger@example.org").lead
    note(instance, lead, hire(instance), Outcome.ASKED_TO_STOP)
    stopped(instance, lead)
    assert now(instance, other).close_reason is CloseReason.STOPPED
    assert now(instance, stranger).status is LeadStatus.NEW


def test_their_call_is_noted_while_a_colleague_holds_the_lead(instance: Instance) -> None:
    lead, ana = held(instance)
    note(instance, lead, hire(instance, "Ben Ochoa"), Outcome.THEY_CALLED_US)
    after = now(instance, lead)
    assert after.claimed_by == ana.id
    assert after.first_contact_at == instance.clock()


def test_their_call_is_noted_on_a_closed_lead_and_leaves_it_closed(instance: Instance) -> None:
    lead, ana = held(instance)
    note(instance, lead, ana, Outcome.DECLINED)
    note(instance, lead, ana, Outcome.THEY_CALLED_US)
    assert now(instance, lead).close_reason is CloseReason.DECLINED


def test_nothing_else_is_noted_on_a_closed_lead(instance: Instance) -> None:
    lead, ana = held(instance)
    note(instance, lead, ana, Outcome.DECLINED)
    with pytest.raises(AlreadyClosed):
        note(instance, lead, ana, Outcome.NO_ANSWER)


def test_what_changed_since_the_page_was_made_is_not_overwritten(instance: Instance) -> None:
    lead, ana = held(instance)
    shown = now(instance, lead).version
    note(instance, lead, ana, Outcome.ANOTHER_TIME)
    take(instance, lead, ana)
    with pytest.raises(ChangedMeanwhile):
        note(instance, lead, ana, Outcome.NO_ANSWER, version=shown)
    assert len(every(instance, Attempt)) == 1


def test_holding_and_giving_back_are_no_new_version(instance: Instance) -> None:
    lead, ana = held(instance)
    acting(instance, lead, ana, claims.release)
    take(instance, lead, ana)
    assert now(instance, lead).version == lead.version


def test_a_page_sent_twice_notes_once(instance: Instance) -> None:
    lead, ana = held(instance)
    same = {"attempt_id": uuid.uuid4(), "version": lead.version}
    first = note(instance, lead, ana, Outcome.NO_ANSWER, **same)
    again = note(instance, lead, ana, Outcome.NO_ANSWER, **same)
    assert again.id == first.id
    assert len(every(instance, Attempt)) == 1
    assert acts(instance, lead).count("attempt.logged") == 1


def test_a_page_sent_twice_with_another_outcome_says_so(instance: Instance) -> None:
    lead, ana = held(instance)
    same = {"attempt_id": uuid.uuid4(), "version": lead.version}
    note(instance, lead, ana, Outcome.NO_ANSWER, **same)
    with pytest.raises(PageAlreadyUsed):
        note(instance, lead, ana, Outcome.DECLINED, **same)


@pytest.mark.parametrize("outcome", [Outcome.NO_ANSWER, Outcome.ASKED_TO_STOP])
def test_a_double_click_notes_once(instance: Instance, outcome: Outcome) -> None:
    lead, ana = held(instance)
    same = {"attempt_id": uuid.uuid4(), "version": lead.version}
    start, answers = threading.Barrier(2), []

    def click() -> None:
        start.wait()
        answers.append(note(instance, lead, ana, outcome, **same).id)

    threads = [threading.Thread(target=click) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [same["attempt_id"]] * 2
    assert len(every(instance, Attempt)) == 1
    assert acts(instance, lead).count("attempt.logged") == 1


def test_two_stops_of_leads_with_one_number_do_not_lock_each_other_out(instance: Instance) -> None:
    leads = [ask(instance).lead for _ in range(2)]
    ana, start, failures = hire(instance), threading.Barrier(2), []

    def stop(lead: Lead) -> None:
        start.wait()
        try:
            note(instance, lead, ana, Outcome.ASKED_TO_STOP)
        except Exception as failure:  # noqa: BLE001  whatever it is, the test must see it
            failures.append(failure)

    threads = [threading.Thread(target=stop, args=(lead,)) for lead in leads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for lead in leads:
        stopped(instance, lead)


def test_a_lead_that_is_gone_is_not_found(instance: Instance) -> None:
    lead, ana = held(instance)
    with instance.database.transaction() as session:
        session.delete(session.get_one(Lead, lead.id))
    with pytest.raises(NotFound):
        note_gone(instance, lead, ana)


def note_gone(instance: Instance, lead: Lead, ana: Member) -> None:
    with instance.database.transaction() as session:
        outcomes.log(
            StaffAct(session, instance, ana),
            lead,
            attempt_id=uuid.uuid4(),
            outcome=Outcome.NO_ANSWER,
            channel=Channel.CALL,
            version=1,
        )


def close(instance: Instance, lead: Lead, member: Member, reason: CloseReason, **details: int) -> None:
    acting(
        instance,
        lead,
        member,
        outcomes.close,
        reason=reason,
        **{"version": now(instance, lead).version, **details},
    )


def test_closing_by_hand_needs_no_hold_and_is_recorded_once(instance: Instance) -> None:
    lead, ana = ask(instance).lead, hire(instance)
    close(instance, lead, ana, CloseReason.TALKED)
    close(instance, lead, ana, CloseReason.TALKED)
    assert now(instance, lead).close_reason is CloseReason.TALKED
    assert acts(instance, lead) == ["lead.closed", "lead.submitted"]


def test_closing_by_hand_respects_a_colleagues_hold_and_what_changed(instance: Instance) -> None:
    lead, ana = held(instance)
    with pytest.raises(ClaimedByAnother):
        close(instance, lead, hire(instance, "Ben Ochoa"), CloseReason.TALKED)
    with pytest.raises(ChangedMeanwhile):
        close(instance, lead, ana, CloseReason.TALKED, version=99)
    close(instance, lead, ana, CloseReason.DECLINED)
    with pytest.raises(AlreadyClosed):
        close(instance, lead, ana, CloseReason.TALKED)


@pytest.mark.parametrize("reason", sorted(set(CloseReason) - set(outcomes.CHOSEN_CLOSE_REASONS)))
def test_some_reasons_only_follow_from_what_happened(sqlite_instance: Instance, reason: CloseReason) -> None:
    lead, ana = ask(sqlite_instance).lead, hire(sqlite_instance)
    with pytest.raises(Refused):
        close(sqlite_instance, lead, ana, reason)
    assert now(sqlite_instance, lead).status is LeadStatus.NEW
