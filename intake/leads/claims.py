"""Holding a lead: a short lease, so that two people never call the same person."""

from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, Update, func, literal, or_, select, update
from sqlalchemy.orm import Session

from intake.audit import Action
from intake.database import Instant
from intake.errors import NotFound, Refused
from intake.instance import Instance
from intake.language import N_
from intake.leads.act import Act, Closed
from intake.leads.models import Lead, LeadStatus
from intake.staff.models import StaffMember
from intake.staff.permissions import Member, Permission, require

HOLD = timedelta(minutes=20)


class Held(Refused):
    """A colleague holds the lead: `by` is their name, `until` when the hold ends by itself."""

    sentence = N_("A colleague holds this request. You can read it, not act on it.")

    def __init__(self, by: str, until: datetime) -> None:
        self.by, self.until = by, until
        super().__init__()


class NotHeld(Refused):
    """The act needs a hold that this staff member does not have."""

    sentence = N_("Hold this request first; then say how it went.")


def claim(session: Session, lead: Lead, *, member: Member, instance: Instance) -> None:
    """Hold `lead` for 20 minutes, counted anew when it is ours. Raises NotAllowed, Held or Closed."""
    require(member, Permission.CLAIM_LEAD)
    act = Act(session, lead, member, instance)
    take(act)
    act.record(Action.CLAIM_TAKEN)


def give_back(session: Session, lead: Lead, *, member: Member, instance: Instance) -> None:
    """End our own hold. What is not ours, or no longer, is left as it is and nothing is recorded."""
    ours = update(Lead).where(Lead.id == lead.id, Lead.claimed_by == member.id)
    if _change(session, lead, ours.values(claimed_by=None, claimed_until=None)):
        Act(session, lead, member, instance).record(Action.CLAIM_GIVEN_BACK)


def take(act: Act) -> None:
    """The hold itself, without an event of its own: for an act that records itself (a reveal).

    One conditional UPDATE decides, so that of two at once one wins. Raises Held or Closed.
    """
    free = update(Lead).where(
        Lead.id == act.lead.id, Lead.status != LeadStatus.CLOSED, _free_for(act.member, act.now)
    )
    values = {
        "claimed_by": act.member.id,
        "claimed_until": act.now + HOLD,
        "opened_at": func.coalesce(Lead.opened_at, literal(act.now, Instant)),
    }
    if _change(act.session, act.lead, free.values(values)):
        return
    if act.lead.status is LeadStatus.CLOSED:
        raise Closed
    refuse_if_held(act)
    raise Refused


def _change(session: Session, lead: Lead, statement: Update) -> bool:
    """Run a conditional UPDATE; whether it met its conditions. A hold is no new version of a lead."""
    result = session.execute(statement.execution_options(synchronize_session=False))
    session.refresh(lead)
    return bool(cast("CursorResult[Any]", result).rowcount)


def _free_for(member: Member, now: datetime) -> ColumnElement[bool]:
    return or_(Lead.claimed_by.is_(None), Lead.claimed_by == member.id, Lead.claimed_until <= now)


def refuse_if_held(act: Act) -> None:
    """Raise Held when a colleague holds the lead right now."""
    lead = act.lead
    if lead.claimed_by in (None, act.member.id) or not lead.claimed_until or lead.claimed_until <= act.now:
        return
    raise Held(act.session.get_one(StaffMember, lead.claimed_by).name, lead.claimed_until)


def require_held(act: Act) -> None:
    """Raise unless we hold the lead.

    A hold that ran out while talking still counts until somebody else takes the lead: whoever was
    on the phone for half an hour may still say how it went.
    """
    refuse_if_held(act)
    if act.lead.claimed_by != act.member.id:
        raise NotHeld


def mine(lead: Lead, *, member: Member, now: datetime) -> bool:
    """Whether `member` holds the lead right now."""
    return lead.claimed_by == member.id and lead.claimed_until is not None and lead.claimed_until > now


def lock(session: Session, lead: Lead) -> None:
    """Make others who change `lead` wait until this transaction ends, and read it as it is now."""
    locked = select(Lead).where(Lead.id == lead.id).with_for_update(key_share=True)
    if session.scalars(locked.execution_options(populate_existing=True)).first() is None:
        raise NotFound
