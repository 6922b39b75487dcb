"""Legal holds: a privacy officer places, renews, releases and lists them (promise K2).

A lead on legal hold is not erased until the hold ends. The hold allows no contact, and stopping contact
works at once all the same.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select

from intake.accounts.permissions import Permission, StaffAct, require
from intake.accounts.service import names_of
from intake.audit import Action
from intake.core.errors import NotFound, Unprocessable
from intake.core.i18n import N_
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

    The lead is locked, so that it is not erased meanwhile. Raises NotAllowed, NotFound if it already is, and
    Unprocessable on `last_day` unless that is within `MAX_DURATION`.
    """
    require(act.member, Permission.HOLD_LEAD)
    zone = ZoneInfo(act.clinic.time_zone)
    today = act.now.astimezone(zone).date()
    if last_day is None or not today < last_day <= today + MAX_DURATION:
        raise Unprocessable({"last_day": [INVALID_LAST_DAY]}, INVALID_LAST_DAY)
    until = datetime.combine(last_day + timedelta(days=1), time(), zone).astimezone(UTC)
    locked = select(Lead.id).where(Lead.id == lead.id).with_for_update(key_share=True)
    if act.session.scalar(locked) is None:
        raise NotFound
    act = LeadAct(act, lead)
    hold = models.load_legal_hold(act.session, lead.id)
    if hold:
        hold.reason, hold.until, hold.put_by = reason, until, act.member.id
        act.record(Action.HOLD_RENEWED, reason=reason.value)
    else:
        hold = LegalHold(lead_id=lead.id, reason=reason, since=act.now, until=until, put_by=act.member.id)
        act.session.add(hold)
        act.record(Action.HOLD_PUT, reason=reason.value)
    act.session.flush()
    return hold


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
