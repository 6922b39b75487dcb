"""Erasing a lead for good, and ending by itself what has been kept long enough (promise K2).

Erased means: the key is destroyed and the row is gone. What stays is the proof of consent, a keyed
hash on the do-not-contact list where somebody asked to stop, and one line of the erasure ledger.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from intake import audit, outbox
from intake.audit import Action, Actor
from intake.consent.models import Method
from intake.errors import IntakeError, NotFound, Unavailable
from intake.instance import Instance
from intake.leads import suppression
from intake.leads.models import Attempt, Erasure, ErasureReason, Lead, LeadKey
from intake.outbox.models import RoundLease

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
) -> Erasure:
    """Destroy the key of `lead`, delete it with its attempts and waiting notices, and note that it is gone.

    When somebody asked for it, all contact is stopped first: permissions taken back, number and address
    put on the do-not-contact list. The used form token stays without its lead, so that a page sent again
    brings nobody back. Raises NotFound when somebody else was faster.
    """
    asked = reason is ErasureReason.ASKED
    beside = suppression.indexes_of(lead) if asked else []
    if lead not in suppression.carrying(session, beside, lead.id, erasing=True):
        raise NotFound
    if asked:
        method = Method.STAFF if actor.staff_id else Method.MANAGE_PAGE
        suppression.stop(session, lead, actor=actor, method=method, instance=instance)
    return _gone(
        session, lead, Erasure(lead_id=lead.id, erased_at=instance.clock(), reason=reason), actor, instance
    )


def _gone(session: Session, lead: Lead, gone: Erasure, actor: Actor, instance: Instance) -> Erasure:
    outbox.cancel(session, lead.id)
    session.execute(delete(LeadKey).where(LeadKey.lead_id == lead.id))
    session.execute(delete(Attempt).where(Attempt.lead_id == lead.id))
    session.delete(lead)
    session.add(gone)
    audit.record(
        session,
        Action.LEAD_ERASED,
        keyring=instance.keyring,
        at=gone.erased_at,
        actor=actor,
        about=gone.lead_id,
        details={"reason": gone.reason.value},
    )
    session.flush()
    return gone


def due(session: Session, at: datetime) -> list[uuid.UUID]:
    """The leads whose time is over at `at`, the longest overdue first."""
    over = select(Lead.id).where(Lead.purge_after <= at)
    return list(session.scalars(over.order_by(Lead.purge_after, Lead.id)))


def purge(instance: Instance, *, dry_run: bool = False, on_progress: Progress | None = None) -> Purged:
    """Erase every lead that is due, one transaction each, so that one bad row stops no other.

    With `dry_run` nothing is changed and `count` says how many would go. Raises Unavailable when the
    database is away or full; what was erased until then stays erased.
    """
    with instance.database.reading() as session:
        over = due(session, instance.clock())
    if dry_run:
        return Purged(len(over), 0)
    count = failed = 0
    for done, lead_id in enumerate(over, start=1):
        try:
            count += _erase_if_due(instance, lead_id)
        except Unavailable:
            raise
        except Exception as wrong:  # noqa: BLE001  whatever is wrong with one row, the others are due
            failed += _told(wrong)
        if on_progress:
            on_progress(done, len(over))
    return Purged(count, failed)


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
        erase(session, lead, reason=ErasureReason.DUE, actor=Actor.system(), instance=instance)
    return True


def purge_when_sure(instance: Instance) -> int:
    """The round: purge, unless the clock may have leapt since the round was last made.

    A clock that is a year ahead would erase everybody. After a leap, or a long sleep, which looks the
    same, the round only takes note of the time; an hour later it believes it (reliability.md, J5).
    Raises NotErased when something that is due is still there.
    """
    with instance.database.reading() as session:
        lease = session.get(RoundLease, ROUND)
    last = lease.ended_at if lease else None
    if last is None or not timedelta() <= instance.clock() - last <= LEAP:
        return 0
    found = purge(instance)
    if found.failed:
        raise NotErased
    return found.count
