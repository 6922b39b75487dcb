"""`intake db`, `backup` and `restore`: migrations, backups, and restoring them."""

from collections.abc import Sequence
from pathlib import Path

import click

from intake import backup, monitoring
from intake.backup import RestoreResult
from intake.cli.context import open_instance
from intake.core.errors import Refused
from intake.db.migrate import MigrationState, migration_state
from intake.db.migrate import upgrade as run_migrations
from intake.instance import Instance
from intake.privacy import erasure_ledger

_FILE = click.Path(path_type=Path, dir_okay=False)
_NEXT = "Restored. Run `intake doctor`, then start the web server and the relay."


@click.group("db")
def db_command() -> None:
    """Bring the database to this version, or see where it stands."""


@db_command.command()
def upgrade() -> None:
    """Run the migrations that are missing. Safe to repeat; take a backup first."""
    with open_instance(ready=False) as instance:
        click.echo("The database is up to date." if upgrade_database(instance) else "Nothing to do.")


def upgrade_database(instance: Instance) -> bool:
    """Run missing migrations; True when there were any. Raises Refused for a database of a newer version."""
    state = migration_state(instance.database)
    if state is MigrationState.AHEAD:
        raise Refused("The database was made by a newer version: start that one instead.")
    if state is MigrationState.BEHIND:
        run_migrations(instance.database)
    return state is MigrationState.BEHIND


@db_command.command()
def check() -> None:
    """Say whether the database answers and is of this version; exit code 1 when not."""
    with open_instance(ready=False) as instance:
        monitoring.require_ready(instance)
        for each in monitoring.ready(instance):
            click.echo(each.sentence)


@click.command("backup")
@click.option("--to", type=click.Path(path_type=Path), help="A folder, or a file that does not exist yet.")
@click.option("--keep", type=click.IntRange(1, 1000), help="How many stay in the folder.")
def backup_command(*, to: Path | None, keep: int | None) -> None:
    """Write one encrypted backup, by default to INTAKE_BACKUP_DIR; exit code 1 when there is none after all.

    In a folder only the newest INTAKE_BACKUP_KEEP stay. Nothing has to be stopped.
    """
    with open_instance() as instance:
        taken = backup.take(instance, to.absolute() if to else None, keep=keep)
    click.echo(f"{taken.path}: {taken.size:,} bytes, encrypted.")
    if taken.pruned:
        click.echo(f"{taken.pruned} older deleted.")


@click.command("restore")
@click.argument("file", type=_FILE, required=False)
@click.option("--ledger", "copies", type=_FILE, multiple=True, help="A copy of erasures.log kept outside.")
@click.option("--test", is_flag=True, help="Do it all in memory and write nothing; without FILE, the newest.")
@click.option("--despite-faults", is_flag=True, help="Restore although something in it does not hold.")
def restore_command(*, file: Path | None, copies: tuple[Path, ...], test: bool, despite_faults: bool) -> None:
    """Bring a backup back into an empty database; verifies everything before it writes anything.

    Erasures, stops and withdrawals that came after the backup are done again: from the copy of the
    ledger in it, in the data folder, beside it, and from every --ledger.
    """
    with open_instance(ready=test) as instance:
        path = file or (backup.newest(instance) if test else None)
        if path is None:
            raise Refused("Say which backup: FILE is missing, and INTAKE_BACKUP_DIR holds none to try out.")
        # and the copies of the ledger in the data folder and beside the backup, where they exist
        others = [erasure_ledger.path_of(instance), path.absolute().parent / erasure_ledger.FILE]
        newer = [*copies, *(each for each in dict.fromkeys(others) if each.is_file())]
        if test:
            restored = backup.rehearse(instance, path, newer=newer)
        else:
            restored = backup.restore(instance, path, newer=newer, despite_faults=despite_faults)
    _print_outcome(path, newer, restored)
    click.echo("Tried out in memory: it can be brought back." if test else _NEXT)


def _print_outcome(path: Path, newer: Sequence[Path], restored: RestoreResult) -> None:
    replayed = restored.replayed
    click.echo(f"{path}: taken {restored.taken_at:%Y-%m-%d %H:%M} UTC by version {restored.version}.")
    click.echo(f"Ledger: the copy in it{''.join(f', {each}' for each in newer)}.")
    requests = "1 request" if restored.leads == 1 else f"{restored.leads} requests"
    click.echo(f"{requests} kept, {replayed.erased} erased again.")
    click.echo(
        f"{replayed.stopped} put on the do-not-contact list again, "
        f"{replayed.withdrawn} permissions ended again."
    )
    click.echo("Everybody has to sign in anew.")
    if replayed.unsent:
        click.echo(
            f"{replayed.unsent} mails that were on their way may have left already and were held back: "
            "`intake outbox resend` sends them."
        )
    for fault in restored.faults:
        click.echo(fault)
