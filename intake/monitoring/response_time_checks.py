"""The signs that a person may be forgotten: nobody opens, the door does not open, no mail arrives (N2)."""

from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from intake.core.i18n import gettext, ngettext, translate
from intake.instance import Instance
from intake.leads import reminders
from intake.monitoring.checks import Check, State, ago
from intake.outbox import Mail, MessageState, OutboxMessage
from intake.outbox.models import JobLease

HEARTBEAT = "heartbeat"
"""The name of the round that sends a request through the real door and takes it back."""
MAIL_SILENT = timedelta(hours=26)


def unopened(session: Session, instance: Instance) -> Check:
    """Every request was opened in the time that the clinic set itself."""
    waiting = reminders.unopened(session, instance=instance)
    if waiting:
        said = ngettext("%(num)s request waits unopened.", "%(num)s requests wait unopened.", waiting)
        todo = gettext(
            "Sign in and open the oldest first; notices.reminder_minutes in clinic.toml has passed."
        )
        return Check("unopened requests", State.RED, said % {"num": waiting}, todo)
    return Check("unopened requests", State.GREEN, gettext("No request waits unopened for too long."))


def door(session: Session, instance: Instance) -> Check:
    """The last request that the relay sent through the real door was kept.

    That none was sent lately shows in `relay` and `rounds`.
    """
    beat = session.get(JobLease, HEARTBEAT)
    if beat is None:
        return Check("heartbeat", State.GREEN, gettext("No heartbeat yet; the relay makes the first."))
    if beat.last_error:
        said = gettext("A request that we sent through our own door was not kept.")
        todo = gettext("Send the form yourself, and look at the relay’s log.")
        return Check("heartbeat", State.RED, said, todo)
    tried = ago(instance.clock() - (beat.ended_at or beat.due_at))
    said = translate("The door was tried %(age)s ago, and opened.", age=tried)
    return Check("heartbeat", State.GREEN, said)


def daily_mail(session: Session, instance: Instance) -> Check:
    """One real mail a day is accepted by the mail server."""
    of_the_day = OutboxMessage.mail == Mail.DAILY
    first = session.scalar(select(func.min(OutboxMessage.created_at)).where(of_the_day))
    sent = session.scalar(
        select(func.max(OutboxMessage.sent_at)).where(of_the_day, OutboxMessage.state == MessageState.SENT)
    )
    if first is None:
        return Check("daily mail", State.GREEN, gettext("No daily mail yet; the relay writes the first."))
    if instance.clock() - (sent or first) > MAIL_SILENT:
        said = gettext("No daily mail was accepted for more than a day.")
        todo = gettext("Look at INTAKE_SMTP_HOST with `intake mail test`.")
        return Check("daily mail", State.RED, said, todo)
    return Check("daily mail", State.GREEN, gettext("The daily mail goes out."))
