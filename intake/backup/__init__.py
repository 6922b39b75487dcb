"""Copies that can be brought back: taking one, trying one out, restoring one, and what is known of each."""

from intake.backup.daily import daily, weekly_test
from intake.backup.models import BackupAct, BackupRecord
from intake.backup.restoring import Restored, rehearse, restore
from intake.backup.standing import last
from intake.backup.taking import Taken, newest, take

__all__ = [
    "BackupAct",
    "BackupRecord",
    "Restored",
    "Taken",
    "daily",
    "last",
    "newest",
    "rehearse",
    "restore",
    "take",
    "weekly_test",
]
