"""Room on the disk that is held for a full one, so that whoever wants out gets out.

Even a deletion needs room: SQLite writes a page to its journal before it changes it. So a file beside
the database holds some, and a writer on a full disk is lent it for its transaction. Requests that are
taken in get none of it: they are refused, with the phone on the page, while stopping, erasing and
telling staff go on (reliability.md, J1).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SIZE = 4 * 1024 * 1024
"""Some thousand stops and erasures: each keeps a few pages of proof."""
ENOUGH = 1024 * 1024
"""With this much free, a transaction needs nothing of ours."""


class Reserve:
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
