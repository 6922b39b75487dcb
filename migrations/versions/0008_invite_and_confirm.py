"""Invitations, passkeys, and sessions that know their browser and their last second factor.

The sessions are made anew: everybody signs in once more after this upgrade.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ID = sa.Text().with_variant(postgresql.UUID(), "postgresql")
AT = sa.Text().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
BROWSERS = "browser IN ('chrome', 'edge', 'firefox', 'safari', 'other')"
MAILS_BEFORE = ("new_lead", "unopened", "daily", "test", "alarm", "well_again")
MAILS_NOW = ("new_lead", "unopened", "daily", "invited", "test", "alarm", "well_again")


def upgrade() -> None:
    op.drop_table("staff_session")
    _session_table(
        sa.Column("id", ID, nullable=False),
        sa.Column("browser", sa.Text(), nullable=False),
        sa.Column("confirmed_at", AT, nullable=False),
        sa.UniqueConstraint("id", name="uq_staff_session_id"),
        sa.CheckConstraint(BROWSERS, name=op.f("ck_staff_session_browser_known")),
    )
    _invitation_table()
    _passkey_table()
    op.create_table(
        "spent_challenge",
        sa.Column("challenge_hash", sa.LargeBinary(), nullable=False),
        sa.Column("spent_at", AT, nullable=False),
        sa.PrimaryKeyConstraint("challenge_hash", name="pk_spent_challenge"),
        sqlite_strict=True,
    )
    _allow(MAILS_NOW)


def downgrade() -> None:
    op.execute("DELETE FROM outbox_message WHERE mail = 'invited'")
    _allow(MAILS_BEFORE)
    for table in ("spent_challenge", "staff_passkey", "staff_invitation", "staff_session"):
        op.drop_table(table)
    _session_table()


def _session_table(*more: sa.schema.SchemaItem) -> None:
    op.create_table(
        "staff_session",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("staff_id", ID, nullable=False),
        sa.Column("began_at", AT, nullable=False),
        sa.Column("seen_at", AT, nullable=False),
        sa.Column("ended_at", AT, nullable=True),
        sa.ForeignKeyConstraint(["staff_id"], ["staff_member.id"], name="fk_staff_session_staff_id"),
        sa.PrimaryKeyConstraint("token_hash", name="pk_staff_session"),
        *more,
        sqlite_strict=True,
    )
    op.create_index("ix_staff_session_staff_id", "staff_session", ["staff_id"])


def _invitation_table() -> None:
    op.create_table(
        "staff_invitation",
        sa.Column("staff_id", ID, nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", AT, nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff_member.id"], name="fk_staff_invitation_staff_id"),
        sa.PrimaryKeyConstraint("staff_id", name="pk_staff_invitation"),
        sa.UniqueConstraint("token_hash", name="uq_staff_invitation_token_hash"),
        sqlite_strict=True,
    )


def _passkey_table() -> None:
    op.create_table(
        "staff_passkey",
        sa.Column("id", ID, nullable=False),
        sa.Column("staff_id", ID, nullable=False),
        sa.Column("handle_hash", sa.LargeBinary(), nullable=False),
        sa.Column("credential", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.Integer(), nullable=False),
        sa.Column("browser", sa.Text(), nullable=False),
        sa.Column("added_at", AT, nullable=False),
        sa.Column("used_at", AT, nullable=True),
        sa.CheckConstraint(BROWSERS, name=op.f("ck_staff_passkey_browser_known")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff_member.id"], name="fk_staff_passkey_staff_id"),
        sa.PrimaryKeyConstraint("id", name="pk_staff_passkey"),
        sa.UniqueConstraint("handle_hash", name="uq_staff_passkey_handle_hash"),
        sqlite_strict=True,
    )
    op.create_index("ix_staff_passkey_staff_id", "staff_passkey", ["staff_id"])


def _allow(mails: tuple[str, ...]) -> None:
    """SQLite makes the table anew for this; it has no triggers that could get lost."""
    known = ", ".join(f"'{each}'" for each in mails)
    with op.batch_alter_table("outbox_message", table_kwargs={"sqlite_strict": True}) as table:
        table.drop_constraint(op.f("ck_outbox_message_mail_known"), type_="check")
        table.create_check_constraint(op.f("ck_outbox_message_mail_known"), f"mail IN ({known})")
