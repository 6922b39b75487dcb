"""Backups that take and try themselves: acts of the rounds, where INTAKE_BACKUP_DIR is set."""

from datetime import datetime, timedelta

from intake.backup.create import newest, take
from intake.backup.models import BackupAct, BackupRecord, last_result
from intake.backup.restore import rehearse
from intake.instance import Instance

DAY, WEEK = timedelta(days=1), timedelta(days=7)
EARLY = timedelta(minutes=30)
"""A little before the day is over, so that the hour does not wander on by a round each time."""
AGAIN = timedelta(minutes=15)
"""What failed is tried again no sooner: each try reads the whole database."""


def daily(instance: Instance) -> int:
    """Take the backup of the day, when there is a folder for it. Returns 1 when it was taken."""
    if not instance.settings.backup_dir or not _due(instance, BackupAct.TAKEN, DAY - EARLY):
        return 0
    take(instance)
    return 1


def weekly_test(instance: Instance) -> int:
    """Try out the newest backup once a week. Returns 1 when it was tried."""
    if not instance.settings.backup_dir or not _due(instance, BackupAct.TESTED, WEEK - EARLY):
        return 0
    path = newest(instance)
    if path is None:
        return 0
    rehearse(instance, path)
    return 1


def _due(instance: Instance, act: BackupAct, every: timedelta) -> bool:
    with instance.database.reading() as session:
        row = last_result(session, act)
    return row is None or _over(row, every, instance.clock())


def _over(row: BackupRecord, every: timedelta, at: datetime) -> bool:
    """Also when what is written down lies in times to come: the clock was wrong then."""
    if row.last_error:
        return not timedelta() <= at - row.tried_at < AGAIN
    return row.succeeded_at is None or not timedelta() <= at - row.succeeded_at < every
