"""Sealed values open only with permission, claim and open gate, and never unrecorded (G1, G2, K1, W1)."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import delete

from intake.accounts.models import Role
from intake.accounts.permissions import Member, StaffAct
from intake.act import Act
from intake.audit import service
from intake.calling.gate import Refusal
from intake.conf.clinic import Channel
from intake.consent import service as consent
from intake.consent.models import Kind, Method
from intake.core.errors import NotAllowed
from intake.instance import Instance
from intake.leads import claims, eligibility, suppression
from intake.leads import reveal as leads_reveal
from intake.leads.claims import AlreadyClosed, ClaimedByAnother
from intake.leads.models import AskingFor, Lead, LeadKey, Outcome
from intake.leads.reveal import ContactUnreadable, GateShut
from tests.factories import EMAIL, NAME, PHONE, acting, acts, ask, details_of, hire, note, now, show, take

SUNDAY_NOON = datetime(2026, 11, 22, 17, 0, tzinfo=UTC)


def shown_again(instance: Instance, lead: Lead, member: Member) -> list[leads_reveal.RevealedContact]:
    with instance.database.transaction() as session:
        found = session.get_one(Lead, lead.id)
        events = service.events_about(session, lead.id)
        return leads_reveal.record_reveal(
            StaffAct(session, instance, member), found, eligibility.contact_status(session, found), events
        )


def test_it_masks_without_an_event_of_its_own(instance: Instance) -> None:
    lead = ask(instance).lead
    with instance.database.reading() as session:
        masked = leads_reveal.mask_lead(Act(session, instance), lead)
    assert (masked.initial, masked.name) == ("Z", "Z•••••")
    assert (masked.phone, masked.email) == ("(•••) •••-••23", "z•••••@•••••.org")
    assert acts(instance, lead) == ["lead.submitted"]


def test_it_masks_many_with_one_statement_for_their_keys(instance: Instance, statements) -> None:
    leads = [ask(instance).lead for _ in range(5)]
    with instance.database.reading() as session, statements(instance) as counted:
        masked = leads_reveal.mask_leads(Act(session, instance), leads)
    assert len(masked) == 5
    assert len(counted) == 1


def test_a_lead_without_a_key_shows_only_dots(instance: Instance) -> None:
    lead = ask(instance).lead
    with instance.database.transaction() as session:
        session.execute(delete(LeadKey))
    with instance.database.reading() as session:
        masked = leads_reveal.mask_lead(Act(session, instance), lead)
    assert (masked.name, masked.phone, masked.email) == ("•••••", None, None)
    with pytest.raises(ContactUnreadable):
        show(instance, lead, hire(instance))


def test_a_reveal_shows_the_value_takes_the_hold_and_is_recorded_once(instance: Instance) -> None:
    lead, ana = ask(instance, tell_article=True).lead, hire(instance)
    revealed = show(instance, lead, ana)
    assert (revealed.name, revealed.value) == (NAME, PHONE)
    assert revealed.asking_for is AskingFor.SELF
    assert revealed.article == "one of the two"
    held = now(instance, lead)
    assert held.claimed_by == ana.id
    assert held.claimed_until == revealed.until == instance.clock() + claims.CLAIM_DURATION
    assert held.opened_at == instance.clock()
    assert acts(instance, lead) == ["lead.revealed", "lead.submitted"]
    assert details_of(instance, "lead.revealed") == ['{"channel":"call"}']


def test_each_channel_is_revealed_apart(instance: Instance) -> None:
    lead, ana = ask(instance).lead, hire(instance)
    assert show(instance, lead, ana, Channel.EMAIL).value == EMAIL
    assert details_of(instance, "lead.revealed") == ['{"channel":"email"}']


def nothing_opened(instance: Instance, lead: Lead, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Fail the test if a sealed value is opened; returns the check for afterwards."""

    def never(*args: object, **kwargs: object) -> str:
        raise AssertionError("a sealed value was opened")

    before = now(instance, lead)
    monkeypatch.setattr("intake.security.crypto.unseal", never)

    def check() -> None:
        assert "lead.revealed" not in acts(instance, lead)
        after = now(instance, lead)
        assert (after.claimed_by, after.opened_at) == (before.claimed_by, before.opened_at)

    return check


def test_it_refuses_a_channel_without_consent(instance: Instance, monkeypatch) -> None:
    lead, ana = ask(instance).lead, hire(instance)
    check = nothing_opened(instance, lead, monkeypatch)
    with pytest.raises(GateShut) as refused:
        show(instance, lead, ana, Channel.TEXT)
    assert refused.value.sentence == Refusal.NO_CONSENT.sentence
    check()


def test_it_refuses_while_the_gate_is_shut_and_says_why(instance: Instance, clock, monkeypatch) -> None:
    lead, ana = ask(instance).lead, hire(instance)
    clock.set(SUNDAY_NOON)
    check = nothing_opened(instance, lead, monkeypatch)
    with pytest.raises(GateShut) as refused:
        show(instance, lead, ana)
    assert Refusal.WINDOWS in refused.value.verdict.refusals
    assert refused.value.verdict.opens_at == datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
    check()


def test_it_refuses_while_a_colleague_holds_the_lead_and_says_who(instance: Instance, monkeypatch) -> None:
    lead, ana, ben = ask(instance).lead, hire(instance), hire(instance, "Ben Ochoa")
    take(instance, lead, ben)
    check = nothing_opened(instance, lead, monkeypatch)
    with pytest.raises(ClaimedByAnother) as refused:
        show(instance, lead, ana)
    assert refused.value.by == "Ben Ochoa"
    assert refused.value.until == instance.clock() + claims.CLAIM_DURATION
    check()


def test_it_refuses_who_may_not_reveal(instance: Instance, monkeypatch) -> None:
    lead, officer = ask(instance).lead, hire(instance, "Pia Ott", Role.PRIVACY_OFFICER)
    check = nothing_opened(instance, lead, monkeypatch)
    with pytest.raises(NotAllowed):
        show(instance, lead, officer)
    check()


def test_it_refuses_a_closed_lead(instance: Instance) -> None:
    lead, ana = ask(instance).lead, hire(instance)
    note(instance, lead, ana, Outcome.ASKED_TO_STOP)
    with pytest.raises(AlreadyClosed):
        show(instance, lead, ana)


def test_a_hold_that_has_run_out_is_free_for_a_colleague(instance: Instance, clock) -> None:
    lead, ana, ben = ask(instance).lead, hire(instance), hire(instance, "Ben Ochoa")
    take(instance, lead, ben)
    clock.move(minutes=20)
    assert show(instance, lead, ana).value == PHONE


def test_of_two_reveals_at_once_one_wins(instance: Instance) -> None:
    lead, both = ask(instance).lead, (hire(instance), hire(instance, "Ben Ochoa"))
    answers: list[str] = []
    start = threading.Barrier(2)

    def reveal(member: Member) -> None:
        start.wait()
        try:
            answers.append(show(instance, lead, member).value)
        except ClaimedByAnother as refused:
            answers.append(f"held by {refused.by}")

    threads = [threading.Thread(target=reveal, args=(member,)) for member in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) in ([PHONE, "held by Ana Ruiz"], [PHONE, "held by Ben Ochoa"])
    assert acts(instance, lead).count("lead.revealed") == 1


def test_what_we_revealed_shows_again_while_we_hold_it_and_each_time_is_recorded(
    instance: Instance, clock
) -> None:
    lead, ana, ben = ask(instance).lead, hire(instance), hire(instance, "Ben Ochoa")
    show(instance, lead, ana)
    clock.move(minutes=5)
    assert [each.value for each in shown_again(instance, lead, ana)] == [PHONE]
    assert shown_again(instance, lead, ben) == []
    assert details_of(instance, "lead.revealed").count('{"channel":"call","kind":"again"}') == 1
    clock.move(minutes=15)
    assert shown_again(instance, lead, ana) == []


def test_a_second_reveal_makes_the_hold_longer_and_both_show(instance: Instance, clock) -> None:
    lead, ana = ask(instance).lead, hire(instance)
    show(instance, lead, ana)
    clock.move(minutes=15)
    show(instance, lead, ana, Channel.EMAIL)
    clock.move(minutes=10)
    assert [each.channel for each in shown_again(instance, lead, ana)] == [Channel.CALL, Channel.EMAIL]


def test_a_new_hold_shows_nothing_that_an_old_one_revealed(instance: Instance, clock) -> None:
    lead, ana = ask(instance).lead, hire(instance)
    show(instance, lead, ana)
    clock.move(minutes=21)
    take(instance, lead, ana)
    assert shown_again(instance, lead, ana) == []


def test_a_hold_without_a_reveal_shows_nothing(instance: Instance) -> None:
    lead, ana = ask(instance).lead, hire(instance)
    take(instance, lead, ana)
    assert shown_again(instance, lead, ana) == []


def test_nothing_shows_again_after_giving_back(instance: Instance, clock) -> None:
    lead, ana = ask(instance).lead, hire(instance)
    show(instance, lead, ana)
    clock.move(minutes=1)
    acting(instance, lead, ana, claims.release)
    clock.move(minutes=1)
    take(instance, lead, ana)
    assert shown_again(instance, lead, ana) == []


def test_what_they_took_back_meanwhile_shows_no_more(instance: Instance, clock) -> None:
    lead, ana = ask(instance).lead, hire(instance)
    show(instance, lead, ana)
    clock.move(minutes=1)
    with instance.database.transaction() as session:
        consent.withdraw(
            session,
            lead_id=lead.id,
            kinds=[Kind.CALL],
            method=Method.STAFF,
            actor=ana.actor,
            at=clock(),
            keyring=instance.keyring,
        )
    assert shown_again(instance, lead, ana) == []


def test_only_our_own_hold_is_given_back(instance: Instance) -> None:
    lead, ana, ben = ask(instance).lead, hire(instance), hire(instance, "Ben Ochoa")
    take(instance, lead, ana)
    acting(instance, lead, ben, claims.release)
    assert now(instance, lead).claimed_by == ana.id
    acting(instance, lead, ana, claims.release)
    acting(instance, lead, ana, claims.release)
    assert now(instance, lead).claimed_by is None
    assert acts(instance, lead) == ["claim.given_back", "claim.taken", "lead.submitted"]


def test_the_gate_learns_what_holds_for_a_lead(instance: Instance) -> None:
    lead, ana = ask(instance).lead, hire(instance)
    take(instance, lead, ana)
    note(instance, lead, ana, Outcome.NO_ANSWER)
    note(instance, lead, ana, Outcome.THEY_CALLED_US)
    with instance.database.transaction() as session:
        found = eligibility.contact_status(session, now(instance, lead)).facts
    assert found.consents == {Channel.CALL: "given", Channel.TEXT: "refused", Channel.EMAIL: "given"}
    assert found.attempts == ((Channel.CALL, instance.clock()),)
    assert not any((found.closed, found.stopped, found.suppressed, found.voicemail))


def test_a_suppressed_number_leaves_the_address_open(instance: Instance) -> None:
    lead, ana = ask(instance).lead, hire(instance)
    with instance.database.transaction() as session:
        suppression.suppress(
            Act(session, instance, ana.actor),
            [lead.phone_index],
            reason=suppression.SuppressionReason.WRONG_NUMBER,
        )
    with pytest.raises(GateShut) as refused:
        show(instance, lead, ana)
    assert refused.value.sentence == Refusal.SUPPRESSED.sentence
    assert show(instance, lead, ana, Channel.EMAIL).value == EMAIL
