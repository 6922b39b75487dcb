"""Lifting a suppression: a person who asks again is called only after staff confirm (G4)."""

import threading
from collections.abc import Callable

import pytest

from intake.accounts.models import Role
from intake.accounts.permissions import Member, StaffAct
from intake.act import Act
from intake.audit import Actor
from intake.calling.gate import Refusal
from intake.conf.clinic import Channel
from intake.consent.models import Method
from intake.core.errors import NotAllowed, Refused
from intake.instance import Instance
from intake.leads import eligibility, reveal, suppression
from intake.leads.claims import AlreadyClosed, ClaimedByAnother
from intake.leads.models import CloseReason, Lead, Outcome, Suppression, SuppressionReason
from intake.leads.reveal import GateShut
from tests.factories import (
    ANY,
    EMAIL,
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

PERSON = Actor.person()
LIFTED = "suppression.lifted"
ONLY_CALLS = {"channels": frozenset({Channel.CALL}), **ANY}
GRAVE = [SuppressionReason.WRONG_NUMBER, SuppressionReason.THIRD_PARTY]


@pytest.fixture
def asked_again(instance: Instance, clock) -> Callable[..., Lead]:
    """A person asks, stops contact, and an hour later asks again with `changes`."""

    def ask_again(**changes: object) -> Lead:
        before = ask(instance).lead
        with instance.database.transaction() as session:
            found = session.get_one(Lead, before.id)
            suppression.stop(Act(session, instance, PERSON), found, method=Method.MANAGE_PAGE)
        clock.move(hours=1)
        return ask(instance, **{**ANY, **changes}).lead

    return ask_again


def lift(instance: Instance, lead: Lead, member: Member) -> int:
    return acting(instance, lead, member, suppression.lift)


def listed(instance: Instance) -> set[bytes]:
    """The blind indexes that are suppressed."""
    return {each.contact_index for each in every(instance, Suppression) if each.lifted_at is None}


def put_on_the_list(instance: Instance, lead: Lead, reason: SuppressionReason) -> None:
    with instance.database.transaction() as session:
        suppression.suppress(Act(session, instance, PERSON), [lead.phone_index], reason=reason)


def refusals(instance: Instance, lead: Lead, channel: Channel) -> tuple[Refusal, ...]:
    with instance.database.reading() as session:
        return eligibility.verdict(Act(session, instance), now(instance, lead), channel=channel).refusals


def test_after_a_yes_of_the_desk_the_gate_opens_for_who_asked_again(
    instance: Instance, asked_again, clock
) -> None:
    lead, ana = asked_again(), hire(instance)
    with pytest.raises(GateShut) as shut:
        show(instance, lead, ana)
    assert shut.value.sentence == Refusal.SUPPRESSED.sentence
    assert lift(instance, lead, ana) == 2
    assert listed(instance) == set()
    assert {each.lifted_at for each in every(instance, Suppression)} == {clock()}
    assert show(instance, lead, ana).value == PHONE
    assert show(instance, lead, ana, Channel.EMAIL).value == EMAIL


def test_it_is_one_event_and_opens_no_value(instance: Instance, asked_again, monkeypatch) -> None:
    lead, ana = asked_again(), hire(instance)

    def opened(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(reveal, "_unseal", opened)
    lift(instance, lead, ana)
    assert acts(instance, lead) == ["lead.submitted", LIFTED]
    assert details_of(instance, LIFTED) == ['{"count":2,"reason":"asked"}']


def test_a_second_yes_finds_nothing_to_do(instance: Instance, asked_again) -> None:
    lead, ana = asked_again(), hire(instance)
    assert [lift(instance, lead, ana), lift(instance, lead, ana)] == [2, 0]
    assert acts(instance, lead).count(LIFTED) == 1


def test_of_two_at_once_one_lifts(instance: Instance, asked_again) -> None:
    lead, both = asked_again(), (hire(instance), hire(instance, "Ben Ochoa"))
    counts: list[int] = []
    start = threading.Barrier(2)

    def confirm(member: Member) -> None:
        start.wait()
        counts.append(lift(instance, lead, member))

    threads = [threading.Thread(target=confirm, args=(member,)) for member in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counts) == [0, 2]
    assert acts(instance, lead).count(LIFTED) == 1


def test_who_was_never_stopped_needs_no_yes(instance: Instance) -> None:
    lead = ask(instance).lead
    assert lift(instance, lead, hire(instance)) == 0
    assert acts(instance, lead) == ["lead.submitted"]


def test_only_what_the_new_request_consents_to_is_lifted(instance: Instance, asked_again) -> None:
    lead, ana = asked_again(**ONLY_CALLS), hire(instance)
    assert lead.email_index
    assert lift(instance, lead, ana) == 1
    assert listed(instance) == {lead.email_index}
    assert show(instance, lead, ana).value == PHONE
    assert refusals(instance, lead, Channel.TEXT) == (Refusal.NO_CONSENT,)
    assert refusals(instance, lead, Channel.EMAIL) == (Refusal.NO_CONSENT, Refusal.SUPPRESSED)
    assert lift(instance, lead, ana) == 0


def test_another_number_of_the_same_person_stays_as_it_is(instance: Instance, asked_again) -> None:
    lead = asked_again(phone="+13055550188")
    assert lift(instance, lead, hire(instance)) == 1
    old = instance.keyring.blind_index("phone", PHONE)
    assert listed(instance) == {old}


@pytest.mark.parametrize("later", [0, 60])
def test_a_yes_that_is_not_newer_than_the_stop_lifts_nothing(instance: Instance, clock, later: int) -> None:
    lead = ask(instance, **ONLY_CALLS).lead
    clock.move(seconds=later)
    put_on_the_list(instance, lead, SuppressionReason.ASKED)
    with pytest.raises(Refused) as refused:
        lift(instance, lead, hire(instance))
    assert refused.value.sentence == suppression.NOT_ASKED_AGAIN
    assert listed(instance) == {lead.phone_index}
    assert acts(instance, lead) == ["lead.submitted"]


@pytest.mark.parametrize("reason", GRAVE)
def test_what_nobody_took_back_themselves_needs_a_supervisor(
    instance: Instance, clock, reason: SuppressionReason
) -> None:
    put_on_the_list(instance, ask(instance).lead, reason)
    clock.move(hours=1)
    lead = ask(instance, **ANY).lead
    with pytest.raises(NotAllowed) as refused:
        lift(instance, lead, hire(instance))
    assert refused.value.sentence == "Only a supervisor may allow contact here."
    assert refusals(instance, lead, Channel.CALL) == (Refusal.SUPPRESSED,)
    assert lift(instance, lead, hire(instance, "Sol Marin", Role.SUPERVISOR)) == 1
    assert refusals(instance, lead, Channel.CALL) == ()
    assert details_of(instance, LIFTED) == [f'{{"count":1,"reason":"{reason}"}}']


@pytest.mark.parametrize("first", [True, False])
def test_of_two_reasons_the_graver_decides(instance: Instance, clock, first: bool) -> None:
    reasons = [SuppressionReason.WRONG_NUMBER, SuppressionReason.ASKED]
    before = ask(instance).lead
    for reason in reasons if first else reversed(reasons):
        put_on_the_list(instance, before, reason)
    clock.move(hours=1)
    lead = ask(instance, **ANY).lead
    with pytest.raises(NotAllowed):
        lift(instance, lead, hire(instance))
    assert lift(instance, lead, hire(instance, "Sol Marin", Role.SUPERVISOR)) == 2
    assert details_of(instance, LIFTED) == ['{"count":2,"reason":"wrong_number"}']


def test_a_coordinator_lifts_their_part_and_leaves_the_supervisors(
    instance: Instance, asked_again, clock
) -> None:
    put_on_the_list(instance, ask(instance).lead, SuppressionReason.WRONG_NUMBER)
    lead, ana = asked_again(), hire(instance)
    assert lift(instance, lead, ana) == 1
    assert listed(instance) == {lead.phone_index}
    assert show(instance, lead, ana, Channel.EMAIL).value == EMAIL
    with pytest.raises(NotAllowed):
        lift(instance, lead, ana)


@pytest.mark.parametrize("role", [Role.PRIVACY_OFFICER, Role.ADMIN])
def test_who_may_not_reveal_may_not_confirm(instance: Instance, asked_again, role: Role) -> None:
    lead, other = asked_again(), hire(instance, "Pia Ott", role)
    with instance.database.transaction() as session, pytest.raises(NotAllowed):
        suppression.lift(StaffAct(session, instance, other), session.get_one(Lead, lead.id))
    assert listed(instance) == {lead.phone_index, lead.email_index}


def test_a_request_that_has_ended_opens_nothing(instance: Instance, asked_again) -> None:
    lead, ana = asked_again(), hire(instance)
    note(instance, lead, ana, Outcome.ASKED_TO_STOP)
    with pytest.raises(AlreadyClosed):
        lift(instance, lead, ana)
    assert listed(instance) == {lead.phone_index, lead.email_index}


def test_what_a_colleague_holds_is_theirs_to_confirm(instance: Instance, asked_again) -> None:
    lead, ben = asked_again(), hire(instance, "Ben Ochoa")
    take(instance, lead, ben)
    with pytest.raises(ClaimedByAnother):
        lift(instance, lead, hire(instance))
    assert lift(instance, lead, ben) == 2


def test_after_a_yes_they_can_ask_us_to_stop_once_more(instance: Instance, asked_again, clock) -> None:
    lead, ana = asked_again(), hire(instance)
    lift(instance, lead, ana)
    clock.move(hours=1)
    note(instance, lead, ana, Outcome.ASKED_TO_STOP)
    assert now(instance, lead).close_reason is CloseReason.STOPPED
    assert listed(instance) == {lead.phone_index, lead.email_index}
    assert len(every(instance, Suppression)) == 4


def test_a_stop_at_the_same_moment_has_the_last_word(instance: Instance, asked_again) -> None:
    lead, ana = asked_again(), hire(instance)
    start = threading.Barrier(2)

    def confirm() -> None:
        start.wait()
        try:
            lift(instance, lead, ana)
        except AlreadyClosed:
            refused.append(True)

    def stop() -> None:
        start.wait()
        with instance.database.transaction() as session:
            suppression.stop_contact(Act(session, instance, ana.actor), kind="phone", value=PHONE)

    refused: list[bool] = []
    threads = [threading.Thread(target=act) for act in (confirm, stop)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lead.phone_index in listed(instance)
    assert now(instance, lead).close_reason is CloseReason.STOPPED
    assert acts(instance, lead).count(LIFTED) == 1 - len(refused)
