"""Legal holds: a privacy officer places, renews, releases and lists them (promise K2).

A lead on legal hold is not erased until the hold ends. The hold allows no contact, and stopping contact
works at once all the same.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from intake.accounts.permissions import Permission, StaffAct, require
from intake.accounts.service import names_of
from intake.audit import Action
from intake.core.errors import NotFound, Unprocessable
from intake.core.i18n import N_
from intake.instance import Instance
from intake.leads import models
from intake.leads.claims import LeadAct
from intake.leads.models import HoldReason, Lead, LegalHold, references_of
from intake.privacy import retention

MAX_DURATION = timedelta(days=365)
"""The longest hold that can be placed at a time; it can be renewed."""
INVALID_LAST_DAY = N_("Choose the last day of the hold: tomorrow at the earliest, in a year at the latest.")


@dataclass(frozen=True)
class HoldList:
    """All holds, the one that ends first on top; `references` by lead id, `names` by staff id."""

    rows: Sequence[LegalHold]
    references: Mapping[uuid.UUID, str]
    names: Mapping[uuid.UUID, str]


def place_hold(act: StaffAct, lead: Lead, *, reason: HoldReason, last_day: date | None) -> LegalHold:
    """Place a hold on `lead` until the end of `last_day` in the clinic's time zone, or renew it.

    Raises NotAllowed, NotFound if the lead was erased meanwhile, and Unprocessable on `last_day`.
    """
    require(act.member, Permission.HOLD_LEAD)
    until = _end_of(last_day, act.instance)
    _lock(act.session, lead)
    act, hold = (
        LeadAct(act, lead),
        models.load_legal_hold(act.session, lead.id),
    )
    if hold:
        hold.reason, hold.until, hold.put_by = reason, until, act.member.id
        act.record(Action.HOLD_RENEWED, reason=reason.value)
    else:
        hold = LegalHold(lead_id=lead.id, reason=reason, since=act.now, until=until, put_by=act.member.id)
        act.session.add(hold)
        act.record(Action.HOLD_PUT, reason=reason.value)
    act.session.flush()
    return hold


def _end_of(last_day: date | None, instance: Instance) -> datetime:
    """The midnight after `last_day`, in UTC. Raises Unprocessable unless it is within `MAX_DURATION`."""
    today = instance.clock().astimezone(ZoneInfo(instance.clinic.time_zone)).date()
    if last_day is None or not today < last_day <= today + MAX_DURATION:
        raise Unprocessable({"last_day": [INVALID_LAST_DAY]}, INVALID_LAST_DAY)
    midnight = datetime.combine(last_day + timedelta(days=1), time(), ZoneInfo(instance.clinic.time_zone))
    return midnight.astimezone(instance.clock().tzinfo)


def _lock(session: Session, lead: Lead) -> None:
    """Lock the row of the lead, so that it is not erased meanwhile. Raises NotFound if it already is."""
    locked = select(Lead.id).where(Lead.id == lead.id).with_for_update(key_share=True)
    if session.scalar(locked) is None:
        raise NotFound


def release_hold(act: StaffAct, lead: Lead) -> bool:
    """Release the hold early and carry out what it delayed; without a hold, nothing is changed.

    Returns whether the lead was erased, because the person had asked for it. Raises NotAllowed.
    """
    require(act.member, Permission.HOLD_LEAD)
    return retention.end_hold(act, lead.id)


def list_holds(act: StaffAct) -> HoldList:
    """All holds with the references of their leads; records the number listed. Raises NotAllowed."""
    require(act.member, Permission.HOLD_LEAD)
    rows = act.session.scalars(select(LegalHold).order_by(LegalHold.until, LegalHold.lead_id)).all()
    act.record(Action.LEADS_LISTED, count=len(rows), kind="hold")
    references = references_of(act.session, {each.lead_id for each in rows})
    return HoldList(rows, references, names_of(act.session, {each.put_by for each in rows}))
