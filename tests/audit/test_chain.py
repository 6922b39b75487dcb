"""Promises W1 and C3: every change of the log is reported; the log names no person."""

import uuid
from datetime import timedelta

import pytest
from sqlalchemy import text

from intake import audit
from intake.audit import Action, Actor, AuditEvent
from intake.audit.models import ChainLink
from intake.instance import Instance


def record_some(instance: Instance, count: int) -> list[uuid.UUID]:
    ids = []
    with instance.database.transaction() as session:
        for number in range(count):
            event = audit.record(
                session,
                Action.LEADS_LISTED,
                keyring=instance.keyring,
                at=instance.clock() + timedelta(seconds=number),
                actor=Actor.staff(uuid.uuid4()),
                details={"count": number},
            )
            ids.append(event.id)
    return ids


def link(instance: Instance, limit: int = 1000) -> int:
    with instance.database.transaction() as session:
        return audit.link(session, keyring=instance.keyring, at=instance.clock(), limit=limit)


def verify(instance: Instance) -> audit.Verification:
    with instance.database.reading() as session:
        return audit.verify(session, keyring=instance.keyring)


def tamper(instance: Instance, statement: str, **values: object) -> None:
    """Change the tables as an attacker with the database password could: without triggers."""
    with instance.database.engine.connect() as connection:
        if instance.database.sqlite:
            connection.rollback()  # the pragma does nothing inside a transaction
            connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")
            for table in ("audit_event", "chain_link"):
                for what in ("update", "delete", "replace"):
                    connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {table}_no_{what}")
        else:
            connection.exec_driver_sql("SET session_replication_role = replica")
        connection.execute(text(statement), values)
        connection.commit()
        connection.invalidate()


def test_an_honest_log_is_intact(instance: Instance) -> None:
    record_some(instance, 5)
    assert link(instance, limit=3) == 3
    found = verify(instance)
    assert (found.intact, found.events, found.linked, found.unlinked) == (True, 5, 3, 2)
    assert link(instance) == 2
    assert link(instance) == 0
    assert verify(instance).unlinked == 0


def test_an_empty_log_is_intact(instance: Instance) -> None:
    assert verify(instance) == audit.Verification()


@pytest.mark.parametrize("days", [0.2, 3, 400])
def test_an_event_from_before_the_newest_is_still_linked(instance: Instance, days: float) -> None:
    """Committed late, or after the clock had run ahead and was put right."""
    record_some(instance, 2)
    link(instance)
    instance.clock.move(days=-days)
    record_some(instance, 1)
    assert link(instance) == 1
    assert verify(instance).intact


@pytest.mark.parametrize("linked", [True, False], ids=["linked", "unlinked"])
@pytest.mark.parametrize(
    "change",
    [
        "details = '{}'",
        "action = 'lead.revealed'",
        "actor_kind = 'system', actor_id = NULL",
        "about = :other",
    ],
)
def test_a_changed_event_is_named(instance: Instance, change: str, linked: bool) -> None:
    ids = record_some(instance, 3)
    if linked:
        link(instance)
    other = {"other": str(uuid.uuid4())} if ":other" in change else {}
    change = change.replace(":other", "CAST(:other AS uuid)") if not instance.database.sqlite else change
    tamper(instance, f"UPDATE audit_event SET {change} WHERE id = '{ids[1]}'", **other)
    found = verify(instance)
    assert len(found.problems) == 1
    assert str(ids[1]) in found.problems[0]


@pytest.mark.parametrize("linked", [True, False], ids=["linked", "unlinked"])
@pytest.mark.parametrize("change", ["at = 'yesterday'", "about = 'nobody'", "actor_id = 'x'"])
def test_an_event_changed_into_something_unreadable_is_noticed(
    make_instance, sqlite_url: str, change: str, linked: bool
) -> None:
    """SQLite keeps moments and ids as text, so they can be made into anything."""
    instance = make_instance(sqlite_url)
    ids = record_some(instance, 3)
    if linked:
        link(instance)
    tamper(instance, f"UPDATE audit_event SET {change} WHERE id = '{ids[1]}'")
    assert len(verify(instance).problems) == 1


def test_a_removed_event_is_named(instance: Instance) -> None:
    ids = record_some(instance, 3)
    link(instance)
    tamper(instance, f"DELETE FROM audit_event WHERE id = '{ids[1]}'")
    assert verify(instance).problems == ("link 2: its event is missing.",)


def test_a_removed_link_is_named(instance: Instance) -> None:
    record_some(instance, 4)
    link(instance)
    tamper(instance, "DELETE FROM chain_link WHERE seq = 2")
    assert "links 2 to 2 are missing." in verify(instance).problems


def test_swapped_links_are_named(instance: Instance) -> None:
    record_some(instance, 4)
    link(instance)
    for before, after in ((2, 20), (3, 2), (20, 3)):
        tamper(instance, f"UPDATE chain_link SET seq = {after} WHERE seq = {before}")
    problems = verify(instance).problems
    assert any("link 2" in problem for problem in problems)


def test_a_forged_event_without_the_key_is_named(instance: Instance) -> None:
    record_some(instance, 1)
    tamper(
        instance,
        "INSERT INTO audit_event (id, at, actor_kind, action, details, mac) "
        "SELECT :id, at, 'system', 'leads.listed', '{}', mac FROM audit_event".replace(
            ":id", ":id" if instance.database.sqlite else "CAST(:id AS uuid)"
        ),
        id=str(uuid.uuid4()),
    )
    assert len(verify(instance).problems) == 1


def test_a_detail_that_is_not_on_the_list_is_refused(instance: Instance) -> None:
    with pytest.raises(ValueError, match="name"), instance.database.transaction() as session:
        audit.record(
            session,
            Action.LEADS_LISTED,
            keyring=instance.keyring,
            at=instance.clock(),
            actor=Actor.person(),
            details={"name": "Sam"},
        )


def test_two_linkers_cannot_fork_the_chain(instance: Instance) -> None:
    """The second one's link meets the primary key."""
    ids = record_some(instance, 2)
    link(instance, limit=1)
    with instance.database.reading() as session:
        assert session.get(ChainLink, 1).event_id == ids[0]
        session.add(ChainLink(seq=1, event_id=ids[1], digest=b"x", linked_at=instance.clock()))
        with pytest.raises(Exception, match=r"(?i)unique|duplicate|append-only"):
            session.flush()


def test_what_the_log_holds_is_what_happened(instance: Instance) -> None:
    record_some(instance, 1)
    with instance.database.reading() as session:
        event = session.query(AuditEvent).one()
        assert (event.action, event.details) == (Action.LEADS_LISTED, '{"count":0}')
