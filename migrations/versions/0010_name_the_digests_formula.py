"""Say with each link of the audit chain by which formula its digest was made.

Links that are there already get no number: which of the two older formulas made them shows only with the
key. The column is added in place: a table made anew would lose the triggers that keep it append-only.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("chain_link", sa.Column("digest_version", sa.Integer(), nullable=True))


def downgrade() -> None:
    """Links that were made since verify no longer without it."""
    op.drop_column("chain_link", "digest_version")
