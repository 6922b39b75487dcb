"""Leads with the same number or address are one person: one claim, one count of attempts (G1, G2)."""

import uuid

import pytest

from intake.accounts.permissions import StaffAct
from intake.act import Act
from intake.calling.gate import Refusal
from intake.casework import outcomes
from intake.conf.clinic import Channel
from intake.instance import Instance
from intake.leads import claims, eligibility, reveal
from intake.leads.claims import ClaimedByAnother
from intake.leads.models import Lead, Outcome
from tests.factories import ANY, ask, hire


def test_a_colleague_who_holds_the_other_request_holds_this_one_too(instance: Instance) -> None:
    one, two = ask(instance, **ANY).lead, ask(instance, **ANY).lead
    ana, ben = hire(instance), hire(instance, "Ben Ochoa")
    with instance.database.transaction() as session:
        claims.claim(StaffAct(session, instance, ana), session.get_one(Lead, one.id))
    with pytest.raises(ClaimedByAnother) as refused, instance.database.transaction() as session:
        two_ = session.get_one(Lead, two.id)
        reveal.reveal(StaffAct(session, instance, ben), two_, channel=Channel.CALL)
    assert refused.value.by == ana.name
    with instance.database.transaction() as session:
        claims.claim(StaffAct(session, instance, ana), session.get_one(Lead, two.id))


def test_a_call_on_one_request_counts_on_the_other(instance: Instance) -> None:
    one, two = ask(instance, **ANY).lead, ask(instance, **ANY).lead
    other = ask(instance, phone="+13055550188", email="somebody.else@example.org", **ANY).lead
    no_answer(instance, one)
    assert verdict(instance, two).refusals == (Refusal.CALLED_TODAY,)
    assert verdict(instance, other).allowed


def test_a_new_yes_outweighs_what_was_tried_before(instance: Instance) -> None:
    no_answer(instance, ask(instance, **ANY).lead)
    instance.clock.move(days=2)
    again = ask(instance, **ANY).lead
    with instance.database.reading() as session:
        assert eligibility.contact_status(session, session.get_one(Lead, again.id)).tries == ()


def no_answer(instance: Instance, lead: Lead) -> None:
    ana = hire(instance)
    with instance.database.transaction() as session:
        held = session.get_one(Lead, lead.id)
        claims.claim(StaffAct(session, instance, ana), held)
        outcomes.log(
            StaffAct(session, instance, ana),
            held,
            attempt_id=uuid.uuid4(),
            outcome=Outcome.NO_ANSWER,
            channel=Channel.CALL,
            version=held.version,
        )


def verdict(instance: Instance, lead: Lead):
    with instance.database.reading() as session:
        return eligibility.verdict(
            Act(session, instance), session.get_one(Lead, lead.id), channel=Channel.CALL
        )
