"""`intake run`: the whole service in one terminal, for development or a small clinic."""

import contextlib
import time
from collections.abc import Callable, Sequence
from threading import Event

import click

from intake.accounts import dev_account
from intake.accounts.dev_account import FirstAccount
from intake.cli import greeting
from intake.cli.database import bring_up
from intake.cli.opening import load_settings, opened
from intake.conf.settings import Settings
from intake.core.errors import Refused
from intake.server.listening import listen
from intake.server.stopping import parent_gone, stop_on_signals, terminal_gone
from intake.server.supervisor import TICK, Child, end_all, keep_running

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
        _run([web, relay], lambda: greeting.words(loaded, account, hours), loaded, stop, ends)
    _tell("Stopped.")


def _prepared() -> tuple[FirstAccount | None, list[str]]:
    """Bring the database up to date; in development the account to try the desk with, and its hours."""
    with opened(ready=False) as instance:
        bring_up(instance)
        if not instance.settings.development:
            return None, []
        with instance.database.transaction() as session:
            account = dev_account.ensure(session, instance=instance)
        return account, greeting.while_closed(instance)


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
                _tell_if_wrong(child, line)

    try:
        if _until_ready(children, settings, stop, watch):
            _tell(greet())
        keep_running(children, stop, _tell, watch)
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
        if greeting.answers(settings):
            return True
        for child in children:
            if not child.running:
                raise Refused(f"The {child.name} process did not start; see {child.log}")
        if time.monotonic() > deadline:
            raise Refused(f"The web server does not answer; see {children[0].log}")
    return False


def _tell_if_wrong(child: Child, line: str) -> None:
    """Errors are told here too; everything else stands in the log alone."""
    if '"level": "error"' in line or '"level": "critical"' in line or not line.startswith("{"):
        _tell(f"{child.name}: {line}", err=True)


def _tell(words: str, *, err: bool = False) -> None:
    with contextlib.suppress(OSError):  # the terminal may be gone already; stopping must go on
        click.echo(words, err=err)
