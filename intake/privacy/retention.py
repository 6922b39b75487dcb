"""Erasing a lead for good, and ending by itself what has been kept long enough (promise K2).

Erased means: the key is destroyed and the row is gone. What stays is the proof of consent, a keyed
hash on the do-not-contact list where somebody asked to stop, and one line of the erasure ledger. What
is held for a legal reason (`legal_hold.py`) waits until its hold ends.
"""

import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import structlog
from sqlalchemy import delete, func, or_, select
from sqlalchemy.orm import Session

from intake import audit, outbox
from intake.accounts.permissions import Member, Permission, require
from intake.audit import Action, Actor
from intake.conf.clinic import Channel, Retention
from intake.consent.models import Method
from intake.core.errors import IntakeError, NotFound, Unavailable
from intake.core.i18n import N_
from intake.instance import Instance
from intake.leads import eligibility, models, suppression
from intake.leads.models import (
    Attempt,
    CloseReason,
    Erasure,
    ErasureReason,
    HoldReason,
    Lead,
    LeadKey,
    LeadStatus,
    LegalHold,
)
from intake.outbox.models import JobLease

log = structlog.get_logger()

ROUND = "retention"
LEAP = timedelta(hours=48)
"""Further than this since the last round, the clock itself has to be seen twice before it is believed."""

Progress = Callable[[int, int], None]
"""Called after each lead with how many are done and how many there are."""


@dataclass(frozen=True)
class Purged:
    """How a purge went: what is gone, and what could not be erased."""

    count: int
    failed: int


class NotErased(IntakeError):
    """Some leads that are due could not be erased; the round tries again and health tells."""

    sentence = "Some requests that are due could not be erased."


def erase(
    session: Session, lead: Lead, *, reason: ErasureReason, actor: Actor, instance: Instance
) -> Erasure | None:
    """Destroy the key of `lead`, delete it with its attempts and waiting notices, and note that it is gone.

    When somebody asked for it, all contact is stopped first: permissions taken back, number and address
    put on the do-not-contact list. The used form token stays without its lead, so that a page sent again
    brings nobody back. None when a legal hold keeps it: then contact is stopped all the same, and the
    wish is carried out when the hold ends. Raises NotFound when somebody else was faster.
    """
    asked = reason is ErasureReason.ASKED
    beside = suppression.indexes_of(lead) if asked else []
    if lead not in suppression.carrying(session, beside, lead.id, erasing=True):
        raise NotFound
    if asked:
        method = Method.STAFF if actor.staff_id else Method.MANAGE_PAGE
        suppression.stop(session, lead, actor=actor, method=method, instance=instance)
    hold = models.legal_hold_of(session, lead.id)
    if hold:
        if asked:
            _add_to_ledger(session, hold, actor, instance)
        return None
    gone = Erasure(lead_id=lead.id, erased_at=instance.clock(), reason=reason)
    return delete_permanently(session, lead, gone, actor, instance)


def _add_to_ledger(session: Session, hold: LegalHold, actor: Actor, instance: Instance) -> None:
    """The law comes first; that somebody asked is kept with the hold."""
    if hold.erase_asked_at is None:
        hold.erase_asked_at = instance.clock()
        _record(session, Action.LEAD_ERASURE_ASKED, hold.lead_id, actor, instance)


def delete_permanently(
    session: Session, lead: Lead, gone: Erasure, actor: Actor, instance: Instance
) -> Erasure:
    """Destroy the key, delete the lead and what hangs on it, and note `gone` in the ledger and the log."""
    outbox.cancel(session, lead.id)
    session.execute(delete(LeadKey).where(LeadKey.lead_id == lead.id))
    session.execute(delete(Attempt).where(Attempt.lead_id == lead.id))
    session.delete(lead)
    session.add(gone)
    _record(session, Action.LEAD_ERASED, gone.lead_id, actor, instance, reason=gone.reason.value)
    session.flush()
    return gone


def _record(
    session: Session, action: Action, lead_id: uuid.UUID, actor: Actor, instance: Instance, **details: str
) -> None:
    audit.record(
        session,
        action,
        keyring=instance.keyring,
        at=instance.clock(),
        actor=actor,
        about=lead_id,
        details=details,
    )


def end_hold(session: Session, lead_id: uuid.UUID, *, actor: Actor, instance: Instance) -> bool:
    """End the legal hold on a lead, and do what it kept from being done; no hold, nothing to do.

    A number or address that no channel may use any more goes, or the whole lead when the person had
    asked for that. Returns whether the lead is gone.
    """
    lead = session.get(Lead, lead_id)
    beside = suppression.indexes_of(lead) if lead else []
    locked = suppression.carrying(session, beside, lead_id, erasing=True)
    hold = models.legal_hold_of(session, lead_id)
    if lead is None or hold is None or lead not in locked:
        return False
    session.delete(hold)
    session.flush()
    _record(session, Action.HOLD_ENDED, lead_id, actor, instance, reason=hold.reason.value)
    if hold.erase_asked_at is None:
        _drop_what_nothing_may_use(session, lead)
        return False
    erase(session, lead, reason=ErasureReason.ASKED, actor=actor, instance=instance)
    return True


def _drop_what_nothing_may_use(session: Session, lead: Lead) -> None:
    channels = set(eligibility.contact_status(session, lead).channels)
    if Channel.EMAIL not in channels:
        lead.email = None
    if not channels & {Channel.CALL, Channel.TEXT}:
        lead.phone = None


def due(session: Session, at: datetime) -> list[uuid.UUID]:
    """The leads whose time is over at `at` and that no hold keeps, the longest overdue first."""
    over = select(Lead.id).where(Lead.purge_after <= at, ~models.is_on_legal_hold())
    return list(session.scalars(over.order_by(Lead.purge_after, Lead.id)))


def purge(instance: Instance, *, on_progress: Progress | None = None) -> Purged:
    """End the holds that are over, then erase every lead that is due, one transaction each.

    So one bad row stops no other, and a purge that was killed goes on where it was. Raises Unavailable
    when the database is away or full; what was erased until then stays erased.
    """
    with instance.database.reading() as session:
        past = select(LegalHold.lead_id).where(LegalHold.until <= instance.clock())
        over = session.scalars(past.order_by(LegalHold.until)).all()
    ended = _each(instance, over, _end_if_over)
    with instance.database.reading() as session:
        leads = due(session, instance.clock())
    erased = _each(instance, leads, _erase_if_due, on_progress)
    return Purged(ended.count + erased.count, ended.failed + erased.failed)


def _each(
    instance: Instance,
    lead_ids: Sequence[uuid.UUID],
    act: Callable[[Instance, uuid.UUID], bool],
    on_progress: Progress | None = None,
) -> Purged:
    """Do `act` on each lead; counts those that are gone by it."""
    count = failed = 0
    for done, lead_id in enumerate(lead_ids, start=1):
        try:
            count += act(instance, lead_id)
        except Unavailable:
            raise
        except Exception as wrong:  # noqa: BLE001  whatever is wrong with one row, the others are due
            failed += _told(wrong)
        if on_progress:
            on_progress(done, len(lead_ids))
    return Purged(count, failed)


def _end_if_over(instance: Instance, lead_id: uuid.UUID) -> bool:
    with instance.database.transaction() as session:
        hold = models.legal_hold_of(session, lead_id)
        if hold is None or hold.until > instance.clock():
            return False
        return end_hold(session, lead_id, actor=Actor.system(), instance=instance)


def _told(wrong: Exception) -> int:
    """Only of what kind it was: its own words may quote a row."""
    log.error("lead_not_erased", error=type(wrong).__name__)
    return 1


def _erase_if_due(instance: Instance, lead_id: uuid.UUID) -> bool:
    """Look once more under the lead's lock: somebody may have erased it, or changed when it is due."""
    with instance.database.transaction() as session:
        wanted = select(Lead).where(Lead.id == lead_id, Lead.purge_after <= instance.clock())
        lead = session.scalars(wanted.with_for_update()).first()
        if lead is None:
            return False
        gone = erase(session, lead, reason=ErasureReason.DUE, actor=Actor.system(), instance=instance)
        return gone is not None


def purge_when_sure(instance: Instance) -> int:
    """The round: purge, unless the clock may have leapt since the round was last made.

    A clock that is a year ahead would erase everybody. After a leap, or a long sleep, which looks the
    same, the round only takes note of the time; an hour later it believes it (reliability.md, J5).
    Raises NotErased when something that is due is still there.
    """
    with instance.database.reading() as session:
        lease = session.get(JobLease, ROUND)
    last = lease.ended_at if lease else None
    if last is None or not timedelta() <= instance.clock() - last <= LEAP:
        return 0
    found = purge(instance)
    if found.failed:
        raise NotErased
    return found.count


# --- What retention is about to erase, told as counts before it happens, and putting it off by a day (K2).

POSTPONED_AHEAD = timedelta(days=1)
"""How far ahead the desk looks, and by how much erasing is put off at a time."""
AT_MOST = timedelta(days=7)
"""Nothing is put off beyond its time by more than this; the public page says so."""


class DueReason(StrEnum):
    """Why a lead is due."""

    OPEN = "open"
    CLOSED = "closed"
    STOPPED = "stopped"
    WRONG_NUMBER = "wrong_number"
    SUPERSEDED = "superseded"

    @property
    def sentence(self) -> str:
        """In words, for staff; some want `%(days)s` (message id)."""
        return _DUE_REASONS[self]


_DUE_REASONS = {
    DueReason.OPEN: N_("they came in %(open_days)s days ago"),
    DueReason.CLOSED: N_("they were closed %(closed_days)s days ago"),
    DueReason.STOPPED: N_("the person asked us to stop"),
    DueReason.WRONG_NUMBER: N_("it was the wrong number"),
    DueReason.SUPERSEDED: N_("a corrected request took their place"),
}
_CLOSED_BECAUSE = {
    CloseReason.STOPPED: DueReason.STOPPED,
    CloseReason.WRONG_NUMBER: DueReason.WRONG_NUMBER,
    CloseReason.SUPERSEDED: DueReason.SUPERSEDED,
}


@dataclass(frozen=True)
class Preview:
    """How many are due, by why; and how many of those whose time is over a legal hold keeps, by reason."""

    due: Mapping[DueReason, int]
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
        .where(Lead.purge_after <= until, ~models.is_on_legal_hold())
        .group_by(Lead.status, Lead.close_reason)
    )
    due = Counter[DueReason]()
    for status, reason, count in session.execute(counted):
        due[_due_reason(status, reason)] += count
    kept = (
        select(LegalHold.reason, func.count())
        .join(Lead, Lead.id == LegalHold.lead_id)
        .where(Lead.purge_after <= until)
        .group_by(LegalHold.reason)
    )
    held = dict(session.execute(kept).all())
    return Preview(
        {why: due[why] for why in DueReason if due[why]},
        {each: held[each] for each in HoldReason if each in held},
    )


def _due_reason(status: LeadStatus, reason: CloseReason | None) -> DueReason:
    if status is not LeadStatus.CLOSED or reason is None:
        return DueReason.OPEN
    return _CLOSED_BECAUSE.get(reason, DueReason.CLOSED)


def postpone_due(session: Session, *, member: Member, instance: Instance) -> int:
    """Give what is due within a day one day more, to look at what seems wrong; returns how many.

    Only what ends by its time alone, and at most seven days beyond it: what somebody asked for is never
    put off. Raises NotAllowed.
    """
    require(member, Permission.HOLD_LEAD)
    now, kept = instance.clock(), instance.clinic.retention
    by_hand = Lead.close_reason.in_(_CLOSED_BECAUSE)
    wanted = select(Lead).where(
        Lead.purge_after <= now + POSTPONED_AHEAD,
        ~models.is_on_legal_hold(),
        or_(Lead.close_reason.is_(None), ~by_hand),
    )
    leads = session.scalars(wanted.order_by(Lead.id).with_for_update(key_share=True)).all()
    later = [lead for lead in leads if _put_off(lead, max(now, lead.purge_after) + POSTPONED_AHEAD, kept)]
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
