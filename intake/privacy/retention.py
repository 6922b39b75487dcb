"""Retention: erases leads on request and when their time is over (promise K2).

Erasing destroys the key of a lead and deletes its row. What remains is the proof of consent, a keyed hash on
the suppression list if the person asked to stop, and one entry of the erasure ledger. A lead on legal hold
(`legal_holds.py`) is erased when the hold ends. `preview` counts what is due soon, `postpone_due` delays it.
See docs/decisions/0011-erasing.md.
"""

import uuid
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import structlog
from sqlalchemy import delete, func, or_, select
from sqlalchemy.orm import Session

from intake import outbox
from intake.accounts.permissions import Permission, StaffAct, require
from intake.act import Act
from intake.audit import Action, Actor
from intake.conf.clinic import Channel
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

JOB = "retention"
MAX_CLOCK_STEP = timedelta(hours=48)
"""After a longer time since the last run, the job skips one run: the system clock may be wrong."""
POSTPONE_BY = timedelta(days=1)
"""How far ahead the desk shows what is due, and by how much erasure is postponed at a time."""
MAX_POSTPONEMENT = timedelta(days=7)
"""The longest postponement in all; the privacy page names it."""

Progress = Callable[[int, int], None]
"""Called after each lead with how many are done and how many there are."""


@dataclass(frozen=True)
class PurgeResult:
    """How many leads a purge erased, and how many it failed on."""

    count: int
    failed: int


class NotErased(IntakeError):
    """Some due leads could not be erased. The job tries again, and health checks report it."""

    sentence = "Some requests that are due could not be erased."


def erase(act: Act, lead: Lead, *, reason: ErasureReason) -> Erasure | None:
    """Destroy the key of `lead`, delete it with its attempts and waiting notices, and record the erasure.

    If it was asked for, all contact is stopped first: consents withdrawn, number and address suppressed. The
    used form token stays without its lead, so that a form sent again does not restore it. Returns None if
    the lead is on legal hold: contact is stopped all the same, and the lead is erased when the hold ends.
    Raises NotFound if the lead was erased meanwhile.
    """
    asked = reason is ErasureReason.ASKED
    indexes = suppression.indexes_of(lead) if asked else []
    locked = suppression.lock_leads_with_contact(act.session, indexes, lead.id, erasing=True)
    if lead not in locked:
        raise NotFound
    if asked:
        method = Method.STAFF if act.actor.staff_id else Method.MANAGE_PAGE
        if suppression.indexes_of(lead) == indexes:
            suppression.stop_locked(act, locked, indexes, method=method)
        else:  # the number or address was corrected before the lock was held
            suppression.stop(act, lead, method=method)
    hold = models.load_legal_hold(act.session, lead.id)
    if hold is None:
        erasure = Erasure(lead_id=lead.id, erased_at=act.now, reason=reason)
        return delete_permanently(act, lead, erasure)
    if asked and hold.erase_asked_at is None:
        hold.erase_asked_at = act.now
        act.record(Action.LEAD_ERASURE_ASKED, about=lead.id)
    return None


def delete_permanently(act: Act, lead: Lead, erasure: Erasure) -> Erasure:
    """Destroy the key, delete the lead with its attempts and notices, and add `erasure` to ledger and log."""
    outbox.cancel(act.session, lead.id)
    act.session.execute(delete(LeadKey).where(LeadKey.lead_id == lead.id))
    act.session.execute(delete(Attempt).where(Attempt.lead_id == lead.id))
    act.session.delete(lead)
    act.session.add(erasure)
    act.record(Action.LEAD_ERASED, about=erasure.lead_id, reason=erasure.reason.value)
    act.session.flush()
    return erasure


def end_hold(act: Act, lead_id: uuid.UUID) -> bool:
    """End the legal hold on a lead and carry out what it delayed; without a hold, nothing is changed.

    Erases the lead if the person asked for it, else deletes a number or address that no channel may use any
    more. Returns whether the lead was erased.
    """
    lead = act.session.get(Lead, lead_id)
    indexes = suppression.indexes_of(lead) if lead else []
    locked = suppression.lock_leads_with_contact(act.session, indexes, lead_id, erasing=True)
    hold = models.load_legal_hold(act.session, lead_id)
    if lead is None or hold is None or lead not in locked:
        return False
    act.session.delete(hold)
    act.session.flush()
    act.record(Action.HOLD_ENDED, about=lead_id, reason=hold.reason.value)
    if hold.erase_asked_at is None:
        delete_unusable_contact(lead, eligibility.contact_status(act.session, lead).channels)
        return False
    erase(act, lead, reason=ErasureReason.ASKED)
    return True


def delete_unusable_contact(lead: Lead, channels: Collection[Channel]) -> None:
    """Delete the number or address of `lead` that none of `channels`, those with consent, may use."""
    if Channel.EMAIL not in channels:
        lead.email = None
    if Channel.CALL not in channels and Channel.TEXT not in channels:
        lead.phone = None


def due_leads(session: Session, at: datetime) -> list[uuid.UUID]:
    """The ids of leads due for erasure at `at` and not on legal hold, the longest overdue first."""
    over = select(Lead.id).where(Lead.purge_after <= at, ~models.is_on_legal_hold())
    return list(session.scalars(over.order_by(Lead.purge_after, Lead.id)))


def purge(instance: Instance, *, on_progress: Progress | None = None) -> PurgeResult:
    """End the holds that have expired, then erase every lead that is due, one transaction each.

    So one bad row does not stop the others, and a killed purge continues where it was. `on_progress` is
    called after each lead. Raises Unavailable when the database is unreachable or full; what was erased until
    then stays erased.
    """
    with instance.database.reading() as session:
        expired = select(LegalHold.lead_id).where(LegalHold.until <= instance.clock())
        held = session.scalars(expired.order_by(LegalHold.until)).all()
    ended = _purge_each(instance, held, _end_hold_if_expired)
    with instance.database.reading() as session:
        leads = due_leads(session, instance.clock())
    erased = _purge_each(instance, leads, _erase_if_due, on_progress)
    return PurgeResult(ended.count + erased.count, ended.failed + erased.failed)


def _purge_each(
    instance: Instance,
    lead_ids: Sequence[uuid.UUID],
    act: Callable[[Instance, uuid.UUID], bool],
    on_progress: Progress | None = None,
) -> PurgeResult:
    """Call `act` for each lead id; counts those that it erased and those that it failed on."""
    count = failed = 0
    for done, lead_id in enumerate(lead_ids, start=1):
        try:
            count += act(instance, lead_id)
        except Unavailable:
            raise
        except Exception as failure:  # noqa: BLE001  one bad row must not stop the others
            log.error("lead_not_erased", error=type(failure).__name__)  # noqa: TRY400  it may quote a row
            failed += 1
        if on_progress:
            on_progress(done, len(lead_ids))
    return PurgeResult(count, failed)


def _end_hold_if_expired(instance: Instance, lead_id: uuid.UUID) -> bool:
    with instance.database.transaction() as session:
        hold = models.load_legal_hold(session, lead_id)
        if hold is None or hold.until > instance.clock():
            return False
        return end_hold(Act(session, instance, Actor.system()), lead_id)


def _erase_if_due(instance: Instance, lead_id: uuid.UUID) -> bool:
    """Erase the lead if, once locked, it still exists and is still due. Whether it was erased."""
    with instance.database.transaction() as session:
        due = select(Lead).where(Lead.id == lead_id, Lead.purge_after <= instance.clock())
        lead = session.scalars(due.with_for_update()).first()
        if lead is None:
            return False
        return erase(Act(session, instance, Actor.system()), lead, reason=ErasureReason.DUE) is not None


def purge_unless_clock_jumped(instance: Instance) -> int:
    """The retention job: purge, unless the system clock may have jumped since the last run.

    A clock that is a year ahead would erase everything. After a jump, or a long standby, which looks the
    same, the run only stores the time; the next run, an hour later, trusts it. Returns how many leads were
    erased. Raises NotErased if some that are due could not be.
    """
    with instance.database.reading() as session:
        lease = session.get(JobLease, JOB)
    last = lease.ended_at if lease else None
    if last is None or not timedelta() <= instance.clock() - last <= MAX_CLOCK_STEP:
        return 0
    result = purge(instance)
    if result.failed:
        raise NotErased
    return result.count


class DueReason(StrEnum):
    """Why a lead is due for erasure."""

    OPEN = "open"
    CLOSED = "closed"
    STOPPED = "stopped"
    WRONG_NUMBER = "wrong_number"
    SUPERSEDED = "superseded"

    @property
    def sentence(self) -> str:
        """The sentence shown to staff (message id); some have `%(open_days)s` or `%(closed_days)s`."""
        return _DUE_REASON_SENTENCES[self]


_DUE_REASON_SENTENCES = {
    DueReason.OPEN: N_("they came in %(open_days)s days ago"),
    DueReason.CLOSED: N_("they were closed %(closed_days)s days ago"),
    DueReason.STOPPED: N_("the person asked us to stop"),
    DueReason.WRONG_NUMBER: N_("it was the wrong number"),
    DueReason.SUPERSEDED: N_("a corrected request took their place"),
}
_DUE_REASON_OF = {
    CloseReason.STOPPED: DueReason.STOPPED,
    CloseReason.WRONG_NUMBER: DueReason.WRONG_NUMBER,
    CloseReason.SUPERSEDED: DueReason.SUPERSEDED,
}


@dataclass(frozen=True)
class RetentionPreview:
    """Counts of due leads by reason, and of leads kept beyond their time by legal holds, by reason."""

    due: Mapping[DueReason, int]
    held: Mapping[HoldReason, int]

    @property
    def count(self) -> int:
        """The number of leads that are due."""
        return sum(self.due.values())

    @property
    def kept(self) -> int:
        """The number of leads kept by a legal hold."""
        return sum(self.held.values())


def preview(session: Session, *, until: datetime) -> RetentionPreview:
    """What a purge at `until` would erase if nothing changes before, and what legal holds would keep."""
    due_counts = (
        select(Lead.status, Lead.close_reason, func.count())
        .where(Lead.purge_after <= until, ~models.is_on_legal_hold())
        .group_by(Lead.status, Lead.close_reason)
    )
    due = Counter[DueReason]()
    for status, reason, count in session.execute(due_counts):
        if status is LeadStatus.CLOSED and reason:
            due[_DUE_REASON_OF.get(reason, DueReason.CLOSED)] += count
        else:
            due[DueReason.OPEN] += count
    held_counts = (
        select(LegalHold.reason, func.count())
        .join(Lead, Lead.id == LegalHold.lead_id)
        .where(Lead.purge_after <= until)
        .group_by(LegalHold.reason)
    )
    held = dict(session.execute(held_counts).all())
    return RetentionPreview(
        {each: due[each] for each in DueReason if due[each]},
        {each: held[each] for each in HoldReason if each in held},
    )


def postpone_due(act: StaffAct) -> int:
    """Postpone by a day the erasure of what is due within a day, and record it; returns how many leads.

    Only leads that are due by their age, and at most `MAX_POSTPONEMENT` beyond it: what a person asked for is
    never postponed. Raises NotAllowed.
    """
    require(act.member, Permission.HOLD_LEAD)
    now, periods = act.now, act.clinic.retention
    due = select(Lead).where(
        Lead.purge_after <= now + POSTPONE_BY,
        ~models.is_on_legal_hold(),
        or_(Lead.close_reason.is_(None), Lead.close_reason.not_in(_DUE_REASON_OF)),
    )
    postponed = 0
    for lead in act.session.scalars(due.order_by(Lead.id).with_for_update(key_share=True)):
        ends = lead.asked_at + timedelta(days=periods.open_days)
        if lead.closed_at:
            ends = min(ends, lead.closed_at + timedelta(days=periods.closed_days))
        until = max(now, lead.purge_after) + POSTPONE_BY
        if until <= ends + MAX_POSTPONEMENT:
            lead.purge_after = until
            postponed += 1
    if postponed:
        act.record(Action.RETENTION_POSTPONED, count=postponed)
    act.session.flush()
    return postponed
