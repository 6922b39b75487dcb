"""A stuck writer takes nobody with it, and nothing is lost when it lets go (ADR 0002)."""

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
    """Another process in the middle of writing."""
    with path.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        yield


def write(database: Database) -> None:
    with database.transaction() as session:
        session.execute(text("SELECT 1"))


def test_a_stuck_writer_is_an_expected_failure(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_lock, "PATIENCE", 0.05)
    with held(tmp_path / "lock"), pytest.raises(Unavailable):
        write(database)
    write(database)


def test_once_stuck_the_next_ones_hardly_wait_and_a_writer_that_gets_through_ends_that(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_lock, "PATIENCE", 0.05)
    with held(tmp_path / "lock"), pytest.raises(Unavailable):
        write(database)
    monkeypatch.setattr(writer_lock, "PATIENCE", 1e9)
    with held(tmp_path / "lock"), pytest.raises(Unavailable):
        write(database)  # would wait for ever, were it as patient as usual
    write(database)
    assert database._line._stuck_until == 0


def test_a_writer_beside_the_line_is_an_expected_failure_too(database: Database, sqlite_url: str) -> None:
    """Somebody with a SQLite shell: the database itself says that it is locked."""
    with database.engine.connect() as waiting:
        waiting.connection.driver_connection.execute("PRAGMA busy_timeout = 10")
    other = Database(sqlite_url, lock=Path(f"{database._line._path}-other"))
    shell = other.engine.execution_options(sqlite_begin="IMMEDIATE").connect()
    with closing(other), shell, pytest.raises(Unavailable):
        shell.execute(text("SELECT 1"))
        write(database)
    write(database)


def test_readers_are_not_in_the_line(database: Database, tmp_path: Path) -> None:
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
