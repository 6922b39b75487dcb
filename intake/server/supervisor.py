"""Supervise child processes: start them again when they end, and end them with this process.

Each child has its own process group, so that Ctrl-C in the terminal reaches this process alone, which
stops the children in order. A parent that is killed cannot stop its children, so each child holds the
read end of a pipe on standard input, which the kernel closes however the parent ends
(`stop_with_stdin`). The listening socket is created once, before anything else is started, and shared by
all web processes. The module also has the conditions on which a process stops: signals, the parent's end,
and a closed terminal.
"""

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from select import poll
from threading import Event, Thread
from typing import IO

import click

from intake.conf.settings import Settings
from intake.core.errors import Refused, SettingsError

BACKLOG = 1024
GRACE = 12.0
"""Seconds that a child has to end after SIGTERM; longer than the web server's DRAIN_SECONDS."""
TICK = 0.25
LONGEST_WAIT = 30.0
"""Seconds; the longest delay before a child is started again."""
_STABLE_AFTER = 60.0
_MAX_LOG_BYTES = 5_000_000
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Child:
    """One `intake` command as a child process. `log` is the file for its output; None: our standard error."""

    def __init__(
        self, name: str, *arguments: str, log: Path | None = None, pass_fds: Sequence[int] = ()
    ) -> None:
        self.name = name
        self.log = log
        self._command = [sys.executable, "-m", "intake", *arguments, "--until-stdin-closes"]
        self._pass_fds = pass_fds
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._restart_at = 0.0
        self._delay = 0.0
        self._log_offset = 0

    def start(self) -> None:
        """Start the process; it must not be running."""
        self._discard_process()
        with _open_log(self.log) as log:
            self._log_offset = self.log.stat().st_size if self.log and self.log.exists() else 0
            self._process = subprocess.Popen(  # noqa: S603  a command of this package
                self._command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=self._pass_fds,
                process_group=0,
            )
        self._started_at = time.monotonic()

    @property
    def running(self) -> bool:
        """Whether the process is running."""
        return self._process is not None and self._process.poll() is None

    def restart_if_ended(self, report: Callable[[str], None]) -> None:
        """Start the process again if it ended; `report` is called once for each end.

        The delay doubles after each short run, and is a second again after a stable one.
        """
        if self.running:
            return
        now = time.monotonic()
        if self._process is not None:
            stable = now - self._started_at > _STABLE_AFTER
            self._delay = 1.0 if stable or not self._delay else min(self._delay * 2, LONGEST_WAIT)
            self._restart_at = now + self._delay
            self._discard_process()
            log = f" Its log: {self.log}" if self.log else ""
            report(f"The {self.name} process ended; it starts again in {self._delay:.0f} s.{log}")
        if now >= self._restart_at:
            self.start()

    def new_lines(self) -> list[str]:
        """Complete lines that were written to the log since the last call; empty without a log."""
        if not self.log or not self.log.exists():
            return []
        with self.log.open("rb") as log:
            log.seek(self._log_offset)
            complete, newline, _ = log.read().rpartition(b"\n")
        self._log_offset += len(complete) + len(newline)
        return complete.decode(errors="replace").splitlines()

    def ask_to_stop(self) -> None:
        """Send SIGTERM and close the pipe, either of which makes the process stop in order."""
        if self._process and self.running:
            self._process.terminate()
            self._close_pipe()

    def finish(self, deadline: float) -> None:
        """Wait for the end until `deadline` (monotonic), then kill the whole group."""
        if not self._process:
            return
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._discard_process()

    def _close_pipe(self) -> None:
        if self._process and self._process.stdin:
            self._process.stdin.close()

    def _discard_process(self) -> None:
        self._close_pipe()
        self._process = None


def _open_log(log: Path | None) -> IO[bytes]:
    """The log opened for appending; without one, or when it cannot be written, our standard error."""
    with suppress(OSError):
        if log:
            log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if log.exists() and log.stat().st_size > _MAX_LOG_BYTES:
                log.replace(log.with_suffix(".log.1"))
            return os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")
    return os.fdopen(os.dup(sys.stderr.fileno()), "wb")


def keep_running(
    children: Sequence[Child],
    stop: Event,
    report: Callable[[str], None],
    watch: Callable[[], None] = lambda: None,
) -> None:
    """Keep `children` running until `stop` is set, then end them all; none is left when this returns.

    `watch` is called every TICK seconds.
    """
    try:
        while not stop.wait(TICK):
            watch()
            for child in children:
                child.restart_if_ended(report)
    finally:
        end_all(children)


def end_all(children: Sequence[Child]) -> None:
    """Stop all children: SIGTERM, GRACE seconds for all of them together, then SIGKILL."""
    for child in children:
        child.ask_to_stop()
    deadline = time.monotonic() + GRACE
    for child in children:
        child.finish(deadline)


def listen(settings: Settings) -> socket.socket:
    """A listening socket on the configured host and port. Raises Refused, SettingsError."""
    host, port = settings.host, settings.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except socket.gaierror:
        raise SettingsError(["INTAKE_HOST: is not an address of this machine."]) from None
    except OSError as failure:
        if failure.errno == errno.EADDRINUSE:
            raise Refused(f"Port {port} is in use; set INTAKE_PORT.") from None
        if failure.errno == errno.EACCES:
            raise Refused(f"Port {port} is not open to this account; set INTAKE_PORT.") from None
        why = os.strerror(failure.errno or 0)
        raise Refused(f"INTAKE_HOST: cannot be listened on ({why}).") from None


def inherited_socket(descriptor: int) -> socket.socket:
    """The listening socket inherited from the parent process. Raises Refused when it is none."""
    try:
        return socket.socket(fileno=descriptor)
    except OSError:
        raise Refused("--socket must be the number of a listening socket that was handed down.") from None


until_stdin_closes = click.option(
    "--until-stdin-closes", is_flag=True, hidden=True, help="Stop when standard input ends."
)


def stop_on_signals() -> Event:
    """An event that is set by SIGINT (Ctrl-C), SIGTERM and SIGHUP, instead of ending the process at once.

    SIGHUP stays ignored where it was, as under `nohup`.
    """
    stop = Event()
    for number in SIGNALS:
        if number != signal.SIGHUP or not _ignores_hangup():
            signal.signal(number, lambda *_: stop.set())
    return stop


def _ignores_hangup() -> bool:
    return signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def stop_with_stdin(stop: Event) -> None:
    """Set `stop` when standard input ends: the process at the other end of the pipe is gone."""

    def wait_for_eof() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            continue
        stop.set()

    Thread(target=wait_for_eof, name="watch-parent", daemon=True).start()


def terminal_gone() -> Callable[[], bool]:
    """A function that tells whether the terminal was closed in which this process was started.

    The kernel sends SIGHUP to the session leader only, and `make` as a leader waits for its children.
    """
    if _ignores_hangup() or not sys.stdin or not sys.stdin.isatty():
        return bool
    poller = poll()
    poller.register(sys.stdin.fileno(), 0)
    return lambda: bool(poller.poll(0))


def parent_gone() -> Callable[[], bool]:
    """A function that tells whether the process that started this one has ended."""
    parent = os.getppid()
    return lambda: os.getppid() != parent
