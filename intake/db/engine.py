"""The engine, `reading()` and `transaction()`, and driver errors as `Unavailable`. Only here is committed.

SQLite runs with journal_mode=TRUNCATE, synchronous=FULL and secure_delete=ON: of its modes the one
that loses nothing at a power cut, leaves no deleted text behind and is safe on every version. Writers
take one lock file per machine and begin IMMEDIATE; readers begin plainly and are closed before a page
is rendered, since an open reader delays a writer's commit
(docs/decisions/0002-sqlite-that-keeps-and-forgets.md).

A database that cannot be reached, is full, read-only or damaged is an expected failure: it becomes
`Unavailable`. Any other driver error is a defect of this code and passes unchanged.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import QueuePool

from intake.core.errors import Unavailable
from intake.db.writer_lock import DiskReserve, WriterLock

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_READ_ONLY = "25006"
"""PostgreSQL's SQLSTATE for a write to a read-only server, such as a standby."""


class Damaged(Unavailable):
    """The database file is corrupt: a backup has to be restored."""


@contextmanager
def mapping_driver_errors() -> Iterator[None]:
    """Turn operational driver errors into Unavailable, corruption into Damaged; others pass unchanged."""
    try:
        yield
    except (DBAPIError, sqlite3.DatabaseError) as broken:
        cause = broken.orig if isinstance(broken, DBAPIError) else broken
        if getattr(cause, "sqlite_errorcode", None) in _DAMAGED:
            raise Damaged from broken
        lost = isinstance(broken, DBAPIError) and broken.connection_invalidated
        read_only = getattr(cause, "sqlstate", None) == _READ_ONLY
        if isinstance(broken, OperationalError) or lost or read_only:
            raise Unavailable from broken
        raise
    except PoolTimeoutError as busy:  # every connection is in use
        raise Unavailable from busy


SQLITE_PRAGMAS = {
    "journal_mode": "truncate",
    "synchronous": 2,
    "secure_delete": 1,
    "foreign_keys": 1,
    "trusted_schema": 0,
    "temp_store": 2,
    "busy_timeout": 5_000,
}
SQLITE_OPTIONS: dict[str, Any] = {"poolclass": QueuePool, "connect_args": {"timeout": 5}}
POSTGRES_OPTIONS: dict[str, Any] = {"pool_pre_ping": True, "connect_args": {"connect_timeout": 5}}
RESERVE_FILE = "reserve"
"""Name of the disk reserve, beside the SQLite file (see `DiskReserve`)."""


class Database:
    """One engine with `reading()` and `transaction()`. `lock` is the path of SQLite's writer lock file."""

    def __init__(self, url: str, *, lock: Path) -> None:
        self.sqlite = url.startswith("sqlite")
        self._writer_lock = WriterLock(lock)
        file = make_url(url).database if self.sqlite else None
        in_memory = file in (None, "", ":memory:")
        self._reserve = None if in_memory else DiskReserve(Path(str(file)).with_name(RESERVE_FILE))
        options = SQLITE_OPTIONS if self.sqlite else POSTGRES_OPTIONS
        self.engine = create_engine(url, pool_size=16, max_overflow=48, **options)
        if self.sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        self._writers = sessionmaker(
            self.engine.execution_options(sqlite_begin="IMMEDIATE"), expire_on_commit=False
        )

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session for reading; always rolled back. Raises Unavailable."""
        with mapping_driver_errors(), self._sessions() as session:
            yield session

    @contextmanager
    def transaction(self, *, use_reserve: bool = True) -> Iterator[Session]:
        """One transaction: committed when the block ends, rolled back when it raises.

        Raises Unavailable when the database cannot be reached, is full, read-only or damaged.
        `use_reserve=False` is for storing a new request: on a full disk it is refused, so that the disk
        reserve remains for stopping contact and erasing.
        """
        with (
            mapping_driver_errors(),
            self.pause_writers(),
            self._reserve.release_during() if self._reserve and use_reserve else nullcontext(),
            self._writers() as session,
        ):
            yield session
            session.commit()

    def refill_reserve(self) -> None:
        """Allocate what is missing of the disk reserve. Does nothing on PostgreSQL, or when unavailable."""
        if self._reserve:
            with suppress(Unavailable), self.pause_writers():
                self._reserve.refill()

    @contextmanager
    def pause_writers(self) -> Iterator[None]:
        """Hold SQLite's writer lock for the block, without a transaction. Raises Unavailable."""
        if not self.sqlite:
            yield
            return
        with self._writer_lock.acquire():
            try:
                yield
            except OperationalError:
                self._writer_lock.mark_stalled()
                raise
            self._writer_lock.mark_progress()

    def close(self) -> None:
        """Close all pooled connections."""
        self.engine.dispose()


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun in _begin_sqlite
    for name, value in SQLITE_PRAGMAS.items():
        connection.execute(f"PRAGMA {name}={value}")


def _begin_sqlite(connection: Any) -> None:
    """Emit BEGIN explicitly: with sqlite3's own transaction handling two writers overwrite each other."""
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('sqlite_begin', '')}")
