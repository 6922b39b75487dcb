"""Holding a lead: a short lease, so that two people never call the same person."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, Update, func, literal, or_, select, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from intake import audit
from intake.accounts.models import StaffMember
from intake.accounts.permissions import Member, Permission, require
from intake.audit import Action, Actor
from intake.core.errors import NotFound, Refused
from intake.core.i18n import N_
from intake.db.engine import Instant
from intake.instance import Instance
from intake.leads.models import CloseReason, Lead, LeadStatus, waiting

# --- One staff member acting on one lead, in one transaction: what every act records and how it ends a lead.


class ChangedMeanwhile(Refused):
    """Somebody acted on the lead since the page was made."""

    sentence = N_("Something has changed since this page was loaded. Look at “So far”, then say it again.")


class AlreadyClosed(Refused):
    """The lead is closed; only what the person did can still be noted."""

    sentence = N_("This request is closed. Nothing was noted.")


@dataclass(frozen=True)
class LeadAct:
    """Who acts on what."""

    session: Session
    lead: Lead
    member: Member
    instance: Instance

    @property
    def now(self) -> datetime:
        """The moment of the act."""
        return self.instance.clock()

    def record(self, action: Action, **details: str) -> None:
        """One audit event about the lead, with closed words only."""
        audit.record(
            self.session,
            action,
            keyring=self.instance.keyring,
            at=self.now,
            actor=self.member.actor,
            about=self.lead.id,
            details={name: str(value) for name, value in details.items()},
        )

    def close(self, reason: CloseReason) -> None:
        """End the lead and its hold. It is never kept longer than it would have been open."""
        lead, now = self.lead, self.now
        lead.status, lead.close_reason, lead.closed_at = LeadStatus.CLOSED, reason, now
        lead.claimed_by = lead.claimed_until = None
        kept = now + timedelta(days=self.instance.clinic.retention.closed_days)
        lead.purge_after = min(lead.purge_after, kept)
        self.record(Action.LEAD_CLOSED, reason=reason)


def touch(lead: Lead) -> None:
    """Make the lead a new version although none of its columns may change: pages shown before are stale."""
    flag_modified(lead, "windows")


CLAIM_FOR = timedelta(minutes=20)
ASSIGNED_FOR = timedelta(hours=1)
"""So long a request waits for the person it was handed to; their own first act makes a usual hold of it."""


class ClaimedByAnother(Refused):
    """A colleague holds the lead: `by` is their name, `until` when the hold ends by itself."""

    sentence = N_("A colleague holds this request. You can read it, not act on it.")

    def __init__(self, by: str, until: datetime) -> None:
        self.by, self.until = by, until
        super().__init__()


class NotClaimed(Refused):
    """The act needs a hold that this staff member does not have."""

    sentence = N_("Hold this request first; then say how it went.")


def claim(session: Session, lead: Lead, *, member: Member, instance: Instance) -> None:
    """Hold `lead` for 20 minutes, counted anew when it is ours. Raises NotAllowed, Held or Closed."""
    require(member, Permission.CLAIM_LEAD)
    act = LeadAct(session, lead, member, instance)
    acquire(act)
    act.record(Action.CLAIM_TAKEN)


def release(session: Session, lead: Lead, *, member: Member, instance: Instance) -> None:
    """End our own hold. What is not ours, or no longer, is left as it is and nothing is recorded."""
    ours = update(Lead).where(Lead.id == lead.id, Lead.claimed_by == member.id)
    if _change(session, lead, ours.values(claimed_by=None, claimed_until=None)):
        LeadAct(session, lead, member, instance).record(Action.CLAIM_GIVEN_BACK)


def release_all(session: Session, *, member: Member, instance: Instance) -> int:
    """End every hold of ours that lasts, for the end of a shift. Returns how many there were."""
    now = instance.clock()
    ours = select(Lead).where(Lead.claimed_until > now, Lead.claimed_by == member.id).order_by(Lead.id)
    leads = session.scalars(ours).all()
    for lead in leads:
        release(session, lead, member=member, instance=instance)
    return len(leads)


def release_all_of(session: Session, *, staff_id: uuid.UUID, actor: Actor, instance: Instance) -> int:
    """End every hold of an account that was closed, so that colleagues can take over. Returns how many."""
    held = session.scalars(select(Lead.id).where(Lead.claimed_by == staff_id).order_by(Lead.id)).all()
    theirs = update(Lead).where(Lead.claimed_by == staff_id)
    ended = theirs.values(claimed_by=None, claimed_until=None)
    session.execute(ended.execution_options(synchronize_session=False))
    for lead_id in held:
        audit.record(
            session,
            Action.CLAIM_GIVEN_BACK,
            keyring=instance.keyring,
            at=instance.clock(),
            actor=actor,
            about=lead_id,
        )
    return len(held)


def acquire(act: LeadAct) -> None:
    """The hold itself, without an event of its own: for an act that records itself (a reveal).

    One conditional UPDATE decides, so that of two at once one wins. Whoever asked twice is one person:
    a colleague's hold on the other request counts. Raises Held or Closed.
    """
    elsewhere = claimed_elsewhere(act)
    if elsewhere:
        raise ClaimedByAnother(act.session.get_one(StaffMember, elsewhere.claimed_by).name, _end(elsewhere))
    free = update(Lead).where(
        Lead.id == act.lead.id, Lead.status != LeadStatus.CLOSED, _end_claim_for(act.member, act.now)
    )
    values = {
        "claimed_by": act.member.id,
        "claimed_until": act.now + CLAIM_FOR,
        "opened_at": func.coalesce(Lead.opened_at, literal(act.now, Instant)),
    }
    if _change(act.session, act.lead, free.values(values)):
        return
    if act.lead.status is LeadStatus.CLOSED:
        raise AlreadyClosed
    refuse_if_claimed(act)
    raise Refused


def assign(act: LeadAct, to: Member, *, version: int) -> None:
    """Hold a free, open lead for `to`, for an hour. Raises Held, and Changed when it is not as it was.

    It does not count as opened before `to` opens it, so that it still escalates when they do not (N2).
    One conditional UPDATE decides, as in `take`: nobody loses a hold by it.
    """
    theirs = LeadAct(act.session, act.lead, to, act.instance)
    elsewhere = claimed_elsewhere(theirs)
    if elsewhere:
        raise ClaimedByAnother(act.session.get_one(StaffMember, elsewhere.claimed_by).name, _end(elsewhere))
    free = or_(Lead.claimed_by.is_(None), Lead.claimed_until <= act.now)
    as_it_was = Lead.id == act.lead.id, Lead.version == version, waiting(), Lead.purge_after > act.now
    handing = update(Lead).where(*as_it_was, free)
    if not _change(
        act.session, act.lead, handing.values(claimed_by=to.id, claimed_until=act.now + ASSIGNED_FOR)
    ):
        raise ChangedMeanwhile
    act.record(Action.CLAIM_HANDED, to=str(to.id))


def revoke(act: LeadAct, *, holder: uuid.UUID) -> None:
    """End the hold of `holder`, and of nobody else. Raises Changed when they no longer hold the lead."""
    theirs = update(Lead).where(
        Lead.id == act.lead.id, Lead.claimed_by == holder, Lead.claimed_until > act.now
    )
    if not _change(act.session, act.lead, theirs.values(claimed_by=None, claimed_until=None)):
        raise ChangedMeanwhile
    act.record(Action.CLAIM_TAKEN_BACK, **{"from": str(holder)})


def claimed_elsewhere(act: LeadAct) -> Lead | None:
    """Another request with the same number or address that a colleague holds; all of them are locked."""
    locked = select(Lead).where(same_contact(act.lead)).order_by(Lead.id).with_for_update(key_share=True)
    others = act.session.scalars(locked.execution_options(populate_existing=True)).all()
    holds = (each for each in others if each.id != act.lead.id and not _end_claim(each, act.member, act.now))
    return next(holds, None)


def same_contact(lead: Lead) -> ColumnElement[bool]:
    """The requests that reach the same person: this one, and those with its number or address."""
    return or_(
        Lead.id == lead.id,
        *(Lead.phone_index == index for index in (lead.phone_index,) if index),
        *(Lead.email_index == index for index in (lead.email_index,) if index),
    )


def _end_claim(lead: Lead, member: Member, now: datetime) -> bool:
    return lead.claimed_by in (None, member.id) or _end(lead) <= now


def _end(lead: Lead) -> datetime:
    return lead.claimed_until or datetime.min.replace(tzinfo=UTC)


def _change(session: Session, lead: Lead, statement: Update) -> bool:
    """Run a conditional UPDATE; whether it met its conditions. A hold is no new version of a lead."""
    result = session.execute(statement.execution_options(synchronize_session=False))
    session.refresh(lead)
    return bool(cast("CursorResult[Any]", result).rowcount)


def _end_claim_for(member: Member, now: datetime) -> ColumnElement[bool]:
    return or_(Lead.claimed_by.is_(None), Lead.claimed_by == member.id, Lead.claimed_until <= now)


def refuse_if_claimed(act: LeadAct) -> None:
    """Raise Held when a colleague holds the lead right now."""
    lead = act.lead
    if not _end_claim(lead, act.member, act.now):
        raise ClaimedByAnother(act.session.get_one(StaffMember, lead.claimed_by).name, _end(lead))


def require_claim(act: LeadAct) -> None:
    """Raise unless we hold the lead.

    A hold that ran out while talking still counts until somebody else takes the lead: whoever was
    on the phone for half an hour may still say how it went.
    """
    refuse_if_claimed(act)
    if act.lead.claimed_by != act.member.id:
        raise NotClaimed


def mine(lead: Lead, *, member: Member, now: datetime) -> bool:
    """Whether `member` holds the lead right now."""
    return lead.claimed_by == member.id and lead.claimed_until is not None and lead.claimed_until > now


def lock(session: Session, lead: Lead) -> None:
    """Make others who change `lead` wait until this transaction ends, and read it as it is now."""
    locked = select(Lead).where(Lead.id == lead.id).with_for_update(key_share=True)
    if session.scalars(locked.execution_options(populate_existing=True)).first() is None:
        raise NotFound
