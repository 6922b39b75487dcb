"""Nobody is forgotten: a request that nobody opens in time is told of to the second contacts (promise N2).

Time counts as for the promise: only while the clinic is open and the person may be reached. So a
request of the night is not late in the morning.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from intake import audit, outbox
from intake.accounts.models import StaffSession
from intake.audit import AuditEvent
from intake.audit.models import ActorKind
from intake.calling.availability import Interval, on_the_clock
from intake.calling.promise import NoTimeWithin14Days, open_until
from intake.conf.clinic import Clinic
from intake.instance import Instance
from intake.leads.eligibility import promise_of
from intake.leads.models import Lead, LeadStatus
from intake.outbox import Mail, OutboxMessage

ROUND = "remind"
AGAIN = timedelta(hours=1)
_LOOKED_AT = 500
"""Of a flood only the oldest are looked at: one late request is reason enough for a mail."""


def remind(instance: Instance) -> int:
    """Tell the second contacts, once an hour in opening hours, that requests wait; returns how many do."""
    with instance.database.transaction() as session:
        waiting = unopened(session, instance=instance)
        if waiting and not _told(session, instance.clock()) and closes_at(instance):
            outbox.enqueue(
                session,
                Mail.UNOPENED,
                clinic_recipients=instance.clinic.notices.second_contacts,
                at=instance.clock(),
            )
    return waiting


def unopened(session: Session, *, instance: Instance) -> int:
    """How many requests nobody has opened although `reminder_minutes` of contactable time have passed."""
    return sum(1 for _ in _late(session, instance))


def _late(session: Session, instance: Instance) -> Iterator[Lead]:
    patience = timedelta(minutes=instance.clinic.notices.reminder_minutes)
    now, clinic = instance.clock(), _reminding(instance.clinic)
    waiting = select(Lead).where(
        Lead.status == LeadStatus.NEW,
        Lead.opened_at.is_(None),
        Lead.asked_at <= now - patience,
        Lead.purge_after > now,
    )
    for lead in session.scalars(waiting.order_by(Lead.asked_at).limit(_LOOKED_AT)):
        if _due(session, lead, instance, clinic) <= now:
            yield lead


def _reminding(clinic: Clinic) -> Clinic:
    """The same clinic with the reminder's minutes in the place of the promise's."""
    contact = replace(clinic.contact, response_minutes=clinic.notices.reminder_minutes)
    return replace(clinic, contact=contact)


def _due(session: Session, lead: Lead, instance: Instance, clinic: Clinic) -> datetime:
    """When somebody should have opened it; where nobody may be reached at all, when we promised."""
    try:
        return promise_of(session, lead, instance=instance, since=lead.asked_at, clinic=clinic)
    except NoTimeWithin14Days:
        return lead.promise_at


def _told(session: Session, now: datetime) -> bool:
    last = session.scalar(
        select(func.max(OutboxMessage.created_at)).where(OutboxMessage.mail == Mail.UNOPENED)
    )
    return last is not None and now - AGAIN < last <= now


def closes_at(instance: Instance) -> datetime | None:
    """When the clinic closes today; None when it is closed."""
    return open_until(instance.clinic, instance.clock())


def is_unattended(session: Session, *, instance: Instance) -> bool:
    """Whether requests wait unopened in opening hours and nobody has been at the desk for that long.

    Then the public page must not promise what nobody is there to keep.
    """
    if not closes_at(instance):
        return False
    seen = session.scalar(select(func.max(StaffSession.seen_at)))
    patience = timedelta(minutes=instance.clinic.notices.reminder_minutes)
    if seen and instance.clock() - seen < patience:
        return False
    return bool(unopened(session, instance=instance))


def counting_from(session: Session, *, instance: Instance) -> datetime:
    """The moment from which a promise counts: now, or the next opening when nobody is at the desk."""
    now = instance.clock()
    return (closes_at(instance) or now) if is_unattended(session, instance=instance) else now


# --- Whether somebody was at the desk while the clinic was open, told from the audit log.

BACK = timedelta(days=7)


@dataclass(frozen=True)
class OpenHours:
    """Hours in which the clinic was open, until now at most, and when staff `first` did something in them."""

    hours: Interval
    first: datetime | None


def attendance(session: Session, *, instance: Instance) -> Sequence[OpenHours]:
    """The opening hours of the last seven days, latest first, as far as the log reaches back.

    They are counted by the hours and holidays of today's `clinic.toml`.
    """
    now, began = instance.clock(), audit.began(session)
    if began is None:
        return []
    during = Interval(max(began, now - BACK), now)
    opened = on_the_clock(instance.clinic.time_zone, during, instance.clinic.open_on)
    return [OpenHours(each, _first(session, each)) for each in reversed(opened)]


def _first(session: Session, hours: Interval) -> datetime | None:
    within = AuditEvent.at >= hours.start, AuditEvent.at <= hours.end
    return session.scalar(
        select(func.min(AuditEvent.at)).where(*within, AuditEvent.actor_kind == ActorKind.STAFF)
    )
