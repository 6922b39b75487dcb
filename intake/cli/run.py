"""`intake run`: the whole service in one terminal, for development or a small clinic."""

import contextlib
import http.client
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from threading import Event
from urllib.parse import urlsplit

import click

from intake.accounts import dev_account
from intake.accounts.dev_account import DevAccount
from intake.app import create_app, write_fallback_pages
from intake.calling.availability import contactable
from intake.calling.hours import Window
from intake.calling.promise import MINUTE, open_now
from intake.cli.context import load_settings, opened
from intake.cli.database import bring_up
from intake.conf.clinic import Channel
from intake.conf.settings import EVERYWHERE, Settings
from intake.core.clock import ahead
from intake.core.errors import Refused
from intake.instance import Instance
from intake.jobs import alerts, scheduler
from intake.server.supervisor import (
    TICK,
    Child,
    end_all,
    keep_running,
    parent_gone,
    stop_on_signals,
    stop_with_stdin,
    terminal_gone,
    until_stdin_closes,
)
from intake.server.wsgi import inherited, listen, serve

# --- What a terminal says once everything runs: where to look, how to sign in, how to stop.

_SECONDS = 5
_INTO_THE_MORNING = 15


def answers(settings: Settings) -> bool:
    """Whether the web server answers on its own address."""
    host = "localhost" if settings.host in EVERYWHERE else settings.host
    name = urlsplit(settings.base_url).netloc
    try:
        with closing(http.client.HTTPConnection(host, settings.port, timeout=_SECONDS)) as line:
            line.request("GET", "/healthz", headers={"Host": name})
            return line.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False


def greeting(settings: Settings, account: DevAccount | None, hours: Sequence[str] = ()) -> str:
    """The whole greeting; `hours` are lines about a clinic that is closed."""
    lines = [("The form", f"{settings.base_url}/"), ("The desk", f"{settings.base_url}/desk")]
    if settings.development and not settings.smtp_host:
        lines.append(("The mailbox", f"{settings.base_url}/dev/mail"))
    lines.append(("", ""))
    lines += _how_to_sign_in(settings, account)
    if hours:
        lines += [("", ""), *(("" if place else "Closed now", line) for place, line in enumerate(hours))]
    lines += [("", ""), ("Kept in", str(settings.data_dir)), ("To stop", "press Ctrl-C")]
    shown = (f"  {_bold(f'{name:<12}')} {value}" if value else "" for name, value in lines)
    return "\n".join(["", *shown, ""])


def _bold(words: str) -> str:
    return click.style(words, bold=True) if words.strip() else words


def while_closed(instance: Instance) -> list[str]:
    """How to try the desk although the clinic is closed; nothing while it is open.

    Nobody can open the contact gate, but in development the clock may run ahead to a weekday morning.
    """
    now, clinic = instance.clock(), instance.clinic
    opening = open_now(clinic, now, "en")
    if opening.open:
        return []
    mornings = contactable(
        clinic,
        instance.hours,
        region=clinic.region,
        time_zone=clinic.time_zone,
        windows={Window.WEEKDAY_MORNING},
        channel=Channel.CALL,
        start=now,
    )
    told = [f"The clinic {opening.sentence[0].lower()}{opening.sentence[1:]}; until then no number is shown."]
    if mornings:
        ahead_by = (mornings[0].start - now) // MINUTE + _INTO_THE_MORNING + instance.settings.time_shift
        told += [
            "To try the desk as on a weekday morning, stop and start again with",
            f"INTAKE_TIME_SHIFT={ahead_by} make run",
        ]
    return told


def _how_to_sign_in(settings: Settings, account: DevAccount | None) -> list[tuple[str, str]]:
    if account:
        code = account.code(ahead(settings.time_shift)())
        return [
            ("Sign in as", account.email),
            ("Password", account.password),
            (
                "Code now",
                f"{code}   (for a new one: ./dev intake staff code)",
            ),
        ]
    if settings.development:
        return [("Sign in", "with an account of yours; `./dev intake staff list` names them")]
    return [("Sign in", "with an account of yours; `intake staff add` makes one")]


READY_SECONDS = 60.0


@click.command("run")
@click.option("--stop-with-parent", is_flag=True, help="Also stop when whatever started this has ended.")
def run_command(*, stop_with_parent: bool) -> None:
    """Start the web server and the relay, and stop both with Ctrl-C.

    Brings the database up to date first. In development the first start adds an account to try the
    desk with and tells how to sign in.
    """
    ends = [terminal_gone(), *([parent_gone()] if stop_with_parent else [])]
    loaded = load_settings()
    stop = stop_on_signals()
    with listen(loaded) as listener:
        account, hours = _prepared()
        hand_down = listener.fileno()
        logs = loaded.data_dir / "logs"
        web = Child("web", "serve", "--socket", str(hand_down), log=logs / "web.log", hand_down=[hand_down])
        relay = Child("relay", "relay", log=logs / "relay.log")
        _run([web, relay], lambda: greeting(loaded, account, hours), loaded, stop, ends)
    _print_greeting("Stopped.")


def _prepared() -> tuple[DevAccount | None, list[str]]:
    """Bring the database up to date; in development the account to try the desk with, and its hours."""
    with opened(ready=False) as instance:
        bring_up(instance)
        if not instance.settings.development:
            return None, []
        with instance.database.transaction() as session:
            account = dev_account.ensure_dev_account(session, instance=instance)
        return account, while_closed(instance)


def _run(
    children: list[Child],
    greet: Callable[[], str],
    settings: Settings,
    stop: Event,
    ends: Sequence[Callable[[], bool]],
) -> None:
    def watch() -> None:
        if any(gone() for gone in ends):
            stop.set()
        for child in children:
            for line in child.new_lines():
                _print_problems(child, line)

    try:
        if _until_ready(children, settings, stop, watch):
            _print_greeting(greet())
        keep_running(children, stop, _print_greeting, watch)
    finally:
        end_all(children)


def _until_ready(children: list[Child], settings: Settings, stop: Event, watch: Callable[[], None]) -> bool:
    """Start the children and wait until the web server answers; False when it is time to stop.

    Raises Refused when a child ends before that, or when it takes more than READY_SECONDS.
    """
    for child in children:
        child.start()
    deadline = time.monotonic() + READY_SECONDS
    while not stop.wait(TICK):
        watch()
        if answers(settings):
            return True
        for child in children:
            if not child.running:
                raise Refused(f"The {child.name} process did not start; see {child.log}")
        if time.monotonic() > deadline:
            raise Refused(f"The web server does not answer; see {children[0].log}")
    return False


def _print_problems(child: Child, line: str) -> None:
    """Errors are told here too; everything else stands in the log alone."""
    if '"level": "error"' in line or '"level": "critical"' in line or not line.startswith("{"):
        _print_greeting(f"{child.name}: {line}", err=True)


def _print_greeting(words: str, *, err: bool = False) -> None:
    with contextlib.suppress(OSError):  # the terminal may be gone already; stopping must go on
        click.echo(words, err=err)


# --- `intake relay`: what runs by itself.


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
        alerts.run_watch(instance, stop)
        scheduler.run(instance, stop)


# --- `intake serve`: the web server, one process or several over one socket.


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
        alerts.run_watch(instance, stop)
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
