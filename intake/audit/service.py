"""Recording an act, and linking acts into the chain.

An event is authenticated by its own MAC in the act's transaction, so acts never wait for each other.
The linker follows behind and gives each event its place (law 12): a changed event breaks its MAC, a
removed or moved one breaks the chain. What the linker has not reached yet is the unlinked tail.
"""

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import QueryableAttribute, Session

from intake.audit.models import DETAILS, Action, Actor, ActorKind, AuditEvent, ChainLink
from intake.security.crypto import Keyring, same

Detail = str | int | bool | Sequence[str]
_LATE = timedelta(days=1)
"""How far behind the newest linked event the linker looks first for one that was committed late."""
_PAGE = 1000
DIGEST_VERSION = 3
"""The formula of new links' digests; it covers its own number, so no link passes for one of another."""
UNLABELLED = (1, 2)
"""The formulas of links without a `digest_version`, oldest first: the moment of linking came in with 2."""


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
        chained = ChainLink(seq=seq, event_id=event.id, linked_at=at, digest_version=DIGEST_VERSION)
        chained.digest = digest = digest_of(keyring, digest, chained, event, version=DIGEST_VERSION)
        session.add(chained)
    session.flush()
    return len(waiting)


def oldest_unlinked(session: Session) -> datetime | None:
    """When the oldest event happened that the linker has not reached yet; None when it reached all."""
    last = session.scalars(select(ChainLink).order_by(ChainLink.seq.desc()).limit(1)).first()
    return next((event.at for event in _unlinked(session, last, 1)), None)


def began(session: Session) -> datetime | None:
    """When the oldest event of the log happened; None when it is empty."""
    return session.scalar(select(func.min(AuditEvent.at)))


def newest(session: Session, *, limit: int) -> Sequence[AuditEvent]:
    """The last `limit` events, newest first."""
    return session.scalars(
        select(AuditEvent).order_by(AuditEvent.at.desc(), AuditEvent.id.desc()).limit(limit)
    ).all()


def last(session: Session, action: Action, *, keyring: Keyring) -> AuditEvent | None:
    """The newest event of one kind that was written with this key; None when there is none.

    One that was put in or changed by somebody without the key counts for nothing.
    """
    return next((each for each in every(session, action, keyring=keyring)), None)


def every(session: Session, action: Action, *, keyring: Keyring) -> Iterator[AuditEvent]:
    """The events of one kind that were written with this key, newest first."""
    rows = select(AuditEvent).where(AuditEvent.action == action.value).order_by(AuditEvent.at.desc())
    found = session.scalars(rows.execution_options(yield_per=_PAGE))
    return (event for event in found if authentic(event, keyring=keyring))


def _unlinked(session: Session, last: ChainLink | None, limit: int) -> Sequence[AuditEvent]:
    """The oldest events without a place.

    Mostly they are the newest of all, so there we look first; an event from a clock that had run wrong
    may lie anywhere, and the counts tell that there is one.
    """
    if last:
        newest = session.scalars(select(AuditEvent.at).where(AuditEvent.id == last.event_id)).first()
        recent = tail().where(AuditEvent.at > newest - _LATE) if newest else tail()
        found = session.scalars(recent.limit(limit)).all()
        if found or not _behind(session):
            return found
    return session.scalars(tail().limit(limit)).all()


def _behind(session: Session) -> bool:
    events, links = (
        session.scalar(select(func.count()).select_from(table)) for table in (AuditEvent, ChainLink)
    )
    return events != links


def digest_of(
    keyring: Keyring, before: bytes, chained: ChainLink, event: AuditEvent, *, version: int
) -> bytes:
    """A link's digest by formula `version`: made of the one before, and of everything the link says.

    A formula is never changed: a new one gets a new number and a new purpose of the key.
    """
    at = b"" if version == UNLABELLED[0] else chained.linked_at.isoformat().encode()
    said = before + chained.seq.to_bytes(8) + at + event.id.bytes + event.mac
    return keyring.mac("chain-link" if version in UNLABELLED else "chain-link-3", said)


def authentic(event: AuditEvent, *, keyring: Keyring) -> bool:
    """Whether the event was written with this key and not changed since."""
    return same(event.mac, keyring.mac("audit-event", canonical(event)))


def tail() -> Select[AuditEvent]:
    """The events without a place, oldest first."""
    return (
        select(AuditEvent)
        .outerjoin(ChainLink, ChainLink.event_id == AuditEvent.id)
        .where(ChainLink.seq.is_(None))
        .order_by(AuditEvent.at, AuditEvent.id)
    )


# --- Reading the log: one page at a time, newest first, and everything about one thing.

LOG_PAGE = 50
LOOKS = 2000
"""More looks at one request than this are not listed; the log itself has them all."""


@dataclass(frozen=True)
class PageStart:
    """A place in a list that is sorted by time: the next page begins behind it.

    The conditions bound the time first, so that an index leads straight to the place.
    """

    at: datetime
    id: uuid.UUID

    def __str__(self) -> str:
        return f"{self.at.isoformat()}~{self.id}"

    @classmethod
    def read(cls, words: str) -> "PageStart | None":
        """The spot that an address names, or None when it names none."""
        at, _, row = words.partition("~")
        try:
            moment = datetime.fromisoformat(at)
            return cls(moment.astimezone(UTC), uuid.UUID(row)) if moment.tzinfo else None
        except (ValueError, OverflowError):
            return None

    def behind(self, at: QueryableAttribute[Any], row: QueryableAttribute[Any]) -> ColumnElement[bool]:
        """The rows that come later in a list from old to new."""
        return and_(at >= self.at, or_(at > self.at, row > self.id))

    def before(self, at: QueryableAttribute[Any], row: QueryableAttribute[Any]) -> ColumnElement[bool]:
        """The rows that come later in a list from new to old."""
        return and_(at <= self.at, or_(at < self.at, row < self.id))


@dataclass(frozen=True)
class LogPage:
    """One page of the log; `after` leads to the next, None at the end."""

    events: Sequence[AuditEvent]
    after: PageStart | None


@dataclass(frozen=True)
class ChainReach:
    """How far the chain has come: events with a place in it, and those the linker has yet to reach."""

    linked: int
    unlinked: int


@dataclass(frozen=True)
class LogFilter:
    """What of the log is asked for; what is None is not asked. `since` is included, `until` is not.

    `staff` is a set of staff members, so an empty one asks for nobody.
    """

    action: Action | None = None
    kind: ActorKind | None = None
    staff: frozenset[uuid.UUID] | None = None
    since: datetime | None = None
    until: datetime | None = None
    about: uuid.UUID | None = None

    def rules(self) -> list[ColumnElement[bool]]:
        """The same for the database."""
        asked = {
            AuditEvent.action: self.action,
            AuditEvent.actor_kind: self.kind,
            AuditEvent.about: self.about,
        }
        found = [column == value for column, value in asked.items() if value is not None]
        found += [AuditEvent.at >= self.since] if self.since else []
        found += [AuditEvent.at < self.until] if self.until else []
        return found if self.staff is None else [*found, AuditEvent.actor_id.in_(self.staff)]


def log_page(session: Session, *, wanted: LogFilter = LogFilter(), after: PageStart | None = None) -> LogPage:
    """Up to 50 events, newest first. Whoever reads records that (Action.AUDIT_READ)."""
    rows = select(AuditEvent).where(*wanted.rules())
    rows = rows.order_by(AuditEvent.at.desc(), AuditEvent.id.desc()).limit(LOG_PAGE + 1)
    events = session.scalars(rows.where(after.before(AuditEvent.at, AuditEvent.id)) if after else rows).all()
    last = events[LOG_PAGE - 1] if len(events) > LOG_PAGE else None
    return LogPage(events[:LOG_PAGE], PageStart(last.at, last.id) if last else None)


def views_of(session: Session, thing: uuid.UUID, *, limit: int = LOOKS) -> Sequence[AuditEvent]:
    """Every time a staff member opened one thing or saw something of it in full, newest first."""
    rows = select(AuditEvent).where(
        AuditEvent.about == thing, AuditEvent.action.in_((Action.LEAD_VIEWED, Action.LEAD_REVEALED))
    )
    return session.scalars(rows.order_by(AuditEvent.at.desc(), AuditEvent.id.desc()).limit(limit)).all()


def events_about(session: Session, thing: uuid.UUID, *, limit: int = 200) -> Sequence[AuditEvent]:
    """The events about one thing, newest first."""
    wanted = select(AuditEvent).where(AuditEvent.about == thing)
    return session.scalars(wanted.order_by(AuditEvent.at.desc(), AuditEvent.id).limit(limit)).all()


def chain_reach(session: Session) -> ChainReach:
    """How far the chain has come; links are counted from 1 without a gap, so the last is their number."""
    linked = session.scalar(select(func.max(ChainLink.seq))) or 0
    events = session.scalar(select(func.count()).select_from(AuditEvent)) or 0
    return ChainReach(linked, max(0, events - linked))


def details_of(event: AuditEvent) -> Mapping[str, Any]:
    """What an event carries beside its columns: closed keys, words of closed vocabularies, counts."""
    return dict(json.loads(event.details))
