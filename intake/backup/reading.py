"""Opening a backup into the memory of this process, and finding out whether it is whole and ours."""

import base64
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import MetaData, select
from sqlalchemy.orm import Session

from intake import audit
from intake.audit.models import ChainLink
from intake.backup.archive import FORMAT, Manifest, mark_of
from intake.backup.create import LOCK, key_of
from intake.consent import service as consent
from intake.core.errors import Refused
from intake.db import migrate
from intake.db.snapshot import in_memory
from intake.instance import Instance
from intake.leads import key_rotation
from intake.privacy import erasure_ledger
from intake.privacy.erasure_ledger import Line
from intake.security.crypto import UNREADABLE, OtherKey, Unopenable, decrypted

NOT_WHOLE = "The file is not a whole backup, or was changed: take another one."
_PAGE = 500


@dataclass
class Opened:
    """A backup in memory: `instance` is ours, but stands on the backup's rows."""

    instance: Instance
    manifest: Manifest
    ledger: list[Line] = field(default_factory=list)


@contextmanager
def opened(instance: Instance, path: Path) -> Iterator[Opened]:
    """The backup in `path`, brought to this version, in memory; nothing of it touches a disk.

    Raises Refused when the file cannot be read, was made with another key or by a newer version, or is
    not whole to the last byte.
    """
    key = key_of(instance)
    with in_memory(instance.settings.data_dir / LOCK) as (database, _keeper):
        ours = replace(instance, database=database)
        try:
            with path.open("rb") as file:
                found = _load(ours, _values(decrypted(key, file)))
        except OSError as wrong:
            raise Refused(f"The backup cannot be read: {wrong.strerror}.") from None
        except OtherKey:
            raise Refused("The backup was made with another key than INTAKE_BACKUP_KEY.") from None
        except (Unopenable, ValueError, KeyError, TypeError, StopIteration):
            raise Refused(NOT_WHOLE) from None
        migrate.upgrade(database)
        yield found


def _values(pieces: Iterable[bytes]) -> Iterator[Any]:
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from (json.loads(line) for line in whole)
    if rest:
        raise ValueError


def _load(ours: Instance, values: Iterator[Any]) -> Opened:
    manifest = _manifest(next(values))
    migrate.upgrade(ours.database, to=manifest.revision)
    found, tables = Opened(ours, manifest), _Tables()
    with ours.database.transaction() as session:
        session.connection().exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        tables.open(session)
        for value in values:
            if tables.ended:
                raise ValueError
            if isinstance(value, dict) and "ledger" in value:
                found.ledger += erasure_ledger.parse(value["ledger"])
            else:
                tables.take(value)
    if not tables.ended or tables.counts != manifest.counts:
        raise ValueError
    return found


class _Tables:
    """Writes rows into the tables as they were in the version that took the backup, and counts them."""

    def __init__(self) -> None:
        self.ended = False
        self.counts: dict[str, int] = {}
        self._rows: list[tuple[Any, ...]] = []

    def open(self, session: Session) -> None:
        self._connection = session.connection()
        self._shapes = MetaData()
        self._shapes.reflect(self._connection)

    def take(self, value: Any) -> None:
        """One line: a row, the head of the next table, or the end."""
        if isinstance(value, list):
            self._rows.append(tuple(_raw(each) for each in value))
            self.counts[self._name] += 1
        if isinstance(value, dict) or len(self._rows) == _PAGE:
            self._flush()
        if isinstance(value, dict) and "table" in value:
            self._begin(value)
        elif isinstance(value, dict):
            self.ended = value["end"] == sum(self.counts.values())

    def _begin(self, head: dict[str, Any]) -> None:
        table = self._shapes.tables[head["table"]]
        columns = [table.columns[name].name for name in head["columns"]]
        marks = ", ".join("?" for _ in columns)
        named = ", ".join(f'"{column}"' for column in columns)
        self._name, self.counts[table.name] = table.name, 0
        self._statement = f'INSERT INTO "{table.name}" ({named}) VALUES ({marks})'  # noqa: S608  our own names

    def _flush(self) -> None:
        if self._rows:
            self._connection.exec_driver_sql(self._statement, self._rows)
            self._rows = []


def _manifest(value: Any) -> Manifest:
    if value["manifest"]["format"] != FORMAT:
        raise Refused("The backup was made by a newer version: restore it with that one.")
    manifest = Manifest(**value["manifest"])
    if manifest.revision not in migrate.revisions():
        raise Refused("The backup was made by a newer version: restore it with that one.")
    return manifest


def _raw(value: Any) -> Any:
    return base64.b64decode(value[0], validate=True) if isinstance(value, list) else value


def require_ours(found: Opened) -> None:
    """Raises Refused when the keys of this instance do not fit what stands in the backup."""
    ours = found.instance
    if found.manifest.index_key != mark_of(ours.keyring):
        raise Refused(
            "The backup was written with another INTAKE_INDEX_KEY: set that one, or nobody is found again "
            "and nobody who asked to be left alone is left alone."
        )
    with ours.database.reading() as session:
        missing = set(key_rotation.standing(session, ours.keyring)) - {*ours.keyring.sealing_ids, UNREADABLE}
        broken, rows = key_rotation.unopenable(session, ours.keyring)
    if missing or 0 < broken == rows:
        named = f", also {', '.join(sorted(missing))}" if missing else ""
        raise Refused(
            f"{broken} of {rows} sealed rows do not open: INTAKE_SEALING_KEYS must hold every key that "
            f"was in use when the backup was taken{named}."
        )


def faults(found: Opened) -> list[str]:
    """What the audit log, its chain, the proof of consent and the sealed rows say against the backup."""
    ours = found.instance
    with ours.database.reading() as session:
        verified = audit.verify(session, keyring=ours.keyring)
        problems = [*verified.problems, *consent.verify(session, keyring=ours.keyring)]
        broken, _rows = key_rotation.unopenable(session, ours.keyring)
        end = session.scalars(select(ChainLink).order_by(ChainLink.seq.desc()).limit(1)).first()
    if broken:
        problems.append(f"{broken} sealed rows do not open.")
    if (end.digest.hex() if end else "") != found.manifest.head:
        problems.append("the head of the chain is not the one in the manifest.")
    return problems
