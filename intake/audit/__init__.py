"""The audit log: append-only events, each authenticated by a MAC, then linked into one hash chain."""

from intake.audit.chain import Verification, verify
from intake.audit.models import Action, Actor, AuditEvent
from intake.audit.service import (
    Detail,
    authentic,
    authentic_events,
    last_authentic_event,
    link,
    newest_events,
    oldest_event_at,
    oldest_unlinked_at,
    record,
)

__all__ = [
    "Action",
    "Actor",
    "AuditEvent",
    "Detail",
    "Verification",
    "authentic",
    "authentic_events",
    "last_authentic_event",
    "link",
    "newest_events",
    "oldest_event_at",
    "oldest_unlinked_at",
    "record",
    "verify",
]
