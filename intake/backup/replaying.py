"""What happened after a backup was taken and must hold again before anybody is called (decisions.md 23).

Forgetting and leaving alone come back from the ledger's copy outside the database. Sessions are not in a
backup. Mails that were on their way may have left long ago, so none of them goes out again by itself.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from intake import outbox
from intake.consent.models import ConsentEvent, State
from intake.instance import Instance
from intake.leads.models import Erasure, Lead, LeadStatus, Suppression, SuppressionReason
from intake.outbox import Mail, MessageState, OutboxMessage
from intake.privacy import again
from intake.privacy.erasure_ledger import Line

HELD_BACK = "Restored"
"""Why such a mail waits for somebody: it shows as refused until `intake outbox resend`."""


@dataclass(frozen=True)
class Replayed:
    """What the ledger brought back: how many leads were erased again, entries stopped, permissions ended."""

    erased: int
    stopped: int
    withdrawn: int
    held_back: int


def replay(session: Session, lines: Iterable[Line], *, instance: Instance) -> Replayed:
    """Do again what the database does not know of yet. Doing it twice changes nothing."""
    several = list(dict.fromkeys(lines))
    stopped = sum(_stop(session, line, instance) for line in several if line.stopped)
    for line in several:
        if line.lifted:
            _lift(session, line)
    withdrawn = sum(_withdraw(session, line, instance) for line in several if line.withdrew)
    erased = sum(_erase(session, line, instance) for line in several if line.erased)
    held_back = _hold_back(session, instance)
    session.flush()
    return Replayed(erased, stopped, withdrawn, held_back)


def _stop(session: Session, line: Line, instance: Instance) -> bool:
    if not line.stopped or session.get(Suppression, line.about) is not None:
        return False
    reason, index = line.stopped
    entry = Suppression(id=line.about, contact_index=index, reason=reason, at=line.at)
    session.add(entry)
    session.flush()
    if reason is SuppressionReason.ASKED:
        again.stop(session, index, instance=instance)
    return True


def _lift(session: Session, line: Line) -> None:
    entry = session.get(Suppression, line.about)
    if entry and entry.lifted_at is None:
        entry.lifted_at = line.at
    session.flush()


def _withdraw(session: Session, line: Line, instance: Instance) -> bool:
    lead = session.get(Lead, line.about)
    kind = line.withdrew
    if lead is None or kind is None or _known(session, line):
        return False
    return again.withdraw(session, lead, kind, instance=instance)


def _known(session: Session, line: Line) -> bool:
    """Whether the backup itself holds this very withdrawal."""
    same = select(ConsentEvent.id).where(
        ConsentEvent.lead_id == line.about,
        ConsentEvent.kind == line.withdrew,
        ConsentEvent.state == State.WITHDRAWN,
        ConsentEvent.at >= line.at,
    )
    return session.scalars(same.limit(1)).first() is not None


def _erase(session: Session, line: Line, instance: Instance) -> bool:
    """Also a lead that came after the backup stays on the list of those that are gone."""
    if not line.erased or session.get(Erasure, line.about) is not None:
        return False
    gone = Erasure(lead_id=line.about, erased_at=line.at, reason=line.erased)
    lead = session.get(Lead, line.about)
    if lead is None:
        session.add(gone)
        session.flush()
        return False
    again.erase(session, lead, gone, instance=instance)
    return True


def _hold_back(session: Session, instance: Instance) -> int:
    """Every mail that had not left waits for a look; one fresh notice tells that somebody waits."""
    on_the_way = OutboxMessage.state.in_((MessageState.WAITING, MessageState.SENDING))
    ids: Sequence[uuid.UUID] = session.scalars(select(OutboxMessage.id).where(on_the_way)).all()
    session.execute(
        update(OutboxMessage)
        .where(on_the_way)
        .values(state=MessageState.DEAD, leased_until=None, last_error=HELD_BACK)
        .execution_options(synchronize_session=False)
    )
    waiting = select(Lead.id).where(Lead.status == LeadStatus.NEW, Lead.close_reason.is_(None)).limit(1)
    if session.scalars(waiting).first():
        recipients = instance.clinic.notices.recipients
        outbox.enqueue(session, Mail.NEW_LEAD, clinic_recipients=recipients, at=instance.clock())
    return len(ids)
