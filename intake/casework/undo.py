"""Undo: for five minutes, the last act on a lead can be taken back, and the lead is what it was.

What cannot be undone says so before: a stop and a wrong number end contact for good (compliance.md,
G4, OC-15), and what is erased is gone.
"""

import uuid
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete
from sqlalchemy.orm import Session

from intake.accounts.permissions import Member, Permission, may, require
from intake.audit import Action
from intake.casework.models import UndoState
from intake.core.errors import NotAllowed, Refused
from intake.core.i18n import N_
from intake.instance import Instance
from intake.leads import claims
from intake.leads.claims import LeadAct, touch
from intake.leads.models import Attempt, Lead, LeadStatus, Outcome

UNDO_FOR = timedelta(minutes=5)
FOR_GOOD = frozenset({Outcome.ASKED_TO_STOP, Outcome.WRONG_NUMBER})
"""What nobody can take back: somebody's word that we must not contact them, or a stranger's number."""
THEIRS = N_("Only whoever noted it, or a supervisor, can undo it.")
_STANDS = ("status", "close_reason", "closed_at", "first_contact_at", "booked_for", "purge_after")
_HOLD = ("claimed_by", "claimed_until")


class ActedSince(Refused):
    """Something has happened to the lead since the act."""

    sentence = N_("Something else has happened since, so this can no longer be undone. Look at “So far”.")


class TooLate(Refused):
    """The five minutes are over."""

    sentence = N_("Five minutes have passed, so this can no longer be undone. Nothing was changed.")


def snapshot(lead: Lead) -> dict[str, Any]:
    """What an undo brings back, as it is now."""
    return {column: getattr(lead, column) for column in (*_STANDS, *_HOLD)}


def save_undo(act: LeadAct, was: dict[str, Any], attempt: Attempt | None = None) -> None:
    """Keep what the lead `was` before this act, in the place of what was kept before. Flushes."""
    act.session.flush()
    if attempt and attempt.outcome in FOR_GOOD:
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
            **was,
        )
    )
    act.session.flush()


def offered(session: Session, lead: Lead, *, member: Member, instance: Instance) -> UndoState | None:
    """What `member` can undo on the lead right now, if there is something."""
    act = LeadAct(session, lead, member, instance)
    before = session.get(UndoState, lead.id)
    if before is None or before.undone_at or not may(member, Permission.LOG_OUTCOME):
        return None
    try:
        _check(act, before, before.act_id)
    except (NotAllowed, Refused):
        return None
    return before


def ends(before: UndoState) -> datetime:
    """Until when an act can be undone."""
    return before.at + UNDO_FOR


def undo(session: Session, lead: Lead, *, act_id: uuid.UUID, member: Member, instance: Instance) -> None:
    """Take the act back: the lead, its tries and its promise are as if it had never been.

    Our own hold comes back too, unless a colleague holds the person by now. Undone already
    is as good as undone. Raises NotFound when the lead is gone, NotAllowed for a colleague's act without
    UNDO_ANY, and ActedSince, TooLate or Held (409).
    """
    require(member, Permission.LOG_OUTCOME)
    act = LeadAct(session, lead, member, instance)
    elsewhere = claims.claimed_elsewhere(act)
    claims.lock(session, lead)
    before = session.get(UndoState, lead.id, populate_existing=True)
    if _undone(act, before, act_id):
        return
    found = _check(act, before, act_id)
    _restore(act, found, hold=elsewhere is None and found.claimed_by == member.id)


def _undone(act: LeadAct, before: UndoState | None, act_id: uuid.UUID) -> bool:
    if before and before.act_id == act_id:
        return before.undone_at is not None
    attempt = act.session.get(Attempt, act_id)
    return attempt is not None and attempt.lead_id == act.lead.id and attempt.undone_at is not None


def _check(act: LeadAct, before: UndoState | None, act_id: uuid.UUID) -> UndoState:
    """What is kept of the very act, if it may still be undone. Raises what `undo` raises."""
    if before is None or before.act_id != act_id:
        raise ActedSince
    if before.staff_id != act.member.id and not may(act.member, Permission.UNDO_ANY):
        raise NotAllowed(THEIRS)
    if before.version != act.lead.version:
        raise ActedSince
    if act.now >= ends(before):
        raise TooLate
    if _hold_of(act.lead) != _hold_of(before):  # who held it all along has not acted since
        claims.refuse_if_claimed(act)
    return before


def _hold_of(row: Lead | UndoState) -> tuple[object, object]:
    return row.claimed_by, row.claimed_until


def _restore(act: LeadAct, before: UndoState, *, hold: bool) -> None:
    lead, reason = act.lead, act.lead.close_reason
    reopened = lead.status is LeadStatus.CLOSED and before.status is not LeadStatus.CLOSED
    touch(lead)
    for column in (*_STANDS, *(_HOLD if hold and lead.claimed_by is None else ())):
        setattr(lead, column, getattr(before, column))
    before.undone_at = act.now
    if before.outcome:
        attempt = act.session.get_one(Attempt, before.act_id)
        attempt.undone_at = act.now
        act.record(Action.ATTEMPT_UNDONE, channel=attempt.channel, outcome=attempt.outcome)
    if reopened and reason:
        act.record(Action.LEAD_REOPENED, reason=reason)
    act.session.flush()
