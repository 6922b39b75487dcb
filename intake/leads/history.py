"""The history of a lead, built from the audit log: who did what and when, newest first."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from intake.audit import Action, AuditEvent, service
from intake.leads.models import Lead

REPEATED = "again"
"""The `kind` of a reveal event that only shows again what was revealed earlier in the same claim."""
_OMITTED = frozenset({Action.LEAD_VIEWED, Action.LEADS_LISTED})
_OUTCOME_LOGGED = frozenset({Action.ATTEMPT_LOGGED, Action.LEAD_CLOSED, Action.LEAD_STOPPED})
UNDOES: Mapping[str, str] = {
    Action.ATTEMPT_UNDONE: Action.ATTEMPT_LOGGED,
    Action.LEAD_REOPENED: Action.LEAD_CLOSED,
}
"""The action that each undo action undoes."""
_CLAIM_STARTS = frozenset({Action.LEAD_REVEALED, Action.CLAIM_TAKEN, Action.CLAIM_HANDED})
CLAIM_ENDS = frozenset({Action.CLAIM_GIVEN_BACK, Action.CLAIM_TAKEN_BACK})
"""What ends a claim early without logging an outcome."""
_COLLEAGUE_DETAIL = {Action.CLAIM_HANDED: "to", Action.CLAIM_TAKEN_BACK: "from"}
"""The detail that names the colleague a supervisor assigned the lead to or revoked it from."""
_SETTLED = frozenset({Action.ATTEMPT_LOGGED, Action.LEAD_CLOSED, Action.LEAD_STOPPED, Action.LEAD_ERASED})


@dataclass(frozen=True)
class HistoryEntry:
    """One event of the history. `by` is None for the person and for the service itself.

    `undone`: it was undone later. `nothing_logged`: contact details were revealed and the claim ended
    without an outcome.
    """

    id: uuid.UUID
    at: datetime
    by: uuid.UUID | None
    action: str
    details: Mapping[str, Any]
    nothing_logged: bool
    undone: bool

    @property
    def colleague_id(self) -> uuid.UUID | None:
        """The colleague the lead was assigned to or revoked from, if any."""
        return _colleague_id(self.action, self.details)


def build_history(events: Sequence[AuditEvent], lead: Lead, *, now: datetime) -> list[HistoryEntry]:
    """The entries to show, newest first like `events`, without views and repeated reveals."""
    entries = [event for event in events if event.action not in _OMITTED and not is_repeated_reveal(event)]
    undone = {
        len(entries) - 1 - position
        for position in undone_positions([event.action for event in reversed(entries)])
    }
    return [
        HistoryEntry(
            event.id,
            event.at,
            event.actor_id,
            event.action,
            service.details_of(event),
            _nothing_logged(event, entries[:position], lead, now),
            position in undone,
        )
        for position, event in enumerate(entries)
    ]


def undone_positions(actions: Sequence[str]) -> set[int]:
    """The indexes of the undone actions among the `actions` on one lead, oldest first.

    Only the last action can be undone, so each undo belongs to the latest one that is not undone yet.
    """
    in_force: dict[str, list[int]] = {action: [] for action in UNDOES.values()}
    undone: set[int] = set()
    for position, action in enumerate(actions):
        if action in in_force:
            in_force[action].append(position)
        elif action in UNDOES and in_force[UNDOES[action]]:
            undone.add(in_force[UNDOES[action]].pop())
    return undone


def is_repeated_reveal(event: AuditEvent) -> bool:
    """Whether the event is a reveal that only showed again what the same claim had revealed."""
    return service.details_of(event).get("kind") == REPEATED


def _nothing_logged(event: AuditEvent, later: Sequence[AuditEvent], lead: Lead, now: datetime) -> bool:
    """Whether the event is a reveal whose claim ended without an outcome. `later` is newest first."""
    if event.action != Action.LEAD_REVEALED:
        return False
    for after in reversed(later):
        if after.actor_id == event.actor_id and after.action in _OUTCOME_LOGGED | {Action.LEAD_REVEALED}:
            return False
        if after.action in _CLAIM_STARTS | CLAIM_ENDS:
            return True
    claimed = (
        lead.claimed_by == event.actor_id and lead.claimed_until is not None and lead.claimed_until > now
    )
    return not claimed


def colleague_id(event: AuditEvent) -> uuid.UUID | None:
    """The colleague a lead was assigned to or revoked from; None for every other event."""
    return (
        _colleague_id(event.action, service.details_of(event)) if event.action in _COLLEAGUE_DETAIL else None
    )


def _colleague_id(action: str, details: Mapping[str, Any]) -> uuid.UUID | None:
    named = details.get(_COLLEAGUE_DETAIL.get(Action(action), "")) if action in set(Action) else None
    return uuid.UUID(named) if named else None


def last_revocation(events: Sequence[AuditEvent], staff_id: uuid.UUID) -> AuditEvent | None:
    """The event that revoked the lead from `staff_id`, unless they claimed it again or an outcome was logged.

    `events` are those of the lead, newest first. None when there is no such event.
    """
    for event in events:
        if event.action == Action.CLAIM_TAKEN_BACK and colleague_id(event) == staff_id:
            return event
        theirs = staff_id in (event.actor_id, colleague_id(event))
        if event.action in _SETTLED or (theirs and event.action in _CLAIM_STARTS):
            return None
    return None
