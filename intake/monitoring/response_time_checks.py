"""Checks that no person is left waiting: requests are opened, the form works, mail is accepted (N2)."""

from datetime import timedelta

from sqlalchemy import func, select

from intake.act import Act
from intake.core.i18n import gettext, ngettext, translate
from intake.leads import reminders
from intake.monitoring.checks import Check, State, ago
from intake.outbox import Mail, MessageState, OutboxMessage
from intake.outbox.models import JobLease

HEARTBEAT = "heartbeat"
"""Name of the canary job, which submits a request and rolls it back."""
MAIL_SILENT = timedelta(hours=26)


def unopened(act: Act) -> Check:
    """Every request was opened within `notices.reminder_minutes` of opening hours."""
    waiting = reminders.count_unopened(act)
    if waiting:
        sentence = ngettext("%(num)s request waits unopened.", "%(num)s requests wait unopened.", waiting)
        what_to_do = gettext(
            "Sign in and open the oldest first; notices.reminder_minutes in clinic.toml has passed."
        )
        return Check("unopened requests", State.RED, sentence % {"num": waiting}, what_to_do)
    return Check("unopened requests", State.GREEN, gettext("No request waits unopened for too long."))


def canary(act: Act) -> Check:
    """The last canary submission succeeded.

    One that is overdue shows in the checks of the relay and the jobs.
    """
    lease = act.session.get(JobLease, HEARTBEAT)
    if lease is None:
        return Check("heartbeat", State.GREEN, gettext("No heartbeat yet; the relay makes the first."))
    if lease.last_error:
        sentence = gettext("A request that we sent through our own door was not kept.")
        what_to_do = gettext("Send the form yourself, and look at the relay’s log.")
        return Check("heartbeat", State.RED, sentence, what_to_do)
    age = ago(act.now - (lease.ended_at or lease.due_at))
    sentence = translate("The door was tried %(age)s ago, and opened.", age=age)
    return Check("heartbeat", State.GREEN, sentence)


def daily_mail(act: Act) -> Check:
    """The mail server accepted the daily mail within 26 hours."""
    is_daily = OutboxMessage.mail == Mail.DAILY
    first = act.session.scalar(select(func.min(OutboxMessage.created_at)).where(is_daily))
    sent = act.session.scalar(
        select(func.max(OutboxMessage.sent_at)).where(is_daily, OutboxMessage.state == MessageState.SENT)
    )
    if first is None:
        return Check("daily mail", State.GREEN, gettext("No daily mail yet; the relay writes the first."))
    if act.now - (sent or first) > MAIL_SILENT:
        sentence = gettext("No daily mail was accepted for more than a day.")
        what_to_do = gettext("Look at INTAKE_SMTP_HOST with `intake mail test`.")
        return Check("daily mail", State.RED, sentence, what_to_do)
    return Check("daily mail", State.GREEN, gettext("The daily mail goes out."))
