"""Undo of the last act on a lead, for five minutes.

Two outcomes cannot be undone, and the page says so beforehand: a stop (promise G4) and a wrong number end
contact permanently. What is erased cannot be brought back either. See docs/decisions/0013-slips.md.
"""

import uuid
from datetime import timedelta
from typing import Any

from sqlalchemy import delete

from intake.accounts.permissions import Permission, StaffAct, require
from intake.audit import Action
from intake.casework.models import UndoState
from intake.core.errors import NotAllowed, Refused
from intake.core.i18n import N_
from intake.leads import claims
from intake.leads.claims import LeadAct
from intake.leads.models import Attempt, Lead, LeadStatus, Outcome

UNDO_PERIOD = timedelta(minutes=5)
IRREVERSIBLE = frozenset({Outcome.ASKED_TO_STOP, Outcome.WRONG_NUMBER})
"""Outcomes that cannot be undone: the person's request to stop, and a number that is not theirs."""
BY_A_COLLEAGUE = N_("Only whoever noted it, or a supervisor, can undo it.")
_STATUS_COLUMNS = ("status", "close_reason", "closed_at", "first_contact_at", "booked_for", "purge_after")
_CLAIM_COLUMNS = ("claimed_by", "claimed_until")


class LeadChangedSince(Refused):
    """The lead has changed since the act."""

    sentence = N_("Something else has happened since, so this can no longer be undone. Look at “So far”.")


class UndoExpired(Refused):
    """The undo period of five minutes is over."""

    sentence = N_("Five minutes have passed, so this can no longer be undone. Nothing was changed.")


def snapshot(lead: Lead) -> dict[str, Any]:
    """Return the current values of the columns that an undo restores."""
    return {column: getattr(lead, column) for column in (*_STATUS_COLUMNS, *_CLAIM_COLUMNS)}


def save_undo(act: LeadAct, earlier: dict[str, Any], attempt: Attempt | None = None) -> None:
    """Store the `earlier` snapshot of the lead as its undo state, replacing the previous one. Flushes."""
    act.session.flush()
    if attempt and attempt.outcome in IRREVERSIBLE:
        act.session.execute(delete(UndoState).where(UndoState.lead_id == act.lead.id))
        return
    act.session.merge(
        UndoState(
            lead_id=act.lead.id,
            act_id=attempt.id if attempt else uuid.uuid4(),
            outcome=attempt.outcome if attempt else None,
            staff_id=act.member.id,
            at=act.now,
            version=act.lead.version,
            undone_at=None,
            **earlier,
        )
    )
    act.session.flush()


def is_undoable(act: StaffAct, lead: Lead, state: UndoState) -> bool:
    """Return whether `member`, who may log outcomes, may undo the act that left this state now."""
    try:
        _require_undoable(LeadAct(act, lead), state, state.act_id)
    except (NotAllowed, Refused):
        return False
    return not state.undone_at


def undo(act: StaffAct, lead: Lead, *, act_id: uuid.UUID) -> None:
    """Undo the act: restore the lead's status, attempts and promise to what they were before it.

    The member's own claim is restored too, unless a colleague has claimed a lead of the same person since.
    Undoing twice changes nothing. Raises NotFound when the lead is gone, NotAllowed for a colleague's act
    without UNDO_ANY, and LeadChangedSince, UndoExpired or ClaimedByAnother (409).
    """
    require(act.member, Permission.LOG_OUTCOME)
    act = LeadAct(act, lead)
    elsewhere = claims.claimed_elsewhere(act)
    claims.lock_lead(act.session, lead)
    state = act.session.get(UndoState, lead.id, populate_existing=True)
    if state and state.act_id == act_id:
        undone_at = state.undone_at
    else:
        attempt = act.session.get(Attempt, act_id)
        undone_at = attempt.undone_at if attempt and attempt.lead_id == lead.id else None
    if undone_at:
        return
    found = _require_undoable(act, state, act_id)
    _restore(act, found, restore_claim=elsewhere is None and found.claimed_by == act.member.id)


def _require_undoable(act: LeadAct, state: UndoState | None, act_id: uuid.UUID) -> UndoState:
    """Return the undo state of this act if it may still be undone. Raises what `undo` raises."""
    if state is None or state.act_id != act_id:
        raise LeadChangedSince
    if state.staff_id != act.member.id and Permission.UNDO_ANY not in act.member.permissions:
        raise NotAllowed(BY_A_COLLEAGUE)
    if state.version != act.lead.version:
        raise LeadChangedSince
    if act.now >= state.at + UNDO_PERIOD:
        raise UndoExpired
    lead = act.lead
    if (lead.claimed_by, lead.claimed_until) != (state.claimed_by, state.claimed_until):
        claims.refuse_if_claimed(act)  # an unchanged claim means that its holder has not acted since
    return state


def _restore(act: LeadAct, state: UndoState, *, restore_claim: bool) -> None:
    lead, reason = act.lead, act.lead.close_reason
    reopened = lead.status is LeadStatus.CLOSED and state.status is not LeadStatus.CLOSED
    lead.version += 1
    for column in (*_STATUS_COLUMNS, *(_CLAIM_COLUMNS if restore_claim and lead.claimed_by is None else ())):
        setattr(lead, column, getattr(state, column))
    state.undone_at = act.now
    if state.outcome:
        attempt = act.session.get_one(Attempt, state.act_id)
        attempt.undone_at = act.now
        act.record(Action.ATTEMPT_UNDONE, channel=attempt.channel, outcome=attempt.outcome)
    if reopened and reason:
        act.record(Action.LEAD_REOPENED, reason=reason)
    act.session.flush()
