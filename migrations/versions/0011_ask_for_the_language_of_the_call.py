"""Keep the best language for the call with a lead, sealed with the lead's own key."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("lead", sa.Column("call_language", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    op.drop_column("lead", "call_language")
