"""Who did what: append-only, authenticated one by one, then linked into one chain."""

from intake.audit.models import Action, Actor, AuditEvent
from intake.audit.service import Verification, link, record, verify

__all__ = ["Action", "Actor", "AuditEvent", "Verification", "link", "record", "verify"]
