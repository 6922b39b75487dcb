"""Create the first tables: audit, consent, leads, outbox, staff."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from intake.db.types import append_only

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.Text().with_variant(postgresql.UUID(), "postgresql")
AT = sa.Text().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
APPEND_ONLY = {"audit_event": "id", "chain_link": "seq", "consent_event": "id", "consent_statement": "digest"}


def upgrade() -> None:
    op.create_table(
        "audit_event",
        sa.Column("id", ID, nullable=False),
        sa.Column("at", AT, nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", ID, nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("about", ID, nullable=True),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint(
            "(actor_kind = 'staff') = (actor_id IS NOT NULL)", name=op.f("ck_audit_event_actor_complete")
        ),
        sa.CheckConstraint(
            "actor_kind IN ('person', 'staff', 'system')", name=op.f("ck_audit_event_actor_kind_known")
        ),
        sa.PrimaryKeyConstraint("id", name="pk_audit_event"),
        sqlite_strict=True,
    )
    op.create_index("ix_audit_event_about", "audit_event", ["about"], unique=False)
    op.create_index("ix_audit_event_at", "audit_event", ["at"], unique=False)
    op.create_table(
        "consent_statement",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("first_shown_at", AT, nullable=False),
        sa.CheckConstraint(
            "kind IN ('use', 'call', 'text', 'email', 'voicemail', 'article', 'adult')",
            name=op.f("ck_consent_statement_kind_known"),
        ),
        sa.PrimaryKeyConstraint("digest", name="pk_consent_statement"),
        sqlite_strict=True,
    )
    op.create_table(
        "outbox_message",
        sa.Column("id", ID, nullable=False),
        sa.Column("mail", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("lead_id", ID, nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("due_at", AT, nullable=False),
        sa.Column("leased_until", AT, nullable=True),
        sa.Column("created_at", AT, nullable=False),
        sa.Column("sent_at", AT, nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.CheckConstraint("mail IN ('new_lead', 'test')", name=op.f("ck_outbox_message_mail_known")),
        sa.CheckConstraint(
            "state IN ('waiting', 'sending', 'sent', 'dead')", name=op.f("ck_outbox_message_state_known")
        ),
        sa.CheckConstraint(
            "(state = 'sent') = (sent_at IS NOT NULL)", name=op.f("ck_outbox_message_sent_complete")
        ),
        sa.CheckConstraint(
            "(state = 'sending') = (leased_until IS NOT NULL)", name=op.f("ck_outbox_message_lease_complete")
        ),
        sa.PrimaryKeyConstraint("id", name="pk_outbox_message"),
        sqlite_strict=True,
    )
    op.create_index("ix_outbox_message_lead_id", "outbox_message", ["lead_id"], unique=False)
    op.create_index(
        "ix_outbox_message_recipient_sent_at", "outbox_message", ["recipient", "sent_at"], unique=False
    )
    op.create_index("ix_outbox_message_state_due_at", "outbox_message", ["state", "due_at"], unique=False)
    op.create_table(
        "round_lease",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("due_at", AT, nullable=False),
        sa.Column("leased_until", AT, nullable=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("started_at", AT, nullable=True),
        sa.Column("ended_at", AT, nullable=True),
        sa.Column("succeeded_at", AT, nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_round_lease"),
        sqlite_strict=True,
    )
    op.create_table(
        "staff_member",
        sa.Column("id", ID, nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("totp_secret", sa.LargeBinary(), nullable=False),
        sa.Column("totp_step", sa.Integer(), nullable=False),
        sa.Column("created_at", AT, nullable=False),
        sa.Column("disabled_at", AT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_staff_member"),
        sa.UniqueConstraint("email", name="uq_staff_member_email"),
        sqlite_strict=True,
    )
    op.create_table(
        "suppression",
        sa.Column("id", ID, nullable=False),
        sa.Column("contact_index", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", AT, nullable=False),
        sa.Column("by", ID, nullable=True),
        sa.Column("lifted_at", AT, nullable=True),
        sa.CheckConstraint(
            "reason IN ('asked', 'wrong_number', 'third_party')", name=op.f("ck_suppression_reason_known")
        ),
        sa.PrimaryKeyConstraint("id", name="pk_suppression"),
        sqlite_strict=True,
    )
    op.create_index("ix_suppression_contact_index", "suppression", ["contact_index"], unique=False)
    op.create_table(
        "chain_link",
        sa.Column("seq", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("event_id", ID, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("linked_at", AT, nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["audit_event.id"], name="fk_chain_link_event_id"),
        sa.PrimaryKeyConstraint("seq", name="pk_chain_link"),
        sa.UniqueConstraint("event_id", name="uq_chain_link_event_id"),
        sqlite_strict=True,
    )
    op.create_table(
        "consent_event",
        sa.Column("id", ID, nullable=False),
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", ID, nullable=True),
        sa.Column("at", AT, nullable=False),
        sa.Column("contact_index", sa.LargeBinary(), nullable=True),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint(
            "(actor_kind = 'staff') = (actor_id IS NOT NULL)", name=op.f("ck_consent_event_actor_complete")
        ),
        sa.CheckConstraint(
            "actor_kind IN ('person', 'staff', 'system')", name=op.f("ck_consent_event_actor_kind_known")
        ),
        sa.CheckConstraint(
            "kind IN ('use', 'call', 'text', 'email', 'voicemail', 'article', 'adult')",
            name=op.f("ck_consent_event_kind_known"),
        ),
        sa.CheckConstraint(
            "method IN ('web_form', 'phone_verbal', 'manage_page', 'staff')",
            name=op.f("ck_consent_event_method_known"),
        ),
        sa.CheckConstraint(
            "state IN ('given', 'refused', 'withdrawn')", name=op.f("ck_consent_event_state_known")
        ),
        sa.ForeignKeyConstraint(
            ["statement"], ["consent_statement.digest"], name="fk_consent_event_statement"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_consent_event"),
        sa.UniqueConstraint("lead_id", "id", "kind", "state", name="uq_consent_event_lead_id_id_kind_state"),
        sqlite_strict=True,
    )
    op.create_index("ix_consent_event_contact_index", "consent_event", ["contact_index"], unique=False)
    op.create_table(
        "recovery_code",
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("staff_id", ID, nullable=False),
        sa.Column("used_at", AT, nullable=True),
        sa.ForeignKeyConstraint(["staff_id"], ["staff_member.id"], name="fk_recovery_code_staff_id"),
        sa.PrimaryKeyConstraint("code_hash", name="pk_recovery_code"),
        sqlite_strict=True,
    )
    op.create_index("ix_recovery_code_staff_id", "recovery_code", ["staff_id"], unique=False)
    op.create_table(
        "staff_role",
        sa.Column("staff_id", ID, nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "role IN ('coordinator', 'supervisor', 'privacy_officer', 'admin')",
            name=op.f("ck_staff_role_role_known"),
        ),
        sa.ForeignKeyConstraint(["staff_id"], ["staff_member.id"], name="fk_staff_role_staff_id"),
        sa.PrimaryKeyConstraint("staff_id", "role", name="pk_staff_role"),
        sqlite_strict=True,
    )
    op.create_table(
        "staff_session",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("staff_id", ID, nullable=False),
        sa.Column("began_at", AT, nullable=False),
        sa.Column("seen_at", AT, nullable=False),
        sa.Column("ended_at", AT, nullable=True),
        sa.ForeignKeyConstraint(["staff_id"], ["staff_member.id"], name="fk_staff_session_staff_id"),
        sa.PrimaryKeyConstraint("token_hash", name="pk_staff_session"),
        sqlite_strict=True,
    )
    op.create_index("ix_staff_session_staff_id", "staff_session", ["staff_id"], unique=False)
    op.create_table(
        "lead",
        sa.Column("id", ID, nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=True),
        sa.Column("number_zones", sa.Text(), nullable=False),
        sa.Column("windows", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("close_reason", sa.Text(), nullable=True),
        sa.Column("suspected", sa.Text(), nullable=True),
        sa.Column("promise_at", AT, nullable=False),
        sa.Column("asked_at", AT, nullable=False),
        sa.Column("opened_at", AT, nullable=True),
        sa.Column("first_contact_at", AT, nullable=True),
        sa.Column("booked_for", AT, nullable=True),
        sa.Column("closed_at", AT, nullable=True),
        sa.Column("purge_after", AT, nullable=False),
        sa.Column("claimed_by", ID, nullable=True),
        sa.Column("claimed_until", AT, nullable=True),
        sa.Column("follows", ID, nullable=True),
        sa.Column("use_event_id", ID, nullable=False),
        sa.Column("use_kind", sa.Text(), nullable=False),
        sa.Column("use_state", sa.Text(), nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("phone", sa.LargeBinary(), nullable=True),
        sa.Column("email", sa.LargeBinary(), nullable=True),
        sa.Column("asking_for", sa.LargeBinary(), nullable=True),
        sa.Column("article", sa.LargeBinary(), nullable=True),
        sa.Column("phone_index", sa.LargeBinary(), nullable=True),
        sa.Column("email_index", sa.LargeBinary(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(claimed_by IS NULL) = (claimed_until IS NULL)", name=op.f("ck_lead_claim_complete")
        ),
        sa.CheckConstraint(
            "close_reason IN ('declined', 'not_reached', 'stopped', 'superseded', 'talked', 'wrong_number')",
            name=op.f("ck_lead_close_reason_known"),
        ),
        sa.CheckConstraint(
            "(status = 'closed') = (closed_at IS NOT NULL)", name=op.f("ck_lead_closed_complete")
        ),
        sa.CheckConstraint(
            "status IN ('new', 'trying', 'booked', 'closed')", name=op.f("ck_lead_status_known")
        ),
        sa.CheckConstraint("suspected IN ('honeypot', 'too_fast')", name=op.f("ck_lead_suspected_known")),
        sa.CheckConstraint("use_kind = 'use'", name=op.f("ck_lead_use_kind")),
        sa.CheckConstraint("use_state = 'given'", name=op.f("ck_lead_use_state")),
        sa.ForeignKeyConstraint(["claimed_by"], ["staff_member.id"], name="fk_lead_claimed_by"),
        sa.ForeignKeyConstraint(
            ["id", "use_event_id", "use_kind", "use_state"],
            ["consent_event.lead_id", "consent_event.id", "consent_event.kind", "consent_event.state"],
            name="fk_lead_use_consent",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_lead"),
        sa.UniqueConstraint("code_hash", name="uq_lead_code_hash"),
        sa.UniqueConstraint("reference", name="uq_lead_reference"),
        sqlite_strict=True,
    )
    op.create_index("ix_lead_email_index", "lead", ["email_index"], unique=False)
    op.create_index("ix_lead_phone_index", "lead", ["phone_index"], unique=False)
    op.create_index("ix_lead_purge_after", "lead", ["purge_after"], unique=False)
    op.create_index("ix_lead_status_promise_at_id", "lead", ["status", "promise_at", "id"], unique=False)
    op.create_table(
        "attempt",
        sa.Column("id", ID, nullable=False),
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("staff_id", ID, nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("at", AT, nullable=False),
        sa.Column("consent_event_id", ID, nullable=True),
        sa.Column("undone_at", AT, nullable=True),
        sa.CheckConstraint("channel IN ('call', 'text', 'email')", name=op.f("ck_attempt_channel_known")),
        sa.CheckConstraint(
            "outcome IN ('reached', 'no_answer', 'voicemail_left', 'message_sent', 'somebody_else', 'they_called_us', 'wrong_number', 'asked_to_stop', 'another_time', 'booked', 'declined')",
            name=op.f("ck_attempt_outcome_known"),
        ),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name="fk_attempt_lead_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["staff_id"], ["staff_member.id"], name="fk_attempt_staff_id"),
        sa.PrimaryKeyConstraint("id", name="pk_attempt"),
        sqlite_strict=True,
    )
    op.create_index("ix_attempt_lead_id", "attempt", ["lead_id"], unique=False)
    op.create_table(
        "lead_key",
        sa.Column("lead_id", ID, nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name="fk_lead_key_lead_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("lead_id", name="pk_lead_key"),
        sqlite_strict=True,
    )
    op.create_table(
        "submission",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("lead_id", ID, nullable=True),
        sa.Column("content_mac", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", AT, nullable=False),
        sa.ForeignKeyConstraint(["lead_id"], ["lead.id"], name="fk_submission_lead_id", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("token_hash", name="pk_submission"),
        sqlite_strict=True,
    )
    op.create_index("ix_submission_lead_id", "submission", ["lead_id"], unique=False)
    op.create_index("ix_submission_received_at", "submission", ["received_at"], unique=False)
    for table, key in APPEND_ONLY.items():
        for trigger in append_only(table, key, dialect=op.get_context().dialect.name):
            op.execute(trigger)


def downgrade() -> None:
    op.drop_table("submission")
    op.drop_table("lead_key")
    op.drop_table("attempt")
    op.drop_table("lead")
    op.drop_table("staff_session")
    op.drop_table("staff_role")
    op.drop_table("recovery_code")
    op.drop_table("consent_event")
    op.drop_table("chain_link")
    op.drop_table("suppression")
    op.drop_table("staff_member")
    op.drop_table("round_lease")
    op.drop_table("outbox_message")
    op.drop_table("consent_statement")
    op.drop_table("audit_event")
    if op.get_context().dialect.name == "postgresql":
        for table in APPEND_ONLY:
            op.execute(f"DROP FUNCTION {table}_append_only()")
