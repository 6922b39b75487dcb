"""`intake leads`: ending by hand what the relay ends by itself."""

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from intake.cli.opening import opened
from intake.core.errors import Refused
from intake.core.i18n import translate
from intake.instance import Instance
from intake.privacy import preview, retention
from intake.privacy.preview import Preview
from intake.privacy.retention import Purged


@click.group("leads")
def leads_command() -> None:
    """Erase requests that have been kept long enough."""


@leads_command.command()
@click.option("--dry-run", is_flag=True, help="Only say how many would go and why, and how many are held.")
def purge(*, dry_run: bool) -> None:
    """Erase for good every request whose time is over; the relay does it by itself every hour."""
    with opened() as instance:
        if dry_run:
            _tell(_previewed(instance), instance)
            return
        found = _purge(instance)
    click.echo(f"{_counted(found.count)} erased.")
    if found.failed:
        raise Refused(f"Not erased, though due: {found.failed}. Run `intake doctor`, then try again.")


def _previewed(instance: Instance) -> Preview:
    with instance.database.reading() as session:
        return preview.preview(session, until=instance.clock())


def _tell(found: Preview, instance: Instance) -> None:
    """Counts by reason; nothing about anybody."""
    click.echo(f"{_counted(found.count)} due. Nothing was changed.")
    kept = instance.clinic.retention
    days = {"open_days": kept.open_days, "closed_days": kept.closed_days}
    for why, count in found.due.items():
        click.echo(f"  {count} because {translate(why.sentence, 'en', **days)}.")
    if found.kept:
        click.echo(f"{_counted(found.kept)} held back for a legal reason.")
    for reason, count in found.held.items():
        click.echo(f"  {count} held: {translate(reason.sentence, 'en')}.")


def _purge(instance: Instance) -> Purged:
    columns = (TextColumn("Erasing"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Erasing", total=None)
        return retention.purge(
            instance, on_progress=lambda done, of: progress.update(task, completed=done, total=of)
        )


def _counted(number: int) -> str:
    return "1 request is" if number == 1 else f"{number} requests are"
