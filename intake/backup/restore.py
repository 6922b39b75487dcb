"""Bringing a backup back on an empty machine, and trying out whether it could be.

Everything is done in memory first: opened, verified, brought to this version, forgotten again. Only then
are its rows written, all in one transaction, into a database that has none. So whatever kills a restore,
there is nothing or all of it, and it can be started anew.
"""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import insert, inspect, select, text, update
from sqlalchemy.orm import Session

from intake import audit, outbox
from intake.audit import Action, Actor
from intake.backup import archive
from intake.backup.archive import tables
from intake.backup.models import BackupAct, recording, write_result
from intake.consent.models import ConsentEvent, State
from intake.core.errors import Refused
from intake.db import migrate
from intake.instance import Instance
from intake.leads import reveal
from intake.leads.models import Erasure, Lead, LeadStatus, Suppression, SuppressionReason
from intake.outbox import Mail, MessageState, OutboxMessage
from intake.privacy import erasure_ledger
from intake.privacy.erasure_ledger import LedgerEntry

# --- What happened after a backup was taken and must hold again before anybody is called (decisions.md 23).
# Forgetting and leaving alone come back from the ledger's copy outside the database. Sessions are not in a
# backup. Mails that were on their way may have left long ago, so none of them goes out again by itself.

HELD_BACK = "Restored"
"""Why such a mail waits for somebody: it shows as refused until `intake outbox resend`."""


@dataclass(frozen=True)
class Replayed:
    """What the ledger brought back: how many leads were erased again, entries stopped, permissions ended."""

    erased: int
    stopped: int
    withdrawn: int
    held_back: int


def replay(session: Session, lines: Iterable[LedgerEntry], *, instance: Instance) -> Replayed:
    """Do again what the database does not know of yet. Doing it twice changes nothing."""
    several = list(dict.fromkeys(lines))
    stopped = sum(_stop(session, line, instance) for line in several if line.stopped)
    for line in several:
        if line.lifted:
            _lift(session, line)
    withdrawn = sum(_withdraw(session, line, instance) for line in several if line.withdrew)
    erased = sum(_erase(session, line, instance) for line in several if line.erased)
    held_back = _hold_back(session, instance)
    session.flush()
    return Replayed(erased, stopped, withdrawn, held_back)


def _stop(session: Session, line: LedgerEntry, instance: Instance) -> bool:
    if not line.stopped or session.get(Suppression, line.about) is not None:
        return False
    reason, index = line.stopped
    entry = Suppression(id=line.about, contact_index=index, reason=reason, at=line.at)
    session.add(entry)
    session.flush()
    if reason is SuppressionReason.ASKED:
        erasure_ledger.reapply_stop(session, index, instance=instance)
    return True


def _lift(session: Session, line: LedgerEntry) -> None:
    entry = session.get(Suppression, line.about)
    if entry and entry.lifted_at is None:
        entry.lifted_at = line.at
    session.flush()


def _withdraw(session: Session, line: LedgerEntry, instance: Instance) -> bool:
    lead = session.get(Lead, line.about)
    kind = line.withdrew
    if lead is None or kind is None or _known(session, line):
        return False
    return erasure_ledger.reapply_withdrawal(session, lead, kind, instance=instance)


def _known(session: Session, line: LedgerEntry) -> bool:
    """Whether the backup itself holds this very withdrawal."""
    same = select(ConsentEvent.id).where(
        ConsentEvent.lead_id == line.about,
        ConsentEvent.kind == line.withdrew,
        ConsentEvent.state == State.WITHDRAWN,
        ConsentEvent.at >= line.at,
    )
    return session.scalars(same.limit(1)).first() is not None


def _erase(session: Session, line: LedgerEntry, instance: Instance) -> bool:
    """Also a lead that came after the backup stays on the list of those that are gone."""
    if not line.erased or session.get(Erasure, line.about) is not None:
        return False
    gone = Erasure(lead_id=line.about, erased_at=line.at, reason=line.erased)
    lead = session.get(Lead, line.about)
    if lead is None:
        session.add(gone)
        session.flush()
        return False
    erasure_ledger.reapply_erasure(session, lead, gone, instance=instance)
    return True


def _hold_back(session: Session, instance: Instance) -> int:
    """Every mail that had not left waits for a look; one fresh notice tells that somebody waits."""
    on_the_way = OutboxMessage.state.in_((MessageState.WAITING, MessageState.SENDING))
    ids: Sequence[uuid.UUID] = session.scalars(select(OutboxMessage.id).where(on_the_way)).all()
    session.execute(
        update(OutboxMessage)
        .where(on_the_way)
        .values(state=MessageState.DEAD, leased_until=None, last_error=HELD_BACK)
        .execution_options(synchronize_session=False)
    )
    waiting = select(Lead.id).where(Lead.status == LeadStatus.NEW, Lead.close_reason.is_(None)).limit(1)
    if session.scalars(waiting).first():
        recipients = instance.clinic.notices.recipients
        outbox.enqueue(session, Mail.NEW_LEAD, clinic_recipients=recipients, at=instance.clock())
    return len(ids)


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
    with archive.open_backup(instance, path) as found:
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
    with recording(instance, BackupAct.TESTED), archive.open_backup(instance, path) as found:
        restored = _prepared(found, _lines(newer))
        if restored.faults:
            raise Refused(f"The backup does not hold what it should: {' '.join(restored.faults[:5])}")
        with found.instance.database.reading() as session:
            _open_one(session, found.instance)
    return restored


def _prepared(found: archive.OpenedBackup, lines: Sequence[erasure_ledger.LedgerEntry]) -> Restored:
    archive.require_own_keys(found)
    faults = archive.faults(found)
    ours = found.instance
    with ours.database.transaction() as session:
        replayed = replay(session, [*found.ledger, *lines], instance=ours)
        leads = len(session.scalars(select(Lead.id)).all())
    return Restored(found.manifest.taken_at, found.manifest.version, leads, replayed, faults)


def _lines(newer: Sequence[Path]) -> list[erasure_ledger.LedgerEntry]:
    for path in newer:
        if not path.is_file():
            raise Refused(f"There is no copy of the ledger in {path}.")
    return [line for path in newer for line in erasure_ledger.read(path)]


def _open_one(session: Session, ours: Instance) -> None:
    """The newest lead opens; its words are masked at once and go nowhere."""
    lead = session.scalars(select(Lead).order_by(Lead.asked_at.desc()).limit(1)).first()
    if lead:
        reveal.masked(session, lead, instance=ours)


def _note(found: archive.OpenedBackup, restored: Restored) -> None:
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
        write_result(target, BackupAct.TAKEN, at=restored.taken_at)


def _pages(partitions: Iterator[Sequence[object]]) -> Iterator[list[dict[str, object]]]:
    for rows in partitions:
        yield [dict(row) for row in rows]  # type: ignore[call-overload]
