"""Recording an act, linking acts into the chain, and verifying both.

An event is authenticated by its own MAC in the act's transaction, so acts never wait for each other.
The linker follows behind and gives each event its place (law 12): a changed event breaks its MAC, a
removed or moved one breaks the chain. What the linker has not reached yet is the unlinked tail.
"""

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from intake.audit.models import DETAILS, Action, Actor, AuditEvent, ChainLink
from intake.crypto import Keyring, same

Detail = str | int | bool | Sequence[str]
_LATE = timedelta(days=1)
"""How far behind the newest linked event the linker looks first for one that was committed late."""
_PAGE = 1000


@dataclass(frozen=True)
class Verification:
    """What the log proves. `problems` are sentences that name the first bad place of each kind."""

    events: int
    linked: int
    unlinked: int
    head: str
    problems: tuple[str, ...]

    @property
    def intact(self) -> bool:
        """True when nothing was found."""
        return not self.problems


def record(
    session: Session,
    action: Action,
    *,
    keyring: Keyring,
    at: datetime,
    actor: Actor,
    about: uuid.UUID | None = None,
    details: Mapping[str, Detail] | None = None,
) -> AuditEvent:
    """Write one event in the act's own transaction. Raises ValueError for a detail not in DETAILS."""
    unknown = set(details or {}) - DETAILS
    if unknown:
        raise ValueError(f"not a detail of the audit log: {sorted(unknown)}")
    event = AuditEvent(
        id=uuid.uuid4(),
        at=at,
        actor_kind=actor.kind,
        actor_id=actor.staff_id,
        action=action,
        about=about,
        details=json.dumps(dict(details or {}), sort_keys=True, separators=(",", ":")),
    )
    event.mac = keyring.mac("audit-event", canonical(event))
    session.add(event)
    return event


def canonical(event: AuditEvent) -> bytes:
    """The bytes an event's MAC is made of: every column, in a fixed order."""
    parts = (event.id, event.at.isoformat(), event.actor_kind, event.actor_id, event.action, event.about)
    return json.dumps([*(str(part) for part in parts), event.details]).encode()


def link(session: Session, *, keyring: Keyring, at: datetime, limit: int = _PAGE) -> int:
    """Give up to `limit` unlinked events their place, oldest first. Returns how many.

    One linker at a time (the round's lease); were there two, the primary key lets one win.
    """
    last = session.scalars(select(ChainLink).order_by(ChainLink.seq.desc()).limit(1)).first()
    seq, digest = (last.seq, last.digest) if last else (0, b"")
    waiting = _unlinked(session, last, limit)
    for event in waiting:
        seq += 1
        digest = _digest(keyring, digest, seq, event)
        session.add(ChainLink(seq=seq, event_id=event.id, digest=digest, linked_at=at))
    session.flush()
    return len(waiting)


def oldest_unlinked(session: Session) -> datetime | None:
    """When the oldest event happened that the linker has not reached yet; None when it reached all."""
    last = session.scalars(select(ChainLink).order_by(ChainLink.seq.desc()).limit(1)).first()
    return next((event.at for event in _unlinked(session, last, 1)), None)


def newest(session: Session, *, limit: int) -> Sequence[AuditEvent]:
    """The last `limit` events, newest first."""
    return session.scalars(
        select(AuditEvent).order_by(AuditEvent.at.desc(), AuditEvent.id.desc()).limit(limit)
    ).all()


def _unlinked(session: Session, last: ChainLink | None, limit: int) -> Sequence[AuditEvent]:
    """The oldest events without a place.

    Mostly they are the newest of all, so there we look first; an event from a clock that had run wrong
    may lie anywhere, and the counts tell that there is one.
    """
    if last:
        newest = session.scalars(select(AuditEvent.at).where(AuditEvent.id == last.event_id)).first()
        recent = _tail().where(AuditEvent.at > newest - _LATE) if newest else _tail()
        found = session.scalars(recent.limit(limit)).all()
        if found or not _behind(session):
            return found
    return session.scalars(_tail().limit(limit)).all()


def _behind(session: Session) -> bool:
    events, links = (
        session.scalar(select(func.count()).select_from(table)) for table in (AuditEvent, ChainLink)
    )
    return events != links


def _digest(keyring: Keyring, before: bytes, seq: int, event: AuditEvent) -> bytes:
    return keyring.mac("chain-link", before + seq.to_bytes(8) + event.id.bytes + event.mac)


def verify(session: Session, *, keyring: Keyring) -> Verification:
    """Check every event's MAC and the whole chain. Reads in pages; changes nothing."""
    problems: list[str] = []
    linked, unlinked, head = 0, 0, b""
    try:
        for chained, event in _chain(session):
            problems += _faults(keyring, chained, event, linked + 1, head)
            linked, head = chained.seq, chained.digest
        for event in session.scalars(_tail()):
            unlinked += 1
            problems += [] if authentic(event, keyring=keyring) else [f"event {event.id} was changed."]
    except (ValueError, TypeError):  # a moment or an id that is none any more
        problems.append(f"an entry behind link {linked} can no longer be read, so it was changed.")
    events = session.scalar(select(func.count()).select_from(AuditEvent)) or 0
    return Verification(events, linked, unlinked, head.hex(), tuple(problems))


def _chain(session: Session) -> Iterator[tuple[ChainLink, AuditEvent | None]]:
    """Every link in order with its event, read in pages."""
    after = 0
    while True:
        page = session.execute(
            select(ChainLink, AuditEvent)
            .outerjoin(AuditEvent, AuditEvent.id == ChainLink.event_id)
            .where(ChainLink.seq > after)
            .order_by(ChainLink.seq)
            .limit(_PAGE)
        ).all()
        if not page:
            return
        yield from [(chained, event) for chained, event in page]
        after = page[-1][0].seq
        session.expunge_all()


def _faults(
    keyring: Keyring, chained: ChainLink, event: AuditEvent | None, expected: int, before: bytes
) -> Iterator[str]:
    if chained.seq != expected:
        yield f"links {expected} to {chained.seq - 1} are missing."
    if event is None:
        yield f"link {chained.seq}: its event is missing."
        return
    if not authentic(event, keyring=keyring):
        yield f"link {chained.seq}: event {event.id} was changed."
    if chained.seq == expected and not same(chained.digest, _digest(keyring, before, chained.seq, event)):
        yield f"link {chained.seq}: does not follow from the link before it."


def authentic(event: AuditEvent, *, keyring: Keyring) -> bool:
    """Whether the event was written with this key and not changed since."""
    return same(event.mac, keyring.mac("audit-event", canonical(event)))


def _tail() -> Select[AuditEvent]:
    return (
        select(AuditEvent)
        .outerjoin(ChainLink, ChainLink.event_id == AuditEvent.id)
        .where(ChainLink.seq.is_(None))
        .order_by(AuditEvent.at, AuditEvent.id)
    )
