"""`intake audit`: what the log proves, and its last events."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from intake import audit
from intake.audit import Action, Actor, AuditEvent, Verification, export
from intake.audit.anchors import kept
from intake.cli.opening import opened
from intake.core.errors import Refused
from intake.instance import Instance
from intake.monitoring import integrity
from intake.monitoring.checks import ago

_SHORT = 60


@click.group("audit")
def audit_command() -> None:
    """Verify the audit log, or look at its last events."""


_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


@audit_command.command()
@click.option(
    "--file", "saved", type=_FILE, help="Check a log that was saved from the desk, and nothing else."
)
@click.option("--anchors", multiple=True, type=_FILE, help="Compare with the anchors in a saved mail, too.")
def verify(saved: Path | None, anchors: tuple[Path, ...]) -> None:
    """Check every event, the chain and the proof of consent; exit code 1 when something is wrong."""
    with opened(ready=saved is None) as instance:
        found = read_saved(instance, saved, anchors) if saved else integrity.verify(instance, more=anchors)
        now = instance.clock()
    _tell(found, now)
    if not found.intact:
        raise Refused("The audit log does not hold: see what is listed above.")
    click.echo("Nothing was changed, removed or moved.")


def read_saved(instance: Instance, saved: Path, anchors: Sequence[Path]) -> Verification:
    """What a saved log proves, with the anchors of other files beside the one it carries."""
    more = [each for path in anchors for each in kept(path) or ()]
    with saved.open(encoding="utf-8", errors="replace") as lines:
        return export.verify(lines, keyring=instance.keyring, anchors=more)


def _tell(found: Verification, now: datetime) -> None:
    click.echo(f"{found.events} events, {found.linked} linked, {found.unlinked} not linked yet.")
    if found.unlinked:
        click.echo(f"The oldest that is not linked has waited {ago(found.waiting(now))}.")
    click.echo(f"Head of the chain: {found.head or 'none yet'}")
    click.echo(f"Compared with {found.anchors} anchors.")
    for each in found.notes:
        click.echo(f"Note: {each}")
    for each in found.problems:
        click.echo(each)


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
