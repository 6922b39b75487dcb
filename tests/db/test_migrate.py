"""The migrations make exactly the tables the models describe, on both databases, and can be undone."""

import re
import shutil

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, Column, MetaData, inspect, text

from bench import migration
from intake.core.paths import MIGRATIONS
from intake.db import migrate
from intake.db.engine import Database
from intake.db.migrate import MigrationState
from intake.db.types import Base, Instant
from tests.db.test_engine import APPEND_ONLY


@pytest.fixture(params=["sqlite", "postgres"])
def empty(request, tmp_path, worker_id):
    """A database with nothing in it."""
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path / 'empty.sqlite3'}", lock=tmp_path / "lock")
        yield database
        return database.close()
    server, name = request.getfixturevalue("postgres"), f"empty_{worker_id}"
    server.create(name)
    database = Database(server.url_for(name), lock=tmp_path / "lock")
    yield database
    database.close()
    return server.drop(name)


def picture(database: Database) -> dict[str, object]:
    """Tables with their columns, keys, checks and indexes, as the database tells them."""
    inspector = inspect(database.engine)
    return {
        table: {
            "columns": [
                (column["name"], str(column["type"]), column["nullable"])
                for column in inspector.get_columns(table)
            ],
            "primary": inspector.get_pk_constraint(table)["constrained_columns"],
            "foreign": sorted(
                (
                    each["constrained_columns"],
                    each["referred_table"],
                    each["referred_columns"],
                    each["options"],
                )
                for each in inspector.get_foreign_keys(table)
            ),
            "unique": sorted(each["column_names"] for each in inspector.get_unique_constraints(table)),
            "checks": sorted(
                (each["name"], re.sub(r"\s+", " ", each["sqltext"]))
                for each in inspector.get_check_constraints(table)
            ),
            "indexes": sorted((each["name"], each["column_names"]) for each in inspector.get_indexes(table)),
        }
        for table in inspector.get_table_names()
        if table != "alembic_version"
    }


def wipe(database: Database) -> None:
    with database.engine.begin() as connection:
        there = MetaData()
        there.reflect(connection)
        there.drop_all(connection)


def test_the_schema_equals_the_models(empty: Database) -> None:
    migrate.upgrade(empty)
    migrated = picture(empty)
    migrate.downgrade(empty, to="base")
    wipe(empty)
    with empty.engine.begin() as connection:
        Base.metadata.create_all(connection)
    assert migrated == picture(empty)


def test_up_down_and_up_again_leaves_nothing_behind(empty: Database) -> None:
    assert migrate.migration_state(empty) is MigrationState.BEHIND
    migrate.upgrade(empty)
    first = picture(empty)
    assert migrate.migration_state(empty) is MigrationState.CURRENT
    migrate.downgrade(empty, to="base")
    assert picture(empty) == {}
    migrate.upgrade(empty)
    assert picture(empty) == first


def test_upgrading_twice_changes_nothing(empty: Database) -> None:
    migrate.upgrade(empty)
    migrate.upgrade(empty)
    assert migrate.migration_state(empty) is MigrationState.CURRENT


def test_a_newer_schema_is_recognised(empty: Database) -> None:
    migrate.upgrade(empty)
    with empty.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert migrate.migration_state(empty) is MigrationState.AHEAD


def test_the_triggers_stand_after_every_migration(empty: Database) -> None:
    """Alembic's batch mode drops triggers without a word (decisions, append-only)."""
    migrate.upgrade(empty)
    catalogue = (
        "SELECT tbl_name FROM sqlite_master WHERE type = 'trigger'"
        if empty.sqlite
        else "SELECT event_object_table FROM information_schema.triggers "
        "UNION ALL SELECT relname FROM pg_trigger JOIN pg_class ON tgrelid = pg_class.oid "
        "WHERE tgtype & 32 > 0"
    )
    with empty.reading() as session:
        there = list(session.scalars(text(catalogue)))
    assert {table: there.count(table) for table in APPEND_ONLY} == dict.fromkeys(APPEND_ONLY, 3)


def test_every_sqlite_table_is_strict(tmp_path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'strict.sqlite3'}", lock=tmp_path / "lock")
    migrate.upgrade(database)
    with database.reading() as session:
        loose = session.scalars(
            text("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND strict = 0")
        ).all()
    database.close()
    assert set(loose) == {"alembic_version", "sqlite_schema"}


def run_by_alembic() -> list[str]:
    script = ScriptDirectory.from_config(migrate.config())
    return [each.revision for each in script.walk_revisions()][::-1]


def test_the_files_are_numbered_in_the_order_in_which_they_run() -> None:
    assert migrate.revisions() == run_by_alembic()


def test_the_migrations_are_found_under_any_path(monkeypatch, tmp_path) -> None:
    """A build machine names its folder after a branch: `feature%2Fx`."""
    there = tmp_path / "feature%2Fx mi clínica?#%(here)s" / "migrations"
    shutil.copytree(migrate.MIGRATIONS, there, ignore=shutil.ignore_patterns("__pycache__"))
    known = migrate.revisions()
    monkeypatch.setattr(migrate, "MIGRATIONS", there)
    assert migrate.revisions() == run_by_alembic() == known


def test_a_migration_is_written_from_the_models(tmp_path, monkeypatch) -> None:
    """A column and an index more than the migrations know, and a changed check: the next file makes them."""
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(migrate, "MIGRATIONS", folder)
    assert migration.write("nothing") is None
    models = MetaData(naming_convention=Base.metadata.naming_convention)
    for table in Base.metadata.tables.values():
        table.to_metadata(models)
    column = Column("tried_on", Instant(), index=True)
    models.tables["lead"].append_column(column)
    outbox = models.tables["outbox_message"]
    known = next(each for each in outbox.constraints if str(each.name).endswith("mail_known"))
    outbox.constraints.remove(known)
    outbox.append_constraint(CheckConstraint("mail <> ''", name="mail_known"))
    monkeypatch.setattr(Base, "metadata", models)
    written = migration.write("Remember a day")
    newest = max(path.name for path in MIGRATIONS.glob("versions/[0-9]*.py"))
    assert written.name == f"{int(newest[:4]) + 1:04}_remember_a_day.py"
    database = Database(f"sqlite:///{tmp_path / 'new.sqlite3'}", lock=tmp_path / "lock")
    migrate.upgrade(database)
    inspector = inspect(database.engine)
    assert "tried_on" in [each["name"] for each in inspector.get_columns("lead")]
    assert "ix_lead_tried_on" in [each["name"] for each in inspector.get_indexes("lead")]
    checks = inspector.get_check_constraints("outbox_message")
    assert [each["sqltext"] for each in checks if each["name"] == "ck_outbox_message_mail_known"] == [
        "mail <> ''"
    ]
    with database.reading() as session:
        made = session.scalar(text("SELECT sql FROM sqlite_schema WHERE name = 'outbox_message'"))
    assert made.strip().endswith("STRICT")
    migrate.downgrade(database, to=newest[:4])
    assert "tried_on" not in [each["name"] for each in inspect(database.engine).get_columns("lead")]
    database.close()
    assert 'sa.Text().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")' in written.read_text()
