"""What is known of backups: when each kind of thing was last done, and last done well."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from enum import StrEnum

from sqlalchemy.orm import Mapped, Session, mapped_column

from intake import audit
from intake.audit import Action, Actor
from intake.core.errors import IntakeError, Unavailable
from intake.db.engine import Base, Closed, Instant, Words, one_of
from intake.instance import Instance


class BackupAct(StrEnum):
    """What can be done with backups, apart from bringing one back."""

    TAKEN = "taken"
    TESTED = "tested"


class BackupRecord(Base):
    """One row for each act; nothing in it is about anybody."""

    __tablename__ = "backup_record"
    __table_args__ = (one_of("act", BackupAct), {"sqlite_strict": True})

    act: Mapped[BackupAct] = mapped_column(Closed(BackupAct), primary_key=True)
    tried_at: Mapped[datetime] = mapped_column(Instant)
    succeeded_at: Mapped[datetime | None] = mapped_column(Instant)
    last_error: Mapped[str | None] = mapped_column(Words)


# --- Writing down how a backup or its trial ended, for health and for whoever has to show it.

_EVENTS = {BackupAct.TAKEN: Action.BACKUP_TAKEN, BackupAct.TESTED: Action.BACKUP_TESTED}


def last_result(session: Session, act: BackupAct) -> BackupRecord | None:
    """How it ended the last time; None when it was never tried."""
    return session.get(BackupRecord, act)


@contextmanager
def recording(instance: Instance, act: BackupAct) -> Iterator[None]:
    """Write down how the block ends: well, with an audit event, or by the class name of what went wrong.

    What went wrong is raised on, also when it cannot be written down.
    """
    try:
        yield
    except Exception as wrong:
        name = wrong.code if isinstance(wrong, IntakeError) else type(wrong).__name__
        with suppress(Unavailable), instance.database.transaction() as session:
            write_result(session, act, at=instance.clock(), error=name)
        raise
    with instance.database.transaction() as session:
        write_result(session, act, at=instance.clock())
        audit.record(
            session, _EVENTS[act], keyring=instance.keyring, at=instance.clock(), actor=Actor.system()
        )


def write_result(session: Session, act: BackupAct, *, at: datetime, error: str | None = None) -> None:
    """Note one end, good when there is no `error`; the last good one is kept beside a failure."""
    row = session.get(BackupRecord, act, with_for_update=True)
    if row is None:
        row = BackupRecord(act=act, tried_at=at)
        session.add(row)
    row.tried_at, row.last_error = at, error
    if error is None:
        row.succeeded_at = at
    session.flush()
