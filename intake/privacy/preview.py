"""What retention is about to erase, told as counts before it happens, and putting it off by a day (K2)."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from intake import audit
from intake.accounts.permissions import Member, Permission, require
from intake.audit import Action
from intake.conf.clinic import Retention
from intake.core.i18n import N_
from intake.instance import Instance
from intake.leads import legal_hold
from intake.leads.legal_hold import HoldReason, LegalHold
from intake.leads.models import CloseReason, Lead, LeadStatus

AHEAD = timedelta(days=1)
"""How far ahead the desk looks, and by how much erasing is put off at a time."""
AT_MOST = timedelta(days=7)
"""Nothing is put off beyond its time by more than this; the public page says so."""


class Why(StrEnum):
    """Why a lead is due."""

    OPEN = "open"
    CLOSED = "closed"
    STOPPED = "stopped"
    WRONG_NUMBER = "wrong_number"
    SUPERSEDED = "superseded"

    @property
    def sentence(self) -> str:
        """In words, for staff; some want `%(days)s` (message id)."""
        return _BECAUSE[self]


_BECAUSE = {
    Why.OPEN: N_("they came in %(open_days)s days ago"),
    Why.CLOSED: N_("they were closed %(closed_days)s days ago"),
    Why.STOPPED: N_("the person asked us to stop"),
    Why.WRONG_NUMBER: N_("it was the wrong number"),
    Why.SUPERSEDED: N_("a corrected request took their place"),
}
_CLOSED_BECAUSE = {
    CloseReason.STOPPED: Why.STOPPED,
    CloseReason.WRONG_NUMBER: Why.WRONG_NUMBER,
    CloseReason.SUPERSEDED: Why.SUPERSEDED,
}


@dataclass(frozen=True)
class Preview:
    """How many are due, by why; and how many of those whose time is over a legal hold keeps, by reason."""

    due: Mapping[Why, int]
    held: Mapping[HoldReason, int]

    @property
    def count(self) -> int:
        """How many are due in all."""
        return sum(self.due.values())

    @property
    def kept(self) -> int:
        """How many a hold keeps in all."""
        return sum(self.held.values())


def preview(session: Session, *, until: datetime) -> Preview:
    """What a purge at `until` would erase if nothing changed before, and what holds would keep from it."""
    counted = (
        select(Lead.status, Lead.close_reason, func.count())
        .where(Lead.purge_after <= until, ~legal_hold.held())
        .group_by(Lead.status, Lead.close_reason)
    )
    due = Counter[Why]()
    for status, reason, count in session.execute(counted):
        due[_why(status, reason)] += count
    kept = (
        select(LegalHold.reason, func.count())
        .join(Lead, Lead.id == LegalHold.lead_id)
        .where(Lead.purge_after <= until)
        .group_by(LegalHold.reason)
    )
    held = dict(session.execute(kept).all())
    return Preview(
        {why: due[why] for why in Why if due[why]}, {each: held[each] for each in HoldReason if each in held}
    )


def _why(status: LeadStatus, reason: CloseReason | None) -> Why:
    if status is not LeadStatus.CLOSED or reason is None:
        return Why.OPEN
    return _CLOSED_BECAUSE.get(reason, Why.CLOSED)


def postpone(session: Session, *, member: Member, instance: Instance) -> int:
    """Give what is due within a day one day more, to look at what seems wrong; returns how many.

    Only what ends by its time alone, and at most seven days beyond it: what somebody asked for is never
    put off. Raises NotAllowed.
    """
    require(member, Permission.HOLD_LEAD)
    now, kept = instance.clock(), instance.clinic.retention
    by_hand = Lead.close_reason.in_(_CLOSED_BECAUSE)
    wanted = select(Lead).where(
        Lead.purge_after <= now + AHEAD, ~legal_hold.held(), or_(Lead.close_reason.is_(None), ~by_hand)
    )
    leads = session.scalars(wanted.order_by(Lead.id).with_for_update(key_share=True)).all()
    later = [lead for lead in leads if _put_off(lead, max(now, lead.purge_after) + AHEAD, kept)]
    if later:
        audit.record(
            session,
            Action.RETENTION_POSTPONED,
            keyring=instance.keyring,
            at=now,
            actor=member.actor,
            details={"count": len(later)},
        )
    session.flush()
    return len(later)


def _put_off(lead: Lead, until: datetime, kept: Retention) -> bool:
    ends = lead.asked_at + timedelta(days=kept.open_days)
    if lead.closed_at:
        ends = min(ends, lead.closed_at + timedelta(days=kept.closed_days))
    if until > ends + AT_MOST:
        return False
    lead.purge_after = until
    return True
