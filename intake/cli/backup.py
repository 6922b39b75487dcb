"""`intake backup`: one encrypted copy, while everything runs."""

from pathlib import Path

import click

from intake import backup
from intake.cli.opening import opened


@click.command("backup")
@click.option("--to", type=click.Path(path_type=Path), help="A folder, or a file that does not exist yet.")
@click.option("--keep", type=click.IntRange(1, 1000), help="How many stay in the folder.")
def backup_command(*, to: Path | None, keep: int | None) -> None:
    """Write one encrypted backup, by default to INTAKE_BACKUP_DIR; exit code 1 when there is none after all.

    In a folder only the newest INTAKE_BACKUP_KEEP stay. Nothing has to be stopped.
    """
    with opened() as instance:
        taken = backup.take(instance, to.absolute() if to else None, keep=keep)
    click.echo(f"{taken.path}: {taken.size:,} bytes, encrypted.")
    if taken.pruned:
        click.echo(f"{taken.pruned} older deleted.")
