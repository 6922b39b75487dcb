"""Keep the queue as quick with a hundred thousand leads as with a thousand."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

WAITING = sa.text("status NOT IN ('booked', 'closed')")
LOOKED_AT = sa.text("opened_at IS NOT NULL AND first_contact_at IS NULL AND closed_at IS NULL")
PLAIN = {
    "ix_lead_status_closed_at_id": ["status", "closed_at", "id"],
    "ix_lead_booked_for": ["booked_for"],
    "ix_lead_claimed_until": ["claimed_until"],
}
PARTIAL = {
    "ix_lead_waiting": (["promise_at", "id"], WAITING),
    "ix_lead_looked_at": (["opened_at", "id"], LOOKED_AT),
}


def upgrade() -> None:
    for name, columns in PLAIN.items():
        op.create_index(name, "lead", columns, unique=False)
    for name, (columns, where) in PARTIAL.items():
        op.create_index(name, "lead", columns, unique=False, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    for name in (*PARTIAL, *PLAIN):
        op.drop_index(name, table_name="lead")
