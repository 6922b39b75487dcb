"""The database: column idioms, the engine, reading() and transaction(). The only commit in the code.

SQLite runs with journal_mode=TRUNCATE, synchronous=FULL and secure_delete=ON: of its modes the one
that loses nothing at a power cut, leaves no deleted text behind and is safe on every version
(reliability.md, facts 1 to 3). Writers queue on one file lock per machine and begin IMMEDIATE;
readers begin plainly and are closed before a page is rendered (decisions.md 25).
"""

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Dialect,
    Integer,
    LargeBinary,
    MetaData,
    Text,
    TypeDecorator,
    create_engine,
    event,
    make_url,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as NoneFree
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker
from sqlalchemy.pool import QueuePool
from sqlalchemy.types import TypeEngine

from intake.core.errors import Unavailable
from intake.db.writer_lock import DiskReserve, WriterLock

# --- What the outside world does to a database, turned into one expected failure.

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_READ_ONLY = "25006"
"""What PostgreSQL calls a write to a server that only follows another."""


class Damaged(Unavailable):
    """The file of the database is not whole: a backup has to be restored."""


@contextmanager
def mapping_driver_errors() -> Iterator[None]:
    """Raises Unavailable, or Damaged, for what the outside world has done; a defect of ours as it is."""
    try:
        yield
    except (DBAPIError, sqlite3.DatabaseError) as broken:
        cause = broken.orig if isinstance(broken, DBAPIError) else broken
        if getattr(cause, "sqlite_errorcode", None) in _DAMAGED:
            raise Damaged from broken
        if isinstance(broken, OperationalError) or _lost(broken) or _state(cause) == _READ_ONLY:
            raise Unavailable from broken
        raise
    except NoneFree as busy:  # every connection is in use
        raise Unavailable from busy


def _lost(broken: Exception) -> bool:
    return isinstance(broken, DBAPIError) and broken.connection_invalidated


def _state(cause: object) -> str | None:
    return getattr(cause, "sqlstate", None)


SQLITE_PRAGMAS = {
    "journal_mode": "truncate",
    "synchronous": 2,
    "secure_delete": 1,
    "foreign_keys": 1,
    "trusted_schema": 0,
    "temp_store": 2,
    "busy_timeout": 5_000,
}
RESERVE = "reserve"
"""The file beside a SQLite database that holds room for a full disk."""
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Every table. Each column's `info` says `class` (open, sealed, keyed, secret) and `why`."""

    metadata = MetaData(naming_convention=NAMING)
    __table_args__: Any = {"sqlite_strict": True}  # noqa: RUF012  SQLAlchemy reads it per class


class Identifier(TypeDecorator[uuid.UUID]):
    """A UUID; born in Python, so that a sealed value can be bound to its row before the insert."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.UUID(as_uuid=True))
        return dialect.type_descriptor(Text())

    def process_bind_param(self, value: uuid.UUID | None, dialect: Dialect) -> Any:
        return value if value is None or dialect.name == "postgresql" else str(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> uuid.UUID | None:
        return value if value is None or isinstance(value, uuid.UUID) else uuid.UUID(value)


class Instant(TypeDecorator[datetime]):
    """A moment in UTC. SQLite keeps ISO text of one length, so that it sorts and compares."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.TIMESTAMP(timezone=True))
        return dialect.type_descriptor(Text())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive moment cannot be stored")
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None or isinstance(value, datetime):
            return value.astimezone(UTC) if value else None
        return datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


class Closed(TypeDecorator[StrEnum]):
    """A closed vocabulary as text; `one_of` adds the CHECK that keeps it closed in the database."""

    impl = Text
    cache_ok = True

    def __init__(self, vocabulary: type[StrEnum]) -> None:
        self.vocabulary = vocabulary
        super().__init__()

    def process_bind_param(self, value: StrEnum | str | None, dialect: Dialect) -> str | None:
        return None if value is None else str(self.vocabulary(value).value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:
        return None if value is None else self.vocabulary(value)


class Wrapped(TypeDecorator[bytes]):
    """A secret under the keyring; the type tells the rotation of keys what there is to wrap anew.

    Its place is (table, column, primary key), so such a table has one Identifier for its primary key.
    """

    impl = LargeBinary
    cache_ok = True


Words = Text
Count = Integer
Blob = LargeBinary


def one_of(column: str, vocabulary: type[StrEnum]) -> CheckConstraint:
    """The CHECK that a text column holds one of a vocabulary's words (or NULL where it may)."""
    words = ", ".join(f"'{word}'" for word in vocabulary)
    return CheckConstraint(f"{column} IN ({words})", name=f"{column}_known")


def append_only(table: str, key: str, *, dialect: str) -> list[str]:
    """Statements that make every change to rows of `table` fail (decisions.md 11); run by migrations.

    Three holes are closed: SQLite's INSERT OR REPLACE passes UPDATE and DELETE triggers (hence the
    INSERT trigger on an existing `key`), PostgreSQL's TRUNCATE passes row triggers (hence the
    statement trigger), and Alembic's batch mode drops triggers (hence the test after migrations).
    """
    refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    sqlite = [
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "  # noqa: S608  our own names
        f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key}) {refuse}",
    ]
    postgres = [
        f"CREATE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$",
        f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {table}_append_only()",
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_append_only()",
    ]
    return sqlite if dialect == "sqlite" else postgres


class Database:
    """One engine and the two ways in. `lock` is the file on which SQLite's writers queue."""

    def __init__(self, url: str, *, lock: Path) -> None:
        self.sqlite = url.startswith("sqlite")
        self._line = WriterLock(lock)
        self._reserve = _reserve_beside(url) if self.sqlite else None
        self.engine = create_engine(url, **_engine_options(sqlite=self.sqlite))
        if self.sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        self._writers = sessionmaker(
            self.engine.execution_options(sqlite_begin="IMMEDIATE"), expire_on_commit=False
        )

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that only looks; always rolled back. Raises Unavailable when the database is."""
        with mapping_driver_errors(), self._sessions() as session:
            yield session

    @contextmanager
    def transaction(self, *, taking_in: bool = False) -> Iterator[Session]:
        """One unit of work: all of it is kept when the block ends, none of it when it raises.

        Raises Unavailable when the database cannot be reached, is full, read-only or damaged. `taking_in`: it
        adds a request, so it gets nothing of the room that is held for those who want out.
        """
        with (
            mapping_driver_errors(),
            self._queued(),
            self._room(taking_in=taking_in),
            self._writers() as session,
        ):
            yield session
            session.commit()

    def _room(self, *, taking_in: bool) -> AbstractContextManager[None]:
        return self._reserve.lent() if self._reserve and not taking_in else nullcontext()

    def keep_reserve(self) -> None:
        """Hold room for the day when the disk is full; PostgreSQL's disk is for its operator to watch."""
        if self._reserve:
            with suppress(Unavailable), self._queued():
                self._reserve.keep()

    @contextmanager
    def between_writers(self) -> Iterator[None]:
        """On SQLite no writer of this machine is at work inside the block. Raises Unavailable."""
        with self._queued():
            yield

    @contextmanager
    def _queued(self) -> Iterator[None]:
        if not self.sqlite:
            yield
            return
        with self._line.turn():
            try:
                yield
            except OperationalError:
                self._line.stuck()
                raise
            self._line.moves()

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


def _reserve_beside(url: str) -> DiskReserve | None:
    file = make_url(url).database
    return DiskReserve(Path(file).with_name(RESERVE)) if file and file != ":memory:" else None


def _engine_options(*, sqlite: bool) -> dict[str, Any]:
    if sqlite:
        return {"poolclass": QueuePool, "pool_size": 16, "max_overflow": 48, "connect_args": {"timeout": 5}}
    return {
        "pool_pre_ping": True,
        "pool_size": 16,
        "max_overflow": 48,
        "connect_args": {"connect_timeout": 5},
    }


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy begins by itself, see _begin_sqlite
    for name, value in SQLITE_PRAGMAS.items():
        connection.execute(f"PRAGMA {name}={value}")


def _begin_sqlite(connection: Any) -> None:
    """Python's own transaction handling loses updates (dependencies.md, fact 2), so we say BEGIN."""
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('sqlite_begin', '')}")


def reachable(database: Database) -> bool:
    """True when the database answers a question."""
    try:
        with database.reading() as session:
            session.execute(text("SELECT 1"))
    except Unavailable:
        return False
    return True
