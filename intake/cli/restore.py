"""`intake restore`: bringing a backup back, and trying out whether it could be."""

from collections.abc import Sequence
from pathlib import Path

import click

from intake import backup
from intake.backup import Restored
from intake.cli.opening import opened
from intake.core.errors import Refused
from intake.instance import Instance
from intake.privacy import erasure_ledger

_File = click.Path(path_type=Path, dir_okay=False)


@click.command("restore")
@click.argument("file", type=_File, required=False)
@click.option("--ledger", "copies", type=_File, multiple=True, help="A copy of erasures.log kept outside.")
@click.option("--test", is_flag=True, help="Do it all in memory and write nothing; without FILE, the newest.")
@click.option("--despite-faults", is_flag=True, help="Restore although something in it does not hold.")
def restore_command(*, file: Path | None, copies: tuple[Path, ...], test: bool, despite_faults: bool) -> None:
    """Bring a backup back into an empty database; verifies everything before it writes anything.

    Erasures, stops and withdrawals that came after the backup are done again: from the copy of the
    ledger in it, in the data folder, beside it, and from every --ledger.
    """
    with opened(ready=test) as instance:
        path = file or (backup.newest(instance) if test else None)
        if path is None:
            raise Refused("Say which backup: FILE is missing, and INTAKE_BACKUP_DIR holds none to try out.")
        newer = [*copies, *_found(instance, path)]
        if test:
            restored = backup.rehearse(instance, path, newer=newer)
        else:
            restored = backup.restore(instance, path, newer=newer, despite_faults=despite_faults)
    _tell(path, newer, restored)
    click.echo("Tried out in memory: it can be brought back." if test else _NEXT)


_NEXT = "Restored. Run `intake doctor`, then start the web server and the relay."


def _found(instance: Instance, path: Path) -> list[Path]:
    """The copies of the ledger that are where we keep them."""
    kept = [erasure_ledger.path_of(instance), path.absolute().parent / erasure_ledger.FILE]
    return [each for each in dict.fromkeys(kept) if each.is_file()]


def _tell(path: Path, newer: Sequence[Path], restored: Restored) -> None:
    again = restored.replayed
    click.echo(f"{path}: taken {restored.taken_at:%Y-%m-%d %H:%M} UTC by version {restored.version}.")
    click.echo(f"Ledger: the copy in it{''.join(f', {each}' for each in newer)}.")
    click.echo(f"{_counted(restored.leads, 'request')} kept, {again.erased} erased again.")
    click.echo(
        f"{again.stopped} put on the do-not-contact list again, {again.withdrawn} permissions ended again."
    )
    click.echo("Everybody has to sign in anew.")
    if again.held_back:
        click.echo(
            f"{again.held_back} mails that were on their way may have left already and were held back: "
            "`intake outbox resend` sends them."
        )
    for fault in restored.faults:
        click.echo(fault)


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
