"""The backup format: writing the database as a stream of JSON lines, reading it back, and verifying it.

A backup holds a manifest, every row of every table as plain values, and a copy of the erasure ledger.
Values are written as SQLite stores them (UUIDs and timestamps as text, bytes in base64), so that a backup
can be restored to SQLite or PostgreSQL, whichever it was taken from, without any tool of either.
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

from sqlalchemy import MetaData, Table, func, inspect, select
from sqlalchemy.orm import Session

from intake import __version__, audit
from intake.accounts.models import StaffSession
from intake.act import Act
from intake.audit.models import ChainLink
from intake.backup.models import BackupRecord
from intake.casework import models
from intake.conf.secrets import parse_key
from intake.consent import models as consent
from intake.consent import service as consent_service
from intake.core.errors import Refused
from intake.db import migrate
from intake.db.snapshot import in_memory
from intake.db.types import Base
from intake.instance import Instance
from intake.leads import key_rotation
from intake.outbox import models as outbox
from intake.privacy import erasure_ledger
from intake.privacy.erasure_ledger import LedgerEntry
from intake.security.crypto import UNREADABLE, Keyring, Sealed, UnsealError, WrongKey, decrypt_stream

LOCK = "backup.lock"

FORMAT = 1
EXCLUDED_TABLES = frozenset({StaffSession.__tablename__, BackupRecord.__tablename__})
"""Tables that no backup holds: sessions end with a restore, and backup results start anew."""
DAMAGED = "The file is not a whole backup, or was changed: take another one."
_IMPORTED = (models, consent, outbox)  # imported so that Base.metadata knows their tables
_PAGE = 500
_ROWS_PER_INSERT = 500


@dataclass(frozen=True)
class Manifest:
    """The first line of a backup. `index_key` is a fingerprint of INTAKE_INDEX_KEY, not the key."""

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
        """The moment of the snapshot."""
        return datetime.fromisoformat(self.at)


def tables() -> list[Table]:
    """Every table in a backup, referenced tables first."""
    return [table for table in Base.metadata.sorted_tables if table.name not in EXCLUDED_TABLES]


def index_key_fingerprint(keyring: Keyring) -> str:
    """A keyed hash that identifies the index key, in hexadecimal."""
    return keyring.blind_index("backup", "index-key").hex()


def manifest(act: Act) -> Manifest:
    """The manifest of this snapshot.

    Raises RuntimeError for a table that would be missing from the backup.
    """
    existing = set(inspect(act.session.connection()).get_table_names()) - {"alembic_version"}
    unknown = existing - EXCLUDED_TABLES - {table.name for table in tables()}
    if unknown:  # a table that no model declares would be left out silently
        raise RuntimeError(f"a backup would not hold {', '.join(sorted(unknown))}")
    end = act.session.scalars(select(ChainLink).order_by(ChainLink.seq.desc()).limit(1)).first()
    return Manifest(
        format=FORMAT,
        version=__version__,
        revision=migrate.current_revision(act.session),
        at=act.now.isoformat(),
        counts=counts(act.session),
        linked=end.seq if end else 0,
        head=end.digest.hex() if end else "",
        index_key=index_key_fingerprint(act.keyring),
    )


def counts(session: Session) -> dict[str, int]:
    """Number of rows by table name."""
    return {table.name: session.scalar(select(func.count()).select_from(table)) or 0 for table in tables()}


def dump(act: Act) -> Iterator[bytes]:
    """The whole backup before encryption, one JSON value per line."""
    description = manifest(act)
    yield _json_line({"manifest": asdict(description)})
    for table in tables():
        yield _json_line({"table": table.name, "columns": [column.name for column in table.columns]})
        rows = select(table).order_by(*table.primary_key.columns).execution_options(yield_per=_PAGE)
        for row in act.session.execute(rows):
            yield _json_line([_encode(value) for value in row])
    for entry in erasure_ledger.read(erasure_ledger.path_of(act.instance)):
        yield _json_line({"ledger": str(entry)})
    yield _json_line({"end": sum(description.counts.values())})


def _json_line(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _encode(value: Any) -> Any:
    if isinstance(value, Sealed):
        value = value.box
    if isinstance(value, bytes | memoryview):
        return [base64.b64encode(value).decode()]
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, str):
        return str(value)
    if value is None or isinstance(value, int):
        return value
    raise TypeError(f"a backup cannot hold a {type(value).__name__}")


@dataclass
class OpenedBackup:
    """A backup in memory: `instance` has our settings and keys, but the backup's rows."""

    instance: Instance
    manifest: Manifest
    ledger: list[LedgerEntry] = field(default_factory=list)


@contextmanager
def open_backup(instance: Instance, path: Path) -> Iterator[OpenedBackup]:
    """The backup in `path`, migrated to this version, in memory; nothing decrypted touches a disk.

    Raises Refused when the file cannot be read, was made with another key or by a newer version, or is
    not complete to the last byte.
    """
    key = backup_key(instance)
    with in_memory(instance.settings.data_dir / LOCK) as (database, _keeper):
        ours = replace(instance, database=database)
        try:
            with path.open("rb") as file:
                opened = _load(ours, _parse_lines(decrypt_stream(key, file)))
        except OSError as error:
            raise Refused(f"The backup cannot be read: {error.strerror}.") from None
        except WrongKey:
            raise Refused("The backup was made with another key than INTAKE_BACKUP_KEY.") from None
        except (UnsealError, ValueError, KeyError, TypeError, StopIteration):
            raise Refused(DAMAGED) from None
        migrate.upgrade(database)
        yield opened


def _parse_lines(chunks: Iterable[bytes]) -> Iterator[Any]:
    rest = b""
    for chunk in chunks:
        *complete, rest = (rest + chunk).split(b"\n")
        yield from (json.loads(line) for line in complete)
    if rest:
        raise ValueError


def _load(ours: Instance, values: Iterator[Any]) -> OpenedBackup:
    first = next(values)["manifest"]
    if first["format"] != FORMAT or first["revision"] not in migrate.revisions():
        raise Refused("The backup was made by a newer version: restore it with that one.")
    manifest = Manifest(**first)
    migrate.upgrade(ours.database, to=manifest.revision)
    opened = OpenedBackup(ours, manifest)
    with ours.database.transaction() as session:
        session.connection().exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        loader = _TableLoader(session)
        for value in values:
            if loader.ended:
                raise ValueError
            if isinstance(value, dict) and "ledger" in value:
                opened.ledger += erasure_ledger.parse(value["ledger"])
            else:
                loader.load(value)
    if not loader.ended or loader.counts != manifest.counts:
        raise ValueError
    return opened


class _TableLoader:
    """Inserts rows into the tables of the version that took the backup, and counts them."""

    def __init__(self, session: Session) -> None:
        self.ended = False
        self.counts: dict[str, int] = {}
        self._rows: list[tuple[Any, ...]] = []
        self._connection = session.connection()
        self._reflected = MetaData()
        self._reflected.reflect(self._connection)

    def load(self, value: Any) -> None:
        """Process one line: a row, the header of the next table, or the end marker."""
        if isinstance(value, list):
            self._rows.append(
                tuple(
                    base64.b64decode(each[0], validate=True) if isinstance(each, list) else each
                    for each in value
                )
            )
            self.counts[self._name] += 1
        if self._rows and (isinstance(value, dict) or len(self._rows) == _ROWS_PER_INSERT):
            self._connection.exec_driver_sql(self._statement, self._rows)
            self._rows = []
        if isinstance(value, dict) and "table" in value:
            self._start_table(value)
        elif isinstance(value, dict):
            self.ended = value["end"] == sum(self.counts.values())

    def _start_table(self, header: dict[str, Any]) -> None:
        table = self._reflected.tables[header["table"]]
        columns = [table.columns[name].name for name in header["columns"]]
        placeholders = ", ".join("?" for _ in columns)
        quoted = ", ".join(f'"{column}"' for column in columns)
        self._name, self.counts[table.name] = table.name, 0
        self._statement = f'INSERT INTO "{table.name}" ({quoted}) VALUES ({placeholders})'  # noqa: S608  reflected names


def require_matching_keys(opened: OpenedBackup) -> None:
    """Raises Refused when the keys of this instance are not those that the backup was written with."""
    ours = opened.instance
    if opened.manifest.index_key != index_key_fingerprint(ours.keyring):
        raise Refused(
            "The backup was written with another INTAKE_INDEX_KEY: set that one, or nobody is found again "
            "and nobody who asked to be left alone is left alone."
        )
    with ours.database.reading() as session:
        missing = set(key_rotation.count_rows_by_key(session, ours.keyring)) - {
            *ours.keyring.sealing_ids,
            UNREADABLE,
        }
        broken, rows = key_rotation.count_undecryptable(session, ours.keyring)
    if missing or 0 < broken == rows:
        also = f", also {', '.join(sorted(missing))}" if missing else ""
        raise Refused(
            f"{broken} of {rows} sealed rows do not open: INTAKE_SEALING_KEYS must hold every key that "
            f"was in use when the backup was taken{also}."
        )


def find_faults(opened: OpenedBackup) -> list[str]:
    """A sentence per fault in the audit log, its chain, the proof of consent or the sealed rows."""
    ours = opened.instance
    with ours.database.reading() as session:
        verified = audit.verify(session, keyring=ours.keyring)
        problems = [*verified.problems, *consent_service.verify_proof(session, keyring=ours.keyring)]
        broken, _rows = key_rotation.count_undecryptable(session, ours.keyring)
        end = session.scalars(select(ChainLink).order_by(ChainLink.seq.desc()).limit(1)).first()
    if broken:
        problems.append(f"{broken} sealed rows do not open.")
    if (end.digest.hex() if end else "") != opened.manifest.head:
        problems.append("the head of the chain is not the one in the manifest.")
    return problems


def backup_key(instance: Instance) -> bytes:
    """The encryption key for backups. Raises Refused when none is set."""
    if not instance.settings.backup_key:
        raise Refused(
            "INTAKE_BACKUP_KEY: is missing; make one with `intake keys new --only backup_key`, and keep a "
            "copy away from the backups."
        )
    return parse_key(instance.settings.backup_key)
