"""Whether there is a backup, how old it is, and whether it could be brought back (N2, R3)."""

from datetime import timedelta

from sqlalchemy.orm import Session

from intake import backup
from intake.backup import BackupAct
from intake.core.i18n import gettext, translate
from intake.instance import Instance
from intake.monitoring.checks import Check, State, ago

LATE, TOO_LATE = timedelta(hours=26), timedelta(hours=50)
UNTRIED, TOO_LONG_UNTRIED = timedelta(days=15), timedelta(days=35)


def taken(session: Session, instance: Instance) -> Check:
    """The last backup was taken today and the last try did not fail."""
    if not instance.settings.backup_key:
        return _not_set_up(instance)
    row = backup.last(session, BackupAct.TAKEN)
    if row is None:
        never = gettext("No backup was ever taken.")
        return Check("backup", State.AMBER, never, gettext("Run `intake backup`."))
    if row.last_error:
        said = gettext("The last backup failed.")
        return Check("backup", State.RED, said, gettext("Run `intake backup`: it says what is wrong."))
    age = instance.clock() - (row.succeeded_at or row.tried_at)
    said = translate("The last backup was taken %(age)s ago.", age=ago(age))
    return _aged("backup", said, age, (LATE, TOO_LATE), "intake backup")


def tested(session: Session, instance: Instance) -> Check:
    """The last backup that was tried out could be brought back, and that was not long ago."""
    first = backup.last(session, BackupAct.TAKEN)
    row = backup.last(session, BackupAct.TESTED)
    if not instance.settings.backup_key or first is None:
        return Check("restore test", State.GREEN, gettext("There is nothing to try out yet."))
    if row is None:
        said = gettext("No backup was ever tried out.")
        return Check("restore test", State.AMBER, said, gettext("Run `intake restore --test`."))
    if row.last_error:
        said = gettext("The last backup that was tried out could not be brought back.")
        todo = gettext("Run `intake restore --test`: it says what is wrong.")
        return Check("restore test", State.RED, said, todo)
    age = instance.clock() - (row.succeeded_at or row.tried_at)
    said = translate("A backup was tried out %(age)s ago, and could be brought back.", age=ago(age))
    return _aged("restore test", said, age, (UNTRIED, TOO_LONG_UNTRIED), "intake restore --test")


def _not_set_up(instance: Instance) -> Check:
    if instance.settings.development:
        return Check("backup", State.GREEN, gettext("Development: no backup is taken."))
    todo = gettext("Set INTAKE_BACKUP_KEY and INTAKE_BACKUP_DIR.")
    return Check("backup", State.AMBER, gettext("No backup is taken."), todo)


def _aged(name: str, said: str, age: timedelta, limits: tuple[timedelta, timedelta], command: str) -> Check:
    late, too_late = limits
    if age > late:
        state = State.RED if age > too_late else State.AMBER
        todo = translate("Look at the relay’s log, or run `%(command)s`.", command=command)
        return Check(name, state, said, todo)
    return Check(name, State.GREEN, said)
