"""What a restored backup must forget again, and whom it must leave alone: a file outside the database.

One line for each lead that is gone, for each number or address on the do-not-contact list and what was
lifted from it, and for each permission that a living request took back: when, which row, what. Nothing
in it names or reaches anybody: a lead's id leads to nobody once the lead is gone, and the list holds
keyed hashes. The file is only ever appended to.
"""

import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from intake import audit
from intake.audit import Action, Actor
from intake.conf.clinic import Channel
from intake.consent import service as consent
from intake.consent.models import ConsentEvent, Kind, Method, State
from intake.core import files
from intake.instance import Instance
from intake.leads import eligibility, suppression
from intake.leads.models import CloseReason, Erasure, ErasureReason, Lead, Suppression, SuppressionReason
from intake.privacy import retention
from intake.privacy.self_service import BY_PHONE

FILE = "erasures.log"
_INDEX = 32
_STOPPED, _LIFTED, _WITHDREW = "stopped", "lifted", "withdrew"


class LedgerEntry(NamedTuple):
    """One line of the file. `about` is a lead, or an entry of the do-not-contact list."""

    at: datetime
    about: uuid.UUID
    what: str

    def __str__(self) -> str:
        return f"{self.at.isoformat()} {self.about} {self.what}"

    @property
    def erased(self) -> ErasureReason | None:
        """Why a lead is gone; None when the line is about something else."""
        return ErasureReason(self.what) if self.what in set(ErasureReason) else None

    @property
    def stopped(self) -> tuple[SuppressionReason, bytes] | None:
        """Why something was put on the do-not-contact list, and its keyed hash."""
        word, _, rest = self.what.partition(":")
        if word != _STOPPED:
            return None
        reason, _, index = rest.partition(":")
        return SuppressionReason(reason), _whole(bytes.fromhex(index))

    @property
    def lifted(self) -> bool:
        """Whether an entry was taken off the do-not-contact list."""
        return self.what == _LIFTED

    @property
    def withdrew(self) -> Kind | None:
        """Which permission a lead took back."""
        word, _, kind = self.what.partition(":")
        return Kind(kind) if word == _WITHDREW else None


def path_of(instance: Instance) -> Path:
    """Where the file is."""
    return instance.settings.data_dir / FILE


def paths_of(instance: Instance) -> list[Path]:
    """Where it is kept: in the data folder, and beside the backups when they have a folder."""
    backups = instance.settings.backup_dir
    return [path_of(instance), *([Path(backups) / FILE] if backups else [])]


def mirror(instance: Instance) -> int:
    """Append what the files do not have yet, and wait until the disk has it. Returns how many lines.

    Doing it again changes nothing. A line that a power cut tore is left behind and written anew. Raises
    OSError when a folder is away; the one in the data folder is written first.
    """
    with instance.database.reading() as session:
        lines = list(lines_of(session))
    return max(_catch_up(path, lines) for path in paths_of(instance))


def _catch_up(path: Path, lines: Iterable[LedgerEntry]) -> int:
    known = {(line.about, line.what) for line in read(path)}
    missing = [line for line in lines if (line.about, line.what) not in known]
    if missing:
        files.append(path, map(str, missing))
    return len(missing)


def lines_of(session: Session) -> Iterator[LedgerEntry]:
    """What the database knows, in the order of time for each kind."""
    for gone in session.scalars(select(Erasure).order_by(Erasure.erased_at, Erasure.lead_id)):
        yield LedgerEntry(gone.erased_at, gone.lead_id, gone.reason.value)
    for entry in session.scalars(select(Suppression).order_by(Suppression.at, Suppression.id)):
        yield LedgerEntry(entry.at, entry.id, f"{_STOPPED}:{entry.reason}:{entry.contact_index.hex()}")
        if entry.lifted_at:
            yield LedgerEntry(entry.lifted_at, entry.id, _LIFTED)
    taken_back = select(ConsentEvent).join(Lead, Lead.id == ConsentEvent.lead_id)
    withdrawn = taken_back.where(ConsentEvent.state == State.WITHDRAWN).order_by(ConsentEvent.at)
    for event in session.scalars(withdrawn):
        yield LedgerEntry(event.at, event.lead_id, f"{_WITHDREW}:{event.kind}")


def read(path: Path) -> list[LedgerEntry]:
    """The whole lines of the file, in their order; none when there is no file yet."""
    if not path.exists():
        return []
    return parse(path.read_text(encoding="utf-8", errors="replace"))


def parse(words: str) -> list[LedgerEntry]:
    """The whole lines among `words`; what is torn or unknown is left out."""
    found = (_line(each) for each in words.splitlines())
    return [line for line in found if line]


def _line(words: str) -> LedgerEntry | None:
    try:
        at, about, what = words.split()
        line = LedgerEntry(datetime.fromisoformat(at), uuid.UUID(about), what)
        known = line.erased or line.stopped or line.lifted or line.withdrew
        return line if known and line.at.tzinfo else None
    except ValueError:
        return None


def _whole(index: bytes) -> bytes:
    """A keyed hash is 32 bytes; a torn one is none."""
    if len(index) != _INDEX:
        raise ValueError
    return index


# --- What people wished after a backup was taken, done again on the leads that a restore brought back.
# Who acts is the service, by the ledger's copy; when is now, except for an erasure, which keeps its time.

SYSTEM = Actor.system()


def reapply_stop(session: Session, index: bytes, *, instance: Instance) -> int:
    """End contact with every lead that carries this number or address. Returns how many."""
    leads = [
        lead
        for lead in suppression.carrying(session, [index], None)
        if lead.close_reason is not CloseReason.STOPPED
    ]
    for lead in leads:
        suppression.stop_one(session, lead, actor=SYSTEM, method=Method.STAFF, instance=instance)
    session.flush()
    return len(leads)


def reapply_withdrawal(session: Session, lead: Lead, kind: Kind, *, instance: Instance) -> bool:
    """Take back one permission, with it the number or address that nothing may use any more.

    Whoever took back the use of their details altogether has stopped all contact. False when there was
    nothing left to take back.
    """
    if kind is Kind.USE:
        suppression.stop_one(session, lead, actor=SYSTEM, method=Method.STAFF, instance=instance)
        return True
    taken_back = consent.withdraw(
        session,
        lead_id=lead.id,
        kinds=[kind],
        method=Method.MANAGE_PAGE,
        actor=SYSTEM,
        at=instance.clock(),
        keyring=instance.keyring,
    )
    _forget_unused(session, lead)
    if taken_back:
        _record_reapplied(session, lead, {"consents": consent.macs(taken_back.values())}, instance)
    return bool(taken_back)


def _forget_unused(session: Session, lead: Lead) -> None:
    session.flush()
    channels = set(eligibility.contact_status(session, lead).channels)
    if Channel.EMAIL not in channels:
        lead.email = None
    if not channels & {*BY_PHONE}:
        lead.phone = None
    session.flush()


def _record_reapplied(
    session: Session, lead: Lead, details: dict[str, audit.Detail], instance: Instance
) -> None:
    audit.record(
        session,
        Action.CONSENT_WITHDRAWN,
        keyring=instance.keyring,
        at=instance.clock(),
        actor=SYSTEM,
        about=lead.id,
        details={"method": Method.MANAGE_PAGE.value, **details},
    )


def reapply_erasure(session: Session, lead: Lead, gone: Erasure, *, instance: Instance) -> None:
    """Destroy a lead that was erased before; who had asked for it is also left alone."""
    if gone.reason is ErasureReason.ASKED:
        indexes = suppression.indexes_of(lead)
        known = select(Suppression.contact_index).where(Suppression.contact_index.in_(indexes))
        missing = set(indexes) - set(session.scalars(known))
        suppression.suppress(
            session, [*missing], reason=SuppressionReason.ASKED, actor=SYSTEM, instance=instance
        )
        suppression.stop_one(session, lead, actor=SYSTEM, method=Method.STAFF, instance=instance)
    retention.delete_permanently(session, lead, gone, SYSTEM, instance)
