"""Promise C3: every answer is proved, withdrawals take effect, inserted and removed events are detected."""

import re
import uuid

import pytest
from sqlalchemy import text

from intake.audit import Actor
from intake.consent import service as consent
from intake.consent.models import ConsentStatement, Kind, Method, State
from intake.instance import Instance
from tests.audit.test_chain import tamper
from tests.factories import ask


def verify(instance: Instance) -> list[str]:
    with instance.database.reading() as session:
        return consent.verify_proof(session, keyring=instance.keyring)


def withdraw(instance: Instance, lead_id: uuid.UUID, *kinds: Kind) -> int:
    with instance.database.transaction() as session:
        return len(
            consent.withdraw(
                session,
                lead_id=lead_id,
                kinds=kinds,
                method=Method.MANAGE_PAGE,
                actor=Actor.person(),
                at=instance.clock(),
                keyring=instance.keyring,
            )
        )


def states(instance: Instance, lead_id: uuid.UUID) -> dict[Kind, State]:
    with instance.database.reading() as session:
        return {kind: event.state for kind, event in consent.current(session, lead_id).items()}


def test_what_is_withdrawn_no_longer_holds(instance: Instance) -> None:
    lead = ask(instance).lead
    assert withdraw(instance, lead.id, Kind.CALL, Kind.TEXT) == 1
    assert states(instance, lead.id)[Kind.CALL] is State.WITHDRAWN
    assert states(instance, lead.id)[Kind.TEXT] is State.REFUSED
    assert states(instance, lead.id)[Kind.EMAIL] is State.GIVEN


def test_withdrawing_twice_writes_once(instance: Instance) -> None:
    lead = ask(instance).lead
    assert [withdraw(instance, lead.id, Kind.CALL) for _ in range(2)] == [1, 0]


def test_a_withdrawal_stands_beside_the_words_that_were_agreed_to(instance: Instance) -> None:
    lead = ask(instance).lead
    withdraw(instance, lead.id, Kind.CALL)
    with instance.database.reading() as session:
        call = [each for each in consent.answers_of(session, lead.id) if each.event.kind is Kind.CALL]
    assert [each.event.state for each in call] == [State.GIVEN, State.WITHDRAWN]
    assert len({each.event.statement for each in call}) == 1


def test_the_words_are_stored_once(instance: Instance) -> None:
    ask(instance)
    ask(instance, phone="+13055550155")
    with instance.database.reading() as session:
        assert session.query(ConsentStatement).count() == 6


def test_an_honest_table_has_no_problem(instance: Instance) -> None:
    ask(instance)
    assert verify(instance) == []


@pytest.mark.parametrize(
    "change", ["state = 'given'", "kind = 'text'", "language = 'es'", "method = 'staff'"]
)
def test_a_changed_answer_is_named(instance: Instance, change: str) -> None:
    lead = ask(instance).lead
    with instance.database.reading() as session:
        event = consent.current(session, lead.id)[Kind.TEXT if "state" in change else Kind.EMAIL]
    without_triggers(instance, f"UPDATE consent_event SET {change} WHERE id = '{event.id}'")
    assert verify(instance) == [f"consent event {event.id} was changed."]


def test_a_removed_answer_is_noticed(instance: Instance) -> None:
    ask(instance)
    without_triggers(instance, "DELETE FROM consent_event WHERE kind = 'text'")
    carried, orphan = verify(instance)
    assert re.fullmatch("1 consent events that audit event .{36} carries are missing.", carried)
    assert re.fullmatch("statement .{64} stands there without any answer to it.", orphan)


def test_an_answer_beside_the_log_is_noticed(instance: Instance) -> None:
    lead = ask(instance).lead
    withdraw(instance, lead.id, Kind.CALL)  # in a transaction that writes no audit event
    [problem] = verify(instance)
    assert re.fullmatch("consent event .{36} stands in no audit event.", problem)


def without_triggers(instance: Instance, statement: str) -> None:
    if instance.database.sqlite:
        with instance.database.engine.begin() as connection:
            for what in ("update", "delete", "replace"):
                connection.execute(text(f"DROP TRIGGER consent_event_no_{what}"))
    tamper(instance, statement)
