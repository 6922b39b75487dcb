"""`intake outbox`: what was refused for good, and sending it again."""

import click
from rich.console import Console
from rich.table import Table

from intake import outbox
from intake.audit import Actor
from intake.cli.opening import opened


@click.group("outbox")
def outbox_command() -> None:
    """See and send again what was refused."""


@outbox_command.command()
def show() -> None:
    """Say how many messages wait, and list those that were refused for good."""
    with opened() as instance, instance.database.reading() as session:
        now = outbox.status(session, at=instance.clock())
        dead = outbox.dead_letters(session)
    click.echo(f"{now.waiting} on their way, {now.dead} refused for good.")
    if dead:
        table = Table("message", "mail", "since (UTC)", "tries", "why", box=None, pad_edge=False)
        for each in dead:
            since = f"{each.created_at:%Y-%m-%d %H:%M}"
            table.add_row(str(each.id), each.mail.value, since, str(each.attempts), each.last_error or "")
        Console(width=120).print(table)


@outbox_command.command()
def resend() -> None:
    """Give every message that was refused for good a new start; the relay sends them."""
    with opened() as instance, instance.database.transaction() as session:
        dead = outbox.dead_letters(session)
        for each in dead:
            outbox.resend(
                session, each.id, at=instance.clock(), keyring=instance.keyring, actor=Actor.system()
            )
    click.echo(f"{len(dead)} will be sent again.")
