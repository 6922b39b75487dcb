"""`intake db`: the migrations."""

import click

from intake import monitoring
from intake.cli.opening import opened
from intake.core.errors import Refused
from intake.db.migrate import Standing, standing
from intake.db.migrate import upgrade as run_migrations
from intake.instance import Instance


@click.group("db")
def db_command() -> None:
    """Bring the database to this version, or see where it stands."""


@db_command.command()
def upgrade() -> None:
    """Run the migrations that are missing. Safe to repeat; take a backup first."""
    with opened(ready=False) as instance:
        click.echo("The database is up to date." if bring_up(instance) else "Nothing to do.")


def bring_up(instance: Instance) -> bool:
    """Run what is missing; True when something was. Raises Refused for a newer version's database."""
    where = standing(instance.database)
    if where is Standing.AHEAD:
        raise Refused("The database was made by a newer version: start that one instead.")
    if where is Standing.BEHIND:
        run_migrations(instance.database)
    return where is Standing.BEHIND


@db_command.command()
def check() -> None:
    """Say whether the database answers and is of this version; exit code 1 when not."""
    with opened(ready=False) as instance:
        monitoring.require_ready(instance)
        for each in monitoring.ready(instance):
            click.echo(each.sentence)
