"""How migrations run: in one transaction, on the connection we are handed."""

from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.operations import MigrationScript
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import TypeDecorator, text

import intake.accounts.models
import intake.audit.models
import intake.backup.models
import intake.casework.models
import intake.consent.models
import intake.leads.models
import intake.outbox.models  # noqa: F401  registers its tables
from intake.db.types import Base, Identifier, Instant

ON_POSTGRESQL = {Identifier: "UUID(as_uuid=True)", Instant: "TIMESTAMP(timezone=True)"}


def numbered(_context: MigrationContext, _revision: object, directives: list[MigrationScript]) -> None:
    """Name the next migration by its number: 0001, 0002 and so on."""
    script = ScriptDirectory.from_config(context.config)
    head = script.get_current_head()
    for each in directives:
        each.rev_id = f"{int(head or 0) + 1:04}"


def as_stored(kind: str, item: object, autogenerate: AutogenContext) -> str | Literal[False]:
    """Our own column types as what each database stores: a migration does not depend on later code."""
    if kind != "type" or not isinstance(item, TypeDecorator):
        return False
    variant = ON_POSTGRESQL.get(type(item))
    if not variant:
        return f"sa.{item.impl!r}"
    autogenerate.imports.add("from sqlalchemy.dialects import postgresql")
    return f'sa.Text().with_variant(postgresql.{variant}, "postgresql")'


connection = context.config.attributes["connection"]
if connection.dialect.name == "postgresql":
    connection.execute(text("SET lock_timeout = '10s'"))
    connection.commit()
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    process_revision_directives=numbered,
    render_item=as_stored,
    render_as_batch=connection.dialect.name == "sqlite",
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
