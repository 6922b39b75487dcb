"""The line in which writers wait for a SQLite file: one lock per machine, and an end to the waiting.

A writer that is stuck must not take everybody with it: each wait has an end, and once one has come to
it, the next ones hardly wait at all until a writer gets through again. So the threads of a web server
stay free to say what to do instead (promise P4).
"""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from intake.core.errors import Unavailable

PATIENCE, IMPATIENCE = 5.0, 0.2
"""Seconds to wait for a turn: usually, and while the line does not move."""
_STUCK_FOR = 30.0
_LOOK_EVERY = 0.002


class WriterLock:
    """The line before one file. Every thread and process of this machine that writes stands in it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ours = threading.Lock()
        self._pause = threading.Event()  # never set; unlike a sleep it stands a clock that is set meanwhile
        self._stuck_until = 0.0

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the lock inside the block. Raises Unavailable when the turn does not come, or cannot."""
        until = time.monotonic() + (IMPATIENCE if time.monotonic() < self._stuck_until else PATIENCE)
        if not self._ours.acquire(timeout=until - time.monotonic()):
            self.stuck()
            raise Unavailable
        try:
            with self._locked(until):
                yield
        finally:
            self._ours.release()

    def stuck(self) -> None:
        """Remember that the line does not move."""
        self._stuck_until = time.monotonic() + _STUCK_FOR

    def moves(self) -> None:
        """Remember that a writer has got through."""
        self._stuck_until = 0.0

    @contextmanager
    def _locked(self, until: float) -> Iterator[None]:
        descriptor = self._opened()
        try:
            while not _taken(descriptor):
                if time.monotonic() > until:
                    self.stuck()
                    raise Unavailable
                self._pause.wait(_LOOK_EVERY)
            yield
        finally:
            os.close(descriptor)

    def _opened(self) -> int:
        """A folder that may only be read, a disk without room for one file more, too many files open."""
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as closed:
            raise Unavailable from closed


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


# --- Room on the disk that is held for a full one, so that whoever wants out gets out.
# Even a deletion needs room: SQLite writes a page to its journal before it changes it. So a file beside
# the database holds some, and a writer on a full disk is lent it for its transaction. Requests that are
# taken in get none of it: they are refused, with the phone on the page, while stopping, erasing and
# telling staff go on (reliability.md, J1).

SIZE = 4 * 1024 * 1024
"""Some thousand stops and erasures: each keeps a few pages of proof."""
ENOUGH = 1024 * 1024
"""With this much free, a transaction needs nothing of ours."""


class DiskReserve:
    """The file that holds it. Where nothing can be held (a folder that may only be read), nothing is."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def held(self) -> int:
        """How many bytes are held now."""
        with suppress(OSError):
            return self._path.stat().st_size
        return 0

    def keep(self) -> None:
        """Hold SIZE bytes; on a small disk less, so that it is not us who fill it."""
        if self.held < SIZE:
            self._hold(min(SIZE, self._free() // 4))

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Inside the block the room is free. The caller is the only writer, so nobody else takes it."""
        held = self.held if self._free() < ENOUGH else 0
        if not held:
            yield
            return
        self._give()
        try:
            yield
        finally:
            self._hold(min(held, self._free()))

    def _free(self) -> int:
        try:
            disk = os.statvfs(self._path.parent)
        except OSError:
            return 0
        return disk.f_bavail * disk.f_frsize

    def _give(self) -> None:
        with suppress(OSError):
            os.truncate(self._path, 0)

    def _hold(self, size: int) -> None:
        if size <= self.held:
            return
        with suppress(OSError):
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, size)
            finally:
                os.close(descriptor)
