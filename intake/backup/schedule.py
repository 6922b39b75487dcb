"""The backup jobs: one backup a day and one restore test a week, where INTAKE_BACKUP_DIR is set."""

from datetime import timedelta

from intake.backup.create import newest, take
from intake.backup.models import BackupAct, last_result
from intake.backup.restore import rehearse
from intake.instance import Instance

DAY, WEEK = timedelta(days=1), timedelta(days=7)
EARLY = timedelta(minutes=30)
"""A backup is due this long before the day is over, so that its hour does not drift."""
RETRY_AFTER = timedelta(minutes=15)
"""Least time between failed tries: each one reads the whole database."""


def daily(instance: Instance) -> int:
    """Take the backup of the day if it is due. Returns 1 when one was taken, else 0."""
    if not instance.settings.backup_dir or not _due(instance, BackupAct.TAKEN, DAY - EARLY):
        return 0
    take(instance)
    return 1


def weekly_test(instance: Instance) -> int:
    """Test the newest backup once a week. Returns 1 when one was tested, else 0."""
    if not instance.settings.backup_dir or not _due(instance, BackupAct.TESTED, WEEK - EARLY):
        return 0
    path = newest(instance)
    if path is None:
        return 0
    rehearse(instance, path)
    return 1


def _due(instance: Instance, act: BackupAct, every: timedelta) -> bool:
    """Whether `every` has passed; also when the stored time lies in the future (a wrong clock)."""
    with instance.database.reading() as session:
        row = last_result(session, act)
    if row is None:
        return True
    now = instance.clock()
    if row.last_error:
        return not timedelta() <= now - row.tried_at < RETRY_AFTER
    return row.succeeded_at is None or not timedelta() <= now - row.succeeded_at < every
