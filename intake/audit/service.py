"""Recording audit events, linking them into the chain, and reading the log.

An event is authenticated by its own MAC in the transaction of the act, so acts do not wait for each other.
The linking job later gives each event its position in the chain: a changed event breaks its MAC, a removed or
moved one breaks the chain. Events without a position yet are the unlinked tail. See
docs/decisions/0007-one-chain-behind.md.
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
from intake.security.crypto import Keyring, constant_time_equal

Detail = str | int | bool | Sequence[str]
_LATE_BY = timedelta(days=1)
"""How far before the newest linked event `link` first looks for events that were committed late."""
_PAGE = 1000
DIGEST_VERSION = 3
"""The formula of new links' digests, with its own key purpose, so that none passes for another."""
UNLABELLED = (1, 2)
"""The formulas of links without a `digest_version`, oldest first; 2 added the time of linking."""


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
    """Add one event in the transaction of the act. Raises ValueError for a detail not in DETAILS."""
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
    """Return the bytes that an event's MAC covers: every column, in a fixed order."""
    parts = (event.id, event.at.isoformat(), event.actor_kind, event.actor_id, event.action, event.about)
    return json.dumps([*(str(part) for part in parts), event.details]).encode()


def link(session: Session, *, keyring: Keyring, at: datetime, limit: int = _PAGE) -> int:
    """Append up to `limit` unlinked events to the chain, oldest first. Returns how many. Flushes.

    The lease of the job lets only one process link at a time; were there two, the primary key would reject
    one.
    """
    last = last_link(session)
    seq, digest = (last.seq, last.digest) if last else (0, b"")
    waiting = _unlinked(session, last, limit)
    for event in waiting:
        seq += 1
        chained = ChainLink(seq=seq, event_id=event.id, linked_at=at, digest_version=DIGEST_VERSION)
        chained.digest = digest = digest_of(keyring, digest, chained, event, version=DIGEST_VERSION)
        session.add(chained)
    session.flush()
    return len(waiting)


def oldest_unlinked_at(session: Session) -> datetime | None:
    """Return the time of the oldest unlinked event; None when all are linked."""
    return next((event.at for event in _unlinked(session, last_link(session), 1)), None)


def last_link(session: Session) -> ChainLink | None:
    """Return the end of the chain; None when it is empty."""
    return session.scalars(select(ChainLink).order_by(ChainLink.seq.desc()).limit(1)).first()


def count_events(session: Session) -> int:
    """Return the number of events in the log."""
    return session.scalar(select(func.count()).select_from(AuditEvent)) or 0


def oldest_event_at(session: Session) -> datetime | None:
    """Return the time of the oldest event in the log; None when it is empty."""
    return session.scalar(select(func.min(AuditEvent.at)))


def newest_events(session: Session, *, limit: int) -> Sequence[AuditEvent]:
    """Return the last `limit` events, newest first."""
    return session.scalars(
        select(AuditEvent).order_by(AuditEvent.at.desc(), AuditEvent.id.desc()).limit(limit)
    ).all()


def last_authentic_event(session: Session, action: Action, *, keyring: Keyring) -> AuditEvent | None:
    """Return the newest authentic event of one action; None when there is none.

    Events that were inserted or changed without the key are ignored.
    """
    return next(authentic_events(session, action, keyring=keyring), None)


def authentic_events(session: Session, action: Action, *, keyring: Keyring) -> Iterator[AuditEvent]:
    """Yield the events of one action whose MAC is valid under this key, newest first."""
    rows = select(AuditEvent).where(AuditEvent.action == action.value).order_by(AuditEvent.at.desc())
    found = session.scalars(rows.execution_options(yield_per=_PAGE))
    return (event for event in found if authentic(event, keyring=keyring))


def _unlinked(session: Session, last: ChainLink | None, limit: int) -> Sequence[AuditEvent]:
    """Return the oldest unlinked events.

    They are usually among the newest, so these are searched first; an event with the time of a wrong clock
    may be anywhere, which a comparison of the counts reveals.
    """
    if last:
        newest = session.scalars(select(AuditEvent.at).where(AuditEvent.id == last.event_id)).first()
        recent = tail().where(AuditEvent.at > newest - _LATE_BY) if newest else tail()
        found = session.scalars(recent.limit(limit)).all()
        if found or count_events(session) == session.scalar(select(func.count()).select_from(ChainLink)):
            return found
    return session.scalars(tail().limit(limit)).all()


def digest_of(
    keyring: Keyring, before: bytes, chained: ChainLink, event: AuditEvent, *, version: int
) -> bytes:
    """Return a link's digest by formula `version`: a MAC over the previous digest and everything in the link.

    A formula is never changed: a new one gets a new number and a new key purpose (docs/formats.md).
    """
    at = b"" if version == UNLABELLED[0] else chained.linked_at.isoformat().encode()
    message = before + chained.seq.to_bytes(8) + at + event.id.bytes + event.mac
    return keyring.mac("chain-link" if version in UNLABELLED else "chain-link-3", message)


def authentic(event: AuditEvent, *, keyring: Keyring) -> bool:
    """Return whether the event's MAC is valid under this key."""
    return constant_time_equal(event.mac, keyring.mac("audit-event", canonical(event)))


def tail() -> Select[AuditEvent]:
    """Select the unlinked events, oldest first."""
    return (
        select(AuditEvent)
        .outerjoin(ChainLink, ChainLink.event_id == AuditEvent.id)
        .where(ChainLink.seq.is_(None))
        .order_by(AuditEvent.at, AuditEvent.id)
    )


LOG_PAGE = 50
MAX_VIEWS = 2000
"""The limit of views listed for one lead; the log itself has all of them."""


@dataclass(frozen=True)
class PageStart:
    """A position in a list sorted by time and id (keyset pagination): the page begins after it.

    Its conditions bound the time by itself first, so that an index on the time is used.
    """

    at: datetime
    id: uuid.UUID

    def __str__(self) -> str:
        return f"{self.at.isoformat()}~{self.id}"

    @classmethod
    def read(cls, text: str) -> "PageStart | None":
        """Parse what `str` wrote into a query string; None when it is invalid."""
        at, _, row = text.partition("~")
        try:
            moment = datetime.fromisoformat(at)
            return cls(moment.astimezone(UTC), uuid.UUID(row)) if moment.tzinfo else None
        except (ValueError, OverflowError):
            return None

    def newer(self, at: QueryableAttribute[Any], row: QueryableAttribute[Any]) -> ColumnElement[bool]:
        """SQL condition: the rows after this position in a list from old to new."""
        return and_(at >= self.at, or_(at > self.at, row > self.id))

    def older(self, at: QueryableAttribute[Any], row: QueryableAttribute[Any]) -> ColumnElement[bool]:
        """SQL condition: the rows after this position in a list from new to old."""
        return and_(at <= self.at, or_(at < self.at, row < self.id))


@dataclass(frozen=True)
class LogPage:
    """One page of the log; `after`: where the next page begins, None at the end."""

    events: Sequence[AuditEvent]
    after: PageStart | None


@dataclass(frozen=True)
class ChainReach:
    """The number of linked and of unlinked events."""

    linked: int
    unlinked: int


@dataclass(frozen=True)
class LogFilter:
    """Filters of the log; None means no filter. `since` is included, `until` is not.

    `staff`: ids of staff members; an empty set matches no event.
    """

    action: Action | None = None
    kind: ActorKind | None = None
    staff: frozenset[uuid.UUID] | None = None
    since: datetime | None = None
    until: datetime | None = None
    about: uuid.UUID | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the filters as SQL conditions."""
        values = {
            AuditEvent.action: self.action,
            AuditEvent.actor_kind: self.kind,
            AuditEvent.about: self.about,
        }
        found = [column == value for column, value in values.items() if value is not None]
        found += [AuditEvent.at >= self.since] if self.since else []
        found += [AuditEvent.at < self.until] if self.until else []
        return found if self.staff is None else [*found, AuditEvent.actor_id.in_(self.staff)]


def log_page(session: Session, *, wanted: LogFilter = LogFilter(), after: PageStart | None = None) -> LogPage:
    """Return up to 50 events, newest first. The caller records the reading (Action.AUDIT_READ)."""
    rows = select(AuditEvent).where(*wanted.conditions())
    rows = rows.order_by(AuditEvent.at.desc(), AuditEvent.id.desc()).limit(LOG_PAGE + 1)
    events = session.scalars(rows.where(after.older(AuditEvent.at, AuditEvent.id)) if after else rows).all()
    last = events[LOG_PAGE - 1] if len(events) > LOG_PAGE else None
    return LogPage(events[:LOG_PAGE], PageStart(last.at, last.id) if last else None)


def views_of(session: Session, subject_id: uuid.UUID, *, limit: int = MAX_VIEWS) -> Sequence[AuditEvent]:
    """Return the events in which staff opened a lead or saw its contact data in full, newest first."""
    rows = select(AuditEvent).where(
        AuditEvent.about == subject_id, AuditEvent.action.in_((Action.LEAD_VIEWED, Action.LEAD_REVEALED))
    )
    return session.scalars(rows.order_by(AuditEvent.at.desc(), AuditEvent.id.desc()).limit(limit)).all()


def events_about(session: Session, subject_id: uuid.UUID, *, limit: int = 200) -> Sequence[AuditEvent]:
    """Return the events about one subject, newest first."""
    wanted = select(AuditEvent).where(AuditEvent.about == subject_id)
    return session.scalars(wanted.order_by(AuditEvent.at.desc(), AuditEvent.id).limit(limit)).all()


def chain_reach(session: Session) -> ChainReach:
    """Return the numbers of linked and unlinked events; positions count from 1 without gaps."""
    linked = session.scalar(select(func.max(ChainLink.seq))) or 0
    return ChainReach(linked, max(0, count_events(session) - linked))


def details_of(event: AuditEvent) -> Mapping[str, Any]:
    """Return the details of an event: keys of DETAILS, values of closed vocabularies, and counts."""
    return dict(json.loads(event.details))
