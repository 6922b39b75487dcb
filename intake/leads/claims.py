"""Claims: a short lease on a lead for one staff member, so that two of them never call the same person.

A claim ends by itself after `CLAIM_DURATION`, when it is released or revoked, and when the lead is closed.
`LeadAct` is what every act of a staff member on a lead shares: session, lead, member, clock, audit record.
"""

import uuid
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, Update, func, literal, or_, select, update
from sqlalchemy.orm import Session

from intake.accounts.models import StaffMember
from intake.accounts.permissions import Member, Permission, StaffAct, require
from intake.act import Act
from intake.audit import Action, AuditEvent, Detail
from intake.core.errors import NotFound, Refused
from intake.core.i18n import N_
from intake.db.types import Instant
from intake.leads.models import CloseReason, Lead, LeadStatus, is_waiting

CLAIM_DURATION = timedelta(minutes=20)
ASSIGNMENT_DURATION = timedelta(hours=1)
"""How long an assigned lead waits for its assignee. Their own first act turns it into a usual claim."""


class ChangedMeanwhile(Refused):
    """The lead was changed after the page that sent this form was rendered (409)."""

    sentence = N_("Something has changed since this page was loaded. Look at “So far”, then say it again.")


class AlreadyClosed(Refused):
    """The lead is closed (409); only what the person did themselves can still be logged."""

    sentence = N_("This request is closed. Nothing was noted.")


class LeadAct(StaffAct):
    """A staff member acting on one lead, in the caller's transaction."""

    def __init__(self, act: StaffAct, lead: Lead) -> None:
        super().__init__(act.session, act.instance, act.member)
        self.__dict__["now"] = act.now
        self.lead = lead

    def record(self, action: Action, *, about: uuid.UUID | None = None, **details: Detail) -> AuditEvent:
        """Write one audit event about the lead. `details` hold values of closed lists only, no free text."""
        return super().record(action, about=about or self.lead.id, **details)

    def close(self, reason: CloseReason) -> None:
        """Close the lead, end its claim and record it.

        It is kept for `closed_days` from now at most, and never longer than it would have been kept open.
        """
        lead, now = self.lead, self.now
        lead.status, lead.close_reason, lead.closed_at = LeadStatus.CLOSED, reason, now
        lead.claimed_by = lead.claimed_until = None
        closed_until = now + timedelta(days=self.clinic.retention.closed_days)
        lead.purge_after = min(lead.purge_after, closed_until)
        self.record(Action.LEAD_CLOSED, reason=reason)


class ClaimedByAnother(Refused):
    """A colleague has claimed the lead (409): `by` is their name, `until` when the claim expires."""

    sentence = N_("A colleague has claimed this request. You can read it, not act on it.")

    def __init__(self, by: str, until: datetime) -> None:
        self.by, self.until = by, until
        super().__init__()


class NotClaimed(Refused):
    """The act needs a claim that this staff member does not have (409)."""

    sentence = N_("Claim this request first; then say how it went.")


def claim(act: StaffAct, lead: Lead) -> None:
    """Claim `lead` for 20 minutes, or extend the claim that `member` has, and record it.

    Raises NotAllowed, ClaimedByAnother, AlreadyClosed.
    """
    require(act.member, Permission.CLAIM_LEAD)
    act = LeadAct(act, lead)
    acquire(act)
    act.record(Action.CLAIM_TAKEN)


def release(act: StaffAct, lead: Lead) -> None:
    """Release the claim of `member`. Without one, nothing is changed and nothing is recorded."""
    own = update(Lead).where(Lead.id == lead.id, Lead.claimed_by == act.member.id)
    if _update_if(act.session, lead, own.values(claimed_by=None, claimed_until=None)):
        LeadAct(act, lead).record(Action.CLAIM_GIVEN_BACK)


def release_all(act: StaffAct) -> int:
    """Release every unexpired claim of `member`, for the end of a shift. Returns how many there were."""
    now = act.now
    claimed = select(Lead).where(Lead.claimed_until > now, Lead.claimed_by == act.member.id).order_by(Lead.id)
    leads = act.session.scalars(claimed).all()
    for lead in leads:
        release(act, lead)
    return len(leads)


def release_all_of_account(act: Act, *, staff_id: uuid.UUID) -> int:
    """Release every claim of an account that is disabled. Returns how many there were."""
    lead_ids = act.session.scalars(select(Lead.id).where(Lead.claimed_by == staff_id).order_by(Lead.id)).all()
    released = update(Lead).where(Lead.claimed_by == staff_id).values(claimed_by=None, claimed_until=None)
    act.session.execute(released.execution_options(synchronize_session=False))
    for lead_id in lead_ids:
        act.record(Action.CLAIM_GIVEN_BACK, about=lead_id)
    return len(lead_ids)


def acquire(act: LeadAct) -> None:
    """Claim the lead of `act` without an audit event, for an act that records itself (a reveal).

    One conditional UPDATE decides, so that of two staff members at once one wins. Leads with the same number
    or address are one person: a colleague's claim on another of them counts. Sets `opened_at` at the first
    claim. Raises ClaimedByAnother, AlreadyClosed.
    """
    _refuse_claim_of(act, claimed_elsewhere(act))
    claimable = update(Lead).where(
        Lead.id == act.lead.id, Lead.status != LeadStatus.CLOSED, _claimable_by(act.member, act.now)
    )
    values = {
        "claimed_by": act.member.id,
        "claimed_until": act.now + CLAIM_DURATION,
        "opened_at": func.coalesce(Lead.opened_at, literal(act.now, Instant)),
    }
    if _update_if(act.session, act.lead, claimable.values(values)):
        return
    if act.lead.status is LeadStatus.CLOSED:
        raise AlreadyClosed
    refuse_if_claimed(act)
    raise Refused


def assign(act: LeadAct, to: Member, *, version: int) -> None:
    """Claim an unclaimed, waiting lead for the staff member `to`, for an hour, and record it.

    The lead counts as opened only when `to` opens it, so that it still escalates if they do not (promise N2).
    One conditional UPDATE decides, as in `acquire`: no colleague loses a claim by it. Raises
    ClaimedByAnother, and ChangedMeanwhile unless the lead still has `version` and is waiting and unclaimed.
    """
    _refuse_claim_of(act, claimed_elsewhere(LeadAct(StaffAct.of(act, to), act.lead)))
    unclaimed = or_(Lead.claimed_by.is_(None), Lead.claimed_until <= act.now)
    unchanged = Lead.id == act.lead.id, Lead.version == version, is_waiting(), Lead.purge_after > act.now
    assignment = update(Lead).where(*unchanged, unclaimed)
    if not _update_if(
        act.session,
        act.lead,
        assignment.values(claimed_by=to.id, claimed_until=act.now + ASSIGNMENT_DURATION),
    ):
        raise ChangedMeanwhile
    act.record(Action.CLAIM_HANDED, to=str(to.id))


def revoke(act: LeadAct, *, claimant: uuid.UUID) -> None:
    """End the claim of the account `claimant` and record it. Raises ChangedMeanwhile if there is none."""
    claimed = update(Lead).where(
        Lead.id == act.lead.id, Lead.claimed_by == claimant, Lead.claimed_until > act.now
    )
    if not _update_if(act.session, act.lead, claimed.values(claimed_by=None, claimed_until=None)):
        raise ChangedMeanwhile
    details: dict[str, Any] = {"from": str(claimant)}
    act.record(Action.CLAIM_TAKEN_BACK, **details)


def claimed_elsewhere(act: LeadAct) -> Lead | None:
    """Another lead of the person that a colleague has claimed, or None. Locks all leads of the person."""
    locked = select(Lead).where(same_contact(act.lead)).order_by(Lead.id).with_for_update(key_share=True)
    others = act.session.scalars(locked.execution_options(populate_existing=True)).all()
    claimed = (each for each in others if not _is_claimable(each, act.member, act.now))
    return next((each for each in claimed if each.id != act.lead.id), None)


def same_contact(lead: Lead) -> ColumnElement[bool]:
    """Condition for the leads of the same person: `lead` itself, and those with its number or address."""
    return or_(
        Lead.id == lead.id,
        *(Lead.phone_index == index for index in (lead.phone_index,) if index),
        *(Lead.email_index == index for index in (lead.email_index,) if index),
    )


def _is_claimable(lead: Lead, member: Member, now: datetime) -> bool:
    return lead.claimed_by in (None, member.id) or lead.claimed_until is None or lead.claimed_until <= now


def _update_if(session: Session, lead: Lead, statement: Update) -> bool:
    """Run a conditional UPDATE and reload `lead`; whether a row matched. It does not change the version."""
    result = session.execute(statement.execution_options(synchronize_session=False))
    session.refresh(lead)
    return bool(cast("CursorResult[Any]", result).rowcount)


def _claimable_by(member: Member, now: datetime) -> ColumnElement[bool]:
    return or_(Lead.claimed_by.is_(None), Lead.claimed_by == member.id, Lead.claimed_until <= now)


def refuse_if_claimed(act: LeadAct) -> None:
    """Raise ClaimedByAnother when a colleague has an unexpired claim on the lead."""
    if not _is_claimable(act.lead, act.member, act.now):
        _refuse_claim_of(act, act.lead)


def _refuse_claim_of(act: LeadAct, claimed: Lead | None) -> None:
    if claimed and claimed.claimed_until:
        raise ClaimedByAnother(
            act.session.get_one(StaffMember, claimed.claimed_by).name, claimed.claimed_until
        )


def require_claim(act: LeadAct) -> None:
    """Raise ClaimedByAnother or NotClaimed unless the staff member has claimed the lead.

    An expired claim still counts until a colleague claims the lead, so that an outcome can be logged after
    a phone call of half an hour.
    """
    refuse_if_claimed(act)
    if act.lead.claimed_by != act.member.id:
        raise NotClaimed


def is_claimed_by(lead: Lead, *, member: Member, now: datetime) -> bool:
    """Whether `member` has an unexpired claim on the lead."""
    return lead.claimed_by == member.id and lead.claimed_until is not None and lead.claimed_until > now


def lock_lead(session: Session, lead: Lead) -> None:
    """Lock the row of `lead` until the transaction ends and reload it. Raises NotFound if it was erased."""
    locked = select(Lead).where(Lead.id == lead.id).with_for_update(key_share=True)
    if session.scalars(locked.execution_options(populate_existing=True)).first() is None:
        raise NotFound
