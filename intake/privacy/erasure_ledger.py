"""Erasure ledger: an append-only file outside the database, applied again after a backup is restored.

One line for each erased lead, each entry of the suppression list, each lifted entry, and each consent that
was withdrawn on a lead that still exists: time, id, what happened. It holds no personal data: the id of an
erased lead identifies no one, and the list holds keyed hashes. `mirror` copies new lines from the database;
`backup.restore` repeats what they say.
"""

import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from intake.consent.models import ConsentEvent, Kind, State
from intake.core import files
from intake.instance import Instance
from intake.leads.models import Erasure, ErasureReason, Lead, Suppression, SuppressionReason

FILE = "erasures.log"
_INDEX_BYTES = 32
_STOPPED, _LIFTED, _WITHDREW = "stopped", "lifted", "withdrew"


class LedgerEntry(NamedTuple):
    """One line of the file. `about` is the id of a lead or of an entry of the suppression list."""

    at: datetime
    about: uuid.UUID
    what: str

    def __str__(self) -> str:
        return f"{self.at.isoformat()} {self.about} {self.what}"

    @property
    def erased(self) -> ErasureReason | None:
        """Why the lead was erased; None if the line is no erasure."""
        return ErasureReason(self.what) if self.what in set(ErasureReason) else None

    @property
    def stopped(self) -> tuple[SuppressionReason, bytes] | None:
        """Reason and blind index of a suppression, None for other lines. Raises ValueError if torn."""
        act, _, rest = self.what.partition(":")
        if act != _STOPPED:
            return None
        reason, _, index = rest.partition(":")
        if len(index) != 2 * _INDEX_BYTES:
            raise ValueError(self.what)
        return SuppressionReason(reason), bytes.fromhex(index)

    @property
    def lifted(self) -> bool:
        """Whether the line lifts an entry of the suppression list."""
        return self.what == _LIFTED

    @property
    def withdrew(self) -> Kind | None:
        """The kind of the withdrawn consent; None if the line is no withdrawal."""
        act, _, kind = self.what.partition(":")
        return Kind(kind) if act == _WITHDREW else None


def path_of(instance: Instance) -> Path:
    """The path of the ledger in the data folder."""
    return instance.settings.data_dir / FILE


def mirror(instance: Instance) -> int:
    """Append the missing entries to every copy, synced to disk. Returns how many lines were missing at most.

    The copies are in the data folder and, if there is one, in the backup folder. Idempotent. A line torn by a
    power cut is ignored and written again. Raises OSError when a folder is missing.
    """
    with instance.database.reading() as session:
        lines = list(ledger_entries(session))
    paths = [path_of(instance)]
    if instance.settings.backup_dir:
        paths.append(Path(instance.settings.backup_dir) / FILE)
    most = 0
    for path in paths:
        known = {(line.about, line.what) for line in read(path)}
        missing = [line for line in lines if (line.about, line.what) not in known]
        if missing:
            files.append(path, map(str, missing))
        most = max(most, len(missing))
    return most


def ledger_entries(session: Session) -> Iterator[LedgerEntry]:
    """The entries that the database has, by kind, each kind in order of time."""
    for erasure in session.scalars(select(Erasure).order_by(Erasure.erased_at, Erasure.lead_id)):
        yield LedgerEntry(erasure.erased_at, erasure.lead_id, erasure.reason.value)
    for entry in session.scalars(select(Suppression).order_by(Suppression.at, Suppression.id)):
        yield LedgerEntry(entry.at, entry.id, f"{_STOPPED}:{entry.reason}:{entry.contact_index.hex()}")
        if entry.lifted_at:
            yield LedgerEntry(entry.lifted_at, entry.id, _LIFTED)
    events = select(ConsentEvent).join(Lead, Lead.id == ConsentEvent.lead_id)
    withdrawn = events.where(ConsentEvent.state == State.WITHDRAWN).order_by(ConsentEvent.at)
    for event in session.scalars(withdrawn):
        yield LedgerEntry(event.at, event.lead_id, f"{_WITHDREW}:{event.kind}")


def read(path: Path) -> list[LedgerEntry]:
    """The complete entries of the file, in order; empty if it does not exist."""
    if not path.exists():
        return []
    return parse(path.read_text(encoding="utf-8", errors="replace"))


def parse(text: str) -> list[LedgerEntry]:
    """The complete entries of `text`. Torn and unknown lines are left out."""
    found = (_parse_line(each) for each in text.splitlines())
    return [entry for entry in found if entry]


def _parse_line(line: str) -> LedgerEntry | None:
    try:
        at, about, what = line.split()
        entry = LedgerEntry(datetime.fromisoformat(at), uuid.UUID(about), what)
        known = entry.erased or entry.stopped or entry.lifted or entry.withdrew
        return entry if known and entry.at.tzinfo else None
    except ValueError:
        return None
