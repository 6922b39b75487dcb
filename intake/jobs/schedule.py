"""The table of background jobs, and the small jobs that belong to no other package."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, delete, exists, select

from intake import audit, outbox
from intake.accounts import sessions
from intake.act import Act
from intake.audit import Actor, chain
from intake.audit.chain import Anchor
from intake.backup import schedule as backups
from intake.core.i18n import N_
from intake.instance import Instance
from intake.jobs import canary
from intake.leads import reminders
from intake.leads.models import Lead, LeadStatus, Submission
from intake.monitoring import checks, integrity
from intake.outbox import Mail, OutboxMessage
from intake.outbox.mailer import open_mailer
from intake.outbox.messages import anchor_message
from intake.privacy import erasure_ledger, retention

_LINK_BATCH = 1000


@dataclass(frozen=True)
class Job:
    """A job of the scheduler, due every `every`.

    `run` returns how many things it processed; it must be safe to run twice. `description` says on the desk
    what the job is for (message id).
    """

    name: str
    every: timedelta
    run: Callable[[Instance], int]
    description: str = ""


def link(instance: Instance) -> int:
    """Link all unlinked audit events to the chain, a thousand per transaction. Returns how many."""
    linked = 0
    while True:
        with instance.database.transaction() as session:
            count = audit.link(session, keyring=instance.keyring, at=instance.clock(), limit=_LINK_BATCH)
        linked += count
        if count < _LINK_BATCH:
            return linked


def anchor(instance: Instance) -> int:
    """Append an anchor of the chain to INTAKE_ANCHOR_FILE if it moved or a day has passed. Returns 1 or 0."""
    taken = _take_anchor(instance)
    return int(taken is not None and chain.append_anchor(instance.settings.anchor_path, taken))


def mail_anchor(instance: Instance) -> int:
    """Mail an anchor to INTAKE_ANCHOR_MAIL_TO, directly: a forged database must not be able to hold it back.

    Returns 1 when it was sent, 0 when there is no address or no chain. Raises NotSent; the job then runs
    again soon.
    """
    recipient, taken = instance.settings.anchor_mail_to, _take_anchor(instance)
    if not recipient or taken is None:
        return 0
    message = anchor_message(taken, recipient=recipient, settings=instance.settings, at=instance.clock())
    with open_mailer(instance.settings).batch() as send:
        send(message)
    return 1


def _take_anchor(instance: Instance) -> Anchor | None:
    with instance.database.reading() as session:
        return chain.take_anchor(session, keyring=instance.keyring, at=instance.clock())


def verify(instance: Instance) -> int:
    """Verify the whole audit log and record the outcome for the health checks.

    Returns 1 when it is intact.
    """
    return int(integrity.verify_and_note(instance, actor=Actor.system()).intact)


def sweep(instance: Instance) -> int:
    """Enqueue the notice of each new lead that has none (only lost rows leave one without).

    Returns how many.
    """
    has_notice = exists().where(OutboxMessage.lead_id == Lead.id, OutboxMessage.mail == Mail.NEW_LEAD)
    with instance.database.transaction() as session:
        missing = session.scalars(select(Lead.id).where(Lead.status == LeadStatus.NEW, ~has_notice)).all()
        for lead_id in missing:
            outbox.enqueue(
                session,
                Mail.NEW_LEAD,
                clinic_recipients=instance.clinic.notices.recipients,
                at=instance.clock(),
                lead_id=lead_id,
            )
    return len(missing)


def forget_submissions(instance: Instance) -> int:
    """Delete used form tokens older than the clinic keeps them (docs/decisions/0004-a-page-sent-twice.md)."""
    before = instance.clock() - timedelta(days=instance.clinic.retention.submission_days)
    with instance.database.transaction() as session:
        deleted = session.execute(delete(Submission).where(Submission.received_at < before))
    return cast("CursorResult[Any]", deleted).rowcount


def forget_sessions(instance: Instance) -> int:
    """Delete the staff sessions that have ended or expired. Returns how many."""
    with instance.database.transaction() as session:
        return sessions.delete_ended(Act(session, instance))


JOBS = (
    Job("note_keys", timedelta(hours=1), checks.note_new_keys, N_("Notes since when each key is in use.")),
    Job("verify", timedelta(days=1), verify, N_("Verifies the whole audit log and the proof of consent.")),
    Job(
        "link", timedelta(seconds=10), link, N_("Gives every event of the audit log its place in the chain.")
    ),
    Job(
        "anchor",
        timedelta(hours=1),
        anchor,
        N_("Writes down outside the database how far the chain has come."),
    ),
    Job(
        "mail_anchor", timedelta(days=7), mail_anchor, N_("Mails the same to the address that is set for it.")
    ),
    Job("sweep", timedelta(minutes=15), sweep, N_("Writes the notice of a new request that has none.")),
    Job(
        canary.JOB,
        timedelta(minutes=5),
        canary.canary_submission,
        N_("Sends a request through the real door and takes it back."),
    ),
    Job(
        "daily_mail",
        timedelta(hours=1),
        canary.daily_mail,
        N_("Writes one constant mail a day, which the mail server has to accept."),
    ),
    Job(
        reminders.JOB,
        timedelta(minutes=5),
        reminders.remind,
        N_("Reminds the second contacts of requests that nobody has opened."),
    ),
    Job(
        "forget_submissions",
        timedelta(hours=1),
        forget_submissions,
        N_("Forgets the used form tokens that are old enough."),
    ),
    Job(
        "forget_sessions",
        timedelta(hours=1),
        forget_sessions,
        N_("Forgets the sessions of staff that are over."),
    ),
    Job(
        retention.JOB,
        timedelta(hours=1),
        retention.purge_unless_clock_jumped,
        N_("Erases the requests whose time is over."),
    ),
    Job(
        "mirror_ledger",
        timedelta(minutes=1),
        erasure_ledger.mirror,
        N_("Copies the ledger of what was erased to a file outside the database."),
    ),
    Job("backup", timedelta(minutes=15), backups.daily, N_("Takes one backup a day.")),
    Job(
        "backup_test", timedelta(hours=1), backups.weekly_test, N_("Tries out the newest backup once a week.")
    ),
)
