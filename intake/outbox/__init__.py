"""What must not be lost: messages written with the act they tell of, sent until they are sent."""

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
