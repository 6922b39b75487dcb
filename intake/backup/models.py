"""What is known of backups: when each kind of thing was last done, and last done well."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy.orm import Mapped, mapped_column

from intake.db.engine import Base, Closed, Instant, Words, one_of


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
