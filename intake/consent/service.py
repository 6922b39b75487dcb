"""Recording answers, withdrawing them, and reading what holds now; `verify` is in proof.py."""

import json
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from intake.audit.chain import UNREADABLE, raise_unless_unreadable
from intake.audit.models import Actor, AuditEvent
from intake.consent.models import ConsentEvent, ConsentStatement, Kind, Method, State
from intake.consent.statements import Statement, Statements, digest_of
from intake.security.crypto import Keyring, same

__all__ = [
    "Shown",
    "canonical",
    "current",
    "current_of",
    "macs",
    "publish",
    "record",
    "shown",
    "verify_proof",
    "withdraw",
]


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


# --- The proof of consent: what an event's seal is made of, and whether all that was said still stands.
# The audit event of an act carries the seals of the consent events it wrote (decisions.md 10), so an event
# that was removed is missed there, and one that was put in is missed in the log. A statement is named by
# the digest of its words, and is stored with the first answer to it.

Answered = dict[str, set[datetime]]
"""When each statement was answered, by its digest."""


def canonical(event: ConsentEvent) -> bytes:
    """The bytes an event's MAC is made of: every column, in a fixed order."""
    index = event.contact_index.hex() if event.contact_index else ""
    parts = (
        event.id,
        event.lead_id,
        event.kind,
        event.state,
        event.statement,
        event.language,
        event.method,
        event.actor_kind,
        event.actor_id,
        event.at.isoformat(),
        index,
    )
    return json.dumps([str(part) for part in parts]).encode()


def verify_proof(session: Session, *, keyring: Keyring) -> list[str]:
    """What is wrong with the proof: events and statements changed, put in, or missing. Names each."""
    problems: list[str] = []
    try:
        problems += _carried(session)
        problems += _events(session, keyring)
        problems += _statements(session)
    except UNREADABLE as wrong:  # a word, a moment or an id that is none any more
        raise_unless_unreadable(wrong)
        problems.append("an entry of the consent proof can no longer be read, so it was changed.")
    return problems


def _events(session: Session, keyring: Keyring) -> Iterator[str]:
    for event in session.scalars(select(ConsentEvent).execution_options(yield_per=1000)):
        if not same(event.mac, keyring.mac("consent-event", canonical(event))):
            yield f"consent event {event.id} was changed."


def _carried(session: Session) -> Iterator[str]:
    """Each event of the table stands in one audit event, and each that the log carries in the table."""
    rows = session.execute(select(ConsentEvent.id, ConsentEvent.mac))
    there = [(row.id, row.mac.hex()) for row in rows]
    problems, logged = _logged(session)
    yield from problems
    yield from (f"consent event {row} stands in no audit event." for row, mac in there if mac not in logged)
    missing = Counter(event for mac, event in logged.items() if mac not in {mac for _, mac in there})
    for event, count in missing.items():
        yield f"{count} consent events that audit event {event} carries are missing."


def _logged(session: Session) -> tuple[list[str], Mapping[str, uuid.UUID]]:
    """What is wrong with the log's details, and which audit event carries which consent event."""
    problems: list[str] = []
    found: dict[str, uuid.UUID] = {}
    carrying = select(AuditEvent.id, AuditEvent.details).where(AuditEvent.details.contains('"consents"'))
    for event, details in session.execute(carrying):
        try:
            found |= {str(mac): event for mac in json.loads(details)["consents"]}
        except (ValueError, TypeError, KeyError):
            problems.append(f"audit event {event} does not say which consent events it carries.")
    return problems, found


def _statements(session: Session) -> Iterator[str]:
    answered: Answered = {}
    for digest, at in session.execute(select(ConsentEvent.statement, ConsentEvent.at)):
        answered.setdefault(digest, set()).add(at)
    there = set()
    for statement in session.scalars(select(ConsentStatement)):
        there.add(statement.digest)
        yield from _doubts(statement, answered.get(statement.digest, set()))
    yield from (f"statement {digest} is missing." for digest in sorted(set(answered) - there))


def _doubts(statement: ConsentStatement, answered: set[datetime]) -> Iterator[str]:
    """A statement's digest is that of its words, and it was stored in the moment of an answer to it."""
    words = digest_of(statement.kind, statement.version, statement.language, statement.body)
    if words != statement.digest:
        yield f"statement {statement.digest} was changed."
    elif not answered:
        yield f"statement {statement.digest} stands there without any answer to it."
    elif statement.first_shown_at not in answered:
        yield f"statement {statement.digest}: when it was first answered was changed."
