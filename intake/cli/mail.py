"""`intake mail`, which tests the mail server, and `intake outbox`, which shows and resends refused mail."""

import uuid

import click
from rich.console import Console
from rich.table import Table

from intake import outbox
from intake.act import Act
from intake.audit import Action, Actor
from intake.cli.context import open_instance
from intake.core.errors import Refused
from intake.outbox import Mail, OutboxMessage
from intake.outbox.mailer import NotSent, open_mailer
from intake.outbox.messages import render


@click.group("mail")
def mail_command() -> None:
    """Try the mail server."""


@mail_command.command("test")
def send_test() -> None:
    """Send the constant test mail to every recipient of notices, at once; exit code 1 when one fails."""
    failures = []
    with open_instance() as instance:
        recipients = instance.clinic.notices.recipients
        with open_mailer(instance.settings).batch() as send:
            for number, recipient in enumerate(recipients, 1):
                message = OutboxMessage(id=uuid.uuid4(), mail=Mail.TEST, recipient=recipient)
                at = instance.clock()
                try:
                    send(render(message, clinic=instance.clinic, settings=instance.settings, at=at))
                    click.echo(f"Recipient {number} of {len(recipients)}: accepted.")
                except NotSent as failure:
                    failures.append(failure.code)
        with instance.database.transaction() as session:
            Act(session, instance).record(Action.MAIL_TESTED, count=len(recipients), hit=not failures)
    if failures:
        raise Refused(f"Not accepted ({', '.join(failures)}): look at INTAKE_SMTP_* and notices.recipients.")


@click.group("outbox")
def outbox_command() -> None:
    """See and send again what was refused."""


@outbox_command.command()
def show() -> None:
    """Say how many messages wait, and list those that were refused for good."""
    with open_instance() as instance, instance.database.reading() as session:
        status = outbox.status(session, at=instance.clock())
        dead = outbox.dead_letters(session)
    click.echo(f"{status.waiting} on their way, {status.dead} refused for good.")
    if dead:
        table = Table("message", "mail", "since (UTC)", "tries", "why", box=None, pad_edge=False)
        for each in dead:
            since = f"{each.created_at:%Y-%m-%d %H:%M}"
            table.add_row(str(each.id), each.mail.value, since, str(each.attempts), each.last_error or "")
        Console(width=120).print(table)


@outbox_command.command()
def resend() -> None:
    """Give every message that was refused for good a new start; the relay sends them."""
    with open_instance() as instance, instance.database.transaction() as session:
        dead = outbox.dead_letters(session)
        for each in dead:
            outbox.resend(
                session, each.id, at=instance.clock(), keyring=instance.keyring, actor=Actor.system()
            )
    click.echo(f"{len(dead)} will be sent again.")
