"""Keep an erasure ledger: which leads are gone, and nothing about them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from intake.db.types import append_only

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.Text().with_variant(postgresql.UUID(), "postgresql")
AT = sa.Text().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "erasure",
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("erased_at", AT, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint("reason IN ('asked', 'due')", name=op.f("ck_erasure_reason_known")),
        sa.PrimaryKeyConstraint("lead_id", name="pk_erasure"),
        sqlite_strict=True,
    )
    op.create_index("ix_erasure_erased_at", "erasure", ["erased_at"], unique=False)
    for trigger in append_only("erasure", "lead_id", dialect=op.get_context().dialect.name):
        op.execute(trigger)


def downgrade() -> None:
    op.drop_table("erasure")
    if op.get_context().dialect.name == "postgresql":
        op.execute("DROP FUNCTION erasure_append_only()")
