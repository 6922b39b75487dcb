"""`intake leads`: ending by hand what the relay ends by itself."""

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from intake.cli.opening import opened
from intake.errors import Refused
from intake.instance import Instance
from intake.leads import retention
from intake.leads.retention import Purged


@click.group("leads")
def leads_command() -> None:
    """Erase requests that have been kept long enough."""


@leads_command.command()
@click.option("--dry-run", is_flag=True, help="Only say how many would go.")
def purge(*, dry_run: bool) -> None:
    """Erase for good every request whose time is over; the relay does it by itself every hour."""
    with opened() as instance:
        found = retention.purge(instance, dry_run=True) if dry_run else _purge(instance)
    if dry_run:
        click.echo(f"{_counted(found.count)} due. Nothing was changed.")
        return
    click.echo(f"{_counted(found.count)} erased.")
    if found.failed:
        raise Refused(f"Not erased, though due: {found.failed}. Run `intake doctor`, then try again.")


def _purge(instance: Instance) -> Purged:
    columns = (TextColumn("Erasing"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Erasing", total=None)
        return retention.purge(
            instance, on_progress=lambda done, of: progress.update(task, completed=done, total=of)
        )


def _counted(number: int) -> str:
    return "1 request is" if number == 1 else f"{number} requests are"
