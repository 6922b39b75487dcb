"""What became of each request, read from the audit log: slim rows, nothing sealed, nobody named.

The log outlives an erasure, so a closed request does not vanish from last month's numbers. By when we
had promised to be in touch stands in the lead alone and goes with it.
"""

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Select, exists, select
from sqlalchemy.orm import Session, aliased

from intake.audit.models import Action, AuditEvent
from intake.calling.availability import Interval
from intake.core.i18n import N_
from intake.leads.history import UNDOES, taken_back
from intake.leads.models import CloseReason, Lead, Outcome


class Ending(StrEnum):
    """How a request ended, or that it has not."""

    BOOKED = "booked"
    TALKED = "talked"
    DECLINED = "declined"
    NOT_REACHED = "not_reached"
    STOPPED = "stopped"
    WRONG_NUMBER = "wrong_number"
    ERASED = "erased"
    OPEN = "open"

    @property
    def sentence(self) -> str:
        """In a few words (message id)."""
        return _ENDINGS[self]


_ENDINGS = {
    Ending.BOOKED: N_("Booked a consultation"),
    Ending.TALKED: N_("Talked"),
    Ending.DECLINED: N_("Decided not to go on"),
    Ending.NOT_REACHED: N_("Not reached"),
    Ending.STOPPED: N_("Asked to stop"),
    Ending.WRONG_NUMBER: N_("Wrong number"),
    Ending.ERASED: N_("Erased before an outcome"),
    Ending.OPEN: N_("Still open"),
}
_BY_REASON = {
    CloseReason.DECLINED: Ending.DECLINED,
    CloseReason.NOT_REACHED: Ending.NOT_REACHED,
    CloseReason.STOPPED: Ending.STOPPED,
    CloseReason.TALKED: Ending.TALKED,
    CloseReason.WRONG_NUMBER: Ending.WRONG_NUMBER,
}


class PromiseResult(StrEnum):
    """What has come of a promise."""

    KEPT = "kept"
    BROKEN = "broken"
    LATE = "late"
    AHEAD = "ahead"
    ENDED = "ended"

    @property
    def sentence(self) -> str:
        """In a few words (message id)."""
        return _PROMISES[self]


_PROMISES = {
    PromiseResult.KEPT: N_("Kept"),
    PromiseResult.BROKEN: N_("Broken"),
    PromiseResult.LATE: N_("Late, still open"),
    PromiseResult.AHEAD: N_("Not due yet"),
    PromiseResult.ENDED: N_("Ended before it was due"),
}


@dataclass(frozen=True)
class Trace:
    """One request. `promise_at` and `closed_at` are None when the lead is erased (`held` is false)."""

    asked_at: datetime
    promise_at: datetime | None
    closed_at: datetime | None
    contact_at: datetime | None = None
    ending: Ending = Ending.OPEN

    @property
    def held(self) -> bool:
        """Whether the lead is still there."""
        return self.promise_at is not None

    def promise(self, now: datetime) -> PromiseResult | None:
        """What has come of its promise by `now`; None once the lead is erased."""
        if self.promise_at is None:
            return None
        if self.contact_at:
            return PromiseResult.KEPT if self.contact_at <= self.promise_at else PromiseResult.BROKEN
        if self.closed_at:
            return PromiseResult.ENDED if self.closed_at <= self.promise_at else PromiseResult.BROKEN
        return PromiseResult.LATE if self.promise_at <= now else PromiseResult.AHEAD


_TOLD_BY = (*UNDOES, Action.ATTEMPT_LOGGED, Action.LEAD_CLOSED, Action.LEAD_STOPPED, Action.LEAD_ERASED)


def traces_of(session: Session, during: Interval) -> list[Trace]:
    """Every request that came in `during`, in two statements; corrected ones count once."""
    asked = received(during)
    held = asked.add_columns(AuditEvent.at, Lead.promise_at, Lead.closed_at, Lead.booked_for)
    rows = session.execute(held.outerjoin(Lead, Lead.id == AuditEvent.about)).all()
    traces = {
        lead_id: Trace(at, promise_at, closed_at, ending=Ending.BOOKED if booked_for else Ending.OPEN)
        for lead_id, at, promise_at, closed_at, booked_for in rows
    }
    told = aliased(AuditEvent)
    wanted = select(told.about, told.at, told.action, told.details)
    wanted = wanted.where(told.action.in_(_TOLD_BY), told.about.in_(asked)).order_by(told.at, told.id)
    return list(_told(traces, session.execute(wanted)).values())


def received(during: Interval) -> Select[uuid.UUID | None]:
    """The ids of the leads that came in `during`, without those that a correction took the place of."""
    later = aliased(AuditEvent)
    corrected = exists().where(later.about == AuditEvent.about, later.action == Action.LEAD_SUPERSEDED)
    return select(AuditEvent.about).where(
        AuditEvent.action == Action.LEAD_SUBMITTED,
        AuditEvent.at >= during.start,
        AuditEvent.at < during.end,
        ~corrected,
    )


def _told(traces: dict[uuid.UUID | None, Trace], events: Iterable[Any]) -> Mapping[uuid.UUID | None, Trace]:
    for lead_id, at, action, details in _standing(events):
        trace = traces[lead_id]
        first = at if action == Action.ATTEMPT_LOGGED else None
        traces[lead_id] = replace(
            trace,
            contact_at=trace.contact_at or first,
            ending=_ending(trace.ending, Action(action), json.loads(details)),
        )
    return traces


def _standing(events: Iterable[Any]) -> Iterator[Any]:
    """The events without what was undone: a slip counts nowhere."""
    of_lead: dict[uuid.UUID | None, list[Any]] = {}
    for event in events:
        of_lead.setdefault(event[0], []).append(event)
    for acts in of_lead.values():
        gone = taken_back([action for _, _, action, _ in acts])
        yield from (act for place, act in enumerate(acts) if place not in gone and act[2] not in UNDOES)


def _ending(before: Ending, action: Action, details: Mapping[str, str]) -> Ending:
    """A stop counts above all, then how it was closed; tidied away, a booked consultation stays one."""
    if action is Action.LEAD_STOPPED:
        return Ending.STOPPED
    if before not in (Ending.OPEN, Ending.BOOKED):
        return before
    if action is Action.LEAD_ERASED:
        return Ending.ERASED if before is Ending.OPEN else before
    if action is Action.ATTEMPT_LOGGED:
        return Ending.BOOKED if details["outcome"] == Outcome.BOOKED else before
    ended = _BY_REASON[CloseReason(details["reason"])]
    return before if before is Ending.BOOKED and ended is Ending.TALKED else ended
