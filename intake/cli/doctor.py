"""`intake doctor`: runs every health check, and names the setting that corrects a fault."""

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from intake import monitoring
from intake.cli.context import open_instance
from intake.core.errors import SettingsError
from intake.monitoring import Check, State

_STYLE = {State.GREEN: "green", State.AMBER: "yellow", State.RED: "bold red"}


@click.command("doctor")
def doctor_command() -> None:
    """Say what is wrong, by the name of the setting; exit code 1 when something is red."""
    try:
        with open_instance(ready=False) as instance:
            checks = monitoring.doctor(instance)
    except SettingsError as error:
        checks = [Check("settings", State.RED, problem) for problem in error.problems]
    # the worst last: next to the prompt, where a small terminal shows it
    table = Table("", "check", "what was found, and what to do", box=None, pad_edge=False)
    for check in sorted(checks, key=lambda each: list(State).index(each.state)):
        text = Text(check.sentence)
        if check.what_to_do:
            text.append(f"\n{check.what_to_do}", style="bold")
        table.add_row(Text(check.state.value, style=_STYLE[check.state]), check.name, text)
    Console().print(table)
    reds = sum(check.state is State.RED for check in checks)
    ambers = sum(check.state is State.AMBER for check in checks)
    click.echo(f"\n{reds} red, {ambers} amber, {len(checks) - reds - ambers} green.")
    if not monitoring.is_well(checks):
        raise click.exceptions.Exit(1)
