"""When a process ends: on a signal, or when the one that started it is gone.

A parent that is killed cannot tell its children, so they watch it: a child holds the read end of a
pipe on standard input, which the kernel closes with the parent, however it died.
"""

import os
import signal
import sys
from collections.abc import Callable
from select import poll
from threading import Event, Thread

import click

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
