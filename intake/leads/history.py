"""What has happened to a lead so far, told from the audit log: who, what and when, newest first."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from intake.audit import Action, AuditEvent, service
from intake.leads.models import Lead

AGAIN = "again"
"""The `kind` of a reveal event that only shows once more what this hold has revealed already."""
_UNTOLD = frozenset({Action.LEAD_VIEWED, Action.LEADS_LISTED})
_LOGGED = frozenset({Action.ATTEMPT_LOGGED, Action.LEAD_CLOSED, Action.LEAD_STOPPED})
UNDOES: Mapping[str, str] = {
    Action.ATTEMPT_UNDONE: Action.ATTEMPT_LOGGED,
    Action.LEAD_REOPENED: Action.LEAD_CLOSED,
}
"""Which act each undoing takes back."""
_NEXT = frozenset({Action.LEAD_REVEALED, Action.CLAIM_TAKEN, Action.CLAIM_HANDED})
ENDS = frozenset({Action.CLAIM_GIVEN_BACK, Action.CLAIM_TAKEN_BACK})
"""What ends a hold before its time, without a word on how it went."""
_WHOM = {Action.CLAIM_HANDED: "to", Action.CLAIM_TAKEN_BACK: "from"}
"""Whom an act of a supervisor is about, by the name of its detail."""
_SETTLED = frozenset({Action.ATTEMPT_LOGGED, Action.LEAD_CLOSED, Action.LEAD_STOPPED, Action.LEAD_ERASED})


@dataclass(frozen=True)
class HistoryEntry:
    """One act. `by` is None for the person and for the service itself.

    `undone`: it was taken back later. `nothing_logged`: somebody looked, and the hold ended
    without an outcome (decisions.md 12).
    """

    id: uuid.UUID
    at: datetime
    by: uuid.UUID | None
    action: str
    details: Mapping[str, Any]
    nothing_logged: bool
    undone: bool

    @property
    def whom(self) -> uuid.UUID | None:
        """The colleague a request was handed to, or taken back from."""
        return _whom(self.action, self.details)


def build_history(events: Sequence[AuditEvent], lead: Lead, *, now: datetime) -> list[HistoryEntry]:
    """The acts worth telling, newest first like `events`; looking without revealing is none."""
    worth = [event for event in events if event.action not in _UNTOLD and not shows_again(event)]
    undone = {len(worth) - 1 - place for place in taken_back([event.action for event in reversed(worth)])}
    return [
        HistoryEntry(
            event.id,
            event.at,
            event.actor_id,
            event.action,
            service.details_of(event),
            _nothing_logged(event, worth[:place], lead, now),
            place in undone,
        )
        for place, event in enumerate(worth)
    ]


def taken_back(actions: Sequence[str]) -> set[int]:
    """The places of what was undone, among the acts on one lead from old to new.

    Only the last act can be undone, so each undoing takes back the latest that still stands.
    """
    standing: dict[str, list[int]] = {action: [] for action in UNDOES.values()}
    gone: set[int] = set()
    for place, action in enumerate(actions):
        if action in standing:
            standing[action].append(place)
        elif action in UNDOES and standing[UNDOES[action]]:
            gone.add(standing[UNDOES[action]].pop())
    return gone


def shows_again(event: AuditEvent) -> bool:
    """Whether a reveal only repeated what the same hold had shown."""
    return service.details_of(event).get("kind") == AGAIN


def _nothing_logged(event: AuditEvent, later: Sequence[AuditEvent], lead: Lead, now: datetime) -> bool:
    """Whether a reveal was followed by nothing. `later` is newest first; the oldest of it decides."""
    if event.action != Action.LEAD_REVEALED:
        return False
    for after in reversed(later):
        if after.actor_id == event.actor_id and after.action in _LOGGED | {Action.LEAD_REVEALED}:
            return False
        if after.action in _NEXT | ENDS:
            return True
    held = lead.claimed_by == event.actor_id and lead.claimed_until is not None and lead.claimed_until > now
    return not held


def whom(event: AuditEvent) -> uuid.UUID | None:
    """The colleague whom handing over or taking back was about; None for every other act."""
    return _whom(event.action, service.details_of(event))


def _whom(action: str, details: Mapping[str, Any]) -> uuid.UUID | None:
    named = details.get(_WHOM.get(Action(action), "")) if action in set(Action) else None
    return uuid.UUID(named) if named else None


def taken_back_from(events: Sequence[AuditEvent], staff_id: uuid.UUID) -> AuditEvent | None:
    """The act that took the lead back from them, while they have not taken it again and nothing came of it.

    `events` is the lead's log, newest first.
    """
    for event in events:
        if event.action == Action.CLAIM_TAKEN_BACK and whom(event) == staff_id:
            return event
        theirs = staff_id in (event.actor_id, whom(event))
        if event.action in _SETTLED or (theirs and event.action in _NEXT):
            return None
    return None
