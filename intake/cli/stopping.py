"""When a process ends: on a signal, or when the one that started it is gone.

A parent that is killed cannot tell its children, so they watch it: a child holds the read end of a
pipe on standard input, which the kernel closes with the parent, however it died.
"""

import os
import signal
import sys
from collections.abc import Callable
from threading import Event, Thread

import click

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

until_stdin_closes = click.option(
    "--until-stdin-closes", is_flag=True, hidden=True, help="Stop when standard input ends."
)


def stop_on_signals() -> Event:
    """An event that is set by Ctrl-C, SIGTERM and SIGHUP instead of ending the process at once."""
    stop = Event()
    for number in SIGNALS:
        signal.signal(number, lambda *_: stop.set())
    return stop


def stop_with_stdin(stop: Event) -> None:
    """Set `stop` when standard input ends: whoever held the other end of the pipe is gone."""
    Thread(target=_wait_for_the_end, args=(stop,), name="watch-parent", daemon=True).start()


def _wait_for_the_end(stop: Event) -> None:
    while os.read(sys.stdin.fileno(), 1024):
        continue
    stop.set()


def parent_gone() -> Callable[[], bool]:
    """A question to ask again and again: has the process that started this one ended?"""
    parent = os.getppid()
    return lambda: os.getppid() != parent
