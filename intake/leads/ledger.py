"""The erasure ledger's copy in a file outside the database, so that a restored backup forgets again.

One line for each lead that is gone: when, which, why. A lead's id leads to nobody once the lead is
gone. The file is only ever appended to.
"""

import os
import uuid
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import select

from intake.instance import Instance
from intake.leads.models import Erasure, ErasureReason

FILE = "erasures.log"


class Line(NamedTuple):
    """One line of the file."""

    erased_at: datetime
    lead_id: uuid.UUID
    reason: ErasureReason

    def __str__(self) -> str:
        return f"{self.erased_at.isoformat()} {self.lead_id} {self.reason}"


def path_of(instance: Instance) -> Path:
    """Where the file is."""
    return instance.settings.data_dir / FILE


def mirror(instance: Instance) -> int:
    """Append what the file does not have yet, and wait until the disk has it. Returns how many lines.

    Doing it again changes nothing. A line that a power cut tore is left behind and written anew.
    """
    known = {line.lead_id for line in read(path_of(instance))}
    with instance.database.reading() as session:
        rows = session.scalars(select(Erasure).order_by(Erasure.erased_at, Erasure.lead_id)).all()
    missing = [Line(row.erased_at, row.lead_id, row.reason) for row in rows if row.lead_id not in known]
    if missing:
        _append(path_of(instance), missing)
    return len(missing)


def read(path: Path) -> list[Line]:
    """The whole lines of the file, in their order; none when there is no file yet."""
    if not path.exists():
        return []
    found = (_line(words) for words in path.read_text(encoding="utf-8", errors="replace").splitlines())
    return [line for line in found if line]


def _line(words: str) -> Line | None:
    try:
        at, lead_id, reason = words.split()
        return Line(datetime.fromisoformat(at), uuid.UUID(lead_id), ErasureReason(reason))
    except ValueError:
        return None


def _append(path: Path, lines: Iterable[Line]) -> None:
    whole = not path.exists() or path.read_bytes()[-1:] in (b"", b"\n")
    words = ("" if whole else "\n") + "".join(f"{line}\n" for line in lines)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "ab") as file:
        file.write(words.encode())
        file.flush()
        os.fsync(file.fileno())
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """A new file is only there for good when its folder is on the disk as well."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
