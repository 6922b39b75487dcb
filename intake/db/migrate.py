"""Bringing the database to the newest migration, and saying where it stands."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from intake.core.paths import MIGRATIONS
from intake.db.engine import Database


class MigrationState(StrEnum):
    """How a database compares with the migrations of this version."""

    CURRENT = "current"
    BEHIND = "behind"
    AHEAD = "ahead"


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration; no alembic.ini, the same folder in a checkout and in a wheel."""
    made = Config()
    made.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))  # else a reference
    made.set_main_option("revision_environment", "true")
    made.attributes["connection"] = connection
    return made


def upgrade(database: Database, *, to: str = "head") -> None:
    """Run the migrations that are missing, each in a transaction. Safe to run twice, or twice at once."""
    with _connected(database) as connection:
        command.upgrade(config(connection), to)


def downgrade(database: Database, *, to: str) -> None:
    """Undo migrations down to revision `to`; for development and for tests."""
    with _connected(database) as connection:
        command.downgrade(config(connection), to)


def migration_state(database: Database) -> MigrationState:
    """Where the database stands. Raises Unavailable when it cannot be asked."""
    script = ScriptDirectory.from_config(config())
    with database.reading() as session:
        here = MigrationContext.configure(session.connection()).get_current_revision()
    if here == script.get_current_head():
        return MigrationState.CURRENT
    known = {revision.revision for revision in script.walk_revisions()}
    return MigrationState.BEHIND if here is None or here in known else MigrationState.AHEAD


def revisions() -> frozenset[str]:
    """Every revision that this version knows."""
    script = ScriptDirectory.from_config(config())
    return frozenset(each.revision for each in script.walk_revisions())


@contextmanager
def _connected(database: Database) -> Iterator[Connection]:
    """A connection for migrations.

    On SQLite foreign keys are off, or a batch migration of a parent would delete its children
    (dependencies.md, fact 3); they are checked before the end.
    """
    with database.engine.connect().execution_options(sqlite_begin="IMMEDIATE") as connection:
        if database.sqlite:
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            connection.rollback()
            connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")  # type: ignore[union-attr]
        try:
            yield connection
            if database.sqlite and connection.execute(text("PRAGMA foreign_key_check")).first():
                raise RuntimeError("the migration broke a foreign key")
        finally:
            connection.rollback()
            connection.invalidate()  # its pragmas are not those of the pool
