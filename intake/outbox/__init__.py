"""Transactional outbox: mails are enqueued in the transaction of the act and sent at least once."""

from intake.outbox.models import Mail, MessageState, OutboxMessage
from intake.outbox.queue import OutboxStatus, cancel, dead_letters, enqueue, resend, status

__all__ = [
    "Mail",
    "MessageState",
    "OutboxMessage",
    "OutboxStatus",
    "cancel",
    "dead_letters",
    "enqueue",
    "resend",
    "status",
]
