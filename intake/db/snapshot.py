"""The state of one moment, however long it is read, and a database that never touches a disk."""

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy.orm import Session

from intake.db.engine import Database


@contextmanager
def snapshot(database: Database, *, lock: Path) -> Iterator[Session]:
    """A session that sees one moment and keeps nobody from writing.

    PostgreSQL holds a moment by itself. SQLite is copied into memory while its writers wait in their
    line, since a long reader would keep them from committing (decisions.md 25); a copy on the disk would
    leave behind what is erased tomorrow. Raises Unavailable.
    """
    if not database.sqlite:
        with _repeatable(database) as session:
            yield session
        return
    with in_memory(lock) as (copy, keeper):
        with database.between_writers(), closing(database.engine.raw_connection()) as source:
            source.driver_connection.backup(keeper)  # type: ignore[union-attr]
        with copy.reading() as session:
            yield session


@contextmanager
def _repeatable(database: Database) -> Iterator[Session]:
    """What is read stays as it was when the first question was asked."""
    with database.reading() as session:
        session.connection(
            execution_options={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        )
        yield session


@contextmanager
def in_memory(lock: Path) -> Iterator[tuple[Database, sqlite3.Connection]]:
    """An empty SQLite database in the memory of this process, gone with the block, and one connection to it.

    The connection keeps it alive while others come and go.
    """
    name = f"file:intake-{uuid.uuid4()}?mode=memory&cache=shared"
    with closing(sqlite3.connect(name, uri=True)) as keeper:
        database = Database(f"sqlite:///{name}&uri=true", lock=lock)
        try:
            yield database, keeper
        finally:
            database.close()
