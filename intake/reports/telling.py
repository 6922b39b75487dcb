"""Whether mail arrives, as far as the mail server says so."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from intake import audit, outbox
from intake.audit import Action, AuditEvent
from intake.audit.log import details
from intake.core.i18n import gettext
from intake.instance import Instance
from intake.outbox import Mail, OutboxMessage
from intake.reports.compliance_model import Figure, Section, Standing
from intake.reports.keeping import masked


def section(session: Session, instance: Instance) -> Section:
    """The last test, the last mail, the daily one, and what was refused."""
    now = instance.clock()
    standing = outbox.status(session, at=now)
    daily = session.scalar(select(func.max(OutboxMessage.sent_at)).where(OutboxMessage.mail == Mail.DAILY))
    figures = [
        _tested(audit.last(session, Action.MAIL_TESTED, keyring=instance.keyring)),
        _accepted(
            daily,
            name="mail.daily_accepted",
            label=gettext("Daily mail last accepted"),
            means=gettext(
                "One constant mail a day shows that the way out is open when nobody asks for contact."
            ),
            check="daily mail",
        ),
        _accepted(
            standing.last_sent_at,
            name="mail.last_accepted",
            label=gettext("Any mail last accepted"),
            means=gettext("The mail server took it. Whether somebody read it is not known to this service."),
            check="",
        ),
        _refused(standing.dead, now),
    ]
    return Section("mail", gettext("Telling staff"), figures)


def _tested(event: AuditEvent | None) -> Figure:
    ended = details(event).get("hit") if event else None
    said = {
        True: gettext("Every recipient was accepted."),
        False: gettext("Not every recipient was accepted."),
        None: gettext("How it ended is not known.") if event else gettext("No test is on record."),
    }
    found = {True: Standing.GOOD, False: Standing.OPEN, None: Standing.NOT_KNOWN}
    return Figure(
        name="mail.last_test",
        label=gettext("Last test of the mail server"),
        value=event.at if event else None,
        at=event.at if event else None,
        means=gettext("A test mail was sent at once to everybody who gets the notices."),
        source=gettext("The audit log: somebody ran the command for it on the machine."),
        standing=found[ended],
        detail=said[ended],
    )


def _accepted(at: datetime | None, *, name: str, label: str, means: str, check: str) -> Figure:
    return Figure(
        name=name,
        label=label,
        value=at,
        at=at,
        means=means,
        source=gettext("The outbox, where each mail is marked when the mail server has accepted it."),
        standing=Standing.TOLD if at else Standing.NOT_KNOWN,
        detail="" if at else gettext("None is on record."),
        check=check,
    )


def _refused(count: int, now: datetime) -> Figure:
    return Figure(
        name="mail.refused",
        label=gettext("Mail that was refused for good and not sent again"),
        value=masked(count),
        at=now,
        means=gettext("The requests are at the desk all the same. Small numbers are told as <11."),
        source=gettext("The outbox, counted when this report was made."),
        standing=Standing.OPEN if count else Standing.GOOD,
        check="dead letters",
    )
