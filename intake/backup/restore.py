"""Restoring a backup into an empty database, and testing whether that would work.

Everything is done in memory first: the backup is opened, verified, migrated to this version, and what the
ledger says is applied again. Only then are its rows written, all in one transaction, into a database that
has none. So a restore that is killed leaves nothing or everything, and can be started again.

What happened after the backup was taken must hold again before anyone is called
(docs/decisions/0014-backups-of-our-own.md): erasures, stops and withdrawals come from the copies of the
erasure ledger outside the database. Sessions are not in a backup. Mail that was waiting may have been sent
long ago, so none of it is sent again by itself.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import insert, inspect, select, text, update

from intake import outbox
from intake.act import Act
from intake.audit import Action
from intake.backup import archive
from intake.backup.archive import tables
from intake.backup.models import BackupAct, recording, write_result
from intake.consent import service as consent
from intake.consent.models import ConsentEvent, Kind, Method, State
from intake.core.errors import Refused
from intake.db import migrate
from intake.instance import Instance
from intake.leads import eligibility, reveal, suppression
from intake.leads.models import (
    CloseReason,
    Erasure,
    ErasureReason,
    Lead,
    LeadStatus,
    Suppression,
    SuppressionReason,
)
from intake.outbox import Mail, MessageState, OutboxMessage
from intake.privacy import erasure_ledger, retention
from intake.privacy.erasure_ledger import LedgerEntry

RESTORED_MAIL = "Restored"
"""Stored as the last error of mail that was unsent in a backup; `intake outbox resend` sends it."""
_PAGE = 500


@dataclass(frozen=True)
class ReplayResult:
    """How many leads were erased again, suppressions added, consents withdrawn, and mails left unsent."""

    erased: int
    stopped: int
    withdrawn: int
    unsent: int


def replay(act: Act, entries: Iterable[LedgerEntry]) -> ReplayResult:
    """Apply the ledger entries that the database does not know yet. Idempotent.

    Each act is repeated with the time of the restore; an erasure keeps its own.
    """
    unique = list(dict.fromkeys(entries))
    stopped = sum(_stop(act, entry) for entry in unique if entry.stopped)
    for entry in unique:
        suppression = act.session.get(Suppression, entry.about) if entry.lifted else None
        if suppression and suppression.lifted_at is None:
            suppression.lifted_at = entry.at
    withdrawn = sum(_withdraw(act, entry) for entry in unique if entry.withdrew)
    erased = sum(_erase(act, entry) for entry in unique if entry.erased)
    unsent = _stop_unsent_mail(act)
    act.session.flush()
    return ReplayResult(erased, stopped, withdrawn, unsent)


def _stop(act: Act, entry: LedgerEntry) -> bool:
    if not entry.stopped or act.session.get(Suppression, entry.about) is not None:
        return False
    reason, index = entry.stopped
    act.session.add(Suppression(id=entry.about, contact_index=index, reason=reason, at=entry.at))
    act.session.flush()
    if reason is SuppressionReason.ASKED:
        for lead in suppression.lock_leads_with_contact(act.session, [index], None):
            if lead.close_reason is not CloseReason.STOPPED:
                suppression.stop_lead(act, lead, method=Method.STAFF)
        act.session.flush()
    return True


def _withdraw(act: Act, entry: LedgerEntry) -> bool:
    """Withdraw the consent again, unless the backup itself holds this withdrawal.

    A number or address that no channel may use now is deleted. A withdrawn consent to use of the details
    stops all contact. False if there was nothing to withdraw.
    """
    lead = act.session.get(Lead, entry.about)
    if lead is None or entry.withdrew is None:
        return False
    same = select(ConsentEvent.id).where(
        ConsentEvent.lead_id == entry.about,
        ConsentEvent.kind == entry.withdrew,
        ConsentEvent.state == State.WITHDRAWN,
        ConsentEvent.at >= entry.at,
    )
    if act.session.scalars(same.limit(1)).first() is not None:
        return False
    if entry.withdrew is Kind.USE:
        suppression.stop_lead(act, lead, method=Method.STAFF)
        return True
    withdrawn = consent.withdraw(
        act.session,
        lead_id=lead.id,
        kinds=[entry.withdrew],
        method=Method.MANAGE_PAGE,
        actor=act.actor,
        at=act.now,
        keyring=act.keyring,
    )
    retention.delete_unusable_contact(lead, eligibility.contact_status(act.session, lead).channels)
    if withdrawn:
        act.record(
            Action.CONSENT_WITHDRAWN,
            about=lead.id,
            method=Method.MANAGE_PAGE.value,
            consents=consent.macs(withdrawn.values()),
        )
    return bool(withdrawn)


def _erase(act: Act, entry: LedgerEntry) -> bool:
    """Erase the lead again; one that is not in the backup only gets its row in `erasure`.

    If the person had asked for it, contact is stopped and suppressed too.
    """
    if not entry.erased or act.session.get(Erasure, entry.about) is not None:
        return False
    erasure = Erasure(lead_id=entry.about, erased_at=entry.at, reason=entry.erased)
    lead = act.session.get(Lead, entry.about)
    if lead is None:
        act.session.add(erasure)
        act.session.flush()
        return False
    if erasure.reason is ErasureReason.ASKED:
        indexes = suppression.indexes_of(lead)
        known = select(Suppression.contact_index).where(Suppression.contact_index.in_(indexes))
        missing = set(indexes) - set(act.session.scalars(known))
        suppression.suppress(act, [*missing], reason=SuppressionReason.ASKED)
        suppression.stop_lead(act, lead, method=Method.STAFF)
    retention.delete_permanently(act, lead, erasure)
    return True


def _stop_unsent_mail(act: Act) -> int:
    """Mark unsent mail as dead, and enqueue one notice if a lead waits. Returns how many were unsent."""
    unsent = OutboxMessage.state.in_((MessageState.WAITING, MessageState.SENDING))
    ids: Sequence[uuid.UUID] = act.session.scalars(select(OutboxMessage.id).where(unsent)).all()
    act.session.execute(
        update(OutboxMessage)
        .where(unsent)
        .values(state=MessageState.DEAD, leased_until=None, last_error=RESTORED_MAIL)
        .execution_options(synchronize_session=False)
    )
    waiting = select(Lead.id).where(Lead.status == LeadStatus.NEW, Lead.close_reason.is_(None)).limit(1)
    if act.session.scalars(waiting).first():
        recipients = act.clinic.notices.recipients
        outbox.enqueue(act.session, Mail.NEW_LEAD, clinic_recipients=recipients, at=act.now)
    return len(ids)


@dataclass(frozen=True)
class RestoreResult:
    """The moment and version of the backup, leads restored, what was replayed, and the faults found."""

    taken_at: datetime
    version: str
    leads: int
    replayed: ReplayResult
    faults: Sequence[str]


def restore(
    instance: Instance, path: Path, *, newer: Sequence[Path] = (), despite_faults: bool = False
) -> RestoreResult:
    """Write the backup in `path` into the empty database of `instance`.

    `newer` are copies of the erasure ledger that are more recent than the one in the backup. Raises
    Refused, and changes nothing, when the database has rows, the file or the keys are wrong, a copy of the
    ledger cannot be read, or verification finds faults, unless `despite_faults`.
    """
    _require_empty(instance)
    entries = _ledger_entries(newer)
    with archive.open_backup(instance, path) as opened:
        restored = _prepare(opened, entries)
        if restored.faults and not despite_faults:
            raise Refused(
                f"The backup does not hold what it should: {' '.join(restored.faults[:5])} Look at "
                "INTAKE_CHAIN_KEY; if the key is right, restore it all the same with --despite-faults."
            )
        with opened.instance.database.transaction() as session:  # among the rows, so that no restore lacks it
            Act(session, opened.instance).record(Action.BACKUP_RESTORED, count=restored.leads)
        migrate.upgrade(instance.database)
        _copy_rows(instance, opened.instance, restored)
    erasure_ledger.mirror(instance)
    return restored


def rehearse(instance: Instance, path: Path, *, newer: Sequence[Path] = ()) -> RestoreResult:
    """Run a restore in memory only, and store that it was tested. Raises Refused when it would fail."""
    with recording(instance, BackupAct.TESTED), archive.open_backup(instance, path) as opened:
        restored = _prepare(opened, _ledger_entries(newer))
        if restored.faults:
            raise Refused(f"The backup does not hold what it should: {' '.join(restored.faults[:5])}")
        with opened.instance.database.reading() as session:
            newest = session.scalars(select(Lead).order_by(Lead.asked_at.desc()).limit(1)).first()
            if newest:
                reveal.mask_lead(Act(session, opened.instance), newest)  # raises when a field does not open
    return restored


def _prepare(opened: archive.OpenedBackup, entries: Sequence[LedgerEntry]) -> RestoreResult:
    """Verify the backup in memory and apply the ledger to it. Raises Refused when the keys do not match."""
    archive.require_matching_keys(opened)
    faults = archive.find_faults(opened)
    ours = opened.instance
    with ours.database.transaction() as session:
        replayed = replay(Act(session, ours), [*opened.ledger, *entries])
        leads = len(session.scalars(select(Lead.id)).all())
    return RestoreResult(opened.manifest.taken_at, opened.manifest.version, leads, replayed, faults)


def _ledger_entries(newer: Sequence[Path]) -> list[LedgerEntry]:
    for path in newer:
        if not path.is_file():
            raise Refused(f"There is no copy of the ledger in {path}.")
    return [entry for path in newer for entry in erasure_ledger.read(path)]


def _require_empty(instance: Instance) -> None:
    """Raises Refused when any table of the database holds a row."""
    with instance.database.reading() as session:
        for name in inspect(session.connection()).get_table_names():
            quoted = session.connection().dialect.identifier_preparer.quote(name)
            occupied = session.scalar(text(f"SELECT 1 FROM {quoted} LIMIT 1"))  # noqa: S608  the database's own names
            if occupied and name != "alembic_version":
                raise Refused(
                    "The database is not empty, and a restore never writes over anything: point "
                    "INTAKE_DATABASE_URL at an empty one, or move the old file away first."
                )


def _copy_rows(instance: Instance, staged: Instance, restored: RestoreResult) -> None:
    with staged.database.reading() as source, instance.database.transaction() as target:
        for table in tables():
            rows = source.execute(select(table).execution_options(yield_per=_PAGE)).mappings()
            for page in rows.partitions(_PAGE):
                target.execute(insert(table), [dict(row) for row in page])
        write_result(target, BackupAct.TAKEN, at=restored.taken_at)
