"""What has happened to a lead so far, told from the audit log: who, what and when, newest first."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from intake.audit import Action, AuditEvent, log
from intake.leads.models import Lead

AGAIN = "again"
"""The `kind` of a reveal event that only shows once more what this hold has revealed already."""
_UNTOLD = frozenset({Action.LEAD_VIEWED, Action.LEADS_LISTED})
_LOGGED = frozenset({Action.ATTEMPT_LOGGED, Action.LEAD_CLOSED, Action.LEAD_STOPPED})
_NEXT = frozenset({Action.LEAD_REVEALED, Action.CLAIM_TAKEN})


@dataclass(frozen=True)
class Told:
    """One act. `by` is None for the person and for the service itself.

    `nothing_logged`: somebody looked, and the hold ended without an outcome (decisions.md 12).
    """

    at: datetime
    by: uuid.UUID | None
    action: str
    details: Mapping[str, Any]
    nothing_logged: bool


def tell(events: Sequence[AuditEvent], lead: Lead, *, now: datetime) -> list[Told]:
    """The acts worth telling, newest first like `events`; looking without revealing is none."""
    worth = [event for event in events if event.action not in _UNTOLD and not shows_again(event)]
    return [
        Told(
            event.at,
            event.actor_id,
            event.action,
            log.details(event),
            _nothing_logged(event, worth[:place], lead, now),
        )
        for place, event in enumerate(worth)
    ]


def shows_again(event: AuditEvent) -> bool:
    """Whether a reveal only repeated what the same hold had shown."""
    return log.details(event).get("kind") == AGAIN


def _nothing_logged(event: AuditEvent, later: Sequence[AuditEvent], lead: Lead, now: datetime) -> bool:
    """Whether a reveal was followed by nothing. `later` is newest first; the oldest of it decides."""
    if event.action != Action.LEAD_REVEALED:
        return False
    for after in reversed(later):
        if after.actor_id == event.actor_id and after.action in _LOGGED | {Action.LEAD_REVEALED}:
            return False
        if after.action in _NEXT or after.action == Action.CLAIM_GIVEN_BACK:
            return True
    held = lead.claimed_by == event.actor_id and lead.claimed_until is not None and lead.claimed_until > now
    return not held
