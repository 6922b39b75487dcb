"""Recording and withdrawing consent, reading what is in force, and verifying the proof.

The audit event of an act carries the MACs of the consent events it wrote. A consent event that was removed is
therefore missed by the audit log, and one that was inserted is in no audit event. A statement is identified
by the digest of its text and stored with the first answer to it.
"""

import json
import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from intake.audit.chain import UNREADABLE, reraise_database_failure
from intake.audit.models import Actor, AuditEvent
from intake.consent.models import ConsentEvent, ConsentStatement, Kind, Method, State
from intake.consent.statements import Statement, Statements, digest_of
from intake.security.crypto import Keyring, constant_time_equal

__all__ = [
    "AnsweredStatement",
    "answers_of",
    "canonical",
    "current",
    "current_of",
    "macs",
    "publish",
    "record",
    "verify_proof",
    "with_statements",
    "withdraw",
]


_ORDER = {kind: place for place, kind in enumerate(Kind)}


@dataclass(frozen=True)
class AnsweredStatement:
    """One answer together with the statement it was given to."""

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
    """Add one event per answer to the statements in force. Flushes, so that a lead can reference them.

    `contact_indexes`: the blind index of the number or address that an answer covers. After the lead is
    erased, it still answers whether the holder of a given number had consented.
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
    return _authenticate_and_add(session, events, keyring)


def publish(session: Session, statements: Iterable[Statement], *, at: datetime) -> None:
    """Store the text of each statement once, by digest: the proof must not need the files. Flushes."""
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
    """Withdraw the consents given among `kinds`, each for the statement it was given to. Flushes.

    Returns the new events; empty when none of `kinds` was given.
    """
    in_force = current(session, lead_id)
    given = {
        kind: in_force[kind] for kind in kinds if kind in in_force and in_force[kind].state is State.GIVEN
    }
    events = {
        kind: ConsentEvent(
            id=uuid.uuid4(),
            lead_id=lead_id,
            kind=kind,
            state=State.WITHDRAWN,
            statement=earlier.statement,
            language=earlier.language,
            method=method,
            actor_kind=actor.kind,
            actor_id=actor.staff_id,
            at=max(at, earlier.at),  # a clock that was set back must not undo a withdrawal
            contact_index=earlier.contact_index,
        )
        for kind, earlier in given.items()
    }
    return _authenticate_and_add(session, events, keyring)


def _authenticate_and_add(
    session: Session, events: dict[Kind, ConsentEvent], keyring: Keyring
) -> dict[Kind, ConsentEvent]:
    for event in events.values():
        event.mac = keyring.mac("consent-event", canonical(event))
    session.add_all(events.values())
    session.flush()
    return events


def macs(events: Iterable[ConsentEvent]) -> list[str]:
    """Return the events' MACs in hex, sorted; the audit event of the act carries them."""
    return sorted(event.mac.hex() for event in events)


def current(session: Session, lead_id: uuid.UUID) -> dict[Kind, ConsentEvent]:
    """Return the newest event of each kind for a lead, the kind answered first at the head."""
    return current_of(session, [lead_id]).get(lead_id, {})


def current_of(session: Session, lead_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, dict[Kind, ConsentEvent]]:
    """Return `current` for many leads, in one statement."""
    found: dict[uuid.UUID, dict[Kind, ConsentEvent]] = {}
    events = session.scalars(select(ConsentEvent).where(ConsentEvent.lead_id.in_(lead_ids)))
    for event in sorted(events, key=_sort_key):
        found.setdefault(event.lead_id, {})[event.kind] = event
    return found


def _sort_key(event: ConsentEvent) -> tuple[datetime, bool, int]:
    """Order by time; at the same moment a withdrawal comes last, and the others in the order of the form."""
    return event.at, event.state is State.WITHDRAWN, _ORDER[event.kind]


def answers_of(session: Session, lead_id: uuid.UUID) -> list[AnsweredStatement]:
    """Return every answer of a lead in the order given, each with the statement as it was shown."""
    rows = session.execute(
        select(ConsentEvent, ConsentStatement)
        .join(ConsentStatement, ConsentStatement.digest == ConsentEvent.statement)
        .where(ConsentEvent.lead_id == lead_id)
        .order_by(ConsentEvent.at)
    )
    answers = (AnsweredStatement(event, statement) for event, statement in rows)
    return sorted(answers, key=lambda each: _sort_key(each.event))


def with_statements(session: Session, events: Collection[ConsentEvent]) -> list[AnsweredStatement]:
    """Return each of these answers with the statement as it was shown, in the same order."""
    wanted = ConsentStatement.digest.in_({event.statement for event in events})
    statements = {each.digest: each for each in session.scalars(select(ConsentStatement).where(wanted))}
    return [AnsweredStatement(event, statements[event.statement]) for event in events]


def canonical(event: ConsentEvent) -> bytes:
    """Return the bytes that an event's MAC covers: every column, in a fixed order."""
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
    """Return a sentence for each event or statement changed, inserted or removed; empty when intact."""
    problems: list[str] = []
    try:
        problems += _unmatched_events(session)
        for event in session.scalars(select(ConsentEvent).execution_options(yield_per=1000)):
            if not constant_time_equal(event.mac, keyring.mac("consent-event", canonical(event))):
                problems.append(f"consent event {event.id} was changed.")
        problems += _statement_problems(session)
    except UNREADABLE as error:  # a value that no longer is of its type
        reraise_database_failure(error)
        problems.append("an entry of the consent proof can no longer be read, so it was changed.")
    return problems


def _unmatched_events(session: Session) -> Iterator[str]:
    """Compare the table with the audit log: each event must be in both."""
    rows = session.execute(select(ConsentEvent.id, ConsentEvent.mac))
    stored = [(row.id, row.mac.hex()) for row in rows]
    logged: dict[str, uuid.UUID] = {}  # the id of the audit event, by the MAC that it carries
    carrying = select(AuditEvent.id, AuditEvent.details).where(AuditEvent.details.contains('"consents"'))
    for event, details in session.execute(carrying):
        try:
            logged |= {str(mac): event for mac in json.loads(details)["consents"]}
        except (ValueError, TypeError, KeyError):
            yield f"audit event {event} does not say which consent events it carries."
    yield from (f"consent event {row} stands in no audit event." for row, mac in stored if mac not in logged)
    macs_kept = {mac for _, mac in stored}
    missing = Counter(event for mac, event in logged.items() if mac not in macs_kept)
    for event, count in missing.items():
        yield f"{count} consent events that audit event {event} carries are missing."


def _statement_problems(session: Session) -> Iterator[str]:
    answered: dict[str, set[datetime]] = {}  # the moments of the answers, by digest of the statement
    for digest, at in session.execute(select(ConsentEvent.statement, ConsentEvent.at)):
        answered.setdefault(digest, set()).add(at)
    stored = set()
    for statement in session.scalars(select(ConsentStatement)):
        stored.add(statement.digest)
        digest = digest_of(statement.kind, statement.version, statement.language, statement.body)
        if digest != statement.digest:
            yield f"statement {statement.digest} was changed."
        elif statement.digest not in answered:
            yield f"statement {statement.digest} stands there without any answer to it."
        elif statement.first_shown_at not in answered[statement.digest]:
            yield f"statement {statement.digest}: when it was first answered was changed."
    yield from (f"statement {digest} is missing." for digest in sorted(set(answered) - stored))
