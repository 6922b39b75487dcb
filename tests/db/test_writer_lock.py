"""The writer lock: a stuck writer blocks no thread for long, and writing goes on when it lets go."""

import fcntl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from intake.core.errors import Unavailable
from intake.db import writer_lock
from intake.db.engine import Database


@pytest.fixture
def database(sqlite_url: str, tmp_path: Path) -> Iterator[Database]:
    with closing(Database(sqlite_url, lock=tmp_path / "lock")) as made:
        yield made


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Another process that holds the lock."""
    with path.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        yield


def write(database: Database) -> None:
    with database.transaction() as session:
        session.execute(text("SELECT 1"))


def test_a_stuck_writer_is_an_expected_failure(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_lock, "TIMEOUT", 0.05)
    with held(tmp_path / "lock"), pytest.raises(Unavailable):
        write(database)
    write(database)


def test_once_stuck_the_next_ones_hardly_wait_and_a_writer_that_gets_through_ends_that(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_lock, "TIMEOUT", 0.05)
    with held(tmp_path / "lock"), pytest.raises(Unavailable):
        write(database)
    monkeypatch.setattr(writer_lock, "TIMEOUT", 1e9)
    with held(tmp_path / "lock"), pytest.raises(Unavailable):
        write(database)  # would wait for ever, were it as patient as usual
    write(database)
    assert database._writer_lock._stalled_until == 0


def test_a_writer_without_the_lock_is_an_expected_failure_too(database: Database, sqlite_url: str) -> None:
    """A SQLite shell holds a transaction: the database itself reports that it is locked."""
    with database.engine.connect() as waiting:
        waiting.connection.driver_connection.execute("PRAGMA busy_timeout = 10")
    other = Database(sqlite_url, lock=Path(f"{database._writer_lock._path}-other"))
    shell = other.engine.execution_options(sqlite_begin="IMMEDIATE").connect()
    with closing(other), shell, pytest.raises(Unavailable):
        shell.execute(text("SELECT 1"))
        write(database)
    write(database)


def test_readers_do_not_wait_for_the_lock(database: Database, tmp_path: Path) -> None:
    with held(tmp_path / "lock"), database.reading() as session:
        assert session.execute(text("SELECT 1")).scalar() == 1


def test_threads_take_turns(database: Database) -> None:
    inside, most = [], []

    def one() -> None:
        with database.transaction():
            inside.append(1)
            most.append(len(inside))
            inside.pop()

    threads = [threading.Thread(target=one) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 16
