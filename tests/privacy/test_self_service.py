"""Self-service: with the private code a lead is shown, changed, stopped and erased; without it, nothing."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from intake import audit
from intake.accounts.models import Role
from intake.accounts.permissions import StaffAct
from intake.act import Act
from intake.audit import AuditEvent
from intake.calling.gate import Refusal
from intake.calling.hours import Window
from intake.casework.lead_detail import lead_view
from intake.conf.clinic import Channel
from intake.consent import service as consent
from intake.consent.models import Kind, State
from intake.core.errors import NotFound, Unprocessable
from intake.instance import Instance
from intake.leads import eligibility
from intake.leads.claims import ChangedMeanwhile
from intake.leads.models import CloseReason, Lead, LeadStatus, Outcome, Suppression
from intake.outbox import MessageState, OutboxMessage
from intake.privacy import self_service
from intake.privacy.self_service import OpenedRequest, RequestClosed, RequestNotFound
from tests.factories import (
    EMAIL,
    NAME,
    PHONE,
    acting,
    acts,
    ask,
    details_of,
    every,
    hire,
    note,
    now,
    show,
    take,
)

ALL = frozenset(Channel)


def doing(instance: Instance, act, code: str, **details) -> OpenedRequest:
    """One act of the person in its own transaction."""
    with instance.database.transaction() as session:
        return act(Act(session, instance), code=code, **details)


def ways(own: OpenedRequest) -> dict[Channel, State | None]:
    return {way.channel: way.state for way in own.contact_methods}


def whole(instance: Instance) -> bool:
    """Whether the audit log and the consent records verify."""
    with instance.database.reading() as session:
        proof = consent.verify_proof(session, keyring=instance.keyring)
        return proof == [] and audit.verify(session, keyring=instance.keyring).intact


# --- opening -----------------------------------------------------------------------------------------


def test_a_right_code_shows_what_is_held_masked(instance: Instance) -> None:
    asked = ask(instance)
    own = doing(instance, self_service.view_request, asked.code)
    assert own.lead.id == asked.lead.id
    assert ways(own) == {
        Channel.CALL: State.GIVEN,
        Channel.TEXT: State.REFUSED,
        Channel.EMAIL: State.GIVEN,
    }
    shown = repr((own.masked, own.contact_methods, own.windows, own.zone, own.roles))
    assert not any(canary in shown for canary in (NAME, PHONE, EMAIL, NAME.split()[1], PHONE[4:]))
    assert own.changeable
    assert not own.stopped


def test_opening_is_one_event_and_changes_nothing(instance: Instance) -> None:
    asked = ask(instance)
    before = now(instance, asked.lead)
    doing(instance, self_service.view_request, asked.code)
    after = now(instance, asked.lead)
    assert (after.version, after.opened_at, after.promise_at) == (
        before.version,
        before.opened_at,
        before.promise_at,
    )
    assert acts(instance, asked.lead) == ["lead.submitted", "manage.opened"]
    with instance.database.reading() as session:
        event = session.scalars(select(AuditEvent).where(AuditEvent.action == "manage.opened")).one()
    assert (event.actor_kind, event.actor_id, event.details) == ("person", None, "{}")


def test_a_code_is_read_kindly(instance: Instance) -> None:
    code = ask(instance).code
    sloppy = code.lower().replace("0", "o").replace("1", "l")
    grouped = f" {sloppy[:4]}-{sloppy[4:8]} {sloppy[8:12]}\t{sloppy[12:]}\n"
    assert doing(instance, self_service.view_request, grouped).lead.id


@pytest.mark.parametrize(
    "wrong", ["", " ", "X", "0" * 16, "A" * 10_000, "\x00" * 16, "\ud800", "’; DROP TABLE lead --", "ſ" * 16]
)
def test_a_wrong_code_finds_nothing(instance: Instance, wrong: str) -> None:
    ask(instance)
    with pytest.raises(RequestNotFound):
        doing(instance, self_service.view_request, wrong)


def test_a_code_cut_short_or_typed_twice_finds_nothing(instance: Instance) -> None:
    code = ask(instance).code
    for wrong in (code[:-1], code * 2, code + "0", code[::-1]):
        with pytest.raises(RequestNotFound):
            doing(instance, self_service.view_request, wrong)


def test_the_reference_opens_nothing(instance: Instance) -> None:
    with pytest.raises(RequestNotFound):
        doing(instance, self_service.view_request, ask(instance).lead.reference)


def test_each_code_opens_its_own_request(instance: Instance) -> None:
    one, two = ask(instance), ask(instance)
    assert doing(instance, self_service.view_request, one.code).lead.id == one.lead.id
    assert doing(instance, self_service.view_request, two.code).lead.id == two.lead.id


def test_a_code_ends_with_its_request_before_any_round_comes(instance: Instance, clock) -> None:
    code = ask(instance).code
    clock.move(days=instance.clinic.retention.open_days)
    with pytest.raises(RequestNotFound):
        doing(instance, self_service.view_request, code)


@pytest.mark.parametrize("act", [self_service.view_request, self_service.stop, self_service.erase])
def test_every_code_costs_one_look_up(instance: Instance, statements, act) -> None:
    ask(instance)
    counts = set()
    for wrong in ("", "0" * 16, "x" * 10_000):
        with statements(instance) as sent, pytest.raises(RequestNotFound):
            doing(instance, act, wrong)
        counts.add(tuple(sent))
    assert len(counts) == 1
    assert len(next(iter(counts))) == 1


def test_it_says_which_roles_have_looked_and_no_name(instance: Instance) -> None:
    asked = ask(instance)
    ana = hire(instance)
    officer = hire(instance, "Olga Prado", Role.PRIVACY_OFFICER, Role.ADMIN)
    assert doing(instance, self_service.view_request, asked.code).roles == frozenset()
    take(instance, asked.lead, ana)
    show(instance, asked.lead, ana)
    assert doing(instance, self_service.view_request, asked.code).roles == {Role.COORDINATOR}
    with instance.database.transaction() as session:
        lead_view(StaffAct(session, instance, officer), asked.lead.id)
    assert doing(instance, self_service.view_request, asked.code).roles == {
        Role.COORDINATOR,
        Role.PRIVACY_OFFICER,
    }


def test_one_who_holds_several_roles_counts_once(instance: Instance) -> None:
    asked = ask(instance)
    everything = hire(instance, "Eva Founder", *Role)
    with instance.database.transaction() as session:
        lead_view(StaffAct(session, instance, everything), asked.lead.id)
    assert doing(instance, self_service.view_request, asked.code).roles == {Role.COORDINATOR}


# --- stopping ----------------------------------------------------------------------------------------


def test_a_stop_ends_everything_in_one_act(instance: Instance, clock) -> None:
    asked = ask(instance, tell_article=True, article="Is Ketamine Addictive When Used for Depression?")
    take(instance, asked.lead, hire(instance))
    own = doing(instance, self_service.stop, asked.code)
    assert own.stopped
    assert not own.changeable
    after = now(instance, asked.lead)
    assert (after.status, after.close_reason) == (LeadStatus.CLOSED, CloseReason.STOPPED)
    assert (after.claimed_by, after.closed_at) == (None, clock())
    assert after.purge_after == clock() + timedelta(hours=instance.clinic.retention.stopped_hours)
    with instance.database.reading() as session:
        holding = consent.current(session, asked.lead.id)
        verdicts = eligibility.verdicts(Act(session, instance), after)
    assert {kind for kind in holding if holding[kind].state is State.GIVEN} == {Kind.ADULT}
    assert all(Refusal.STOPPED in verdict.refusals for verdict in verdicts.values())
    assert {each.contact_index for each in every(instance, Suppression)} == {
        after.phone_index,
        after.email_index,
    }
    assert every(instance, OutboxMessage) == []
    assert whole(instance)


def test_a_stop_leaves_what_was_sent_or_refused(instance: Instance) -> None:
    asked = ask(instance)
    with instance.database.transaction() as session:
        message = session.scalars(select(OutboxMessage)).one()
        message.state = MessageState.DEAD
    doing(instance, self_service.stop, asked.code)
    assert [each.state for each in every(instance, OutboxMessage)] == [MessageState.DEAD]


def test_a_stop_cancels_no_other_notice(instance: Instance) -> None:
    asked = ask(instance)
    other = ask(instance, phone="+13055550177", email="stranger@example.org").lead
    doing(instance, self_service.stop, asked.code)
    assert [each.lead_id for each in every(instance, OutboxMessage)] == [other.id]


def test_a_stop_twice_is_as_good_as_once(instance: Instance) -> None:
    asked = ask(instance)
    first = doing(instance, self_service.stop, asked.code)
    instance.clock.move(hours=1)
    again = doing(instance, self_service.stop, asked.code)
    assert again.lead.purge_after == first.lead.purge_after
    assert acts(instance, asked.lead) == ["lead.stopped", "lead.submitted"]
    assert len(every(instance, Suppression)) == 2


def test_a_stop_reaches_every_request_with_the_same_number(instance: Instance) -> None:
    asked, same = ask(instance), ask(instance, email="other@example.org").lead
    doing(instance, self_service.stop, asked.code)
    assert now(instance, same).close_reason is CloseReason.STOPPED


@pytest.mark.parametrize("outcome", [Outcome.DECLINED, Outcome.BOOKED])
def test_a_stop_works_from_any_status(instance: Instance, clock, outcome: Outcome) -> None:
    asked, ana = ask(instance), hire(instance)
    take(instance, asked.lead, ana)
    note(instance, asked.lead, ana, outcome, booked_for=clock() + timedelta(days=1))
    assert doing(instance, self_service.stop, asked.code).stopped


# --- without the code ----------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [PHONE, "(305) 555-0123", EMAIL, EMAIL.upper(), f"  {EMAIL} "])
def test_reference_and_number_or_address_stop_contact(instance: Instance, address: str) -> None:
    lead = ask(instance).lead
    doing_without(instance, f" {lead.reference[:4].lower()}-{lead.reference[4:]}", address)
    assert now(instance, lead).close_reason is CloseReason.STOPPED
    assert whole(instance)


def doing_without(instance: Instance, reference: str, address: str) -> None:
    with instance.database.transaction() as session:
        self_service.stop_by_reference(Act(session, instance), reference=reference, address=address)


def test_only_what_belongs_together_stops_anything(instance: Instance) -> None:
    lead = ask(instance).lead
    other = ask(instance, phone="+13055550177", email="other@example.org").lead
    for reference, address in (
        (lead.reference, "+13055550177"),
        (lead.reference, "other@example.org"),
        (other.reference, PHONE),
        ("", PHONE),
        (lead.reference[:-1], PHONE),
    ):
        doing_without(instance, reference, address)
    for address in ("", "\x00", "x" * 10_000, "’@’", PHONE[:-4]):
        with pytest.raises(Unprocessable) as refused:
            doing_without(instance, lead.reference, address)
        assert list(refused.value.problems) == ["address"]
    assert {each.status for each in every(instance, Lead)} == {LeadStatus.NEW}
    assert every(instance, Suppression) == []
    assert acts(instance) == ["lead.submitted"] * 2


def test_every_guess_costs_one_look_up(instance: Instance, statements) -> None:
    lead = ask(instance).lead
    counts = set()
    for reference, address in (
        ("", PHONE),
        (lead.reference, "x@example.org"),
        ("0" * 8, PHONE),
        ("A" * 10_000, EMAIL),
    ):
        with statements(instance) as sent:
            doing_without(instance, reference, address)
        counts.add(tuple(sent))
    assert len(counts) == 1
    assert len(next(iter(counts))) == 1


@pytest.mark.parametrize(
    "address",
    [
        *(
            "tel:305 555 0123",
            "\u202a(305) 555-0123\u202c",
            "305-555-0123\ufe0f",
            "\uff13\uff10\uff15 555 0123",
        ),
        *(f"mailto:{EMAIL}", f"{EMAIL}\u200b", f" <{EMAIL.upper()}> ", f"\u2068{EMAIL}\u2069"),
    ],
)
def test_a_stop_reads_every_spelling_that_the_form_reads(sqlite_instance: Instance, address: str) -> None:
    lead = ask(sqlite_instance).lead
    doing_without(sqlite_instance, lead.reference, address)
    assert now(sqlite_instance, lead).close_reason is CloseReason.STOPPED


# --- one channel -----------------------------------------------------------------------------------------


def test_a_dropped_channel_is_taken_back_and_the_others_stay(instance: Instance) -> None:
    asked = ask(instance, channels=ALL, voicemail=True)
    own = doing(instance, self_service.withdraw_channel, asked.code, channel=Channel.CALL)
    assert ways(own) == {
        Channel.CALL: State.WITHDRAWN,
        Channel.TEXT: State.GIVEN,
        Channel.EMAIL: State.GIVEN,
    }
    assert not own.contact_status.voicemail
    with instance.database.reading() as session:
        verdicts = eligibility.verdicts(Act(session, instance), now(instance, asked.lead))
    assert Refusal.WITHDRAWN in verdicts[Channel.CALL].refusals
    assert verdicts[Channel.TEXT].allowed
    assert acts(instance, asked.lead) == ["consent.withdrawn", "lead.submitted"]
    assert whole(instance)


def test_dropping_is_no_suppression(instance: Instance) -> None:
    doing(instance, self_service.withdraw_channel, ask(instance).code, channel=Channel.EMAIL)
    assert every(instance, Suppression) == []


def test_a_number_that_nothing_may_use_is_deleted_and_still_found_by_a_stop(instance: Instance) -> None:
    asked = ask(instance, channels=ALL)
    doing(instance, self_service.withdraw_channel, asked.code, channel=Channel.CALL)
    assert now(instance, asked.lead).phone is not None
    doing(instance, self_service.withdraw_channel, asked.code, channel=Channel.TEXT)
    after = now(instance, asked.lead)
    assert after.phone is None
    assert after.email is not None
    doing_without(instance, after.reference, PHONE)
    assert now(instance, asked.lead).close_reason is CloseReason.STOPPED


def test_an_address_that_nothing_may_use_is_deleted(instance: Instance) -> None:
    asked = ask(instance)
    own = doing(instance, self_service.withdraw_channel, asked.code, channel=Channel.EMAIL)
    assert now(instance, asked.lead).email is None
    assert own.masked.email is None
    assert own.masked.phone == "(•••) •••-••23"


def test_dropping_twice_is_as_good_as_once(instance: Instance) -> None:
    asked = ask(instance)
    for _ in range(2):
        doing(instance, self_service.withdraw_channel, asked.code, channel=Channel.EMAIL)
    assert acts(instance, asked.lead).count("consent.withdrawn") == 1


def test_dropping_what_was_never_allowed_changes_nothing(instance: Instance) -> None:
    asked = ask(instance)
    doing(instance, self_service.withdraw_channel, asked.code, channel=Channel.TEXT)
    assert acts(instance, asked.lead) == ["lead.submitted"]


def test_the_last_channel_is_a_stop(instance: Instance) -> None:
    asked = ask(instance)
    doing(instance, self_service.withdraw_channel, asked.code, channel=Channel.EMAIL)
    own = doing(instance, self_service.withdraw_channel, asked.code, channel=Channel.CALL)
    assert own.stopped
    assert now(instance, asked.lead).close_reason is CloseReason.STOPPED
    assert len(every(instance, Suppression)) == 2


def test_two_tabs_that_drop_the_last_two_channels_end_in_a_stop(instance: Instance) -> None:
    asked, together = ask(instance), threading.Barrier(2)

    def tab(channel: Channel) -> None:
        together.wait()
        doing(instance, self_service.withdraw_channel, asked.code, channel=channel)

    threads = [threading.Thread(target=tab, args=(each,)) for each in (Channel.CALL, Channel.EMAIL)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert now(instance, asked.lead).close_reason is CloseReason.STOPPED
    assert whole(instance)


# --- other times ------------------------------------------------------------------------------------------


def test_other_times_bring_a_new_promise(instance: Instance) -> None:
    asked = ask(instance)
    own = doing(instance, self_service.change_windows, asked.code, chosen=["weekday_afternoon"])
    assert own.windows == {Window.WEEKDAY_AFTERNOON}
    assert now(instance, asked.lead).promise_at == datetime(2026, 11, 18, 19, 0, tzinfo=UTC)
    assert details_of(instance, "lead.changed") == ['{"field":"windows","method":"manage_page"}']


def test_any_time_makes_the_others_moot(instance: Instance) -> None:
    chosen = ["any", "weekday_morning"]
    own = doing(instance, self_service.change_windows, ask(instance).code, chosen=chosen)
    assert own.windows == {Window.ANY}


def test_the_same_times_keep_the_promise(instance: Instance, clock) -> None:
    asked = ask(instance)
    clock.move(hours=1)
    doing(instance, self_service.change_windows, asked.code, chosen=["weekday_morning"])
    assert now(instance, asked.lead).promise_at == asked.lead.promise_at
    assert acts(instance, asked.lead) == ["lead.submitted"]


@pytest.mark.parametrize("chosen", [[], [""], ["never"], ["weekday_morning", "x"], ["saturday_evening"]])
def test_times_that_cannot_be_kept_have_a_message_at_their_field(
    instance: Instance, chosen: list[str]
) -> None:
    asked = ask(instance)
    with pytest.raises(Unprocessable) as refused:
        doing(instance, self_service.change_windows, asked.code, chosen=chosen)
    assert list(refused.value.problems) == ["windows"]
    after = now(instance, asked.lead)
    assert (after.windows, after.promise_at) == ("weekday_morning", asked.lead.promise_at)


def test_a_page_of_staff_from_before_the_change_is_refused(instance: Instance) -> None:
    asked, ana = ask(instance), hire(instance)
    take(instance, asked.lead, ana)
    version = now(instance, asked.lead).version
    doing(instance, self_service.change_windows, asked.code, chosen=["any"])
    with pytest.raises(ChangedMeanwhile):
        note(instance, asked.lead, ana, Outcome.NO_ANSWER, version=version)


def test_a_closed_request_takes_no_changes(instance: Instance) -> None:
    asked = ask(instance)
    doing(instance, self_service.stop, asked.code)
    with pytest.raises(RequestClosed):
        doing(instance, self_service.change_windows, asked.code, chosen=["any"])


# --- erasing ------------------------------------------------------------------------------------------------


def test_an_erased_request_is_gone_and_its_code_opens_nothing(instance: Instance) -> None:
    asked = ask(instance)
    doing(instance, self_service.erase, asked.code)
    assert every(instance, Lead) == []
    for act in (self_service.view_request, self_service.stop, self_service.erase):
        with pytest.raises(RequestNotFound):
            doing(instance, act, asked.code)
    assert acts(instance, asked.lead) == ["lead.erased", "lead.stopped", "lead.submitted"]
    assert whole(instance)


def test_erasing_while_staff_hold_it_leaves_them_nothing(instance: Instance) -> None:
    asked, ana = ask(instance), hire(instance)
    take(instance, asked.lead, ana)
    doing(instance, self_service.erase, asked.code)
    with pytest.raises(NotFound):
        acting(instance, asked.lead, ana, lambda *_, **__: None)


def test_tabs_that_do_different_things_at_once_leave_a_whole_story(instance: Instance) -> None:
    """In any order of the acts nothing fails, and an erasure is final."""
    asked = ask(instance, channels=ALL)
    todo = [
        lambda: doing(instance, self_service.erase, asked.code),
        lambda: doing(instance, self_service.stop, asked.code),
        lambda: doing(instance, self_service.withdraw_channel, asked.code, channel=Channel.CALL),
        lambda: doing(instance, self_service.change_windows, asked.code, chosen=["any"]),
        lambda: doing(instance, self_service.view_request, asked.code),
        lambda: doing_without(instance, asked.lead.reference, PHONE),
    ]
    together, wrong = threading.Barrier(len(todo)), []

    def tab(act) -> None:
        together.wait()
        try:
            act()
        except (RequestNotFound, RequestClosed):
            return
        except Exception as unexpected:  # noqa: BLE001  the assertion below shows it
            wrong.append(unexpected)

    threads = [threading.Thread(target=tab, args=(act,)) for act in todo]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert every(instance, Lead) == []
    assert whole(instance)
