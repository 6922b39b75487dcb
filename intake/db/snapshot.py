"""A consistent snapshot for long reads, and an in-memory database."""

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy.orm import Session

from intake.db.engine import Database


@contextmanager
def snapshot(database: Database, *, lock: Path) -> Iterator[Session]:
    """A session on a consistent snapshot of the database that does not block writers while it is read.

    PostgreSQL: a read-only REPEATABLE READ transaction. SQLite: a copy in memory, taken under the writer
    lock, since a long reader would keep writers from committing; a copy on disk would leave behind data
    that is erased later. Raises Unavailable.
    """
    if not database.sqlite:
        with database.reading() as session:
            options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
            session.connection(execution_options=options)  # every statement sees the state of the first one
            yield session
        return
    with in_memory(lock) as (copy, connection):
        with database.pause_writers(), closing(database.engine.raw_connection()) as source:
            source.driver_connection.backup(connection)  # type: ignore[union-attr]
        with copy.reading() as session:
            yield session


@contextmanager
def in_memory(lock: Path) -> Iterator[tuple[Database, sqlite3.Connection]]:
    """An empty in-memory SQLite database for the block, and the connection that keeps it alive."""
    name = f"file:intake-{uuid.uuid4()}?mode=memory&cache=shared"
    with closing(sqlite3.connect(name, uri=True)) as connection:
        database = Database(f"sqlite:///{name}&uri=true", lock=lock)
        try:
            yield database, connection
        finally:
            database.close()
