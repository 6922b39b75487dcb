"""Copies that can be brought back: taking one, trying one out, restoring one, and what is known of each."""

from intake.backup.create import Taken, newest, take
from intake.backup.models import BackupAct, BackupRecord, last_result
from intake.backup.restore import Restored, rehearse, restore
from intake.backup.schedule import daily, weekly_test

__all__ = [
    "BackupAct",
    "BackupRecord",
    "Restored",
    "Taken",
    "daily",
    "last_result",
    "newest",
    "rehearse",
    "restore",
    "take",
    "weekly_test",
]
