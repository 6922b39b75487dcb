"""Reading the log: one page at a time, newest first, and everything about one thing."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import QueryableAttribute, Session

from intake.audit.models import Action, ActorKind, AuditEvent, ChainLink

PAGE = 50
LOOKS = 2000
"""More looks at one request than this are not listed; the log itself has them all."""


@dataclass(frozen=True)
class Spot:
    """A place in a list that is sorted by time: the next page begins behind it.

    The conditions bound the time first, so that an index leads straight to the place.
    """

    at: datetime
    id: uuid.UUID

    def __str__(self) -> str:
        return f"{self.at.isoformat()}~{self.id}"

    @classmethod
    def read(cls, words: str) -> "Spot | None":
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
class Page:
    """One page of the log; `after` leads to the next, None at the end."""

    events: Sequence[AuditEvent]
    after: Spot | None


@dataclass(frozen=True)
class Reach:
    """How far the chain has come: events with a place in it, and those the linker has yet to reach."""

    linked: int
    unlinked: int


@dataclass(frozen=True)
class Wanted:
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


def page(session: Session, *, wanted: Wanted = Wanted(), after: Spot | None = None) -> Page:
    """Up to 50 events, newest first. Whoever reads records that (Action.AUDIT_READ)."""
    rows = select(AuditEvent).where(*wanted.rules())
    rows = rows.order_by(AuditEvent.at.desc(), AuditEvent.id.desc()).limit(PAGE + 1)
    events = session.scalars(rows.where(after.before(AuditEvent.at, AuditEvent.id)) if after else rows).all()
    last = events[PAGE - 1] if len(events) > PAGE else None
    return Page(events[:PAGE], Spot(last.at, last.id) if last else None)


def looks(session: Session, thing: uuid.UUID, *, limit: int = LOOKS) -> Sequence[AuditEvent]:
    """Every time a staff member opened one thing or saw something of it in full, newest first."""
    rows = select(AuditEvent).where(
        AuditEvent.about == thing, AuditEvent.action.in_((Action.LEAD_VIEWED, Action.LEAD_REVEALED))
    )
    return session.scalars(rows.order_by(AuditEvent.at.desc(), AuditEvent.id.desc()).limit(limit)).all()


def about(session: Session, thing: uuid.UUID, *, limit: int = 200) -> Sequence[AuditEvent]:
    """The events about one thing, newest first."""
    wanted = select(AuditEvent).where(AuditEvent.about == thing)
    return session.scalars(wanted.order_by(AuditEvent.at.desc(), AuditEvent.id).limit(limit)).all()


def reach(session: Session) -> Reach:
    """How far the chain has come; links are counted from 1 without a gap, so the last is their number."""
    linked = session.scalar(select(func.max(ChainLink.seq))) or 0
    events = session.scalar(select(func.count()).select_from(AuditEvent)) or 0
    return Reach(linked, max(0, events - linked))


def details(event: AuditEvent) -> Mapping[str, Any]:
    """What an event carries beside its columns: closed keys, words of closed vocabularies, counts."""
    return dict(json.loads(event.details))
