"""Hold a request back from retention: why, and until when."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ID = sa.Text().with_variant(postgresql.UUID(), "postgresql")
AT = sa.Text().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
REASONS = "'authority', 'claim', 'complaint', 'incident'"


def upgrade() -> None:
    op.create_table(
        "legal_hold",
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", AT, nullable=False),
        sa.Column("until", AT, nullable=False),
        sa.Column("put_by", ID, nullable=False),
        sa.Column("erase_asked_at", AT, nullable=True),
        sa.CheckConstraint(f"reason IN ({REASONS})", name=op.f("ck_legal_hold_reason_known")),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name="fk_legal_hold_lead_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["put_by"], ["staff_member.id"], name="fk_legal_hold_put_by"),
        sa.PrimaryKeyConstraint("lead_id", name="pk_legal_hold"),
        sqlite_strict=True,
    )


def downgrade() -> None:
    op.drop_table("legal_hold")
