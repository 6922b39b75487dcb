"""Run Alembic migrations, and compare the database's revision with this version's.

A process of the service only compares, at its start and for /readyz, so Alembic is imported where it runs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text
from sqlalchemy.orm import Session

from intake.core.paths import MIGRATIONS
from intake.db.engine import Database

if TYPE_CHECKING:
    from alembic.config import Config


class MigrationState(StrEnum):
    """How a database compares with the migrations of this version."""

    CURRENT = "current"
    BEHIND = "behind"
    AHEAD = "ahead"


def config(connection: Connection | None = None) -> "Config":
    """Alembic's configuration without an alembic.ini; works in a checkout and in a wheel."""
    from alembic.config import Config  # noqa: PLC0415

    alembic = Config()
    alembic.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))  # no interpolation
    alembic.set_main_option("revision_environment", "true")
    alembic.attributes["connection"] = connection
    return alembic


def upgrade(database: Database, *, to: str = "head") -> None:
    """Run the missing migrations, each in a transaction. Idempotent, also when run concurrently."""
    from alembic import command  # noqa: PLC0415

    with _connected(database) as connection:
        command.upgrade(config(connection), to)


def downgrade(database: Database, *, to: str) -> None:
    """Undo migrations down to revision `to`; for development and for tests."""
    from alembic import command  # noqa: PLC0415

    with _connected(database) as connection:
        command.downgrade(config(connection), to)


def migration_state(database: Database) -> MigrationState:
    """How the database's revision compares with this version's migrations. Raises Unavailable."""
    known = revisions()
    with database.reading() as session:
        current = current_revision(session)
    if current == known[-1]:
        return MigrationState.CURRENT
    return MigrationState.AHEAD if current and current not in known else MigrationState.BEHIND


def current_revision(session: Session) -> str:
    """The revision of a database; empty before the first migration."""
    if not inspect(session.connection()).has_table("alembic_version"):
        return ""
    return session.scalar(text("SELECT version_num FROM alembic_version")) or ""


def revisions() -> list[str]:
    """Every revision id known to this version, oldest first: the numbers that the files' names begin with."""
    return sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


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
