"""Keep what a lead was before the last act on it, so that a slip can be undone for five minutes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ID = sa.Text().with_variant(postgresql.UUID(), "postgresql")
AT = sa.Text().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "lead_before",
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("act_id", ID, nullable=False),
        sa.Column("staff_id", ID, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("at", AT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("undone_at", AT, nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("close_reason", sa.Text(), nullable=True),
        sa.Column("closed_at", AT, nullable=True),
        sa.Column("first_contact_at", AT, nullable=True),
        sa.Column("booked_for", AT, nullable=True),
        sa.Column("purge_after", AT, nullable=False),
        sa.Column("claimed_by", ID, nullable=True),
        sa.Column("claimed_until", AT, nullable=True),
        sa.CheckConstraint(
            "outcome IN ('reached', 'no_answer', 'voicemail_left', 'message_sent', 'somebody_else', 'they_called_us', 'wrong_number', 'asked_to_stop', 'another_time', 'booked', 'declined')",
            name=op.f("ck_lead_before_outcome_known"),
        ),
        sa.CheckConstraint(
            "status IN ('new', 'trying', 'booked', 'closed')", name=op.f("ck_lead_before_status_known")
        ),
        sa.CheckConstraint(
            "close_reason IN ('declined', 'not_reached', 'stopped', 'superseded', 'talked', 'wrong_number')",
            name=op.f("ck_lead_before_close_reason_known"),
        ),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name="fk_lead_before_lead_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["staff_id"], ["staff_member.id"], name="fk_lead_before_staff_id"),
        sa.PrimaryKeyConstraint("lead_id", name="pk_lead_before"),
        sqlite_strict=True,
    )


def downgrade() -> None:
    op.drop_table("lead_before")
