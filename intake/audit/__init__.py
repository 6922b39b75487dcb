"""Who did what: append-only, authenticated one by one, then linked into one chain."""

from intake.audit.models import Action, Actor, AuditEvent
from intake.audit.service import (
    Verification,
    authentic,
    link,
    newest,
    oldest_unlinked,
    record,
    verify,
)

__all__ = [
    "Action",
    "Actor",
    "AuditEvent",
    "Verification",
    "authentic",
    "link",
    "newest",
    "oldest_unlinked",
    "record",
    "verify",
]
