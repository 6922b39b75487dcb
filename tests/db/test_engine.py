"""Readers, writers and append-only tables, on both databases."""

import threading
import uuid
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from intake import audit
from intake.audit import Action, Actor, AuditEvent
from intake.consent import service as consent
from intake.consent.models import Kind, Method, State
from intake.core.errors import Unavailable
from intake.db.engine import SQLITE_PRAGMAS, Database
from intake.instance import Instance
from intake.leads.models import Erasure, ErasureReason
from tests.conftest import WEDNESDAY_TEN

APPEND_ONLY = {
    "audit_event": "id",
    "chain_link": "seq",
    "consent_event": "id",
    "consent_statement": "digest",
    "erasure": "lead_id",
}


def add_event(instance: Instance) -> uuid.UUID:
    with instance.database.transaction() as session:
        return audit.record(
            session,
            Action.LEADS_LISTED,
            keyring=instance.keyring,
            at=instance.clock(),
            actor=Actor.system(),
            details={"count": 1},
        ).id


def test_a_transaction_is_kept_whole_or_not_at_all(instance: Instance) -> None:
    with pytest.raises(ZeroDivisionError), instance.database.transaction() as session:
        audit.record(
            session,
            Action.LEADS_LISTED,
            keyring=instance.keyring,
            at=WEDNESDAY_TEN,
            actor=Actor.system(),
        )
        session.flush()
        raise ZeroDivisionError
    with instance.database.reading() as session:
        assert session.query(AuditEvent).count() == 0


def test_reading_keeps_nothing(instance: Instance) -> None:
    with instance.database.reading() as session:
        consent.publish(session, instance.statements.in_force("en").values(), at=WEDNESDAY_TEN)
    with instance.database.reading() as session:
        assert session.execute(text("SELECT count(*) FROM consent_statement")).scalar() == 0


def test_a_moment_comes_back_in_utc_and_sorts(instance: Instance) -> None:
    add_event(instance)
    with instance.database.reading() as session:
        assert session.query(AuditEvent).one().at == datetime(2026, 11, 18, 15, 0, tzinfo=UTC)


def test_writers_lose_no_update(instance: Instance) -> None:
    """The transactions of Python's sqlite3 would lose updates without an error (ADR 0002)."""

    def write() -> None:
        for _ in range(10):
            with instance.database.transaction() as session:
                seq = session.execute(text("SELECT coalesce(max(seq), 0) FROM counter")).scalar_one()
                session.execute(text("INSERT INTO counter VALUES (:seq)"), {"seq": seq + 1})

    with instance.database.transaction() as session:
        session.execute(text("CREATE TABLE counter (seq INTEGER PRIMARY KEY)"))
    if not instance.database.sqlite:  # PostgreSQL leaves this race to the unique key
        return write()
    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with instance.database.reading() as session:
        assert session.execute(text("SELECT count(*) FROM counter")).scalar() == 40
    return None


def test_every_sqlite_connection_has_the_safe_modes(sqlite_instance: Instance) -> None:
    connections = [sqlite_instance.database.engine.connect() for _ in range(5)]
    for connection in connections:
        there = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in SQLITE_PRAGMAS}
        assert there == SQLITE_PRAGMAS
        assert (there["journal_mode"], there["synchronous"], there["secure_delete"]) == ("truncate", 2, 1)
        connection.close()


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("change", ["UPDATE {t} SET {k} = {k}", "DELETE FROM {t}"])
def test_proof_cannot_be_changed_or_deleted(instance: Instance, table: str, change: str) -> None:
    fill(instance)
    with pytest.raises(DBAPIError, match="append-only"), instance.database.transaction() as session:
        session.execute(text(change.format(t=table, k=APPEND_ONLY[table])))


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_proof_cannot_be_replaced_or_truncated(instance: Instance, table: str) -> None:
    fill(instance)
    hole = (
        f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}"
        if instance.database.sqlite
        else f"TRUNCATE {table} CASCADE"
    )
    with pytest.raises(DBAPIError, match="append-only"), instance.database.transaction() as session:
        session.execute(text(hole))


def fill(instance: Instance) -> None:
    """A row in each append-only table."""
    add_event(instance)
    with instance.database.transaction() as session:
        consent.record(
            session,
            lead_id=uuid.uuid4(),
            answers={Kind.USE: State.GIVEN},
            language="en",
            method=Method.WEB_FORM,
            actor=Actor.person(),
            at=WEDNESDAY_TEN,
            keyring=instance.keyring,
            statements=instance.statements,
            contact_indexes={},
        )
        audit.link(session, keyring=instance.keyring, at=WEDNESDAY_TEN)
        session.add(Erasure(lead_id=uuid.uuid4(), erased_at=WEDNESDAY_TEN, reason=ErasureReason.DUE))


@pytest.mark.parametrize(
    "url", ["sqlite:////nowhere/at/all.sqlite3", "postgresql+psycopg://127.0.0.1:1/nothing"]
)
def test_a_database_that_is_away_is_an_expected_failure(url: str, tmp_path) -> None:
    database = Database(url, lock=tmp_path / "lock")
    with pytest.raises(Unavailable), database.reading() as session:
        session.execute(text("SELECT 1"))
    with pytest.raises(Unavailable), database.transaction() as session:
        session.execute(text("SELECT 1"))
