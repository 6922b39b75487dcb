"""`intake serve`: the web server, one process or several over one socket."""

import socket
from threading import Event

import click

from intake.app import create_app, write_fallback_pages
from intake.cli.opening import load_settings, opened
from intake.jobs import alerts
from intake.server.listening import inherited, listen
from intake.server.stopping import stop_on_signals, stop_with_stdin, until_stdin_closes
from intake.server.supervisor import Child, keep_running
from intake.server.wsgi import serve


@click.command("serve")
@click.option("--processes", type=click.IntRange(1, 64), help="How many; default INTAKE_WEB_PROCESSES.")
@click.option("--socket", "descriptor", type=int, hidden=True, help="A listening socket, handed down.")
@until_stdin_closes
def serve_command(*, processes: int | None, descriptor: int | None, until_stdin_closes: bool) -> None:
    """Start the web server, until stopped by Ctrl-C or SIGTERM.

    Requests that were taken on are finished first, for up to eight seconds. Refuses to start on a
    database that is not of this version: run `intake db upgrade` first.
    """
    loaded = load_settings()
    stop = stop_on_signals()
    if until_stdin_closes:
        stop_with_stdin(stop)
    many = processes or loaded.web_processes
    with listen(loaded) if descriptor is None else inherited(descriptor) as listener:
        if many == 1:
            _serve_here(listener, stop)
        else:
            _serve_in_many(listener, stop, many)


def _serve_here(listener: socket.socket, stop: Event) -> None:

    with opened() as instance:
        app = create_app(instance)
        pages = write_fallback_pages(app)
        alerts.watch(instance, stop)
        serve(app, listener, instance.settings, stop, pages)


def _serve_in_many(listener: socket.socket, stop: Event, processes: int) -> None:
    """Processes of one thing each, so that one core is not all there is.

    SQLite takes part: its writers queue on one file for all processes of a machine, so a second
    process shares out rendering and sealing (tests/cli/test_serve.py holds this).
    """
    with opened():
        pass  # refuse here and once, not in every process again and again
    hand_down = listener.fileno()
    children = [
        Child("web", "serve", "--processes", "1", "--socket", str(hand_down), hand_down=[hand_down])
        for _ in range(processes)
    ]
    keep_running(children, stop, lambda words: click.echo(words, err=True))
