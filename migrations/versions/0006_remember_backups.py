"""Remember when a backup was last taken and last tried out."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

AT = sa.Text().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "backup_record",
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("tried_at", AT, nullable=False),
        sa.Column("succeeded_at", AT, nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.CheckConstraint("act IN ('taken', 'tested')", name=op.f("ck_backup_record_act_known")),
        sa.PrimaryKeyConstraint("act", name="pk_backup_record"),
        sqlite_strict=True,
    )


def downgrade() -> None:
    op.drop_table("backup_record")
