"""What stands in a backup: a manifest, every row of every table as plain values, the ledger's copy.

JSON lines. A row's values are written as SQLite keeps them (an identifier and a moment as text, bytes in
base64), so that a backup can be brought back to either database, whatever it was taken from, and needs
no program of theirs.
"""

import base64
import json
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alembic.runtime.migration import MigrationContext
from sqlalchemy import MetaData, Table, func, inspect, select
from sqlalchemy.orm import Session

from intake import __version__, audit
from intake.accounts.models import StaffSession
from intake.audit.models import ChainLink
from intake.backup.models import BackupRecord
from intake.casework import models
from intake.conf.secrets import parse_key
from intake.consent import models as consent
from intake.consent import service as consent_service
from intake.core.errors import Refused
from intake.db import migrate
from intake.db.engine import Base
from intake.db.snapshot import in_memory
from intake.instance import Instance
from intake.leads import key_rotation
from intake.outbox import models as outbox
from intake.privacy import erasure_ledger
from intake.privacy.erasure_ledger import LedgerEntry
from intake.security.crypto import UNREADABLE, Keyring, OtherKey, Sealed, Unopenable, decrypted

LOCK = "backup.lock"

FORMAT = 1
NOT_KEPT = frozenset({StaffSession.__tablename__, BackupRecord.__tablename__})
"""Sessions end with a restore, and what is known of backups is known anew."""
_NEEDED = (models, consent, outbox)  # importing them names their tables
_PAGE = 500


@dataclass(frozen=True)
class Manifest:
    """What a backup says of itself. `index_key` and `chain_key` tell the keys without telling them."""

    format: int
    version: str
    revision: str
    at: str
    counts: dict[str, int]
    linked: int
    head: str
    index_key: str

    @property
    def taken_at(self) -> datetime:
        """The moment that the backup shows."""
        return datetime.fromisoformat(self.at)


def tables() -> list[Table]:
    """Every table that a backup holds, parents first."""
    return [table for table in Base.metadata.sorted_tables if table.name not in NOT_KEPT]


def mark_of(keyring: Keyring) -> str:
    """By which an index key is known again."""
    return keyring.blind_index("backup", "index-key").hex()


def manifest(session: Session, instance: Instance) -> Manifest:
    """What the rows of this snapshot must come to."""
    _require_all(session)
    end = session.scalars(select(ChainLink).order_by(ChainLink.seq.desc()).limit(1)).first()
    return Manifest(
        format=FORMAT,
        version=__version__,
        revision=MigrationContext.configure(session.connection()).get_current_revision() or "",
        at=instance.clock().isoformat(),
        counts=counts(session),
        linked=end.seq if end else 0,
        head=end.digest.hex() if end else "",
        index_key=mark_of(instance.keyring),
    )


def _require_all(session: Session) -> None:
    """Raises RuntimeError for a table that this process does not know: it would be missing without a word."""
    there = set(inspect(session.connection()).get_table_names()) - {"alembic_version"}
    unknown = there - NOT_KEPT - {table.name for table in tables()}
    if unknown:
        raise RuntimeError(f"a backup would not hold {', '.join(sorted(unknown))}")


def counts(session: Session) -> dict[str, int]:
    """How many rows each table has."""
    return {table.name: session.scalar(select(func.count()).select_from(table)) or 0 for table in tables()}


def lines(session: Session, instance: Instance) -> Iterator[bytes]:
    """The whole backup before it is encrypted, one JSON value a line."""
    told = manifest(session, instance)
    yield _line({"manifest": asdict(told)})
    for table in tables():
        yield _line({"table": table.name, "columns": [column.name for column in table.columns]})
        rows = select(table).order_by(*table.primary_key.columns).execution_options(yield_per=_PAGE)
        for row in session.execute(rows):
            yield _line([_plain(value) for value in row])
    for each in erasure_ledger.read(erasure_ledger.path_of(instance)):
        yield _line({"ledger": str(each)})
    yield _line({"end": sum(told.counts.values())})


def _line(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Sealed):
        value = value.box
    if isinstance(value, bytes | memoryview):
        return [base64.b64encode(value).decode()]
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if value is None or isinstance(value, int | str):
        return value if not isinstance(value, str) else str(value)
    raise TypeError(f"a backup cannot hold a {type(value).__name__}")


# --- Opening a backup into the memory of this process, and finding out whether it is whole and ours.

NOT_WHOLE = "The file is not a whole backup, or was changed: take another one."
_ROWS_PER_INSERT = 500


@dataclass
class OpenedBackup:
    """A backup in memory: `instance` is ours, but stands on the backup's rows."""

    instance: Instance
    manifest: Manifest
    ledger: list[LedgerEntry] = field(default_factory=list)


@contextmanager
def open_backup(instance: Instance, path: Path) -> Iterator[OpenedBackup]:
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


def _load(ours: Instance, values: Iterator[Any]) -> OpenedBackup:
    manifest = _manifest(next(values))
    migrate.upgrade(ours.database, to=manifest.revision)
    found, tables = OpenedBackup(ours, manifest), _Tables()
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
        if isinstance(value, dict) or len(self._rows) == _ROWS_PER_INSERT:
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


def require_own_keys(found: OpenedBackup) -> None:
    """Raises Refused when the keys of this instance do not fit what stands in the backup."""
    ours = found.instance
    if found.manifest.index_key != mark_of(ours.keyring):
        raise Refused(
            "The backup was written with another INTAKE_INDEX_KEY: set that one, or nobody is found again "
            "and nobody who asked to be left alone is left alone."
        )
    with ours.database.reading() as session:
        missing = set(key_rotation.rows_by_key(session, ours.keyring)) - {
            *ours.keyring.sealing_ids,
            UNREADABLE,
        }
        broken, rows = key_rotation.unopenable(session, ours.keyring)
    if missing or 0 < broken == rows:
        named = f", also {', '.join(sorted(missing))}" if missing else ""
        raise Refused(
            f"{broken} of {rows} sealed rows do not open: INTAKE_SEALING_KEYS must hold every key that "
            f"was in use when the backup was taken{named}."
        )


def faults(found: OpenedBackup) -> list[str]:
    """What the audit log, its chain, the proof of consent and the sealed rows say against the backup."""
    ours = found.instance
    with ours.database.reading() as session:
        verified = audit.verify(session, keyring=ours.keyring)
        problems = [*verified.problems, *consent_service.verify_proof(session, keyring=ours.keyring)]
        broken, _rows = key_rotation.unopenable(session, ours.keyring)
        end = session.scalars(select(ChainLink).order_by(ChainLink.seq.desc()).limit(1)).first()
    if broken:
        problems.append(f"{broken} sealed rows do not open.")
    if (end.digest.hex() if end else "") != found.manifest.head:
        problems.append("the head of the chain is not the one in the manifest.")
    return problems


def key_of(instance: Instance) -> bytes:
    """The key for backups. Raises Refused when none is set."""
    if not instance.settings.backup_key:
        raise Refused(
            "INTAKE_BACKUP_KEY: is missing; make one with `intake keys new --only backup_key`, and keep a "
            "copy away from the backups."
        )
    return parse_key(instance.settings.backup_key)
