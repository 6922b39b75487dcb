"""Who did what: append-only, authenticated one by one, then linked into one chain."""

from intake.audit.chain import Verification, verify
from intake.audit.models import Action, Actor, AuditEvent
from intake.audit.service import Detail, authentic, began, every, last, link, newest, oldest_unlinked, record

__all__ = [
    "Action",
    "Actor",
    "AuditEvent",
    "Detail",
    "Verification",
    "authentic",
    "began",
    "every",
    "last",
    "link",
    "newest",
    "oldest_unlinked",
    "record",
    "verify",
]
