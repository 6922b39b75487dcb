"""Reading the log: one page at a time, newest first, and everything about one thing."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import QueryableAttribute, Session

from intake.audit.models import Action, AuditEvent, ChainLink

PAGE = 50


@dataclass(frozen=True)
class Spot:
    """A place in a list that is sorted by time: the next page begins behind it."""

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
        return or_(at > self.at, and_(at == self.at, row > self.id))

    def before(self, at: QueryableAttribute[Any], row: QueryableAttribute[Any]) -> ColumnElement[bool]:
        """The rows that come later in a list from new to old."""
        return or_(at < self.at, and_(at == self.at, row < self.id))


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


def page(session: Session, *, action: Action | None = None, after: Spot | None = None) -> Page:
    """Up to 50 events, newest first. Whoever reads records that (Action.AUDIT_READ)."""
    wanted = select(AuditEvent).order_by(AuditEvent.at.desc(), AuditEvent.id.desc()).limit(PAGE + 1)
    if action:
        wanted = wanted.where(AuditEvent.action == action.value)
    if after:
        wanted = wanted.where(after.before(AuditEvent.at, AuditEvent.id))
    events = session.scalars(wanted).all()
    last = events[PAGE - 1] if len(events) > PAGE else None
    return Page(events[:PAGE], Spot(last.at, last.id) if last else None)


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
