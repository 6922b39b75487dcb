"""Reminders: mails the second contacts when leads are not opened in time (promise N2).

Time counts as for the promise: only while the clinic is open and the person may be contacted. So a lead of
the night is not overdue in the morning. Whether staff used the desk during opening hours (`attendance`) is
read from the audit log.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import func, select

from intake import audit, outbox
from intake.accounts.models import StaffSession
from intake.act import Act
from intake.audit import AuditEvent
from intake.audit.models import ActorKind
from intake.calling.availability import ContactTimes, Interval, interval_at, opening_hours
from intake.calling.promise import NoTimeWithin14Days
from intake.instance import Instance
from intake.leads.eligibility import promise_for_lead
from intake.leads.models import Lead, LeadStatus
from intake.outbox import Mail, OutboxMessage

JOB = "remind"
REMIND_EVERY = timedelta(hours=1)
ATTENDANCE_PERIOD = timedelta(days=7)
_MAX_LEADS = 500
"""Only the oldest leads are checked in a flood: one overdue lead is enough for a mail."""


def remind(instance: Instance) -> int:
    """Enqueue a mail to the second contacts if leads are overdue, at most once an hour in opening hours.

    Returns how many leads are overdue.
    """
    with instance.database.transaction() as session:
        act = Act(session, instance)
        waiting, now = count_unopened(act), act.now
        if waiting and closes_at(act):
            mails = select(func.max(OutboxMessage.created_at)).where(OutboxMessage.mail == Mail.UNOPENED)
            last = session.scalar(mails)
            if last is None or not now - REMIND_EVERY < last <= now:
                contacts = instance.clinic.notices.second_contacts
                outbox.enqueue(session, Mail.UNOPENED, clinic_recipients=contacts, at=now)
    return waiting


def count_unopened(act: Act) -> int:
    """How many leads are overdue: not opened within `reminder_minutes` of contactable time. At most 500.

    That is computed like a promise; for a person who cannot be contacted at all, the promise itself counts.
    """
    now, clinic = act.now, act.clinic
    threshold = timedelta(minutes=clinic.notices.reminder_minutes)
    contact = replace(clinic.contact, response_minutes=clinic.notices.reminder_minutes)
    reminding = replace(clinic, contact=contact)
    waiting = select(Lead).where(
        Lead.status == LeadStatus.NEW,
        Lead.opened_at.is_(None),
        Lead.asked_at <= now - threshold,
        Lead.purge_after > now,
    )
    overdue = 0
    for lead in act.session.scalars(waiting.order_by(Lead.asked_at).limit(_MAX_LEADS)):
        try:
            open_by = promise_for_lead(act, lead, since=lead.asked_at, clinic=reminding)
        except NoTimeWithin14Days:
            open_by = lead.promise_at
        overdue += open_by <= now
    return overdue


def closes_at(act: Act) -> datetime | None:
    """When the clinic closes today; None while it is closed."""
    current = interval_at(act.contact_times.opening, act.now)
    return current.end if current else None


def is_unattended(act: Act) -> bool:
    """Whether, in opening hours, leads are overdue and no staff member was active for `reminder_minutes`.

    The public page must not promise contact then.
    """
    if not closes_at(act):
        return False
    last_seen = act.session.scalar(select(func.max(StaffSession.seen_at)))
    threshold = timedelta(minutes=act.clinic.notices.reminder_minutes)
    if last_seen and act.now - last_seen < threshold:
        return False
    return bool(count_unopened(act))


def promise_times(act: Act) -> ContactTimes:
    """When contact counts for the promise of a new lead.

    That is from now on; while the desk is unattended it is from the next opening on.
    """
    if not is_unattended(act):
        return act.contact_times
    return ContactTimes(act.clinic, act.hours, closes_at(act) or act.now)


@dataclass(frozen=True)
class OpenHours:
    """One interval of opening hours, ending now at most, and the time of the first staff event in it."""

    hours: Interval
    first: datetime | None


def attendance(act: Act) -> Sequence[OpenHours]:
    """The opening hours of the last seven days, latest first, as far as the audit log reaches back.

    Computed from the hours and holidays of today's `clinic.toml`.
    """
    now, began = act.now, audit.oldest_event_at(act.session)
    if began is None:
        return []
    during = Interval(max(began, now - ATTENDANCE_PERIOD), now)
    found = []
    for hours in reversed(opening_hours(act.clinic, during)):
        within = AuditEvent.at >= hours.start, AuditEvent.at <= hours.end
        by_staff = select(func.min(AuditEvent.at)).where(*within, AuditEvent.actor_kind == ActorKind.STAFF)
        found.append(OpenHours(hours, act.session.scalar(by_staff)))
    return found
