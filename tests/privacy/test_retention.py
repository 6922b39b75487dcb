"""Erasure deletes the key, the row and the bytes; the retention job erases what is due (K2)."""

import os
import threading
import time
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select, text, update

from intake import audit
from intake.act import Act
from intake.audit import Actor
from intake.conf.clinic import Channel
from intake.consent import service as consent
from intake.consent.models import ConsentEvent, Kind, State
from intake.core.errors import NotFound, Unavailable
from intake.instance import Instance
from intake.jobs import scheduler
from intake.jobs.schedule import Job
from intake.leads import reveal
from intake.leads.models import (
    Attempt,
    CloseReason,
    Erasure,
    ErasureReason,
    Lead,
    LeadKey,
    Outcome,
    Submission,
    Suppression,
)
from intake.leads.submission import Erased, submit
from intake.outbox import MessageState, OutboxMessage
from intake.outbox.models import JobLease
from intake.privacy import erasure_ledger, retention
from intake.privacy.erasure_ledger import LedgerEntry
from intake.privacy.retention import DueReason, PurgeResult
from intake.security import crypto
from intake.security.crypto import Place, UnsealError
from tests.factories import EMAIL, NAME, PHONE, ask, details_of, every, hire, note, request_for, take

PERSON, SYSTEM = Actor.person(), Actor.system()
HOUR = timedelta(hours=1)


def erase(instance: Instance, lead: Lead, reason=ErasureReason.ASKED, actor=PERSON) -> None:
    with instance.database.transaction() as session:
        there = session.get_one(Lead, lead.id)
        retention.erase(Act(session, instance, actor), there, reason=reason)


def rows(instance: Instance, table: type) -> int:
    with instance.database.reading() as session:
        return session.scalar(select(func.count()).select_from(table))


def tried(instance: Instance) -> Lead:
    """A lead with one call attempt, without an answer."""
    lead = ask(instance).lead
    ana = hire(instance)
    take(instance, lead, ana)
    note(instance, lead, ana, Outcome.NO_ANSWER)
    return lead


# --- erasing -----------------------------------------------------------------------------------------


def test_an_erasure_leaves_no_row_about_the_person(instance: Instance) -> None:
    lead = tried(instance)
    erase(instance, lead)
    assert [rows(instance, each) for each in (Lead, LeadKey, Attempt, OutboxMessage)] == [0, 0, 0, 0]
    assert every(instance, Submission)[0].lead_id is None


def test_the_proof_of_consent_outlives_the_lead_and_names_nobody(instance: Instance) -> None:
    lead = ask(instance, tell_article=True, article="Is Ketamine Addictive When Used for Depression?").lead
    erase(instance, lead)
    with instance.database.reading() as session:
        holding = consent.current(session, lead.id)
        assert consent.verify_proof(session, keyring=instance.keyring) == []
        assert audit.verify(session, keyring=instance.keyring).intact
        of_the_number = session.scalars(
            select(ConsentEvent.state)
            .where(ConsentEvent.contact_index == instance.keyring.blind_index("phone", PHONE))
            .where(ConsentEvent.kind == Kind.CALL)
        ).all()
    assert {kind for kind in holding if holding[kind].state is State.GIVEN} == {Kind.ADULT}
    assert sorted(of_the_number) == [State.GIVEN, State.WITHDRAWN]


def test_whoever_asks_to_be_erased_is_not_contacted_again(instance: Instance) -> None:
    lead, beside = ask(instance).lead, ask(instance, email="other@example.org").lead
    erase(instance, lead)
    listed = {each.contact_index for each in every(instance, Suppression)}
    assert listed == {lead.phone_index, lead.email_index}
    with instance.database.reading() as session:
        assert session.get_one(Lead, beside.id).close_reason == "stopped"


def test_a_number_that_was_corrected_just_before_is_not_contacted_again_either(instance: Instance) -> None:
    """The lead was read before a correction of its number, and is locked after it."""
    lead = ask(instance).lead
    other = ask(instance, phone="+18135550144", email="other@example.org").lead
    with instance.database.transaction() as session:
        there = session.get_one(Lead, lead.id)
        corrected = update(Lead).where(Lead.id == lead.id).values(phone_index=other.phone_index)
        session.execute(corrected.execution_options(synchronize_session=False))
        retention.erase(Act(session, instance, PERSON), there, reason=ErasureReason.ASKED)
    assert {each.contact_index for each in every(instance, Suppression)} >= {other.phone_index}
    assert [each.close_reason for each in every(instance, Lead)] == [CloseReason.STOPPED]


def test_what_ends_by_itself_is_neither_withdrawn_nor_suppressed(instance: Instance) -> None:
    lead = ask(instance).lead
    erase(instance, lead, ErasureReason.DUE, SYSTEM)
    with instance.database.reading() as session:
        assert consent.current(session, lead.id)[Kind.CALL].state is State.GIVEN
    assert rows(instance, Suppression) == 0
    assert rows(instance, OutboxMessage) == 0


def test_the_withdrawal_records_who_asked_for_the_erasure(instance: Instance) -> None:
    ana = hire(instance)
    for actor, phone, method in ((ana.actor, PHONE, "staff"), (PERSON, "+13055550177", "manage_page")):
        lead = ask(instance, phone=phone, email=f"{method}@example.org").lead
        erase(instance, lead, actor=actor)
        with instance.database.reading() as session:
            taken_back = consent.current(session, lead.id)[Kind.CALL]
        assert (taken_back.method, taken_back.actor_kind) == (method, actor.kind)


def test_it_is_noted_in_the_ledger_and_in_the_log(instance: Instance) -> None:
    lead = ask(instance).lead
    erase(instance, lead)
    gone = every(instance, Erasure)[0]
    assert (gone.lead_id, gone.erased_at, gone.reason) == (lead.id, instance.clock(), ErasureReason.ASKED)
    assert details_of(instance, "lead.erased") == ['{"reason":"asked"}']


def test_an_erased_lead_does_not_come_back_by_a_reload(instance: Instance) -> None:
    request = request_for(instance)
    with instance.database.transaction() as session:
        lead = submit(Act(session, instance), request).lead
    erase(instance, lead)
    with pytest.raises(Erased), instance.database.transaction() as session:
        submit(Act(session, instance), request)


def test_a_notice_that_is_being_sent_is_left_to_be_sent(instance: Instance) -> None:
    lead = ask(instance).lead
    with instance.database.transaction() as session:
        message = session.scalars(select(OutboxMessage)).one()
        message.state, message.leased_until = MessageState.SENDING, instance.clock() + HOUR
    erase(instance, lead)
    assert [each.state for each in every(instance, OutboxMessage)] == [MessageState.SENDING]


def test_nothing_is_erased_when_the_act_fails(instance: Instance) -> None:
    lead = ask(instance).lead
    with pytest.raises(ZeroDivisionError), instance.database.transaction() as session:
        there = session.get_one(Lead, lead.id)
        retention.erase(Act(session, instance, PERSON), there, reason=ErasureReason.ASKED)
        raise ZeroDivisionError
    assert [rows(instance, each) for each in (Lead, LeadKey, Erasure, Suppression)] == [1, 1, 0, 0]


def test_what_was_erased_opens_with_no_key_that_is_left(instance: Instance) -> None:
    lead = ask(instance).lead
    with instance.database.reading() as session:
        assert reveal.mask_lead(Act(session, instance), lead).phone == "(•••) •••-••23"
    erase(instance, lead)
    with instance.database.reading() as session:
        wrapped = session.scalars(select(LeadKey.wrapped)).all()
        assert wrapped == []
        assert reveal.mask_lead(Act(session, instance), lead).phone is None
    other = ask(instance).lead
    with instance.database.reading() as session:
        wrapped = session.get(LeadKey, other.id).wrapped
    key = instance.keyring.unwrap(wrapped, place=Place("lead_key", "wrapped", other.id))
    with pytest.raises(UnsealError):
        crypto.unseal(key, lead.phone, place=Place("lead", "phone", lead.id))


def test_of_two_who_erase_at_once_one_learns_that_it_is_gone(instance: Instance) -> None:
    lead, ended, together = ask(instance).lead, [], threading.Barrier(2)

    def try_it() -> None:
        together.wait()
        try:
            erase(instance, lead)
            ended.append("erased")
        except Exception as refused:  # noqa: BLE001  whatever it is, the assertion below shows it
            ended.append(type(refused).__name__)

    threads = [threading.Thread(target=try_it) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ended) in (["NotFound", "erased"], ["NoResultFound", "erased"])
    assert rows(instance, Erasure) == 1


def test_erasing_what_is_gone_is_refused(instance: Instance) -> None:
    lead = ask(instance).lead
    with instance.database.transaction() as session:
        there = session.get_one(Lead, lead.id)
        session.execute(delete(Lead).where(Lead.id == lead.id))
        with pytest.raises(NotFound):
            retention.erase(Act(session, instance, SYSTEM), there, reason=ErasureReason.DUE)


# --- the bytes ---------------------------------------------------------------------------------------


def secrets_of(lead: Lead, wrapped: bytes) -> list[bytes]:
    """The plaintexts, the ciphertexts and the wrapped key, none of which may be anywhere afterwards."""
    words = [NAME, PHONE, EMAIL, NAME.split()[1], PHONE[2:]]
    sealed = [each.box for each in (lead.name, lead.phone, lead.email, lead.asking_for) if each]
    return [*(word.encode() for word in words), *sealed, wrapped, lead.code_hash]


def test_no_byte_is_left_in_the_files_of_sqlite(make_instance, sqlite_url: str, tmp_path: Path) -> None:
    instance = make_instance(sqlite_url)
    lead = tried(instance)
    with instance.database.reading() as session:
        wrapped = session.get_one(LeadKey, lead.id).wrapped
    sought = secrets_of(lead, wrapped)
    before = (tmp_path / "intake.sqlite3").read_bytes()
    assert lead.phone.box in before
    assert wrapped in before
    erase(instance, lead)
    files = [path for path in tmp_path.iterdir() if path.name.startswith("intake.sqlite3")]
    assert tmp_path / "intake.sqlite3" in files
    assert [(path.name, each) for path in files for each in sought if each in path.read_bytes()] == []


def test_no_byte_is_left_in_the_tables_of_postgres_after_a_vacuum(make_instance, postgres_url: str) -> None:
    instance = make_instance(postgres_url)
    lead = tried(instance)
    with instance.database.reading() as session:
        wrapped = session.get_one(LeadKey, lead.id).wrapped
    assert lead.phone.box in stored(instance)
    assert wrapped in stored(instance)
    erase(instance, lead)
    assert left_after_vacuum(instance, secrets_of(lead, wrapped)) == []


def left_after_vacuum(instance: Instance, sought: list[bytes]) -> list[bytes]:
    """What is left of `sought`. A connection that is just being made anywhere on the server may hold a
    vacuum back for a moment, so it is run again, like the one that runs by itself."""
    alone = instance.database.engine.execution_options(isolation_level="AUTOCOMMIT")
    left = sought
    for _ in range(100):
        with alone.connect() as connection:
            for table in ("lead", "lead_key"):
                connection.execute(text(f"VACUUM FULL {table}"))
        left = [each for each in sought if each in stored(instance)]
        if not left:
            break
        time.sleep(0.1)
    return left


def stored(instance: Instance) -> bytes:
    """The files on disk of the tables with sealed values, of their indexes and their TOAST tables."""
    files = text(
        "SELECT pg_read_binary_file(pg_relation_filepath(c.oid)) FROM pg_class c "
        "WHERE c.relname IN ('lead', 'lead_key') OR c.oid IN (SELECT indexrelid FROM pg_index WHERE "
        "indrelid IN ('lead'::regclass, 'lead_key'::regclass)) OR c.oid IN "
        "(SELECT reltoastrelid FROM pg_class WHERE relname IN ('lead', 'lead_key'))"
    )
    alone = instance.database.engine.execution_options(isolation_level="AUTOCOMMIT")
    with alone.connect() as connection:
        connection.execute(text("CHECKPOINT"))
        return b"".join(bytes(each) for each in connection.scalars(files))


# --- by itself ----------------------------------------------------------------------------------------


def test_open_and_closed_leads_go_at_their_own_time(instance: Instance, clock) -> None:
    kept = instance.clinic.retention
    lead, ana = ask(instance).lead, hire(instance)
    take(instance, lead, ana)
    note(instance, lead, ana, Outcome.DECLINED)
    ask(instance, phone="+13055550177", email="other@example.org")
    clock.move(days=kept.closed_days, seconds=-1)
    assert retention.purge(instance) == PurgeResult(0, 0)
    clock.move(seconds=1)
    assert retention.purge(instance) == PurgeResult(1, 0)
    assert [each.reason for each in every(instance, Erasure)] == [ErasureReason.DUE]
    clock.move(days=kept.open_days - kept.closed_days)
    assert retention.purge(instance) == PurgeResult(1, 0)
    assert rows(instance, Lead) == 0


def test_a_stopped_lead_goes_after_a_day_and_a_wrong_number_at_once(instance: Instance, clock) -> None:
    ana = hire(instance)
    stopped = ask(instance).lead
    wrong = ask(instance, phone="+13055550177", email=None, channels=frozenset({Channel.CALL})).lead
    for lead, outcome in ((stopped, Outcome.ASKED_TO_STOP), (wrong, Outcome.WRONG_NUMBER)):
        take(instance, lead, ana)
        note(instance, lead, ana, outcome)
    assert retention.purge(instance) == PurgeResult(1, 0)
    assert [each.id for each in every(instance, Lead)] == [stopped.id]
    clock.move(hours=instance.clinic.retention.stopped_hours)
    assert retention.purge(instance) == PurgeResult(1, 0)


def test_a_dry_run_counts_and_changes_nothing(instance: Instance, clock) -> None:
    for _ in range(3):
        ask(instance)
    clock.move(days=instance.clinic.retention.open_days)
    with instance.database.reading() as session:
        found = retention.preview(session, until=clock())
    assert (found.count, found.due) == (3, {DueReason.OPEN: 3})
    assert rows(instance, Lead) == 3
    assert rows(instance, Erasure) == 0


def test_it_tells_how_far_it_has_come(instance: Instance, clock) -> None:
    for _ in range(3):
        ask(instance)
    clock.move(days=instance.clinic.retention.open_days)
    progress: list[tuple[int, int]] = []
    retention.purge(instance, on_progress=lambda done, of: progress.append((done, of)))
    assert progress == [(1, 3), (2, 3), (3, 3)]


def test_the_longest_overdue_goes_first(instance: Instance, clock) -> None:
    asked = []
    for _ in range(3):
        asked.append(ask(instance).lead.id)
        clock.move(minutes=1)
    clock.move(days=90)
    with instance.database.reading() as session:
        assert retention.due_leads(session, clock()) == asked


def test_one_bad_row_stops_no_other(instance: Instance, clock, monkeypatch) -> None:
    leads = [ask(instance).lead.id for _ in range(3)]
    clock.move(days=instance.clinic.retention.open_days)
    erase_well = retention.delete_permanently

    def stumble(session, lead, *rest):
        gone = erase_well(session, lead, *rest)
        if gone.lead_id == leads[1]:
            raise ZeroDivisionError
        return gone

    monkeypatch.setattr(retention, "delete_permanently", stumble)
    assert retention.purge(instance) == PurgeResult(2, 1)
    assert [each.id for each in every(instance, Lead)] == [leads[1]]
    monkeypatch.undo()
    assert retention.purge(instance) == PurgeResult(1, 0)


def test_a_database_that_goes_away_ends_the_purge(instance: Instance, clock, monkeypatch) -> None:
    for _ in range(2):
        ask(instance)
    clock.move(days=instance.clinic.retention.open_days)

    def away(*_: object) -> None:
        raise Unavailable

    monkeypatch.setattr(retention, "delete_permanently", away)
    with pytest.raises(Unavailable):
        retention.purge(instance)
    assert rows(instance, Lead) == 2


def test_a_lead_that_is_no_longer_due_is_left_alone(instance: Instance, clock, monkeypatch) -> None:
    lead = ask(instance).lead
    monkeypatch.setattr(retention, "due_leads", lambda *_: [lead.id, uuid.uuid4()])
    assert retention.purge(instance) == PurgeResult(0, 0)
    assert rows(instance, Lead) == 1


# --- the job ------------------------------------------------------------------------------------------


def due_lead(instance: Instance) -> Lead:
    """A lead that is due although the clock has not moved."""
    lead = ask(instance).lead
    with instance.database.transaction() as session:
        session.get_one(Lead, lead.id).purge_after = instance.clock()
    return lead


def make(instance: Instance) -> int:
    return scheduler.run_due(instance, jobs=[each for each in scheduler.JOBS if each.name == retention.JOB])


def test_the_round_erases_what_is_due_within_two_hours(instance: Instance, clock) -> None:
    due_lead(instance)
    make(instance)
    clock.move(hours=1)
    assert make(instance) == 1
    assert rows(instance, Lead) == 0


def test_a_clock_that_leaps_erases_nobody(instance: Instance, clock) -> None:
    ask(instance)
    make(instance)
    clock.move(days=400)
    assert make(instance) == 0
    clock.move(days=-400, hours=1)
    make(instance)
    clock.move(hours=1)
    make(instance)
    assert rows(instance, Lead) == 1


def test_after_a_long_sleep_it_takes_one_round_more(instance: Instance, clock) -> None:
    ask(instance)
    make(instance)
    clock.move(days=100)
    assert make(instance) == 0
    clock.move(hours=1)
    assert make(instance) == 1


def test_the_round_fails_aloud_when_something_due_stays(instance: Instance, clock, monkeypatch) -> None:
    due_lead(instance)
    make(instance)
    clock.move(hours=1)

    def stumble(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(retention, "delete_permanently", stumble)
    make(instance)
    with instance.database.reading() as session:
        assert session.get_one(JobLease, retention.JOB).last_error == "NotErased"


# --- the ledger's copy ----------------------------------------------------------------------------------


def lines(instance: Instance) -> list[LedgerEntry]:
    return [line for line in erasure_ledger.read(erasure_ledger.path_of(instance)) if line.erased]


def test_the_copy_has_every_line_once(instance: Instance, clock) -> None:
    leads = [ask(instance).lead for _ in range(2)]
    erase(instance, leads[0])
    assert (
        erasure_ledger.mirror(instance) == 6
    )  # and two entries of the list, and what the other one with that number took back
    clock.move(hours=1)
    erase(instance, leads[1], ErasureReason.DUE, SYSTEM)
    assert erasure_ledger.mirror(instance) == 1
    assert erasure_ledger.mirror(instance) == 0
    assert [(each.about, each.erased) for each in lines(instance)] == [
        (leads[0].id, ErasureReason.ASKED),
        (leads[1].id, ErasureReason.DUE),
    ]
    assert lines(instance)[1].at == clock()


def test_the_copy_says_nothing_about_anybody(instance: Instance) -> None:
    lead = ask(instance).lead
    erase(instance, lead)
    erasure_ledger.mirror(instance)
    path = erasure_ledger.path_of(instance)
    at = "2026-11-18T15:00:00+00:00"
    entries = sorted(every(instance, Suppression), key=lambda entry: entry.id)
    assert path.read_text().splitlines() == [
        f"{at} {lead.id} asked",
        *(f"{at} {entry.id} stopped:asked:{entry.contact_index.hex()}" for entry in entries),
    ]
    assert not any(word in path.read_text() for word in (NAME, PHONE, PHONE[2:], EMAIL))
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_torn_line_is_written_anew(instance: Instance) -> None:
    lead = ask(instance).lead
    erase(instance, lead, ErasureReason.DUE, SYSTEM)
    path = erasure_ledger.path_of(instance)
    for torn in ("2026-11-18T15:00:00+00:00 ", f"2026-11-18T15:00:00+00:00 {lead.id} du"):
        path.write_text(torn)
        assert erasure_ledger.mirror(instance) == 1
        assert [each.about for each in lines(instance)] == [lead.id]
        assert path.read_bytes().endswith(b" due\n")


def test_what_was_lost_from_the_copy_is_written_again(instance: Instance) -> None:
    erase(instance, ask(instance).lead, ErasureReason.DUE, SYSTEM)
    erasure_ledger.mirror(instance)
    erasure_ledger.path_of(instance).unlink()
    assert erasure_ledger.mirror(instance) == 1


def test_the_copy_is_on_the_disk_before_the_round_ends(sqlite_instance: Instance, monkeypatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def watched(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    erase(sqlite_instance, ask(sqlite_instance).lead)
    monkeypatch.setattr(os, "fsync", watched)
    erasure_ledger.mirror(sqlite_instance)
    path = erasure_ledger.path_of(sqlite_instance)
    assert synced == [str(path), str(path.parent)]


def test_the_schedule_has_both_jobs(instance: Instance) -> None:
    known = {each.name: each for each in scheduler.JOBS}
    assert known["retention"].every == HOUR
    assert isinstance(known["mirror_ledger"], Job)
    erase(instance, ask(instance).lead)
    scheduler.run_due(instance, jobs=[known["mirror_ledger"]])
    assert len(lines(instance)) == 1
