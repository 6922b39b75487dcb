"""Bringing a backup back on an empty machine, and trying out whether it could be.

Everything is done in memory first: opened, verified, brought to this version, forgotten again. Only then
are its rows written, all in one transaction, into a database that has none. So whatever kills a restore,
there is nothing or all of it, and it can be started anew.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import insert, inspect, select, text
from sqlalchemy.orm import Session

from intake import audit
from intake.audit import Action, Actor
from intake.backup import reading
from intake.backup.archive import tables
from intake.backup.models import BackupAct
from intake.backup.replaying import Replayed, replay
from intake.backup.standing import recorded, write
from intake.core.errors import Refused
from intake.db import migrate
from intake.instance import Instance
from intake.leads import reveal
from intake.leads.models import Lead
from intake.privacy import erasure_ledger

_PAGE = 500


@dataclass(frozen=True)
class Restored:
    """What came back: from which moment, how many leads, what was done again, and what is wrong with it."""

    taken_at: datetime
    version: str
    leads: int
    replayed: Replayed
    faults: Sequence[str]


def restore(
    instance: Instance, path: Path, *, newer: Sequence[Path] = (), despite_faults: bool = False
) -> Restored:
    """Write the backup in `path` into the empty database of `instance`.

    `newer` are copies of the ledger that were kept outside and know more. Raises Refused, and changes
    nothing, when the database holds anything, the file or the keys are not right, a copy of the ledger
    cannot be read, or the audit log does not hold, unless `despite_faults`.
    """
    _require_empty(instance)
    lines = _lines(newer)
    with reading.opened(instance, path) as found:
        restored = _prepared(found, lines)
        if restored.faults and not despite_faults:
            raise Refused(
                f"The backup does not hold what it should: {' '.join(restored.faults[:5])} Look at "
                "INTAKE_CHAIN_KEY; if the key is right, restore it all the same with --despite-faults."
            )
        _note(found, restored)
        migrate.upgrade(instance.database)
        _write(instance, found.instance, restored)
    erasure_ledger.mirror(instance)
    return restored


def rehearse(instance: Instance, path: Path, *, newer: Sequence[Path] = ()) -> Restored:
    """Do all of it in memory and write nothing but that it was done. Raises Refused when it would fail."""
    with recorded(instance, BackupAct.TESTED), reading.opened(instance, path) as found:
        restored = _prepared(found, _lines(newer))
        if restored.faults:
            raise Refused(f"The backup does not hold what it should: {' '.join(restored.faults[:5])}")
        with found.instance.database.reading() as session:
            _open_one(session, found.instance)
    return restored


def _prepared(found: reading.Opened, lines: Sequence[erasure_ledger.Line]) -> Restored:
    reading.require_ours(found)
    faults = reading.faults(found)
    ours = found.instance
    with ours.database.transaction() as session:
        replayed = replay(session, [*found.ledger, *lines], instance=ours)
        leads = len(session.scalars(select(Lead.id)).all())
    return Restored(found.manifest.taken_at, found.manifest.version, leads, replayed, faults)


def _lines(newer: Sequence[Path]) -> list[erasure_ledger.Line]:
    for path in newer:
        if not path.is_file():
            raise Refused(f"There is no copy of the ledger in {path}.")
    return [line for path in newer for line in erasure_ledger.read(path)]


def _open_one(session: Session, ours: Instance) -> None:
    """The newest lead opens; its words are masked at once and go nowhere."""
    lead = session.scalars(select(Lead).order_by(Lead.asked_at.desc()).limit(1)).first()
    if lead:
        reveal.masked(session, lead, instance=ours)


def _note(found: reading.Opened, restored: Restored) -> None:
    """Part of what is written, so that no restore is ever without its event."""
    ours = found.instance
    with ours.database.transaction() as session:
        audit.record(
            session,
            Action.BACKUP_RESTORED,
            keyring=ours.keyring,
            at=ours.clock(),
            actor=Actor.system(),
            details={"count": restored.leads},
        )


def _require_empty(instance: Instance) -> None:
    """Raises Refused when any table of the database holds a row."""
    with instance.database.reading() as session:
        for name in inspect(session.connection()).get_table_names():
            quoted = session.connection().dialect.identifier_preparer.quote(name)
            holds = session.scalar(text(f"SELECT 1 FROM {quoted} LIMIT 1"))  # noqa: S608  the database's own names
            if holds and name != "alembic_version":
                raise Refused(
                    "The database is not empty, and a restore never writes over anything: point "
                    "INTAKE_DATABASE_URL at an empty one, or move the old file away first."
                )


def _write(instance: Instance, staged: Instance, restored: Restored) -> None:
    with staged.database.reading() as source, instance.database.transaction() as target:
        for table in tables():
            rows = source.execute(select(table).execution_options(yield_per=_PAGE)).mappings()
            for page in _pages(rows.partitions(_PAGE)):
                target.execute(insert(table), page)
        write(target, BackupAct.TAKEN, at=restored.taken_at)


def _pages(partitions: Iterator[Sequence[object]]) -> Iterator[list[dict[str, object]]]:
    for rows in partitions:
        yield [dict(row) for row in rows]  # type: ignore[call-overload]
