"""Taking an encrypted backup while the service runs: the result is a complete file, or none."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from intake.act import Act
from intake.backup.archive import LOCK, backup_key, dump
from intake.backup.models import BackupAct, recording
from intake.core import files
from intake.core.errors import Refused
from intake.db.snapshot import snapshot
from intake.instance import Instance
from intake.security.crypto import encrypt_stream

SUFFIX = ".backup"
_FILE_NAME = re.compile(r"intake-\d{8}T\d{12}Z\.backup")
_PART_NAME = re.compile(r"\.intake-\d{8}T\d{12}Z\.backup\.part")
_ABANDONED_AFTER = timedelta(hours=6)


@dataclass(frozen=True)
class CreatedBackup:
    """A backup that is synced to disk: `size` in bytes, `pruned` older backups deleted."""

    path: Path
    size: int
    pruned: int


def take(instance: Instance, to: Path | None = None, *, keep: int | None = None) -> CreatedBackup:
    """Write one encrypted backup: into the folder `to` (default INTAKE_BACKUP_DIR), or as the file `to`.

    In a folder only the newest `keep` backups stay (default INTAKE_BACKUP_KEEP). The outcome is stored for
    the health checks. Raises Refused, saying why, and Unavailable; no partial file is left behind.
    """
    with recording(instance, BackupAct.TAKEN):
        key, path = backup_key(instance), _target_path(instance, to)
        try:
            with snapshot(instance.database, lock=instance.settings.data_dir / LOCK) as session:
                size = _write(path, encrypt_stream(key, dump(Act(session, instance))))
        except OSError as error:
            raise Refused(f"The backup could not be written to {path.parent}: {error.strerror}.") from None
        in_folder = _FILE_NAME.fullmatch(path.name)
        pruned = _prune(path.parent, keep or instance.settings.backup_keep, instance) if in_folder else 0
    return CreatedBackup(path, size, pruned)


def newest(instance: Instance) -> Path | None:
    """The newest backup in INTAKE_BACKUP_DIR; None when there is no folder or no backup."""
    folder = instance.settings.backup_dir
    return next(iter(_backups_in(Path(folder))), None) if folder else None


def _backups_in(folder: Path) -> list[Path]:
    """The backups in `folder`, newest first; their names sort by time."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if _FILE_NAME.fullmatch(path.name)), reverse=True)


def _target_path(instance: Instance, to: Path | None) -> Path:
    target = to or (Path(instance.settings.backup_dir) if instance.settings.backup_dir else None)
    if target is None:
        raise Refused("Say where to, with --to FILE or FOLDER, or set INTAKE_BACKUP_DIR.")
    if target.is_dir():
        return target / f"intake-{instance.clock():%Y%m%dT%H%M%S%f}Z{SUFFIX}"
    if target.exists():
        raise Refused(f"{target} exists already, and a backup is never written over anything.")
    if to is None or not target.parent.is_dir():
        raise Refused(f"There is no folder {target if to is None else target.parent}.")
    return target


def _write(path: Path, chunks: Iterable[bytes]) -> int:
    """Write to a temporary file with mode 0600, sync it, rename it to `path`. Returns the number of bytes.

    When it fails, the temporary file is deleted.
    """
    part = path.with_name(f".{path.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        try:
            size = sum(file.write(chunk) for chunk in chunks)
            file.flush()
            os.fsync(file.fileno())
            part.rename(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    files.sync_folder(path.parent)
    return size


def _prune(folder: Path, keep: int, instance: Instance) -> int:
    """Delete old backups and abandoned partial files. Returns the number of backups deleted."""
    old = _backups_in(folder)[keep:]
    for path in old:
        path.unlink(missing_ok=True)
    before = (instance.clock() - _ABANDONED_AFTER).timestamp()
    for path in folder.iterdir():
        if _PART_NAME.fullmatch(path.name) and path.stat().st_mtime < before:
            path.unlink(missing_ok=True)
    return len(old)
