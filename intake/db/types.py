"""Column types, the declarative base and the constraints that every table shares."""

import uuid
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, Dialect, LargeBinary, MetaData, Text, TypeDecorator
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import DeclarativeBase

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Base of every table. STRICT on SQLite, so that a column holds its declared type only."""

    metadata = MetaData(naming_convention=NAMING)
    __table_args__: Any = {"sqlite_strict": True}  # noqa: RUF012  SQLAlchemy reads it per class


class Identifier(TypeDecorator[uuid.UUID]):
    """A UUID, generated in Python so that a sealed value can be bound to its row before the insert."""

    impl = Text().with_variant(postgresql.UUID(as_uuid=True), "postgresql")
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Any:
        if dialect.name == "postgresql":
            return super().bind_processor(dialect)
        return lambda value: None if value is None else str(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        if dialect.name == "postgresql":
            return super().result_processor(dialect, coltype)
        return lambda text: None if text is None else uuid.UUID(text)


class Instant(TypeDecorator[datetime]):
    """An aware datetime in UTC. SQLite stores ISO text of fixed length, so that it sorts and compares.

    Raises ValueError for a naive datetime.
    """

    impl = Text().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime cannot be stored")
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        if dialect.name == "postgresql":
            return lambda moment: None if moment is None else moment.astimezone(UTC)
        return lambda text: None if text is None else datetime.fromisoformat(text)


class EnumText(TypeDecorator[StrEnum]):
    """A StrEnum stored as text; `enum_check` adds the CHECK constraint that the database enforces.

    A word that is not one of the enum is refused with KeyError, going in and coming out.
    """

    impl = Text
    cache_ok = True

    def __init__(self, choices: type[StrEnum]) -> None:
        self.choices = choices
        super().__init__()

    def bind_processor(self, dialect: Dialect) -> Any:
        words: dict[str | None, str | None] = {choice: choice.value for choice in self.choices}
        return {None: None, **words}.__getitem__

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        choices: dict[str | None, StrEnum | None] = {choice.value: choice for choice in self.choices}
        return {None: None, **choices}.__getitem__


class WrappedSecret(TypeDecorator[bytes]):
    """A secret wrapped by the keyring; key rotation finds the columns to re-wrap by this type.

    The secret is bound to (table, column, primary key), so such a table has one Identifier as primary key.
    """

    impl = LargeBinary
    cache_ok = True


def enum_check(column: str, choices: type[StrEnum]) -> CheckConstraint:
    """A CHECK constraint: a text column holds a value of the enum, or NULL where it is nullable."""
    values = ", ".join(f"'{value}'" for value in choices)
    return CheckConstraint(f"{column} IN ({values})", name=f"{column}_known")


def append_only(table: str, key: str, *, dialect: str) -> list[str]:
    """DDL for triggers that refuse every UPDATE and DELETE on `table`; executed by migrations.

    Three gaps are closed: SQLite's INSERT OR REPLACE fires no UPDATE or DELETE trigger (hence the
    INSERT trigger on an existing `key`), PostgreSQL's TRUNCATE fires no row trigger (hence the
    statement trigger), and Alembic's batch mode drops triggers (hence a test after the migrations).
    """
    refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    sqlite = [
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "  # noqa: S608  names of our own code
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
