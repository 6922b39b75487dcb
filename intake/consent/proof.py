"""The proof of consent: what an event's seal is made of, and whether all that was said still stands.

The audit event of an act carries the seals of the consent events it wrote (decisions.md 10), so an event
that was removed is missed there, and one that was put in is missed in the log. A statement is named by
the digest of its words, and is stored with the first answer to it.
"""

import json
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from intake.audit.chain import UNREADABLE, raise_unless_unreadable
from intake.audit.models import AuditEvent
from intake.consent.models import ConsentEvent, ConsentStatement
from intake.consent.statements import digest_of
from intake.security.crypto import Keyring, same

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


def verify(session: Session, *, keyring: Keyring) -> list[str]:
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
