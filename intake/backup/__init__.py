"""Backups: taking, testing and restoring them, and the stored results of these."""

from intake.backup.create import CreatedBackup, newest, take
from intake.backup.models import BackupAct, BackupRecord, last_result
from intake.backup.restore import RestoreResult, rehearse, restore
from intake.backup.schedule import daily, weekly_test

__all__ = [
    "BackupAct",
    "BackupRecord",
    "CreatedBackup",
    "RestoreResult",
    "daily",
    "last_result",
    "newest",
    "rehearse",
    "restore",
    "take",
    "weekly_test",
]
