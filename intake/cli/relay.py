"""`intake relay`: what runs by itself."""

import click

from intake.cli.opening import opened
from intake.jobs import alerts, scheduler
from intake.server.stopping import stop_on_signals, stop_with_stdin, until_stdin_closes


@click.command("relay")
@until_stdin_closes
def relay_command(*, until_stdin_closes: bool) -> None:
    """Send what is due and make the rounds, until stopped by Ctrl-C or SIGTERM.

    Any number may run, on any number of machines. The mail in hand is finished first.
    """
    stop = stop_on_signals()
    if until_stdin_closes:
        stop_with_stdin(stop)
    with opened() as instance:
        alerts.watch(instance, stop)
        scheduler.run(instance, stop)
