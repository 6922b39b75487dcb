"""Durable appends: what was appended is still there after a power cut."""

import os
from collections.abc import Iterable
from pathlib import Path


def append(path: Path, lines: Iterable[str]) -> None:
    """Append `lines` and sync the file and its folder. An incomplete last line before them is left as it is.

    A new file is readable by its owner only. Raises OSError.
    """
    whole = not path.exists() or path.read_bytes()[-1:] in (b"", b"\n")
    content = ("" if whole else "\n") + "".join(f"{line}\n" for line in lines)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "ab") as file:
        file.write(content.encode())
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Sync a folder, without which a new file in it may be lost. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
