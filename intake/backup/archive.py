"""What stands in a backup: a manifest, every row of every table as plain values, the ledger's copy.

JSON lines. A row's values are written as SQLite keeps them (an identifier and a moment as text, bytes in
base64), so that a backup can be brought back to either database, whatever it was taken from, and needs
no program of theirs.
"""

import base64
import json
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Table, func, inspect, select
from sqlalchemy.orm import Session

from intake import __version__
from intake.accounts.models import StaffSession
from intake.audit.models import ChainLink
from intake.backup.models import BackupRecord
from intake.consent import models as consent
from intake.db.engine import Base
from intake.instance import Instance
from intake.leads import before
from intake.outbox import models as outbox
from intake.privacy import erasure_ledger
from intake.security.crypto import Keyring, Sealed

FORMAT = 1
NOT_KEPT = frozenset({StaffSession.__tablename__, BackupRecord.__tablename__})
"""Sessions end with a restore, and what is known of backups is known anew."""
_NEEDED = (before, consent, outbox)  # importing them names their tables
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
