"""Legal holds keep a lead and allow no contact: place, renew, release, expire, delayed erasure (K2)."""

import threading
from datetime import date, timedelta

import pytest

from intake.accounts.models import Role
from intake.accounts.permissions import Member, StaffAct
from intake.act import Act
from intake.audit import Actor
from intake.casework import queue
from intake.casework.queue import QueueFilters
from intake.conf.clinic import Channel
from intake.core.errors import NotAllowed, NotFound, Unprocessable
from intake.instance import Instance
from intake.leads import eligibility, models
from intake.leads.models import Erasure, ErasureReason, HoldReason, Lead, LegalHold, Outcome, Suppression
from intake.privacy import contact_correction, legal_holds, retention, self_service
from intake.privacy.contact_correction import ContactOnHold, Correction
from intake.privacy.retention import DueReason, PurgeResult
from intake.privacy.self_service import RequestNotFound
from tests.factories import acting, acts, ask, details_of, every, hire, note, now, take

TODAY = date(2026, 11, 18)
MONTH = TODAY + timedelta(days=30)


@pytest.fixture
def officer(instance: Instance) -> Member:
    return hire(instance, "Olga Paz", Role.PRIVACY_OFFICER)


def put(
    instance: Instance,
    lead: Lead,
    officer: Member,
    last_day: date | None = MONTH,
    reason: HoldReason = HoldReason.COMPLAINT,
) -> LegalHold:
    return acting(instance, lead, officer, legal_holds.place_hold, reason=reason, last_day=last_day)


def release(instance: Instance, lead: Lead, officer: Member) -> bool:
    return acting(instance, lead, officer, legal_holds.release_hold)


def erase(instance: Instance, code: str):
    with instance.database.transaction() as session:
        return self_service.erase(Act(session, instance), code=code)


def gone(instance: Instance) -> list[ErasureReason]:
    return [each.reason for each in every(instance, Erasure)]


# --- putting, renewing, releasing ------------------------------------------------------------------------


def test_a_hold_lasts_to_the_end_of_its_last_day_on_the_clinics_clock(instance: Instance, officer) -> None:
    hold = put(instance, ask(instance).lead, officer)
    assert hold.until.isoformat() == "2026-12-19T05:00:00+00:00"
    assert hold.since == instance.clock()


def test_it_is_put_by_a_privacy_officer_alone(instance: Instance, officer) -> None:
    lead, supervisor = ask(instance).lead, hire(instance, "Ana Ruiz", Role.SUPERVISOR)
    with pytest.raises(NotAllowed):
        put(instance, lead, supervisor)
    put(instance, lead, officer)
    with pytest.raises(NotAllowed):
        release(instance, lead, supervisor)
    assert len(every(instance, LegalHold)) == 1


@pytest.mark.parametrize(
    "last_day", [None, TODAY, TODAY - timedelta(days=1), TODAY + timedelta(days=366), date.max]
)
def test_without_a_last_day_within_a_year_there_is_no_hold(instance: Instance, officer, last_day) -> None:
    with pytest.raises(Unprocessable) as refused:
        put(instance, ask(instance).lead, officer, last_day)
    assert refused.value.problems == {"last_day": (legal_holds.INVALID_LAST_DAY,)}
    assert every(instance, LegalHold) == []


@pytest.mark.parametrize("days", [1, 365])
def test_tomorrow_and_a_year_are_within(instance: Instance, officer, days: int) -> None:
    put(instance, ask(instance).lead, officer, TODAY + timedelta(days=days))
    assert len(every(instance, LegalHold)) == 1


def test_a_hold_is_renewed_and_keeps_since_when(instance: Instance, officer, clock) -> None:
    lead = ask(instance).lead
    first = put(instance, lead, officer)
    clock.move(days=3)
    again = put(instance, lead, officer, MONTH + timedelta(days=9), HoldReason.CLAIM)
    assert (again.since, again.reason) == (first.since, HoldReason.CLAIM)
    assert len(every(instance, LegalHold)) == 1
    assert details_of(instance, "hold.renewed") == ['{"reason":"claim"}']


def test_every_act_is_an_event_with_a_closed_reason(instance: Instance, officer) -> None:
    lead = ask(instance).lead
    put(instance, lead, officer)
    release(instance, lead, officer)
    assert release(instance, lead, officer) is False
    assert [each for each in acts(instance, lead) if each.startswith("hold.")] == ["hold.ended", "hold.put"]
    for action in ("hold.put", "hold.ended"):
        assert details_of(instance, action) == ['{"reason":"complaint"}']


def test_what_was_erased_meanwhile_cannot_be_held(instance: Instance, officer) -> None:
    asked = ask(instance)
    with instance.database.transaction() as session:
        lead = queue.one(StaffAct(session, instance, officer), asked.lead.id)
        retention.erase(Act(session, instance, Actor.system()), lead, reason=ErasureReason.DUE)
        with pytest.raises(NotFound):
            legal_holds.place_hold(
                StaffAct(session, instance, officer), lead, reason=HoldReason.CLAIM, last_day=MONTH
            )


def test_the_list_has_the_one_that_ends_first_on_top_and_is_recorded(instance: Instance, officer) -> None:
    late, soon = ask(instance).lead, ask(instance).lead
    put(instance, late, officer, MONTH)
    put(instance, soon, officer, TODAY + timedelta(days=2))
    with instance.database.transaction() as session:
        listed = legal_holds.list_holds(StaffAct(session, instance, officer))
    assert [each.lead_id for each in listed.rows] == [soon.id, late.id]
    assert listed.references[late.id] == late.reference
    assert listed.names == {officer.id: "Olga Paz"}
    assert details_of(instance, "leads.listed") == ['{"count":2,"kind":"hold"}']


# --- what it keeps ------------------------------------------------------------------------------------------


def test_retention_passes_it_by_and_takes_it_when_the_hold_is_over(
    instance: Instance, officer, clock
) -> None:
    lead = ask(instance).lead
    ask(instance, phone="+13055550177", email="other@example.org")
    put(instance, lead, officer, TODAY + timedelta(days=100))
    clock.move(days=90)
    assert retention.purge(instance) == PurgeResult(1, 0)
    assert [each.id for each in every(instance, Lead)] == [lead.id]
    clock.move(days=10)
    assert retention.purge(instance) == PurgeResult(0, 0)
    clock.move(days=1)
    assert retention.purge(instance) == PurgeResult(1, 0)
    assert every(instance, LegalHold) == []
    assert gone(instance) == [ErasureReason.DUE, ErasureReason.DUE]
    assert "hold.ended" in acts(instance, lead)


def test_an_early_end_lets_its_own_time_count_again(instance: Instance, officer, clock) -> None:
    lead = ask(instance).lead
    put(instance, lead, officer, TODAY + timedelta(days=200))
    clock.move(days=91)
    assert release(instance, lead, officer) is False
    assert retention.purge(instance) == PurgeResult(1, 0)


def test_a_hold_that_is_over_before_its_lead_is_due_only_ends(instance: Instance, officer, clock) -> None:
    lead = ask(instance).lead
    put(instance, lead, officer)
    clock.move(days=31)
    assert retention.purge(instance) == PurgeResult(0, 0)
    assert every(instance, LegalHold) == []
    assert now(instance, lead).phone is not None


def test_a_clock_that_leaps_ends_no_hold(instance: Instance, officer, clock) -> None:
    put(instance, ask(instance).lead, officer)
    clock.move(days=400)
    assert retention.purge_unless_clock_jumped(instance) == 0
    assert len(every(instance, LegalHold)) == 1


def test_of_a_hold_and_an_erasure_at_once_nothing_is_left_half_done(instance: Instance, officer) -> None:
    asked, together, ended = ask(instance), threading.Barrier(2), []

    def hold() -> None:
        together.wait()
        try:
            put(instance, asked.lead, officer)
            ended.append("held")
        except NotFound:
            ended.append("too late")

    def forget() -> None:
        together.wait()
        ended.append("gone" if erase(instance, asked.code) is None else "waits")

    threads = [threading.Thread(target=each) for each in (hold, forget)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ended) in (["gone", "too late"], ["held", "waits"])
    assert len(every(instance, Lead)) == len(every(instance, LegalHold)) == 1 - len(gone(instance))


def test_what_is_only_kept_is_nobodys_work(instance: Instance, officer, clock) -> None:
    lead = ask(instance).lead
    put(instance, lead, officer, TODAY + timedelta(days=200))
    clock.move(days=90)
    with instance.database.reading() as session:
        assert queue.page(StaffAct(session, instance, officer), filters=QueueFilters()).total == 0
        assert not any(each.allowed for each in eligibility.verdicts(Act(session, instance), lead).values())


# --- what the person can do meanwhile ----------------------------------------------------------


def test_an_erasure_that_is_asked_for_shuts_the_gate_and_waits(instance: Instance, officer, clock) -> None:
    asked = ask(instance)
    put(instance, asked.lead, officer)
    own = erase(instance, asked.code)
    assert own is not None
    assert (own.stopped, own.hold.erase_asked_at) == (True, instance.clock())
    with instance.database.reading() as session:
        verdicts = eligibility.verdicts(Act(session, instance), now(instance, asked.lead))
    assert not any(each.allowed for each in verdicts.values())
    assert len(every(instance, Suppression)) == 2
    clock.move(days=29)
    assert retention.purge(instance) == PurgeResult(0, 0)
    clock.move(days=2)
    assert retention.purge(instance) == PurgeResult(1, 0)
    assert gone(instance) == [ErasureReason.ASKED]


def test_asking_twice_is_noted_once(instance: Instance, officer, clock) -> None:
    asked = ask(instance)
    put(instance, asked.lead, officer)
    first = erase(instance, asked.code).hold.erase_asked_at
    clock.move(hours=1)
    assert erase(instance, asked.code).hold.erase_asked_at == first
    assert acts(instance, asked.lead).count("lead.erasure_asked") == 1


def test_a_release_carries_the_erasure_out_at_once(instance: Instance, officer) -> None:
    asked = ask(instance)
    put(instance, asked.lead, officer)
    erase(instance, asked.code)
    assert release(instance, asked.lead, officer) is True
    assert every(instance, Lead) == every(instance, LegalHold) == []
    with pytest.raises(RequestNotFound):
        erase(instance, asked.code)


def test_the_code_opens_what_is_kept_beyond_its_time(instance: Instance, officer, clock) -> None:
    asked = ask(instance)
    hold = put(instance, asked.lead, officer, TODAY + timedelta(days=200))
    clock.move(days=120)
    with instance.database.transaction() as session:
        own = self_service.view_request(Act(session, instance), code=asked.code)
    assert own.kept_until == hold.until


def test_stop_works_at_once_as_ever(instance: Instance, officer) -> None:
    asked = ask(instance)
    put(instance, asked.lead, officer)
    with instance.database.transaction() as session:
        assert self_service.stop(Act(session, instance), code=asked.code).stopped


def test_a_dropped_channel_is_shut_and_its_address_goes_with_the_hold(instance: Instance, officer) -> None:
    asked = ask(instance)
    put(instance, asked.lead, officer)
    with instance.database.transaction() as session:
        own = self_service.withdraw_channel(Act(session, instance), code=asked.code, channel=Channel.EMAIL)
        assert Channel.EMAIL not in own.contact_status.channels
    assert now(instance, asked.lead).email is not None
    release(instance, asked.lead, officer)
    assert now(instance, asked.lead).email is None
    assert now(instance, asked.lead).phone is not None


def test_a_number_that_is_held_cannot_be_written_over(instance: Instance, officer) -> None:
    asked = ask(instance)
    put(instance, asked.lead, officer)
    changed = Correction(
        kind="phone", value="(813) 555-0144", channels=["call"], voicemail=False, language="en",
        statements=instance.statements.page_digest("en"),
    )  # fmt: skip
    with pytest.raises(ContactOnHold), instance.database.transaction() as session:
        contact_correction.correct(Act(session, instance), code=asked.code, correction=changed)
    assert now(instance, asked.lead).phone_index == asked.lead.phone_index


def test_a_wrong_number_that_is_held_is_kept_until_the_end(instance: Instance, officer) -> None:
    ana, lead = hire(instance), ask(instance, email=None, channels=frozenset({Channel.CALL})).lead
    put(instance, lead, officer)
    take(instance, lead, ana)
    note(instance, lead, ana, Outcome.WRONG_NUMBER)
    assert retention.purge(instance) == PurgeResult(0, 0)
    release(instance, lead, officer)
    assert retention.purge(instance) == PurgeResult(1, 0)


# --- the preview, and putting off --------------------------------------------------------------


def ahead(instance: Instance, **by: float) -> retention.RetentionPreview:
    with instance.database.reading() as session:
        return retention.preview(session, until=instance.clock() + timedelta(**by))


def test_the_preview_says_why_and_what_is_held(instance: Instance, officer, clock) -> None:
    ana = hire(instance)
    old, held, stopped, declined = (
        ask(instance, phone=f"+1305555010{each}", email=f"{each}@example.org") for each in range(4)
    )
    put(instance, held.lead, officer, TODAY + timedelta(days=300), HoldReason.INCIDENT)
    clock.move(days=60)
    take(instance, declined.lead, ana)
    note(instance, declined.lead, ana, Outcome.DECLINED)
    clock.move(days=29)
    with instance.database.transaction() as session:
        self_service.stop(Act(session, instance), code=stopped.code)
    assert ahead(instance).count == 0
    found = ahead(instance, days=1)
    assert found.due == {DueReason.OPEN: 1, DueReason.CLOSED: 1, DueReason.STOPPED: 1}
    assert found.held == {HoldReason.INCIDENT: 1}
    clock.move(days=1)
    assert retention.purge(instance).count == found.count
    assert old.lead.id not in {each.id for each in every(instance, Lead)}


def put_off(instance: Instance, member: Member) -> int:
    with instance.database.transaction() as session:
        return retention.postpone_due(StaffAct(session, instance, member))


def test_what_ends_by_its_time_can_be_put_off_for_a_week_and_no_more(
    instance: Instance, officer, clock
) -> None:
    lead = ask(instance).lead
    ends = now(instance, lead).purge_after
    clock.move(days=89, hours=12)
    days = 0
    while put_off(instance, officer):
        days += 1
        clock.set(now(instance, lead).purge_after - timedelta(hours=1))
    assert days == 7
    assert now(instance, lead).purge_after == ends + timedelta(days=7)
    assert details_of(instance, "retention.postponed") == ['{"count":1}'] * 7
    clock.move(hours=1)
    assert retention.purge(instance) == PurgeResult(1, 0)


def test_what_somebody_asked_for_is_never_put_off(instance: Instance, officer, clock) -> None:
    asked = ask(instance)
    with instance.database.transaction() as session:
        self_service.stop(Act(session, instance), code=asked.code)
    assert put_off(instance, officer) == 0
    assert details_of(instance, "retention.postponed") == []
    clock.move(days=1)
    assert retention.purge(instance) == PurgeResult(1, 0)


def test_only_an_officer_puts_off(instance: Instance) -> None:
    with pytest.raises(NotAllowed):
        put_off(instance, hire(instance, "Ana Ruiz", Role.SUPERVISOR))


def test_one_bad_hold_stops_no_other(instance: Instance, officer, clock, monkeypatch) -> None:
    leads = [ask(instance).lead for _ in range(2)]
    for lead in leads:
        put(instance, lead, officer)
    clock.move(days=31)
    well = models.load_legal_hold
    monkeypatch.setattr(
        models,
        "load_legal_hold",
        lambda session, lead_id: 1 / 0 if lead_id == leads[0].id else well(session, lead_id),
    )
    assert retention.purge(instance) == PurgeResult(0, 1)
    assert [each.lead_id for each in every(instance, LegalHold)] == [leads[0].id]
