"""`intake mail`: whether a notice would arrive."""

import uuid

import click

from intake import audit
from intake.audit import Action, Actor
from intake.cli.opening import opened
from intake.core.errors import Refused
from intake.instance import Instance
from intake.outbox import Mail, OutboxMessage
from intake.outbox.mailer import NotSent, open_mailer
from intake.outbox.messages import compose


@click.group("mail")
def mail_command() -> None:
    """Try the mail server."""


@mail_command.command("test")
def try_it() -> None:
    """Send the constant test mail to every recipient of notices, at once; exit code 1 when one fails."""
    with opened() as instance:
        failures = _send_to_all(instance)
        with instance.database.transaction() as session:
            audit.record(
                session,
                Action.MAIL_TESTED,
                keyring=instance.keyring,
                at=instance.clock(),
                actor=Actor.system(),
                details={"count": len(instance.clinic.notices.recipients), "hit": not failures},
            )
    if failures:
        raise Refused(f"Not accepted ({', '.join(failures)}): look at INTAKE_SMTP_* and notices.recipients.")


def _send_to_all(instance: Instance) -> list[str]:
    """The codes of what went wrong, one for each recipient that was not reached."""
    failures = []
    recipients = instance.clinic.notices.recipients
    with open_mailer(instance.settings).batch() as send:
        for number, recipient in enumerate(recipients, 1):
            message = OutboxMessage(id=uuid.uuid4(), mail=Mail.TEST, recipient=recipient)
            at = instance.clock()
            try:
                send(compose(message, clinic=instance.clinic, settings=instance.settings, at=at))
                click.echo(f"Recipient {number} of {len(recipients)}: accepted.")
            except NotSent as failure:
                failures.append(failure.code)
    return failures
