"""Writes the next numbered migration: what the models say and the migrations do not yet.

    ./dev migration NAME

The models are compared with an SQLite database in a temporary folder that all migrations have run on.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from alembic import command
from alembic.operations import MigrationScript, ops
from alembic.script import Script
from sqlalchemy import inspect
from sqlalchemy.sql.elements import conv

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

from intake.db import migrate  # noqa: E402
from intake.db.engine import Database  # noqa: E402
from intake.db.types import Base  # noqa: E402


def write(name: str) -> Path | None:
    """Write the migration `name`; its path, or None where models and migrations agree."""
    with tempfile.TemporaryDirectory() as folder:
        databases = [
            Database(f"sqlite:///{folder}/{each}.sqlite3", lock=Path(folder) / f"{each}.lock")
            for each in ("migrated", "modelled")
        ]
        migrated, modelled = databases
        migrate.upgrade(migrated)
        Base.metadata.create_all(modelled.engine)
        differing = list(checks_that_differ(migrated, modelled))

        def complete(_context: object, _revision: object, directives: list[MigrationScript]) -> None:
            """Add the checks, which Alembic does not compare; write nothing where nothing differs."""
            script = directives[0]
            for table, check, before, now in differing:
                for operations, old, new in (
                    (script.upgrade_ops, before, now),
                    (script.downgrade_ops, now, before),
                ):
                    change = [ops.DropConstraintOp(check, table, type_="check")] if old else []
                    change += [ops.CreateCheckConstraintOp(check, table, new)] if new else []
                    operations.ops.append(ops.ModifyTableOps(table, change))
            if script.upgrade_ops.is_empty():
                directives.clear()

        with migrated.engine.connect() as connection:
            made = command.revision(
                migrate.config(connection), name, autogenerate=True, process_revision_directives=complete
            )
        for each in databases:
            each.close()
    if not isinstance(made, Script):
        return None
    path = Path(made.path)
    words = path.read_text(encoding="utf-8")
    # SQLAlchemy 2.0 does not see that a table is strict, and would make it anew without.
    path.write_text(words.replace("schema=None", 'table_kwargs={"sqlite_strict": True}'), encoding="utf-8")
    for step in (("check", "--select", "I,F401", "--fix"), ("format",)):
        subprocess.run((sys.executable, "-m", "ruff", *step, "-q", path), cwd=ROOT, check=False)
    return path


def checks_that_differ(migrated: Database, modelled: Database) -> Iterator[tuple[str, conv, str, str]]:
    """Table, name, condition before and now of each CHECK that differs; empty where there is none.

    Of a new table they come with it.
    """
    before, now = inspect(migrated.engine), inspect(modelled.engine)
    for table in sorted(set(before.get_table_names()) & set(now.get_table_names())):
        old, new = (
            {str(each["name"]): str(each["sqltext"]) for each in database.get_check_constraints(table)}
            for database in (before, now)
        )
        for name in sorted(old | new):
            if old.get(name) != new.get(name):
                yield table, conv(name), old.get(name, ""), new.get(name, "")


if __name__ == "__main__":
    if len(sys.argv) < 2:  # noqa: PLR2004  the script and a name
        sys.exit("A name is needed: ./dev migration keep best language")
    written = write(" ".join(sys.argv[1:]).capitalize())
    if written:
        print(f"{written.relative_to(ROOT)} is written: read it before you commit it.")
    else:
        print("Models and migrations agree.")
