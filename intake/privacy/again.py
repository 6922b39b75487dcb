"""What people wished after a backup was taken, done again on the leads that a restore brought back.

Who acts is the service, by the ledger's copy; when is now, except for an erasure, which keeps its time.
"""

from sqlalchemy import select
from sqlalchemy.orm import Session

from intake import audit
from intake.audit import Action, Actor
from intake.conf.clinic import Channel
from intake.consent import service as consent
from intake.consent.models import Kind, Method
from intake.instance import Instance
from intake.leads import eligibility, suppression
from intake.leads.models import CloseReason, Erasure, ErasureReason, Lead, Suppression, SuppressionReason
from intake.privacy import retention
from intake.privacy.manage import BY_PHONE

SYSTEM = Actor.system()


def stop(session: Session, index: bytes, *, instance: Instance) -> int:
    """End contact with every lead that carries this number or address. Returns how many."""
    leads = [
        lead
        for lead in suppression.carrying(session, [index], None)
        if lead.close_reason is not CloseReason.STOPPED
    ]
    for lead in leads:
        suppression.stop_one(session, lead, actor=SYSTEM, method=Method.STAFF, instance=instance)
    session.flush()
    return len(leads)


def withdraw(session: Session, lead: Lead, kind: Kind, *, instance: Instance) -> bool:
    """Take back one permission, with it the number or address that nothing may use any more.

    Whoever took back the use of their details altogether has stopped all contact. False when there was
    nothing left to take back.
    """
    if kind is Kind.USE:
        suppression.stop_one(session, lead, actor=SYSTEM, method=Method.STAFF, instance=instance)
        return True
    taken_back = consent.withdraw(
        session,
        lead_id=lead.id,
        kinds=[kind],
        method=Method.MANAGE_PAGE,
        actor=SYSTEM,
        at=instance.clock(),
        keyring=instance.keyring,
    )
    _forget_unused(session, lead)
    if taken_back:
        _note(session, lead, {"consents": consent.macs(taken_back.values())}, instance)
    return bool(taken_back)


def _forget_unused(session: Session, lead: Lead) -> None:
    session.flush()
    channels = set(eligibility.standing(session, lead).channels)
    if Channel.EMAIL not in channels:
        lead.email = None
    if not channels & {*BY_PHONE}:
        lead.phone = None
    session.flush()


def _note(session: Session, lead: Lead, details: dict[str, audit.Detail], instance: Instance) -> None:
    audit.record(
        session,
        Action.CONSENT_WITHDRAWN,
        keyring=instance.keyring,
        at=instance.clock(),
        actor=SYSTEM,
        about=lead.id,
        details={"method": Method.MANAGE_PAGE.value, **details},
    )


def erase(session: Session, lead: Lead, gone: Erasure, *, instance: Instance) -> None:
    """Destroy a lead that was erased before; who had asked for it is also left alone."""
    if gone.reason is ErasureReason.ASKED:
        indexes = suppression.indexes_of(lead)
        known = select(Suppression.contact_index).where(Suppression.contact_index.in_(indexes))
        missing = set(indexes) - set(session.scalars(known))
        suppression.suppress(
            session, [*missing], reason=SuppressionReason.ASKED, actor=SYSTEM, instance=instance
        )
        suppression.stop_one(session, lead, actor=SYSTEM, method=Method.STAFF, instance=instance)
    retention.gone_for_good(session, lead, gone, SYSTEM, instance)
