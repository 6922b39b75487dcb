"""The table behind undo: what a lead was before the last act on it."""

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from intake.db.engine import Base, Closed, Count, Identifier, Instant, one_of
from intake.leads.models import CloseReason, LeadStatus, Outcome


class UndoState(Base):
    """What a lead was before the last act on it that can be undone; one row a lead, gone with it.

    `act_id` is the attempt's id, or an id of its own for a close by hand (then `outcome` is empty);
    `version` is the lead's right after the act. The columns from `status` on are the lead's own.
    """

    __tablename__ = "lead_before"
    __table_args__ = (
        one_of("outcome", Outcome),
        one_of("status", LeadStatus),
        one_of("close_reason", CloseReason),
        {"sqlite_strict": True},
    )

    lead_id: Mapped[uuid.UUID] = mapped_column(
        Identifier, ForeignKey("lead.id", ondelete="CASCADE"), primary_key=True
    )
    act_id: Mapped[uuid.UUID] = mapped_column(Identifier)
    staff_id: Mapped[uuid.UUID] = mapped_column(Identifier, ForeignKey("staff_member.id"))
    outcome: Mapped[Outcome | None] = mapped_column(Closed(Outcome))
    at: Mapped[datetime] = mapped_column(Instant)
    version: Mapped[int] = mapped_column(Count)
    undone_at: Mapped[datetime | None] = mapped_column(Instant)
    status: Mapped[LeadStatus] = mapped_column(Closed(LeadStatus))
    close_reason: Mapped[CloseReason | None] = mapped_column(Closed(CloseReason))
    closed_at: Mapped[datetime | None] = mapped_column(Instant)
    first_contact_at: Mapped[datetime | None] = mapped_column(Instant)
    booked_for: Mapped[datetime | None] = mapped_column(Instant)
    purge_after: Mapped[datetime] = mapped_column(Instant)
    claimed_by: Mapped[uuid.UUID | None] = mapped_column(Identifier)
    claimed_until: Mapped[datetime | None] = mapped_column(Instant)
