"""`intake keys`: making the four secrets."""

import click

from intake.keys import SECRETS, new_secret


@click.group("keys")
def keys_command() -> None:
    """Make fresh keys."""


@keys_command.command()
def new() -> None:
    """Print a fresh set of the four secrets as NAME=value lines, for a new instance.

    Redirect it into a file that only the service's account can read. Never print a new set over one
    that is in use: what it sealed could not be opened any more.
    """
    for name in SECRETS:
        click.echo(f"INTAKE_{name.upper()}={new_secret(name)}")
