"""Backup results: when a backup was last taken or tested, and when that last succeeded."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, Session, mapped_column

from intake.act import Act
from intake.audit import Action
from intake.core.errors import IntakeError, Unavailable
from intake.db.types import Base, EnumText, Instant, enum_check
from intake.instance import Instance


class BackupAct(StrEnum):
    """The operations on backups whose result is stored; a restore is only an audit event."""

    TAKEN = "taken"
    TESTED = "tested"


class BackupRecord(Base):
    """Result of the last run of one operation; holds no personal data."""

    __tablename__ = "backup_record"
    __table_args__ = (enum_check("act", BackupAct), {"sqlite_strict": True})

    act: Mapped[BackupAct] = mapped_column(EnumText(BackupAct), primary_key=True)
    tried_at: Mapped[datetime] = mapped_column(Instant)
    succeeded_at: Mapped[datetime | None] = mapped_column(Instant)
    last_error: Mapped[str | None] = mapped_column(Text)


_EVENTS = {BackupAct.TAKEN: Action.BACKUP_TAKEN, BackupAct.TESTED: Action.BACKUP_TESTED}


def last_result(session: Session, act: BackupAct) -> BackupRecord | None:
    """The last result of `act`; None when it was never tried."""
    return session.get(BackupRecord, act)


@contextmanager
def recording(instance: Instance, act: BackupAct) -> Iterator[None]:
    """Store how the block ends: success with an audit event, else the code or class name of the exception.

    The exception is re-raised, also when the outcome cannot be stored.
    """
    try:
        yield
    except Exception as error:
        name = error.code if isinstance(error, IntakeError) else type(error).__name__
        with suppress(Unavailable), instance.database.transaction() as session:
            write_result(session, act, at=instance.clock(), error=name)
        raise
    with instance.database.transaction() as session:
        write_result(session, act, at=instance.clock())
        Act(session, instance).record(_EVENTS[act])


def write_result(session: Session, act: BackupAct, *, at: datetime, error: str | None = None) -> None:
    """Store one outcome, a success when `error` is None; a failure keeps the time of the last success."""
    row = session.get(BackupRecord, act, with_for_update=True)
    if row is None:
        row = BackupRecord(act=act, tried_at=at)
        session.add(row)
    row.tried_at, row.last_error = at, error
    if error is None:
        row.succeeded_at = at
    session.flush()
