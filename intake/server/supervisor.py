"""Child processes that are kept running, and that never outlive the process that started them.

Each has its own process group, so that Ctrl-C in the terminal reaches this process alone and the
end is orderly; and each holds a pipe from us on standard input, which tells it when we are gone.
"""

import os
import signal
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

GRACE = 12.0
"""Seconds a child has to end after it was asked to; longer than the web server's draining."""
TICK = 0.25
LONGEST_WAIT = 30.0
_STEADY = 60.0
_LARGE = 5_000_000


class Child:
    """One `intake` command in a process of its own. `log` is where its standard error goes."""

    def __init__(
        self, name: str, *arguments: str, log: Path | None = None, hand_down: Sequence[int] = ()
    ) -> None:
        self.name = name
        self.log = log
        self._command = [sys.executable, "-m", "intake", *arguments, "--until-stdin-closes"]
        self._hand_down = hand_down
        self._process: subprocess.Popen[bytes] | None = None
        self._began = 0.0
        self._again_at = 0.0
        self._wait = 0.0
        self._told = 0

    def start(self) -> None:
        """Start the process; it must not be running."""
        self._let_go()
        with _opened(self.log) as log:
            self._told = self.log.stat().st_size if self.log and self.log.exists() else 0
            self._process = subprocess.Popen(  # noqa: S603  our own command
                self._command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=self._hand_down,
                process_group=0,
            )
        self._began = time.monotonic()

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def tend(self, tell: Callable[[str], None]) -> None:
        """Start the process again if it ended, later each time; say so, once for each end."""
        if self.running:
            return
        now = time.monotonic()
        if self._process is not None:
            self._plan(now)
            tell(f"The {self.name} process ended; it starts again in {self._wait:.0f} s.{self._where()}")
        if now >= self._again_at:
            self.start()

    def _plan(self, now: float) -> None:
        """Decide when to start again: soon after a long life, later after each short one."""
        steady = now - self._began > _STEADY
        self._wait = 1.0 if steady or not self._wait else min(self._wait * 2, LONGEST_WAIT)
        self._again_at = now + self._wait
        self._let_go()

    def _where(self) -> str:
        return f" Its log: {self.log}" if self.log else ""

    def new_lines(self) -> list[str]:
        """What the log says since the last look; empty without a log."""
        if not self.log or not self.log.exists():
            return []
        with self.log.open("rb") as log:
            log.seek(self._told)
            words = log.read()
        whole = words.rpartition(b"\n")
        self._told += len(whole[0]) + len(whole[1])
        return whole[0].decode(errors="replace").splitlines()

    def ask_to_stop(self) -> None:
        """Ask the process to end in order; closing its pipe says it a second way."""
        if self._process and self.running:
            self._process.terminate()
            _close(self._process.stdin)

    def finish(self, deadline: float) -> None:
        """Wait for the end until `deadline` (monotonic), then kill the whole group."""
        if not self._process:
            return
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._let_go()

    def _let_go(self) -> None:
        if self._process:
            _close(self._process.stdin)
        self._process = None


def _close(pipe: IO[bytes] | None) -> None:
    if pipe:
        pipe.close()


def _opened(log: Path | None) -> IO[bytes]:
    """The log to append to; without one, or where it cannot be written, our own standard error."""
    if log:
        with suppress(OSError):
            return _appended(log)
    return os.fdopen(os.dup(sys.stderr.fileno()), "wb")


def _appended(log: Path) -> IO[bytes]:
    """The log, begun anew when it has grown large."""
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > _LARGE:
        log.replace(log.with_suffix(".log.1"))
    return os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def keep_running(
    children: Sequence[Child],
    stop: Event,
    tell: Callable[[str], None],
    watch: Callable[[], None] = lambda: None,
) -> None:
    """Look after `children` until `stop` is set, then end them all; none is left when this returns.

    `watch` is called on every turn, a few times a second.
    """
    try:
        while not stop.wait(TICK):
            watch()
            for child in children:
                child.tend(tell)
    finally:
        end_all(children)


def end_all(children: Sequence[Child]) -> None:
    """Ask every child to end, wait for all of them together, kill what stays."""
    for child in children:
        child.ask_to_stop()
    deadline = time.monotonic() + GRACE
    for child in children:
        child.finish(deadline)


# --- When a process ends: on a signal, or when the one that started it is gone.
# A parent that is killed cannot tell its children, so they watch it: a child holds the read end of a
# pipe on standard input, which the kernel closes with the parent, however it died.

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

until_stdin_closes = click.option(
    "--until-stdin-closes", is_flag=True, hidden=True, help="Stop when standard input ends."
)


def stop_on_signals() -> Event:
    """An event that is set by Ctrl-C, SIGTERM and SIGHUP instead of ending the process at once.

    SIGHUP stays ignored where it was: `nohup` asked for that.
    """
    stop = Event()
    for number in SIGNALS:
        if number != signal.SIGHUP or not _outlives_terminals():
            signal.signal(number, lambda *_: stop.set())
    return stop


def _outlives_terminals() -> bool:
    return signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def stop_with_stdin(stop: Event) -> None:
    """Set `stop` when standard input ends: whoever held the other end of the pipe is gone."""
    Thread(target=_wait_for_the_end, args=(stop,), name="watch-parent", daemon=True).start()


def _wait_for_the_end(stop: Event) -> None:
    while os.read(sys.stdin.fileno(), 1024):
        continue
    stop.set()


def terminal_gone() -> Callable[[], bool]:
    """A question to ask again and again: is the terminal closed that this was started in?

    The system tells the leader of the session alone, and `make` as a leader waits for its children.
    """
    if _outlives_terminals() or not sys.stdin or not sys.stdin.isatty():
        return bool
    watched = poll()
    watched.register(sys.stdin.fileno(), 0)
    return lambda: bool(watched.poll(0))


def parent_gone() -> Callable[[], bool]:
    """A question to ask again and again: has the process that started this one ended?"""
    parent = os.getppid()
    return lambda: os.getppid() != parent
