"""Lose all, bring it back: the erased is gone, the stopped is stopped, the rest is there."""

import sys
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import MetaData, select

from intake import audit, backup
from intake.accounts import sessions
from intake.accounts.models import StaffSession
from intake.act import Act
from intake.audit import Action, Actor
from intake.backup import archive
from intake.conf.clinic import Channel
from intake.conf.secrets import new_secret, parse_key
from intake.consent import service as consent
from intake.core.errors import Refused
from intake.db.migrate import MigrationState, downgrade, migration_state, upgrade
from intake.instance import Instance
from intake.leads import reveal, suppression
from intake.leads.models import CloseReason, Erasure, ErasureReason, Lead, Suppression
from intake.outbox import MessageState, OutboxMessage
from intake.privacy import erasure_ledger, retention, self_service
from intake.security.crypto import encrypt_stream
from tests.backup.conftest import BACKUP_KEY, Machines, backups, empty_url, machines
from tests.factories import ask, every, hire

__all__ = ["backups", "empty_url", "machines"]
PERSON = Actor.person()


def lead_of(instance: Instance, wanted: Lead) -> Lead | None:
    with instance.database.reading() as session:
        return session.get(Lead, wanted.id)


def stop(instance: Instance, lead: Lead) -> None:
    with instance.database.transaction() as session:
        there = session.get_one(Lead, lead.id)
        suppression.stop(Act(session, instance, PERSON), there, method=consent.Method.MANAGE_PAGE)


def erase(instance: Instance, lead: Lead, reason: ErasureReason = ErasureReason.ASKED) -> None:
    with instance.database.transaction() as session:
        there = session.get_one(Lead, lead.id)
        retention.erase(Act(session, instance, PERSON), there, reason=reason)


def number(last: int) -> dict[str, str]:
    return {"phone": f"+130555501{last:02}", "email": f"person{last}@example.org"}


@pytest.fixture
def old(machines: Machines, backups: Path) -> Instance:
    """The machine that will be lost."""
    instance = machines.new("old", backup_dir=str(backups))
    upgrade(instance.database)
    return instance


def test_what_was_wished_after_the_backup_holds_again(old: Instance, machines: Machines, clock) -> None:
    kept, stopped, gone, due = (ask(old, **number(last)).lead for last in (1, 2, 3, 4))
    dropped = ask(old, **number(5))
    path = backup.take(old).path
    clock.move(hours=1)
    stop(old, stopped)
    erase(old, gone)
    erase(old, due, ErasureReason.DUE)
    with old.database.transaction() as session:
        self_service.withdraw_channel(Act(session, old), code=dropped.code, channel=Channel.CALL)
    after = ask(old, **number(6)).lead
    erase(old, after)
    erasure_ledger.mirror(old)
    list_before = {(each.id, each.contact_index) for each in every(old, Suppression)}

    clock.move(hours=1)
    new = machines.new("new")
    restored = backup.restore(new, path, newer=[path.parent / erasure_ledger.FILE])

    assert (restored.leads, restored.replayed.erased) == (3, 2)
    assert lead_of(new, gone) is lead_of(new, due) is None
    assert lead_of(new, stopped).close_reason is CloseReason.STOPPED
    assert lead_of(new, dropped.lead).phone is None
    assert lead_of(new, dropped.lead).email is not None
    assert lead_of(new, kept) is not None
    assert {each.lead_id for each in every(new, Erasure)} == {gone.id, due.id, after.id}
    assert {(each.id, each.contact_index) for each in every(new, Suppression)} == list_before
    with new.database.reading() as session:
        assert reveal.mask_lead(Act(session, new), session.get_one(Lead, kept.id)).phone
        assert audit.verify(session, keyring=new.keyring).intact
        assert consent.verify_proof(session, keyring=new.keyring) == []
    assert {line.about for line in erasure_ledger.read(erasure_ledger.path_of(new)) if line.erased} == {
        gone.id,
        due.id,
        after.id,
    }


def test_whoever_asked_to_be_left_alone_is_left_alone_when_they_ask_nothing(old, machines, clock) -> None:
    """A stop by number, of somebody whose request came before the backup, reaches the restored request."""
    lead = ask(old, **number(7)).lead
    path = backup.take(old).path
    clock.move(hours=1)
    with old.database.transaction() as session:
        suppression.stop_contact(Act(session, old, PERSON), kind="phone", value=number(7)["phone"])
    erasure_ledger.mirror(old)
    new = machines.new("new")
    assert backup.restore(new, path, newer=[erasure_ledger.path_of(old)]).replayed.stopped == 1
    assert lead_of(new, lead).close_reason is CloseReason.STOPPED


def test_what_was_lifted_is_not_listed_again(old: Instance, machines: Machines, clock) -> None:
    lead = ask(old, **number(8)).lead
    path = backup.take(old).path
    clock.move(hours=1)
    stop(old, lead)
    with old.database.transaction() as session:
        for entry in session.scalars(select(Suppression)):
            entry.lifted_at = clock.move(hours=1)
    erasure_ledger.mirror(old)
    new = machines.new("new")
    backup.restore(new, path, newer=[erasure_ledger.path_of(old)])
    assert all(each.lifted_at for each in every(new, Suppression))
    assert lead_of(new, lead).close_reason is CloseReason.STOPPED  # that request was stopped for good


def test_mails_that_may_have_left_do_not_leave_again(old: Instance, machines: Machines) -> None:
    ask(old)
    path = backup.take(old).path
    waiting = {each.id for each in every(old, OutboxMessage)}
    new = machines.new("new")
    restored = backup.restore(new, path)
    states = {each.id: each.state for each in every(new, OutboxMessage)}
    assert restored.replayed.unsent == len(waiting)
    assert {states[each] for each in waiting} == {MessageState.DEAD}
    fresh = [each for each in every(new, OutboxMessage) if each.id not in waiting]
    assert len(fresh) == len(new.clinic.notices.recipients)  # one notice for everybody who waits
    assert {each.state for each in fresh} == {MessageState.WAITING}


def test_everybody_signs_in_anew_and_the_log_knows(old: Instance, machines: Machines) -> None:
    member = hire(old)
    with old.database.transaction() as session:
        sessions.begin(Act(session, old), staff_id=member.id)
    new = machines.new("new")
    backup.restore(new, backup.take(old).path)
    assert every(new, StaffSession) == []
    with new.database.reading() as session:
        assert audit.newest_events(session, limit=1)[0].action == Action.BACKUP_RESTORED
        assert backup.last_result(session, backup.BackupAct.TAKEN).succeeded_at == old.clock()


def test_it_never_writes_over_anything(old: Instance) -> None:
    ask(old)
    path = backup.take(old).path
    with pytest.raises(Refused, match="not empty"):
        backup.restore(old, path)
    assert len(every(old, Lead)) == 1


def test_a_restore_that_died_is_started_anew(old: Instance, machines: Machines, monkeypatch) -> None:
    """All rows are written in one transaction: after whatever kills it, there is none."""
    ask(old)
    path = backup.take(old).path
    new = machines.new("new")

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt):
        dying.setattr(sys.modules[backup.restore.__module__], "write_result", killed)
        backup.restore(new, path)
    assert migration_state(new.database) is MigrationState.CURRENT
    assert every(new, Lead) == []
    assert backup.restore(new, path).leads == 1


WRONG: dict[str, tuple[Callable[[str], dict[str, str]], str]] = {
    "backup": (lambda fresh: {"backup_key": fresh}, "another key than INTAKE_BACKUP_KEY"),
    "sealing": (lambda fresh: {"sealing_keys": f"k1:{fresh}"}, "INTAKE_SEALING_KEYS"),
    "other id": (lambda fresh: {"sealing_keys": f"k9:{fresh}"}, "INTAKE_SEALING_KEYS.*k1"),
    "index": (lambda fresh: {"index_key": fresh}, "INTAKE_INDEX_KEY"),
    "chain": (lambda fresh: {"chain_key": fresh}, "INTAKE_CHAIN_KEY"),
}


@pytest.mark.parametrize("which", WRONG)
def test_wrong_keys_are_refused_before_anything_is_written(which, old, machines, backups) -> None:
    ask(old)
    path = backup.take(old).path
    changes, message = WRONG[which]
    new = machines.new("new", **changes(new_secret("index_key")))
    with pytest.raises(Refused, match=message):
        backup.restore(new, path)
    assert migration_state(new.database) is MigrationState.BEHIND  # not even a table


def test_a_missing_copy_of_the_ledger_is_not_taken_for_an_empty_one(old, machines, tmp_path) -> None:
    path = backup.take(old).path
    with pytest.raises(Refused, match="no copy of the ledger"):
        backup.restore(machines.new("new"), path, newer=[tmp_path / "nowhere.log"])


def test_what_was_tampered_with_before_is_reported_and_can_be_restored_all_the_same(old, machines) -> None:
    ask(old)
    with old.database.transaction() as session:
        event = session.scalars(select(audit.AuditEvent)).first()
        forged = audit.AuditEvent(
            id=uuid.uuid4(),
            at=event.at,
            actor_kind=event.actor_kind,
            action=event.action,
            details="{}",
            mac=event.mac,
        )
        session.add(forged)
    path = backup.take(old).path
    new = machines.new("new")
    with pytest.raises(Refused, match="--despite-faults"):
        backup.restore(new, path)
    assert backup.restore(new, path, despite_faults=True).faults


@pytest.mark.parametrize("there", ["sqlite", "postgres"])
def test_a_backup_moves_between_the_databases(there, old, make_instance, tmp_path, request) -> None:
    lead = ask(old).lead
    path = backup.take(old).path
    database = tmp_path / "moved.sqlite3"
    if there == "sqlite":
        new = make_instance(f"sqlite:///{database}", backup_key=BACKUP_KEY, data_dir=tmp_path)
        backup.restore(new, path)
    else:
        server, name = request.getfixturevalue("postgres"), f"moved_{request.getfixturevalue('worker_id')}"
        server.create(name)
        new = make_instance(server.url_for(name), backup_key=BACKUP_KEY, data_dir=tmp_path)
        backup.restore(new, path)
    again, before = lead_of(new, lead), lead_of(old, lead)
    for column in Lead.__table__.columns:
        one, other = getattr(again, column.name), getattr(before, column.name)
        assert getattr(one, "box", one) == getattr(other, "box", other), column.name
    new.database.close()
    if there == "postgres":
        server.drop(name)


def test_an_older_backup_is_brought_to_this_version(old: Instance, machines: Machines, monkeypatch) -> None:
    """Taken before the last migration, restored after it."""
    ask(old)
    with old.database.reading() as session:  # what the head of the chain was does not change by the downgrade
        described = archive.manifest(Act(session, old))
    downgrade(old.database, to="0002")
    path, then = old.settings.data_dir / "older.backup", MetaData()
    with old.database.reading() as session:
        then.reflect(session.connection())
        left_out = {*archive.EXCLUDED_TABLES, "alembic_version"}
        there = [table for table in then.sorted_tables if table.name not in left_out]
        monkeypatch.setattr(archive, "tables", lambda: there)
        counted = replace(described, revision="0002", counts=archive.counts(session))
        monkeypatch.setattr(archive, "manifest", lambda _: counted)
        path.write_bytes(b"".join(encrypt_stream(parse_key(BACKUP_KEY), archive.dump(Act(session, old)))))
    monkeypatch.undo()
    new = machines.new("new")
    assert backup.restore(new, path).leads == 1
    assert migration_state(new.database) is MigrationState.CURRENT


def test_the_trial_says_the_same_and_writes_nothing(old: Instance, clock) -> None:
    lead = ask(old).lead
    path = backup.take(old).path
    clock.move(hours=1)
    erase(old, lead)
    erasure_ledger.mirror(old)
    tried = backup.rehearse(old, path, newer=[erasure_ledger.path_of(old)])
    assert (tried.leads, tried.replayed.erased) == (0, 1)
    assert every(old, Lead) == []
    with old.database.reading() as session:
        assert backup.last_result(session, backup.BackupAct.TESTED).succeeded_at == clock()
    assert clock() - tried.taken_at == timedelta(hours=1)


def test_a_trial_that_fails_is_written_down(old: Instance) -> None:
    path = backup.take(old).path
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Refused, match="not a whole backup"):
        backup.rehearse(old, path)
    with old.database.reading() as session:
        assert backup.last_result(session, backup.BackupAct.TESTED).last_error == "Refused"


def test_asking_again_after_a_restore_works(old: Instance, machines: Machines) -> None:
    ask(old, **number(1))
    new = machines.new("new")
    backup.restore(new, backup.take(old).path)
    assert ask(new, **number(2)).lead
    with new.database.transaction() as session:
        audit.link(session, keyring=new.keyring, at=new.clock())
        assert audit.verify(session, keyring=new.keyring).intact
