"""`intake keys`: generating secrets, and rotating the sealing key."""

import click

from intake.cli.context import open_instance, progress
from intake.conf.secrets import BACKUP_KEY, SECRETS, new_secret
from intake.core.errors import Refused
from intake.leads import key_rotation

_SECRET_NAMES = (*SECRETS, BACKUP_KEY)


@click.group("keys")
def keys_command() -> None:
    """Make fresh keys, and move everything to a new one."""


@keys_command.command()
@click.option("--only", type=click.Choice(_SECRET_NAMES), help="Print this one alone, as a bare value.")
@click.option(
    "--id", "key_id", default="k1", show_default=True, help="Id of the sealing key; never reuse one."
)
def new(*, only: str | None, key_id: str) -> None:
    """Print a fresh set of secrets as NAME=value lines, for a new instance.

    Redirect it into a file that only the service's account can read. Never print a new set over one
    that is in use: what it sealed could not be opened any more.
    """
    if only:
        click.echo(new_secret(only, key_id=key_id))
        return
    for name in _SECRET_NAMES:
        click.echo(f"INTAKE_{name.upper()}={new_secret(name, key_id=key_id)}")


@keys_command.command()
@click.option("--check", is_flag=True, help="Only say how many rows stand on which key.")
@click.option("--batch", default=key_rotation.BATCH, show_default=True, type=click.IntRange(1, 10_000))
def rotate(*, check: bool, batch: int) -> None:
    """Wrap everything anew under the first of INTAKE_SEALING_KEYS, while the service goes on.

    Put the new key in front, restart every process, then run this. It may be stopped at any moment and
    run again. Nothing is moved with --check.
    """
    rotated = None
    with open_instance() as instance:
        if not check:
            with progress("Moving") as on_progress:
                rotated = key_rotation.rotate(instance, batch=batch, on_progress=on_progress)
        with instance.database.reading() as session:
            counts = key_rotation.count_rows_by_key(session, instance.keyring)
    ids = instance.keyring.sealing_ids
    for key_id, rows in counts.items():
        remark = " (new ones are wrapped with it)" if key_id == ids[0] else ""
        if key_id not in ids:
            remark = ", but INTAKE_SEALING_KEYS does not hold this key"
        click.echo(f"{key_id}: {'1 row' if rows == 1 else f'{rows} rows'}{remark}")
    if not rotated:
        return
    click.echo(f"{rotated.rewrapped} moved.")
    if rotated.undecryptable:
        raise Refused(
            f"{rotated.undecryptable} rows do not open with any key and were left alone: keep every key, and "
            "see “A lost key” in the documentation of operations."
        )
    if not rotated.unused:
        raise Refused("Something still wraps with an old key: restart every process, then run this again.")
    click.echo(
        f"Nothing stands on {', '.join(rotated.unused)} any more: it may now be removed from "
        "INTAKE_SEALING_KEYS. Keep it as long as the oldest backup that was made with it."
    )
