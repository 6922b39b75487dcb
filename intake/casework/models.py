"""The table for undo: the state of a lead before the last act on it."""

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, Integer
from sqlalchemy.orm import Mapped, mapped_column

from intake.db.types import Base, EnumText, Identifier, Instant, enum_check
from intake.leads.models import CloseReason, LeadStatus, Outcome


class UndoState(Base):
    """The state of a lead before the last act that can be undone; one row per lead, deleted with it.

    `act_id` is the attempt's id, or an id of its own for a manual close (then `outcome` is NULL); `version`
    is that of the lead right after the act. The columns from `status` on have the names of the lead's own.
    """

    __tablename__ = "lead_before"
    __table_args__ = (
        enum_check("outcome", Outcome),
        enum_check("status", LeadStatus),
        enum_check("close_reason", CloseReason),
        {"sqlite_strict": True},
    )

    lead_id: Mapped[uuid.UUID] = mapped_column(
        Identifier, ForeignKey("lead.id", ondelete="CASCADE"), primary_key=True
    )
    act_id: Mapped[uuid.UUID] = mapped_column(Identifier)
    staff_id: Mapped[uuid.UUID] = mapped_column(Identifier, ForeignKey("staff_member.id"))
    outcome: Mapped[Outcome | None] = mapped_column(EnumText(Outcome))
    at: Mapped[datetime] = mapped_column(Instant)
    version: Mapped[int] = mapped_column(Integer)
    undone_at: Mapped[datetime | None] = mapped_column(Instant)
    status: Mapped[LeadStatus] = mapped_column(EnumText(LeadStatus))
    close_reason: Mapped[CloseReason | None] = mapped_column(EnumText(CloseReason))
    closed_at: Mapped[datetime | None] = mapped_column(Instant)
    first_contact_at: Mapped[datetime | None] = mapped_column(Instant)
    booked_for: Mapped[datetime | None] = mapped_column(Instant)
    purge_after: Mapped[datetime] = mapped_column(Instant)
    claimed_by: Mapped[uuid.UUID | None] = mapped_column(Identifier)
    claimed_until: Mapped[datetime | None] = mapped_column(Instant)
