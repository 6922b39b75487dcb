"""Many requests at once must not bury the staff in mail: after ten notices, one speaks for the rest.

The first notices leave at once. When ten went to one recipient within ten minutes, the next wait
until ten minutes after the last of them, and then one mail covers all that wait (H4). A covered
message is claimed before the mail leaves, so what it tells of could be seen on the desk by then.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import distinct, func, select
from sqlalchemy.orm import Session

from intake.outbox.models import Mail, OutboxMessage

MANY = 10
WITHIN = timedelta(minutes=10)


def quiet_until(session: Session, message: OutboxMessage, *, at: datetime) -> datetime | None:
    """Until when the recipient has had enough notices; None when this one may go.

    Mails are counted, not messages: what one mail covered was marked sent in the same moment.
    """
    if message.mail is not Mail.NEW_LEAD:
        return None
    mails, newest = session.execute(
        select(func.count(distinct(OutboxMessage.sent_at)), func.max(OutboxMessage.sent_at)).where(
            OutboxMessage.recipient == message.recipient,
            OutboxMessage.mail == message.mail,
            OutboxMessage.sent_at > at - WITHIN,
            OutboxMessage.sent_at <= at,
        )
    ).one()
    return newest + WITHIN if newest and mails >= MANY else None


def postpone(session: Session, message: OutboxMessage, *, at: datetime, until: datetime) -> None:
    """Let this message, and all that are due for its recipient beside it, wait until then."""
    for each in (message, *_beside(session, message, at)):
        each.due_at = until
    session.flush()


def covered_by(session: Session, message: OutboxMessage, *, at: datetime) -> Sequence[OutboxMessage]:
    """The messages that this one may speak for: none, unless too many are due for one recipient."""
    if message.mail is not Mail.NEW_LEAD:
        return ()
    due = _beside(session, message, at)
    return due if len(due) >= MANY else ()


def _beside(session: Session, message: OutboxMessage, at: datetime) -> Sequence[OutboxMessage]:
    """Locked where the database locks rows; what another relay holds is that relay's business."""
    return session.scalars(
        select(OutboxMessage)
        .where(
            OutboxMessage.is_due(at),
            OutboxMessage.mail == message.mail,
            OutboxMessage.recipient == message.recipient,
            OutboxMessage.id != message.id,
        )
        .with_for_update(skip_locked=True)
    ).all()
