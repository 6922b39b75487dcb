"""`intake run`, `relay` and `serve`: the processes of the service.

`run` starts the web server and the relay in one terminal, for development or a small clinic, and prints
where to look, how to sign in and how to stop. Only a process that answers requests loads the web
application, and only the relay loads the jobs: whatever starts them needs neither.
"""

import contextlib
import http.client
import re
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from threading import Event
from urllib.parse import urlsplit

import click

from intake.accounts import dev_account
from intake.accounts.dev_account import DevAccount
from intake.act import Act
from intake.calling.availability import ContactTimes
from intake.calling.hours import Window
from intake.calling.promise import MINUTE, open_now
from intake.cli.context import load_settings, open_instance
from intake.cli.database import upgrade_database
from intake.conf.clinic import Channel
from intake.conf.settings import ALL_INTERFACES, Settings
from intake.core.clock import clock_ahead
from intake.core.errors import Refused
from intake.core.i18n import DEFAULT
from intake.instance import Instance
from intake.server.supervisor import (
    TICK,
    Child,
    end_all,
    inherited_socket,
    keep_running,
    listen,
    parent_gone,
    stop_on_signals,
    stop_with_stdin,
    terminal_gone,
    until_stdin_closes,
)

READY_SECONDS = 60.0
_TIMEOUT_SECONDS = 5
_MINUTES_AFTER_OPENING = 15
_ERROR = re.compile(r'"level": "(error|critical)"')


def web_server_answers(settings: Settings) -> bool:
    """Whether the web server answers /healthz on its own address within 5 seconds."""
    host = "localhost" if settings.host in ALL_INTERFACES else settings.host
    name = urlsplit(settings.base_url).netloc
    try:
        with closing(http.client.HTTPConnection(host, settings.port, timeout=_TIMEOUT_SECONDS)) as connection:
            connection.request("GET", "/healthz", headers={"Host": name})
            return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False


def greeting(settings: Settings, account: DevAccount | None, hours: Sequence[str] = ()) -> str:
    """The text that `intake run` prints once it is ready; `hours` are the lines about a closed clinic."""
    lines = [("The form", f"{settings.base_url}/"), ("The desk", f"{settings.base_url}/desk")]
    if settings.development and not settings.smtp_host:
        lines.append(("The mailbox", f"{settings.base_url}/dev/mail"))
    lines.append(("", ""))
    if account:
        code = account.code(clock_ahead(settings.time_shift)())
        lines += [
            ("Sign in as", account.email),
            ("Password", account.password),
            ("Code now", f"{code}   (for a new one: ./dev intake staff code)"),
        ]
    elif settings.development:
        lines.append(("Sign in", "with an account of yours; `./dev intake staff list` names them"))
    else:
        lines.append(("Sign in", "with an account of yours; `intake staff add` makes one"))
    if hours:
        lines += [("", ""), *(("" if index else "Closed now", line) for index, line in enumerate(hours))]
    lines += [("", ""), ("Kept in", str(settings.data_dir)), ("To stop", "press Ctrl-C")]
    text = [""]
    for name, value in lines:
        label = click.style(f"{name:<12}", bold=True) if name else " " * 12
        text.append(f"  {label} {value}" if value else "")
    return "\n".join([*text, ""])


def closed_notice(instance: Instance) -> list[str]:
    """Lines that say how to try the desk while the clinic is closed; empty while it is open.

    No setting opens the contact gate, but in development the clock can be shifted to a weekday morning.
    """
    now, clinic = instance.clock(), instance.clinic
    opening = open_now(clinic, now, DEFAULT)
    if opening.open:
        return []
    mornings = ContactTimes(clinic, instance.hours, now).contactable(
        Channel.CALL,
        region=clinic.region,
        time_zone=clinic.time_zone,
        windows={Window.WEEKDAY_MORNING},
    )
    lines = [
        f"The clinic {opening.sentence[0].lower()}{opening.sentence[1:]}; until then no number is shown."
    ]
    if mornings:
        ahead_by = (mornings[0].start - now) // MINUTE + _MINUTES_AFTER_OPENING + instance.settings.time_shift
        lines += [
            "To try the desk as on a weekday morning, stop and start again with",
            f"INTAKE_TIME_SHIFT={ahead_by} make run",
        ]
    return lines


@click.command("run")
@click.option("--stop-with-parent", is_flag=True, help="Also stop when whatever started this has ended.")
def run_command(*, stop_with_parent: bool) -> None:
    """Start the web server and the relay, and stop both with Ctrl-C.

    Brings the database up to date first. In development the first start adds an account to try the
    desk with and tells how to sign in.
    """
    stop_conditions = [terminal_gone(), *([parent_gone()] if stop_with_parent else [])]
    settings = load_settings()
    stop = stop_on_signals()
    with listen(settings) as listener:
        account, hours = _prepare()
        descriptor = listener.fileno()
        logs = settings.data_dir / "logs"
        web = Child("web", "serve", "--socket", str(descriptor), log=logs / "web.log", pass_fds=[descriptor])
        children = [web, Child("relay", "relay", log=logs / "relay.log")]

        def watch() -> None:
            if any(condition() for condition in stop_conditions):
                stop.set()
            for child in children:
                for line in child.new_lines():
                    # errors are shown here as well; other lines are only in the log file
                    if _ERROR.search(line) or not line.startswith("{"):
                        _print(f"{child.name}: {line}", err=True)

        try:
            if _until_ready(children, settings, stop, watch):
                _print(greeting(settings, account, hours))
            keep_running(children, stop, _print, watch)
        finally:
            end_all(children)
    _print("Stopped.")


def _prepare() -> tuple[DevAccount | None, list[str]]:
    """Migrate the database; in development returns the first account and the notice of a closed clinic."""
    with open_instance(ready=False) as instance:
        upgrade_database(instance)
        if not instance.settings.development:
            return None, []
        with instance.database.transaction() as session:
            account = dev_account.ensure_dev_account(Act(session, instance))
        return account, closed_notice(instance)


def _until_ready(children: list[Child], settings: Settings, stop: Event, watch: Callable[[], None]) -> bool:
    """Start the children and wait until the web server answers; False when it is time to stop.

    Raises Refused when a child ends before that, or when it takes more than READY_SECONDS.
    """
    for child in children:
        child.start()
    deadline = time.monotonic() + READY_SECONDS
    while not stop.wait(TICK):
        watch()
        if web_server_answers(settings):
            return True
        for child in children:
            if not child.running:
                raise Refused(f"The {child.name} process did not start; see {child.log}")
        if time.monotonic() > deadline:
            raise Refused(f"The web server does not answer; see {children[0].log}")
    return False


def _print(text: str, *, err: bool = False) -> None:
    with contextlib.suppress(OSError):  # the terminal may be gone already; stopping must go on
        click.echo(text, err=err)


@click.command("relay")
@until_stdin_closes
def relay_command(*, until_stdin_closes: bool) -> None:
    """Send mail that is due and run the jobs, until stopped by Ctrl-C or SIGTERM.

    Any number may run, on any number of machines. The mail in hand is finished first.
    """
    from intake.jobs import alerts, scheduler  # noqa: PLC0415

    stop = stop_on_signals()
    if until_stdin_closes:
        stop_with_stdin(stop)
    with open_instance() as instance:
        alerts.run_watch(instance, stop)
        scheduler.run(instance, stop)


@click.command("serve")
@click.option("--processes", type=click.IntRange(1, 64), help="How many; default INTAKE_WEB_PROCESSES.")
@click.option("--socket", "descriptor", type=int, hidden=True, help="A listening socket, handed down.")
@until_stdin_closes
def serve_command(*, processes: int | None, descriptor: int | None, until_stdin_closes: bool) -> None:
    """Start the web server, until stopped by Ctrl-C or SIGTERM.

    Requests that were taken on are finished first, for up to eight seconds. Refuses to start on a
    database that is not of this version: run `intake db upgrade` first.
    """
    settings = load_settings()
    stop = stop_on_signals()
    if until_stdin_closes:
        stop_with_stdin(stop)
    count = processes or settings.web_processes  # SQLite too has use of several: they render and seal apart
    with listen(settings) if descriptor is None else inherited_socket(descriptor) as listener:
        if count == 1:
            _serve_in_process(listener, stop)
            return
        with open_instance():
            pass  # refuse once, here, and not in every process
        inherited = listener.fileno()
        arguments = ("serve", "--processes", "1", "--socket", str(inherited))
        children = [Child("web", *arguments, pass_fds=[inherited]) for _ in range(count)]
        keep_running(children, stop, lambda text: click.echo(text, err=True))


def _serve_in_process(listener: socket.socket, stop: Event) -> None:
    from intake.app import create_app, write_fallback_pages  # noqa: PLC0415
    from intake.jobs import alerts  # noqa: PLC0415
    from intake.server.wsgi import serve  # noqa: PLC0415

    with open_instance() as instance:
        app = create_app(instance)
        pages = write_fallback_pages(app)
        alerts.run_watch(instance, stop)
        serve(app, listener, instance.settings, stop, pages)
