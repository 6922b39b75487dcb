"""Holding a request back from retention: put, renewed, released and listed by a privacy officer (K2).

A hold keeps the record and nothing else: it opens no gate, and stop works at once as ever.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from intake import audit
from intake.accounts.permissions import Member, Permission, require
from intake.accounts.service import names_of
from intake.audit import Action
from intake.core.errors import NotFound, Unprocessable
from intake.core.i18n import N_
from intake.instance import Instance
from intake.leads import models
from intake.leads.claims import LeadAct
from intake.leads.models import HoldReason, Lead, LegalHold, references_of
from intake.privacy import retention

LONGEST = timedelta(days=365)
"""For longer than this nobody decides at once; a hold can be renewed."""
NO_DAY = N_("Choose the last day of the hold: tomorrow at the earliest, in a year at the latest.")


@dataclass(frozen=True)
class Holds:
    """Every hold, the one that ends first on top; `references` and `names` by id."""

    rows: Sequence[LegalHold]
    references: Mapping[uuid.UUID, str]
    names: Mapping[uuid.UUID, str]


def place_hold(
    session: Session,
    lead: Lead,
    *,
    reason: HoldReason,
    last_day: date | None,
    member: Member,
    instance: Instance,
) -> LegalHold:
    """Hold `lead` until the end of `last_day` on the clinic's clock, or renew the hold it has.

    Raises NotAllowed, NotFound when it was erased meanwhile, and Unprocessable on `last_day`.
    """
    require(member, Permission.HOLD_LEAD)
    until = _end_of(last_day, instance)
    _lock(session, lead)
    act, hold = LeadAct(session, lead, member, instance), models.legal_hold_of(session, lead.id)
    if hold:
        hold.reason, hold.until, hold.put_by = reason, until, member.id
        act.record(Action.HOLD_RENEWED, reason=reason.value)
    else:
        hold = LegalHold(lead_id=lead.id, reason=reason, since=act.now, until=until, put_by=member.id)
        session.add(hold)
        act.record(Action.HOLD_PUT, reason=reason.value)
    session.flush()
    return hold


def _end_of(last_day: date | None, instance: Instance) -> datetime:
    """The midnight that ends it. A day that is not there, is today or before, or too far off is told."""
    today = instance.clock().astimezone(ZoneInfo(instance.clinic.time_zone)).date()
    if last_day is None or not today < last_day <= today + LONGEST:
        raise Unprocessable({"last_day": [NO_DAY]}, NO_DAY)
    midnight = datetime.combine(last_day + timedelta(days=1), time(), ZoneInfo(instance.clinic.time_zone))
    return midnight.astimezone(instance.clock().tzinfo)


def _lock(session: Session, lead: Lead) -> None:
    """Nobody erases it between our look and our word. Raises NotFound when somebody was faster."""
    there = select(Lead.id).where(Lead.id == lead.id).with_for_update(key_share=True)
    if session.scalar(there) is None:
        raise NotFound


def release_hold(session: Session, lead: Lead, *, member: Member, instance: Instance) -> bool:
    """End the hold before its time; what it kept back goes now. Not held is as good as released.

    Returns whether the request is gone, because the person had asked for that.
    """
    require(member, Permission.HOLD_LEAD)
    return retention.end_hold(session, lead.id, actor=member.actor, instance=instance)


def list_holds(session: Session, *, member: Member, instance: Instance) -> Holds:
    """Every hold with its request's reference, noted in the log as a count. Raises NotAllowed."""
    require(member, Permission.HOLD_LEAD)
    rows = session.scalars(select(LegalHold).order_by(LegalHold.until, LegalHold.lead_id)).all()
    audit.record(
        session,
        Action.LEADS_LISTED,
        keyring=instance.keyring,
        at=instance.clock(),
        actor=member.actor,
        details={"count": len(rows), "kind": "hold"},
    )
    references = references_of(session, {each.lead_id for each in rows})
    return Holds(rows, references, names_of(session, {each.put_by for each in rows}))
