"""How migrations run: in one transaction, on the connection we are handed."""

from alembic import context
from alembic.operations import MigrationScript
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

import intake.accounts.models
import intake.audit.models
import intake.backup.models
import intake.casework.models
import intake.consent.models
import intake.leads.models
import intake.outbox.models  # noqa: F401  registers its tables
from intake.db.types import Base


def numbered(_context: MigrationContext, _revision: object, directives: list[MigrationScript]) -> None:
    """Name the next migration by its number: 0001, 0002 and so on."""
    script = ScriptDirectory.from_config(context.config)
    head = script.get_current_head()
    directives[0].rev_id = f"{int(head or 0) + 1:04}"


connection = context.config.attributes["connection"]
if connection.dialect.name == "postgresql":
    connection.execute(text("SET lock_timeout = '10s'"))
    connection.commit()
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    process_revision_directives=numbered,
    render_as_batch=connection.dialect.name == "sqlite",
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
