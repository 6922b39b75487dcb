"""Run Alembic migrations, and compare the database's revision with this version's."""

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
    """Alembic's configuration without an alembic.ini; works in a checkout and in a wheel."""
    alembic = Config()
    alembic.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))  # no interpolation
    alembic.set_main_option("revision_environment", "true")
    alembic.attributes["connection"] = connection
    return alembic


def upgrade(database: Database, *, to: str = "head") -> None:
    """Run the missing migrations, each in a transaction. Idempotent, also when run concurrently."""
    with _connected(database) as connection:
        command.upgrade(config(connection), to)


def downgrade(database: Database, *, to: str) -> None:
    """Undo migrations down to revision `to`; for development and for tests."""
    with _connected(database) as connection:
        command.downgrade(config(connection), to)


def migration_state(database: Database) -> MigrationState:
    """How the database's revision compares with this version's migrations. Raises Unavailable."""
    script = ScriptDirectory.from_config(config())
    with database.reading() as session:
        current = MigrationContext.configure(session.connection()).get_current_revision()
    if current == script.get_current_head():
        return MigrationState.CURRENT
    known = {revision.revision for revision in script.walk_revisions()}
    return MigrationState.BEHIND if current is None or current in known else MigrationState.AHEAD


def revisions() -> frozenset[str]:
    """Every revision id known to this version."""
    script = ScriptDirectory.from_config(config())
    return frozenset(revision.revision for revision in script.walk_revisions())


@contextmanager
def _connected(database: Database) -> Iterator[Connection]:
    """A connection for migrations.

    On SQLite foreign keys are off: Alembic's batch mode drops and recreates a table, which would delete
    the rows that refer to it. They are checked before the end. Raises RuntimeError when one is violated.
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
            connection.invalidate()  # its pragmas differ from those of the pool
