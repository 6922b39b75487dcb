"""Legal holds: which requests have to be kept although their time is over, why, and until when (WR-09).

A request is held as long as it has a row here. The row goes when the hold is released, or when its last
day is over and the round has come by.
"""

import uuid
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, ForeignKey, exists
from sqlalchemy.orm import Mapped, Session, mapped_column

from intake.core.i18n import N_
from intake.db.engine import Base, Closed, Identifier, Instant, one_of
from intake.leads.models import Lead


class HoldReason(StrEnum):
    """Why the law makes us keep a request. A closed list: no word about anybody can stand in it."""

    AUTHORITY = "authority"
    CLAIM = "claim"
    COMPLAINT = "complaint"
    INCIDENT = "incident"

    @property
    def sentence(self) -> str:
        """In words, for staff."""
        return _BECAUSE[self]


_BECAUSE = {
    HoldReason.AUTHORITY: N_("A court or an authority wants it kept"),
    HoldReason.CLAIM: N_("A legal claim is made, or expected"),
    HoldReason.COMPLAINT: N_("A complaint is being looked into"),
    HoldReason.INCIDENT: N_("A security incident is being looked into"),
}


class LegalHold(Base):
    """One request that is held. `erase_asked_at`: the person wants it erased, and it waits for the end."""

    __tablename__ = "legal_hold"
    __table_args__ = (one_of("reason", HoldReason), {"sqlite_strict": True})

    lead_id: Mapped[uuid.UUID] = mapped_column(
        Identifier, ForeignKey("lead.id", ondelete="CASCADE"), primary_key=True
    )
    reason: Mapped[HoldReason] = mapped_column(Closed(HoldReason))
    since: Mapped[datetime] = mapped_column(Instant)
    until: Mapped[datetime] = mapped_column(Instant)
    put_by: Mapped[uuid.UUID] = mapped_column(Identifier, ForeignKey("staff_member.id"))
    erase_asked_at: Mapped[datetime | None] = mapped_column(Instant)


def of(session: Session, lead_id: uuid.UUID) -> LegalHold | None:
    """The hold on a request, read anew; None when it has none."""
    return session.get(LegalHold, lead_id, populate_existing=True)


def held() -> ColumnElement[bool]:
    """Whether the `Lead` of a statement is held."""
    return exists().where(LegalHold.lead_id == Lead.id).correlate(Lead)
