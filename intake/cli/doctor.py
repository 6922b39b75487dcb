"""`intake doctor`: what is wrong, and by which setting to put it right."""

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from intake import monitoring
from intake.cli.context import opened
from intake.core.errors import SettingsError
from intake.monitoring import Check, State

_STYLE = {State.GREEN: "green", State.AMBER: "yellow", State.RED: "bold red"}


@click.command("doctor")
def doctor_command() -> None:
    """Say what is wrong, by the name of the setting; exit code 1 when something is red."""
    found = _found()
    _print(found)
    if not monitoring.is_well(found):
        raise click.exceptions.Exit(1)


def _found() -> list[Check]:
    """Every check, or every wrong setting when that is why nothing else can be looked at."""
    try:
        with opened(ready=False) as instance:
            return monitoring.doctor(instance)
    except SettingsError as wrong:
        return [Check("settings", State.RED, problem) for problem in wrong.problems]


def _print(found: list[Check]) -> None:
    """Worst last: next to the prompt, where a small terminal still shows it."""
    table = Table("", "check", "what was found, and what to do", box=None, pad_edge=False)
    for check in sorted(found, key=lambda each: list(State).index(each.state)):
        words = Text(check.sentence)
        if check.what_to_do:
            words.append(f"\n{check.what_to_do}", style="bold")
        table.add_row(Text(check.state.value, style=_STYLE[check.state]), check.name, words)
    Console().print(table)
    reds = sum(check.state is State.RED for check in found)
    ambers = sum(check.state is State.AMBER for check in found)
    click.echo(f"\n{reds} red, {ambers} amber, {len(found) - reds - ambers} green.")
