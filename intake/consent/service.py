"""Recording answers, withdrawing them, and reading what holds now; `verify` is in proof.py."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from intake.audit.models import Actor
from intake.consent.models import ConsentEvent, ConsentStatement, Kind, Method, State
from intake.consent.proof import canonical, verify
from intake.consent.statements import Statement, Statements
from intake.security.crypto import Keyring

__all__ = [
    "Shown", "canonical", "current", "current_of", "macs", "publish", "record", "shown", "verify", "withdraw"
]  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """One answer together with the words it was given to."""

    event: ConsentEvent
    statement: ConsentStatement


def record(
    session: Session,
    *,
    lead_id: uuid.UUID,
    answers: Mapping[Kind, State],
    language: str,
    method: Method,
    actor: Actor,
    at: datetime,
    keyring: Keyring,
    statements: Statements,
    contact_indexes: Mapping[Kind, bytes | None],
) -> dict[Kind, ConsentEvent]:
    """Write one event per answer to the statements in force, flushed so that a lead may point at them.

    `contact_indexes` are the keyed hashes of the number or address an answer covers: all that is left
    to answer "did the holder of this number agree?" after the lead is erased (WR-07).
    """
    in_force = statements.in_force(language)
    publish(session, (in_force[kind] for kind in answers), at=at)
    events = {
        kind: ConsentEvent(
            id=uuid.uuid4(),
            lead_id=lead_id,
            kind=kind,
            state=state,
            statement=in_force[kind].digest,
            language=language,
            method=method,
            actor_kind=actor.kind,
            actor_id=actor.staff_id,
            at=at,
            contact_index=contact_indexes.get(kind),
        )
        for kind, state in answers.items()
    }
    return _signed(session, events, keyring)


def publish(session: Session, statements: Iterable[Statement], *, at: datetime) -> None:
    """Store the words of each statement once, by digest, so that proof outlives the folder."""
    wanted = {each.digest: each for each in statements}
    known = set(session.scalars(select(ConsentStatement.digest).where(ConsentStatement.digest.in_(wanted))))
    session.add_all(
        ConsentStatement(
            digest=digest,
            kind=each.kind,
            version=each.version,
            language=each.language,
            body=each.body,
            first_shown_at=at,
        )
        for digest, each in wanted.items()
        if digest not in known
    )
    session.flush()


def withdraw(
    session: Session,
    *,
    lead_id: uuid.UUID,
    kinds: Iterable[Kind],
    method: Method,
    actor: Actor,
    at: datetime,
    keyring: Keyring,
) -> dict[Kind, ConsentEvent]:
    """Take back what is given among `kinds`, to the very words it was given to. Nothing given: nothing."""
    holding = current(session, lead_id)
    given = {kind: holding[kind] for kind in kinds if kind in holding and holding[kind].state is State.GIVEN}
    events = {
        kind: ConsentEvent(
            id=uuid.uuid4(),
            lead_id=lead_id,
            kind=kind,
            state=State.WITHDRAWN,
            statement=before.statement,
            language=before.language,
            method=method,
            actor_kind=actor.kind,
            actor_id=actor.staff_id,
            at=max(at, before.at),  # a clock that was set back must not undo what somebody took back
            contact_index=before.contact_index,
        )
        for kind, before in given.items()
    }
    return _signed(session, events, keyring)


def _signed(session: Session, events: dict[Kind, ConsentEvent], keyring: Keyring) -> dict[Kind, ConsentEvent]:
    for event in events.values():
        event.mac = keyring.mac("consent-event", canonical(event))
    session.add_all(events.values())
    session.flush()
    return events


def macs(events: Iterable[ConsentEvent]) -> list[str]:
    """The events' MACs in hex: what the audit event of the act carries (decisions.md 10)."""
    return sorted(event.mac.hex() for event in events)


def current(session: Session, lead_id: uuid.UUID) -> dict[Kind, ConsentEvent]:
    """The newest event of each kind: what holds now."""
    return current_of(session, [lead_id]).get(lead_id, {})


def current_of(session: Session, lead_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, dict[Kind, ConsentEvent]]:
    """The same for many leads in one statement."""
    found: dict[uuid.UUID, dict[Kind, ConsentEvent]] = {}
    for event in session.scalars(select(ConsentEvent).where(ConsentEvent.lead_id.in_(lead_ids))):
        holding = found.setdefault(event.lead_id, {})
        if event.kind not in holding or _newer(event, holding[event.kind]):
            holding[event.kind] = event
    return found


def _newer(event: ConsentEvent, than: ConsentEvent) -> bool:
    return _moment(event) > _moment(than)


def _moment(event: ConsentEvent) -> tuple[datetime, bool]:
    """Later comes after; at the same moment a withdrawal does."""
    return event.at, event.state is State.WITHDRAWN


def shown(session: Session, lead_id: uuid.UUID) -> list[Shown]:
    """Every answer of a lead in the order given, each with its words as they were shown."""
    rows = session.execute(
        select(ConsentEvent, ConsentStatement)
        .join(ConsentStatement, ConsentStatement.digest == ConsentEvent.statement)
        .where(ConsentEvent.lead_id == lead_id)
        .order_by(ConsentEvent.at)
    )
    order = list(Kind)
    return sorted(
        (Shown(event, statement) for event, statement in rows),
        key=lambda each: (*_moment(each.event), order.index(each.event.kind)),
    )
