"""Write lock for a SQLite file, shared by every thread and process on this machine, and its disk reserve.

SQLite has no fair queue of its own: `BEGIN IMMEDIATE` polls, and a busy writer can starve the rest.
Waiting is bounded. After one timeout the next writers wait for a fraction of a second only, until a
writer succeeds again, so that a stuck process costs others an error page and not every thread of the web
server, which must stay free to show the clinic's phone number (promise P4).

The disk reserve: even a deletion needs disk space, since SQLite writes a page to its journal before it
changes it. A file beside the database occupies some, which a writer on a full disk gets for the
duration of its transaction. A new request gets none of it: it is refused with the phone number on the
page, while stopping contact, erasing and notifying staff go on.
"""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from intake.core.errors import Unavailable

TIMEOUT, STALLED_TIMEOUT = 5.0, 0.2
"""Seconds to wait for the lock: usually, and while writers are stalled."""
_STALLED_FOR = 30.0
_POLL_INTERVAL = 0.002
RESERVE_SIZE = 4 * 1024 * 1024
"""Bytes; enough for some thousand stops and erasures, each of which stores a few pages of proof."""
RESERVE_THRESHOLD = 1024 * 1024
"""Bytes; with this much free disk space, a transaction does not need the reserve."""


class WriterLock:
    """An exclusive lock on `path`, fair enough and with a bounded wait."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread_lock = threading.Lock()
        self._pause = threading.Event()  # never set; unlike a sleep, safe from changes of the system clock
        self._stalled_until = 0.0

    @contextmanager
    def acquire(self) -> Iterator[None]:
        """Hold the lock for the block. Raises Unavailable on a timeout, or when the file cannot be opened."""
        until = time.monotonic() + (STALLED_TIMEOUT if time.monotonic() < self._stalled_until else TIMEOUT)
        if not self._thread_lock.acquire(timeout=until - time.monotonic()):
            self.mark_stalled()
            raise Unavailable
        try:
            with self._file_lock(until):
                yield
        finally:
            self._thread_lock.release()

    def mark_stalled(self) -> None:
        """Shorten the wait of the next writers, for 30 seconds or until `mark_progress`."""
        self._stalled_until = time.monotonic() + _STALLED_FOR

    def mark_progress(self) -> None:
        """Record that a writer succeeded: the usual timeout applies again."""
        self._stalled_until = 0.0

    @contextmanager
    def _file_lock(self, until: float) -> Iterator[None]:
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as failure:  # a read-only folder, a full disk, too many open files
            raise Unavailable from failure
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        self.mark_stalled()
                        raise Unavailable from None
                self._pause.wait(_POLL_INTERVAL)
            yield
        finally:
            os.close(descriptor)


class DiskReserve:
    """A file that occupies disk space for a full disk. Without write access there is no reserve."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def size(self) -> int:
        """Bytes that the reserve occupies now."""
        with suppress(OSError):
            return self._path.stat().st_size
        return 0

    def refill(self) -> None:
        """Allocate RESERVE_SIZE bytes, but never more than a quarter of the free disk space."""
        if self.size < RESERVE_SIZE:
            self._allocate(min(RESERVE_SIZE, self._free() // 4))

    @contextmanager
    def release_during(self) -> Iterator[None]:
        """Free the reserve for the block when the disk is full. The caller holds the writer lock."""
        size = self.size if self._free() < RESERVE_THRESHOLD else 0
        if not size:
            yield
            return
        with suppress(OSError):
            os.truncate(self._path, 0)
        try:
            yield
        finally:
            self._allocate(min(size, self._free()))

    def _free(self) -> int:
        try:
            disk = os.statvfs(self._path.parent)
        except OSError:
            return 0
        return disk.f_bavail * disk.f_frsize

    def _allocate(self, size: int) -> None:
        if size <= self.size:
            return
        with suppress(OSError):
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, size)
            finally:
                os.close(descriptor)
