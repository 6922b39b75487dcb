"""Taking a backup while everything runs: a file that is whole, or no file."""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO

from intake.backup.archive import LOCK, key_of, lines
from intake.backup.models import BackupAct, recording
from intake.core import files
from intake.core.errors import Refused
from intake.db.snapshot import snapshot
from intake.instance import Instance
from intake.security.crypto import encrypted

SUFFIX = ".backup"
_NAMED = re.compile(r"intake-\d{8}T\d{12}Z\.backup")
_DRAFT = re.compile(r"\.intake-\d{8}T\d{12}Z\.backup\.part")
_LEFT_BEHIND = timedelta(hours=6)


@dataclass(frozen=True)
class Taken:
    """A backup that is on the disk for good, and how many older ones were deleted."""

    path: Path
    size: int
    pruned: int


def take(instance: Instance, to: Path | None = None, *, keep: int | None = None) -> Taken:
    """Write one encrypted backup: into the folder `to` (default INTAKE_BACKUP_DIR), or as the file `to`.

    In a folder only the newest `keep` of ours stay (default INTAKE_BACKUP_KEEP). How it ended is written
    down for health. Raises Refused, saying why, and Unavailable; a half file is never left.
    """
    with recording(instance, BackupAct.TAKEN):
        key, path = key_of(instance), _path(instance, to)
        try:
            with snapshot(instance.database, lock=instance.settings.data_dir / LOCK) as session:
                size = _write(path, encrypted(key, lines(session, instance)))
        except OSError as wrong:
            raise Refused(f"The backup could not be written to {path.parent}: {wrong.strerror}.") from None
        in_folder = _NAMED.fullmatch(path.name)
        pruned = _prune(path.parent, keep or instance.settings.backup_keep, instance) if in_folder else 0
    return Taken(path, size, pruned)


def newest(instance: Instance) -> Path | None:
    """The newest backup in INTAKE_BACKUP_DIR."""
    folder = instance.settings.backup_dir
    return next(iter(_ours(Path(folder))), None) if folder else None


def _ours(folder: Path) -> list[Path]:
    """The newest first; their names sort by time."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if _NAMED.fullmatch(path.name)), reverse=True)


def _path(instance: Instance, to: Path | None) -> Path:
    where = to or (Path(instance.settings.backup_dir) if instance.settings.backup_dir else None)
    if where is None:
        raise Refused("Say where to, with --to FILE or FOLDER, or set INTAKE_BACKUP_DIR.")
    if where.is_dir():
        return where / f"intake-{instance.clock():%Y%m%dT%H%M%S%f}Z{SUFFIX}"
    if where.exists():
        raise Refused(f"{where} exists already, and a backup is never written over anything.")
    if to is None or not where.parent.is_dir():
        raise Refused(f"There is no folder {where if to is None else where.parent}.")
    return where


def _write(path: Path, pieces: Iterable[bytes]) -> int:
    """Beside its place first, on the disk for good, and then under its name. Returns how many bytes."""
    draft = path.with_name(f".{path.name}.part")
    with _new(draft) as file:
        size = sum(file.write(piece) for piece in pieces)
        file.flush()
        os.fsync(file.fileno())
        draft.rename(path)
    files.sync_folder(path.parent)
    return size


@contextmanager
def _new(draft: Path) -> Iterator[IO[bytes]]:
    """A file for our account alone, gone again when the block fails."""
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        try:
            yield file
        except BaseException:
            draft.unlink(missing_ok=True)
            raise


def _prune(folder: Path, keep: int, instance: Instance) -> int:
    """Delete the backups before the newest `keep`, and drafts that a killed process left behind."""
    old = _ours(folder)[keep:]
    for path in old:
        path.unlink(missing_ok=True)
    before = (instance.clock() - _LEFT_BEHIND).timestamp()
    for path in folder.iterdir():
        if _DRAFT.fullmatch(path.name) and path.stat().st_mtime < before:
            path.unlink(missing_ok=True)
    return len(old)
