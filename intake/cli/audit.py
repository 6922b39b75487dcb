"""`intake audit`: what the log proves, and its last events."""

from collections.abc import Sequence

import click
from rich.console import Console
from rich.table import Table

from intake import audit
from intake.audit import Action, Actor, AuditEvent
from intake.cli.opening import opened
from intake.consent import service as consent
from intake.errors import Refused

_SHORT = 60


@click.group("audit")
def audit_command() -> None:
    """Verify the audit log, or look at its last events."""


@audit_command.command()
def verify() -> None:
    """Check every event, the chain and the proof of consent; exit code 1 when something is wrong."""
    with opened() as instance, instance.database.reading() as session:
        found = audit.verify(session, keyring=instance.keyring)
        problems = (*found.problems, *consent.verify(session, keyring=instance.keyring))
    click.echo(f"{found.events} events, {found.linked} linked, {found.unlinked} not linked yet.")
    click.echo(f"Head of the chain: {found.head or 'none yet'}")
    for problem in problems:
        click.echo(problem)
    if problems:
        raise Refused("The audit log does not hold: see what is listed above.")
    click.echo("Nothing was changed, removed or moved.")


@audit_command.command()
@click.option("-n", "--last", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many.")
def show(last: int) -> None:
    """Print the last events, newest first. That somebody looked is itself an event."""
    with opened() as instance, instance.database.transaction() as session:
        events = audit.newest(session, limit=last)
        audit.record(
            session,
            Action.AUDIT_READ,
            keyring=instance.keyring,
            at=instance.clock(),
            actor=Actor.system(),
            details={"count": len(events)},
        )
    _print_table(events)


def _print_table(events: Sequence[AuditEvent]) -> None:
    table = Table("when (UTC)", "who", "what", "about", "details", box=None, pad_edge=False)
    for each in events:
        table.add_row(
            f"{each.at:%Y-%m-%d %H:%M:%S}",
            f"staff {str(each.actor_id)[:8]}" if each.actor_id else each.actor_kind.value,
            each.action,
            str(each.about)[:8] if each.about else "",
            each.details if len(each.details) <= _SHORT else f"{each.details[:_SHORT]}…",
        )
    Console(width=120).print(table)
