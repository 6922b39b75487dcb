"""A backup is whole, encrypted, of one moment, and never half there."""

import json
import os
import threading
from pathlib import Path

import pytest
from sqlalchemy import func, select

from intake import backup, monitoring
from intake.act import Act
from intake.audit import Action, AuditEvent
from intake.backup import BackupAct, archive, create
from intake.conf.secrets import parse_key
from intake.core.errors import Refused
from intake.db.snapshot import snapshot
from intake.db.types import Base
from intake.instance import Instance
from intake.jobs import scheduler
from intake.leads.models import Lead, LeadKey
from intake.leads.submission import submit
from intake.monitoring import State
from intake.security.crypto import decrypt_stream
from tests.backup.conftest import BACKUP_KEY
from tests.cli.conftest import until
from tests.factories import EMAIL, NAME, PHONE, ask, every, hire, request_for


def content(path: Path) -> bytes:
    with path.open("rb") as file:
        return b"".join(decrypt_stream(parse_key(BACKUP_KEY), file))


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def check_of(instance: Instance, name: str) -> monitoring.Check:
    return next(each for each in monitoring.run_checks(instance) if each.name == name)


def test_it_holds_every_row_and_says_so(living: Instance) -> None:
    ask(living)
    lines = [json.loads(line) for line in content(backup.take(living).path).splitlines()]
    counts = lines[0]["manifest"]["counts"]
    assert set(counts) | archive.EXCLUDED_TABLES == set(Base.metadata.tables)
    assert counts["lead"] == 1
    assert counts["consent_event"] > 1
    assert sum(isinstance(line, list) for line in lines) == sum(counts.values()) == lines[-1]["end"]
    assert lines[0]["manifest"]["revision"]


def test_nothing_personal_stands_in_it(living: Instance) -> None:
    """K1 and K3: not in the file, and with its key alone no name, number or address of who asked."""
    ask(living)
    member = hire(living)
    path = backup.take(living).path
    inside, outside = content(path), path.read_bytes()
    assert member.email.encode() in inside
    for word in (NAME, PHONE, PHONE[2:], EMAIL, member.email):
        assert word.encode() not in outside
        assert word == member.email or word.encode() not in inside
    assert path.stat().st_mode & 0o777 == 0o600


def test_it_shows_one_moment_while_people_ask(living: Instance) -> None:
    ask(living)
    with snapshot(living.database, lock=living.settings.data_dir / "other.lock") as session:
        before = session.scalar(select(func.count()).select_from(Lead))
        ask(living)
        assert session.scalar(select(func.count()).select_from(LeadKey)) == before == 1


def test_people_ask_while_it_is_taken(living: Instance) -> None:
    """Each backup of a busy instance comes to what its manifest says; nobody is refused meanwhile."""
    ask(living)
    wrong: list[BaseException] = []
    asked: list[object] = []
    over = threading.Event()

    def asking() -> None:
        try:
            while not over.is_set():
                with living.database.transaction() as session:
                    asked.append(submit(Act(session, living), request_for(living)))
        except BaseException as failure:  # noqa: BLE001  asserted below
            wrong.append(failure)

    people = [threading.Thread(target=asking) for _ in range(3)]
    for thread in people:
        thread.start()
    taken = []
    try:
        for number in range(3):
            until(lambda: wrong or len(asked) > 4 * number, "people asked")  # noqa: B023
            taken.append(backup.take(living, living.settings.data_dir / f"{number}.backup"))
    finally:
        over.set()
        for thread in people:
            thread.join()
    assert wrong == []
    for each in taken:
        assert not backup.rehearse(living, each.path).faults
    assert len(every(living, Lead)) == 1 + len(asked)


def test_only_the_newest_stay(living: Instance, backups: Path, clock) -> None:
    (backups / "something-else.backup").write_text("not ours")
    stale, fresh = backups / ".intake-20250101T000000000000Z.backup.part", backups / ".keep"
    stale.write_text("left behind")
    fresh.write_text("not ours")
    os.utime(stale, (0, 0))
    for _ in range(4):
        clock.move(days=1)
        newest = backup.take(living, keep=2)
    assert newest.pruned == 1
    ours = [name for name in files(backups) if name.startswith("intake-")]
    assert len(ours) == 2
    assert newest.path.name == ours[-1]
    assert backup.newest(living) == newest.path
    assert {"something-else.backup", ".keep"} < set(files(backups))
    assert stale.name not in files(backups)


def test_it_never_writes_over_anything(living: Instance, backups: Path) -> None:
    path = backups / "mine.backup"
    path.write_text("keep me")
    with pytest.raises(Refused, match="exists already"):
        backup.take(living, path)
    with pytest.raises(Refused, match="no folder"):
        backup.take(living, backups / "nowhere" / "mine.backup")
    assert path.read_text() == "keep me"


def test_without_a_key_or_a_place_it_says_what_to_set(make_instance, database_url, backups) -> None:
    with pytest.raises(Refused, match="INTAKE_BACKUP_KEY"):
        backup.take(make_instance(database_url), backups)
    with pytest.raises(Refused, match="INTAKE_BACKUP_DIR"):
        backup.take(make_instance(database_url, backup_key=BACKUP_KEY))


def test_a_failure_leaves_no_half_file_and_turns_health_red(living: Instance, backups, monkeypatch) -> None:
    backup.take(living)
    before = files(backups)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(create.os, "fsync", full)
    with pytest.raises(Refused, match="No space left"):
        backup.take(living)
    monkeypatch.undo()
    assert files(backups) == before
    check = check_of(living, "backup")
    assert (check.state, check.sentence) == (State.RED, "The last backup failed.")
    backup.take(living)
    assert check_of(living, "backup").state is State.GREEN


def test_how_it_ended_is_written_down(living: Instance, clock) -> None:
    assert check_of(living, "backup").state is State.AMBER
    backup.take(living)
    with living.database.reading() as session:
        row = backup.last_result(session, BackupAct.TAKEN)
    assert (row.succeeded_at, row.last_error) == (clock(), None)
    for hours, state in ((25, State.GREEN), (2, State.AMBER), (24, State.RED)):
        clock.move(hours=hours)
        assert check_of(living, "backup").state is state


def test_a_missing_backup_is_amber_in_production_only(make_instance, sqlite_url) -> None:
    instance = make_instance(sqlite_url)
    assert check_of(instance, "backup").state is State.GREEN
    instance = make_instance(sqlite_url, mode="production")
    assert check_of(instance, "backup").state is State.AMBER


def test_the_relay_takes_one_a_day_and_tries_it_once_a_week(living: Instance, backups: Path, clock) -> None:
    ours = [each for each in scheduler.JOBS if each.name.startswith("backup")]
    assert len(ours) == 2
    for _ in range(8 * 8):
        scheduler.run_due(living, jobs=ours)
        clock.move(hours=3)
    taken = len([name for name in files(backups) if name.startswith("intake-")])
    actions = [event.action for event in every(living, AuditEvent)]
    tested = actions.count(Action.BACKUP_TESTED.value)
    assert (taken, tested) == (8, 2)


def test_without_a_folder_the_relay_takes_none(make_instance, database_url) -> None:
    instance = make_instance(database_url, backup_key=BACKUP_KEY)
    assert backup.daily(instance) == backup.weekly_test(instance) == 0


def test_a_failing_backup_is_not_tried_every_minute(make_instance, database_url, tmp_path, clock) -> None:
    away = str(tmp_path / "away")
    instance = make_instance(database_url, backup_key=BACKUP_KEY, backup_dir=away)
    with pytest.raises(Refused, match="no folder"):
        backup.daily(instance)
    clock.move(minutes=5)
    assert backup.daily(instance) == 0
    clock.move(minutes=11)
    with pytest.raises(Refused):
        backup.daily(instance)
    assert check_of(instance, "backup").state is State.RED
