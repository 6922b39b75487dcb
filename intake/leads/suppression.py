"""Do not contact: stopping one lead or any number or address, at once and for good (promise G4).

What stays is a keyed hash and a reason. A number on the list shuts the contact gate for every lead
that carries it, today and in future.
"""

import uuid
from collections.abc import Iterable, Sequence
from datetime import timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from intake import audit, outbox
from intake.audit import Action, Actor
from intake.consent import service as consent
from intake.consent.models import Kind, Method
from intake.instance import Instance
from intake.leads.models import CloseReason, Lead, LeadStatus, Suppression, SuppressionReason

PERMISSIONS = tuple(kind for kind in Kind if kind is not Kind.ADULT)
"""Everything somebody can take back; being 18 or older is a fact."""


def suppressed(session: Session, indexes: Iterable[bytes | None]) -> set[bytes]:
    """Which of these keyed hashes stand on the list now; one statement for all."""
    wanted = {index for index in indexes if index}
    listed = select(Suppression.contact_index).where(
        Suppression.contact_index.in_(wanted), Suppression.lifted_at.is_(None)
    )
    return set(session.scalars(listed))


def suppress(
    session: Session,
    indexes: Sequence[bytes | None],
    *,
    reason: SuppressionReason,
    actor: Actor,
    instance: Instance,
) -> int:
    """Put what is not on the list yet on it; returns how many that were. The caller records the act."""
    listed = suppressed(session, indexes)
    fresh = {index for index in indexes if index} - listed
    session.add_all(
        Suppression(
            id=uuid.uuid4(), contact_index=index, reason=reason, at=instance.clock(), by=actor.staff_id
        )
        for index in fresh
    )
    session.flush()
    return len(fresh)


def stop(session: Session, lead: Lead, *, actor: Actor, method: Method, instance: Instance) -> int:
    """End all contact: with this lead and every other that carries its number or address.

    From any status and whoever holds them. What is stopped already stays as it is. Returns how many
    leads are stopped now. The one act behind every "please stop", whoever hears it.
    """
    return _stop_all(session, indexes_of(lead), also=lead.id, actor=actor, method=method, instance=instance)


def indexes_of(lead: Lead) -> list[bytes]:
    """The keyed hashes of its number and its address."""
    return [index for index in (lead.phone_index, lead.email_index) if index]


def stop_contact(session: Session, *, kind: str, value: str, actor: Actor, instance: Instance) -> int:
    """The same for any number (`kind` phone, `value` in E.164) or address (`kind` email, in small letters).

    Returns how many leads were stopped. Whether that is more than none must not be told to anybody
    who asks by phone (AC-17). Who may do it is the caller's to check.
    """
    index = instance.keyring.blind_index(kind, value)
    audit.record(
        session,
        Action.SUPPRESSION_ADDED,
        keyring=instance.keyring,
        at=instance.clock(),
        actor=actor,
        details={"kind": kind, "reason": SuppressionReason.ASKED.value},
    )
    return _stop_all(session, [index], also=None, actor=actor, method=Method.STAFF, instance=instance)


def _stop_all(
    session: Session,
    indexes: Sequence[bytes],
    *,
    also: uuid.UUID | None,
    actor: Actor,
    method: Method,
    instance: Instance,
) -> int:
    suppress(session, indexes, reason=SuppressionReason.ASKED, actor=actor, instance=instance)
    leads = carrying(session, indexes, also)
    for lead in leads:
        if lead.close_reason is not CloseReason.STOPPED:
            _stop_one(session, lead, actor=actor, method=method, instance=instance)
    session.flush()
    return len(leads)


def carrying(
    session: Session, indexes: Sequence[bytes], also: uuid.UUID | None, *, erasing: bool = False
) -> Sequence[Lead]:
    """The leads with one of these numbers or addresses, and one more, read anew and locked.

    In the order of their ids, so that two stops at once never wait for each other: whatever may end in
    a stop locks this way. `erasing` takes from the start the stronger lock that a deletion needs.
    """
    wanted = or_(Lead.id == also, Lead.phone_index.in_(indexes), Lead.email_index.in_(indexes))
    locked = select(Lead).where(wanted).order_by(Lead.id).with_for_update(key_share=not erasing)
    return session.scalars(locked.execution_options(populate_existing=True)).all()


def _stop_one(session: Session, lead: Lead, *, actor: Actor, method: Method, instance: Instance) -> None:
    now = instance.clock()
    withdrawn = consent.withdraw(
        session,
        lead_id=lead.id,
        kinds=PERMISSIONS,
        method=method,
        actor=actor,
        at=now,
        keyring=instance.keyring,
    )
    until = now + timedelta(hours=instance.clinic.retention.stopped_hours)
    lead.status, lead.close_reason = LeadStatus.CLOSED, CloseReason.STOPPED
    lead.closed_at = lead.closed_at or now
    lead.purge_after = min(lead.purge_after, until)
    lead.claimed_by = lead.claimed_until = None
    outbox.cancel(session, lead.id)
    audit.record(
        session,
        Action.LEAD_STOPPED,
        keyring=instance.keyring,
        at=now,
        actor=actor,
        about=lead.id,
        details={"consents": consent.macs(withdrawn.values()), "method": method.value},
    )
