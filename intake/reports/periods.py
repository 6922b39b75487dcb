"""The outcome of each request in a period, read from the audit log; nothing sealed is opened.

The audit log outlives an erasure, so an erased request stays in the statistics of its month. The promised
time of contact is a column of the lead and is erased with it.
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
from intake.leads.history import UNDOES, undone_positions
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
        """The label of this value (message id)."""
        return _ENDING_LABELS[self]


_ENDING_LABELS = {
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
    """Whether the promised time of first contact was met."""

    KEPT = "kept"
    BROKEN = "broken"
    LATE = "late"
    NOT_DUE = "ahead"
    ENDED = "ended"

    @property
    def sentence(self) -> str:
        """The label of this value (message id)."""
        return _PROMISE_LABELS[self]


_PROMISE_LABELS = {
    PromiseResult.KEPT: N_("Kept"),
    PromiseResult.BROKEN: N_("Broken"),
    PromiseResult.LATE: N_("Late, still open"),
    PromiseResult.NOT_DUE: N_("Not due yet"),
    PromiseResult.ENDED: N_("Ended before it was due"),
}


@dataclass(frozen=True)
class LeadOutcome:
    """Outcome of one request. `promise_at` and `closed_at` are None when the lead is erased."""

    asked_at: datetime
    promise_at: datetime | None
    closed_at: datetime | None
    contact_at: datetime | None = None
    ending: Ending = Ending.OPEN

    @property
    def retained(self) -> bool:
        """True while the lead is not erased."""
        return self.promise_at is not None

    def promise(self, now: datetime) -> PromiseResult | None:
        """State of its promise at `now`; None once the lead is erased."""
        if self.promise_at is None:
            return None
        if self.contact_at:
            return PromiseResult.KEPT if self.contact_at <= self.promise_at else PromiseResult.BROKEN
        if self.closed_at:
            return PromiseResult.ENDED if self.closed_at <= self.promise_at else PromiseResult.BROKEN
        return PromiseResult.LATE if self.promise_at <= now else PromiseResult.NOT_DUE


_OUTCOME_ACTIONS = (
    *UNDOES,
    Action.ATTEMPT_LOGGED,
    Action.LEAD_CLOSED,
    Action.LEAD_STOPPED,
    Action.LEAD_ERASED,
)


def load_outcomes(session: Session, during: Interval) -> list[LeadOutcome]:
    """Outcomes of the requests received `during`, in two statements; a corrected request counts once."""
    lead_ids = received_lead_ids(during)
    with_lead = lead_ids.add_columns(AuditEvent.at, Lead.promise_at, Lead.closed_at, Lead.booked_for)
    rows = session.execute(with_lead.outerjoin(Lead, Lead.id == AuditEvent.about)).all()
    outcomes = {
        lead_id: LeadOutcome(at, promise_at, closed_at, ending=Ending.BOOKED if booked_for else Ending.OPEN)
        for lead_id, at, promise_at, closed_at, booked_for in rows
    }
    event = aliased(AuditEvent)
    events = select(event.about, event.at, event.action, event.details)
    events = events.where(event.action.in_(_OUTCOME_ACTIONS), event.about.in_(lead_ids))
    for lead_id, at, action, details in _without_undone(session.execute(events.order_by(event.at, event.id))):
        outcome = outcomes[lead_id]
        contact_at = at if action == Action.ATTEMPT_LOGGED else None
        outcomes[lead_id] = replace(
            outcome,
            contact_at=outcome.contact_at or contact_at,
            ending=_ending(outcome.ending, Action(action), json.loads(details)),
        )
    return list(outcomes.values())


def received_lead_ids(during: Interval) -> Select[uuid.UUID | None]:
    """Query for the ids of leads received `during`, without those superseded by a correction."""
    later = aliased(AuditEvent)
    corrected = exists().where(later.about == AuditEvent.about, later.action == Action.LEAD_SUPERSEDED)
    return select(AuditEvent.about).where(
        AuditEvent.action == Action.LEAD_SUBMITTED,
        AuditEvent.at >= during.start,
        AuditEvent.at < during.end,
        ~corrected,
    )


def _without_undone(events: Iterable[Any]) -> Iterator[Any]:
    """The events in order, without undone ones and the undo events themselves."""
    by_lead: dict[uuid.UUID | None, list[Any]] = {}
    for event in events:
        by_lead.setdefault(event[0], []).append(event)
    for of_lead in by_lead.values():
        undone = undone_positions([action for _, _, action, _ in of_lead])
        yield from (
            event for index, event in enumerate(of_lead) if index not in undone and event[2] not in UNDOES
        )


def _ending(before: Ending, action: Action, details: Mapping[str, str]) -> Ending:
    """The ending after one more event.

    A stop outranks all, and a booked lead closed as talked stays booked.
    """
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
