"""Appending to a file so that what was appended is there after a power cut."""

import os
from collections.abc import Iterable
from pathlib import Path


def append(path: Path, lines: Iterable[str]) -> None:
    """Append whole lines, and wait until the disk has them. A torn line before them is left behind.

    A new file can be read by this account alone. Raises OSError.
    """
    whole = not path.exists() or path.read_bytes()[-1:] in (b"", b"\n")
    words = ("" if whole else "\n") + "".join(f"{line}\n" for line in lines)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "ab") as file:
        file.write(words.encode())
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """A new file is only there for good when its folder is on the disk as well."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
