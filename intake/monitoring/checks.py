"""The vital signs, one function each: what is looked at, what was found, and what to do about it.

Sentences name settings and files, never a value and never anybody. They are said in the language in use when
the check is made: that of a page at the desk, English on a terminal.
"""

import os
import shutil
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from intake import audit, backup, outbox
from intake.accounts.models import StaffMember
from intake.audit import Action, Actor
from intake.audit.models import AuditEvent
from intake.audit.service import details_of
from intake.backup import BackupAct
from intake.conf.secrets import BACKUP_KEY, parse_key
from intake.core.i18n import gettext, ngettext, translate
from intake.db.engine import SQLITE_PRAGMAS
from intake.db.migrate import MigrationState, migration_state
from intake.instance import Instance
from intake.leads import key_rotation
from intake.leads.models import Lead, LeadKey
from intake.outbox.models import JobLease
from intake.security.crypto import UNREADABLE, KeyMark, Place, Unopenable, mark_of

DELIVERY = "notices"
"""The relay's heartbeat: a row that says when it last ended, and is never due."""
NOTICE_LATE = timedelta(minutes=15)
RELAY_SILENT = timedelta(minutes=5)
ROUND_OVERDUE = timedelta(hours=1)
TAIL_LATE, TAIL_TOO_LATE = timedelta(minutes=15), timedelta(hours=24)
CRISIS_OLD, CRISIS_TOO_OLD = timedelta(days=90), timedelta(days=180)
CLOCK_BACK = timedelta(minutes=5)
DISK_LOW, DISK_FULL = 1_000_000_000, 100_000_000


class State(StrEnum):
    """How a check came out: green is well, amber wants attention soon, red wants it now."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at, what was found, and what to do about it (empty when green)."""

    name: str
    state: State
    sentence: str
    what_to_do: str = ""


def database(session: Session, instance: Instance) -> Check:
    """The database answers; a SQLite connection has the pragmas that lose nothing."""
    if not instance.settings.sqlite:
        version = session.scalar(text("SHOW server_version"))
        return Check("database", State.GREEN, f"PostgreSQL {version}.")
    wrong = wrong_pragmas(session)
    if wrong:
        why = translate("SQLite does not take %(names)s as this service needs.", names=", ".join(wrong))
        todo = gettext("Stop whatever else has the file open, then start again.")
        return Check("database", State.RED, why, todo)
    modes = "journal truncate, synchronous full, secure_delete on"  # as SQLite itself calls them
    return Check("database", State.GREEN, f"SQLite {sqlite3.sqlite_version}, {modes}.")


def wrong_pragmas(session: Session) -> list[str]:
    """The pragmas of this connection that are not what db/engine.py asked for (reliability.md, A4)."""
    pragmas = SQLITE_PRAGMAS.items()
    return [name for name, wanted in pragmas if session.scalar(text(f"PRAGMA {name}")) != wanted]


def migrations(instance: Instance) -> Check:
    """The tables are those of this version. Raises Unavailable when the database is."""
    where = migration_state(instance.database)
    if where is MigrationState.BEHIND:
        older = gettext("The database is older than this version.")
        return Check("migrations", State.RED, older, gettext("Run `intake db upgrade`."))
    if where is MigrationState.AHEAD:
        newer = gettext("The database was made by a newer version.")
        todo = gettext("Start that version, or restore the backup before it.")
        return Check("migrations", State.RED, newer, todo)
    return Check("migrations", State.GREEN, gettext("The tables are those of this version."))


def disk(instance: Instance) -> Check:
    """Room in the data folder, and leave to write there."""
    if not os.access(instance.settings.data_dir, os.W_OK):
        why = gettext("The data folder can only be read.")
        return Check("disk", State.RED, why, gettext("Let this account write where INTAKE_DATA_DIR points."))
    free = shutil.disk_usage(instance.settings.data_dir).free
    said = translate("%(free)s MB are free in the data folder.", free=f"{free // 1_000_000:,}")
    if free < DISK_LOW:
        state = State.RED if free < DISK_FULL else State.AMBER
        return Check("disk", state, said, gettext("Make room where INTAKE_DATA_DIR points."))
    return Check("disk", State.GREEN, said)


def mail(instance: Instance) -> Check:
    """Notices have a way out."""
    if instance.settings.smtp_host:
        return Check("mail", State.GREEN, gettext("A mail server is set; `intake mail test` tries it."))
    if instance.settings.development:
        said = gettext("Development: mail is caught in the data folder, nothing leaves.")
        return Check("mail", State.GREEN, said)
    return Check("mail", State.RED, gettext("No mail server is set."), gettext("Set INTAKE_SMTP_HOST."))


def crisis_lines(instance: Instance) -> Check:
    """The crisis numbers were looked at lately (CR-03)."""
    age = instance.clock().date() - instance.clinic.crisis.verified_on
    said = translate("The crisis lines were checked %(age)s ago.", age=_days(age.days))
    if age > CRISIS_OLD:
        state = State.RED if age > CRISIS_TOO_OLD else State.AMBER
        todo = gettext("Call each number, then set crisis.verified_on in clinic.toml.")
        return Check("crisis lines", state, said, todo)
    return Check("crisis lines", State.GREEN, said)


def texts(instance: Instance) -> Check:
    """Whoever has to sign a text has signed it: the Spanish, the crisis block, the ketamine paragraph."""
    reviewed = instance.clinic.texts_reviewed
    unsigned = [each.name for each in fields(reviewed) if not getattr(reviewed, each.name).by]
    if unsigned:
        keys = ", ".join(f"texts_reviewed.{name}" for name in unsigned)
        todo = translate("Have them read, then write by and on in clinic.toml: %(keys)s.", keys=keys)
        return Check("texts", State.AMBER, gettext("Not every text has been reviewed."), todo)
    return Check("texts", State.GREEN, gettext("Every text has been reviewed."))


def relay(session: Session, instance: Instance) -> Check:
    """Somebody makes the rounds: sends notices, links the audit log, ends what retention ends."""
    last = session.scalar(select(func.max(JobLease.ended_at)))
    if last is None:
        never = gettext("The relay has never run.")
        return Check("relay", State.RED, never, gettext("Start `intake relay`."))
    silent = instance.clock() - last
    said = translate("The relay was last seen %(age)s ago.", age=ago(silent))
    if silent > RELAY_SILENT:
        return Check("relay", State.RED, said, gettext("Start `intake relay`, or look at its log."))
    return Check("relay", State.GREEN, said)


def jobs(session: Session, instance: Instance) -> Check:
    """Every round is made when it is due, and succeeds."""
    leases = session.scalars(select(JobLease).order_by(JobLease.name)).all()
    due = [each for each in leases if each.name != DELIVERY]
    overdue = [each.name for each in due if instance.clock() - each.due_at > ROUND_OVERDUE]
    failing = [each.name for each in leases if each.last_error]
    if overdue:
        said = translate("Overdue by more than an hour: %(names)s.", names=", ".join(overdue))
        return Check("rounds", State.RED, said, gettext("Look at the relay’s log."))
    if failing:
        said = translate("Did not succeed the last time: %(names)s.", names=", ".join(failing))
        return Check("rounds", State.AMBER, said, gettext("Look at the relay’s log."))
    return Check("rounds", State.GREEN, gettext("Every round was made in time."))


def notices(session: Session, instance: Instance) -> Check:
    """No notice has been waiting for long (reliability.md, A10)."""
    now = outbox.status(session, at=instance.clock())
    age = timedelta(seconds=now.oldest_waiting_seconds)
    if age > NOTICE_LATE:
        said = translate("Notices are waiting, the oldest for %(age)s.", age=ago(age))
        todo = gettext("Look at INTAKE_SMTP_HOST with `intake mail test`.")
        return Check("notices", State.RED, said, todo)
    return Check("notices", State.GREEN, gettext("No notice waits for long."))


def dead_letters(session: Session, instance: Instance) -> Check:
    """No notice was given up."""
    if outbox.status(session, at=instance.clock()).dead:
        said = gettext("Some notices were refused and will not be tried again.")
        todo = gettext("Check notices.recipients in clinic.toml, then run `intake outbox resend`.")
        return Check("dead letters", State.RED, said, todo)
    return Check("dead letters", State.GREEN, gettext("No notice was refused for good."))


def linking(session: Session, instance: Instance) -> Check:
    """The audit chain follows closely behind the acts (architecture.md, law 12)."""
    oldest = audit.oldest_unlinked(session)
    behind = instance.clock() - oldest if oldest else timedelta()
    if behind > TAIL_LATE:
        state = State.RED if behind > TAIL_TOO_LATE else State.AMBER
        said = translate("The audit chain is %(age)s behind.", age=ago(behind))
        todo = gettext("Start `intake relay`, then run `intake audit verify`.")
        return Check("audit chain", state, said, todo)
    return Check("audit chain", State.GREEN, gettext("The audit chain is up to date."))


def clock(session: Session, instance: Instance) -> Check:
    """The clock does not stand before what was already recorded."""
    newest = session.scalar(select(func.max(AuditEvent.at)))
    if newest and newest - instance.clock() > CLOCK_BACK:
        said = gettext("The clock stands before the newest entry of the audit log.")
        todo = gettext("Set this machine’s clock; let it follow a time server.")
        return Check("clock", State.RED, said, todo)
    return Check("clock", State.GREEN, gettext("The clock runs forward."))


def keys(session: Session, instance: Instance) -> Check:
    """The keys are those that this database was written with."""
    newest = session.scalars(select(LeadKey).join(Lead).order_by(Lead.asked_at.desc()).limit(1)).first()
    missing = set(key_rotation.rows_by_key(session, instance.keyring)) - {
        *instance.keyring.sealing_ids,
        UNREADABLE,
    }
    if missing:
        names = ", ".join(sorted(missing))
        said = translate("Something still stands on %(names)s, which the settings do not hold.", names=names)
        todo = gettext("Put that key back into INTAKE_SEALING_KEYS, behind the others.")
        return Check("keys", State.RED, said, todo)
    try:
        if newest:
            instance.keyring.unwrap(newest.wrapped, place=Place("lead_key", "wrapped", newest.lead_id))
    except Unopenable:
        said = gettext("The newest lead cannot be opened.")
        return Check("keys", State.RED, said, gettext("Look at INTAKE_SEALING_KEYS."))
    if not all(audit.authentic(each, keyring=instance.keyring) for each in audit.newest(session, limit=1)):
        said = gettext("The newest audit event was not written with this key, or was changed.")
        todo = gettext("Look at INTAKE_CHAIN_KEY, then run `intake audit verify`.")
        return Check("keys", State.RED, said, todo)
    return Check("keys", State.GREEN, gettext("The keys open what is kept."))


def staff(session: Session, _instance: Instance) -> Check:
    """Somebody can sign in."""
    if not session.scalar(select(func.count()).where(StaffMember.disabled_at.is_(None))):
        nobody = gettext("Nobody can sign in.")
        return Check("staff", State.RED, nobody, gettext("Run `intake staff add`."))
    return Check("staff", State.GREEN, gettext("Somebody can sign in."))


def ago(age: timedelta) -> str:
    """An age in its largest whole unit: 3 days, 1 hour, 12 minutes."""
    if age >= timedelta(days=1):
        return _days(age.days)
    if age >= timedelta(hours=1):
        hours = age // timedelta(hours=1)
        return ngettext("%(num)s hour", "%(num)s hours", hours) % {"num": hours}
    minutes = max(0, age // timedelta(minutes=1))
    return ngettext("%(num)s minute", "%(num)s minutes", minutes) % {"num": minutes}


def _days(days: int) -> str:
    return ngettext("%(num)s day", "%(num)s days", days) % {"num": days}


# --- Whether there is a backup, how old it is, and whether it could be brought back (N2, R3).

LATE, TOO_LATE = timedelta(hours=26), timedelta(hours=50)
UNTRIED, TOO_LONG_UNTRIED = timedelta(days=15), timedelta(days=35)


def backup_taken(session: Session, instance: Instance) -> Check:
    """The last backup was taken today and the last try did not fail."""
    if not instance.settings.backup_key:
        return _not_set_up(instance)
    row = backup.last_result(session, BackupAct.TAKEN)
    if row is None:
        never = gettext("No backup was ever taken.")
        return Check("backup", State.AMBER, never, gettext("Run `intake backup`."))
    if row.last_error:
        said = gettext("The last backup failed.")
        return Check("backup", State.RED, said, gettext("Run `intake backup`: it says what is wrong."))
    age = instance.clock() - (row.succeeded_at or row.tried_at)
    said = translate("The last backup was taken %(age)s ago.", age=ago(age))
    return _backup_age("backup", said, age, (LATE, TOO_LATE), "intake backup")


def backup_tested(session: Session, instance: Instance) -> Check:
    """The last backup that was tried out could be brought back, and that was not long ago."""
    first = backup.last_result(session, BackupAct.TAKEN)
    row = backup.last_result(session, BackupAct.TESTED)
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
    return _backup_age("restore test", said, age, (UNTRIED, TOO_LONG_UNTRIED), "intake restore --test")


def _not_set_up(instance: Instance) -> Check:
    if instance.settings.development:
        return Check("backup", State.GREEN, gettext("Development: no backup is taken."))
    todo = gettext("Set INTAKE_BACKUP_KEY and INTAKE_BACKUP_DIR.")
    return Check("backup", State.AMBER, gettext("No backup is taken."), todo)


def _backup_age(
    name: str, said: str, age: timedelta, limits: tuple[timedelta, timedelta], command: str
) -> Check:
    late, too_late = limits
    if age > late:
        state = State.RED if age > too_late else State.AMBER
        todo = translate("Look at the relay’s log, or run `%(command)s`.", command=command)
        return Check(name, state, said, todo)
    return Check(name, State.GREEN, said)


# --- Since when each key is in use, as far as this service can know: from the day it first saw it.
# A setting does not say when a key was made. So the log keeps when each key was first noticed, by a mark that
# is the key's alone; a key that was made earlier and set later is older than that.


@dataclass(frozen=True)
class KeyAge:
    """One key of the settings and when it was first seen, None: not yet. `first`: it stands in front."""

    setting: str
    key_id: str
    since: datetime | None
    first: bool


def keys_in_use(instance: Instance) -> list[KeyMark]:
    """Every key that the settings hold, those of a list in their order."""
    written = instance.settings.backup_key
    backup = [KeyMark(BACKUP_KEY, "", mark_of(parse_key(written)))] if written else []
    return [*instance.keyring.marks(), *backup]


def note_new_keys(instance: Instance) -> int:
    """Write down each key that was never seen before; returns how many."""
    with instance.database.reading() as session:
        known = _keys_seen(session, instance)
    new = [each for each in keys_in_use(instance) if each.mark not in known]
    if not new:
        return 0
    with instance.database.transaction() as session:
        for each in new:
            audit.record(
                session,
                Action.KEYS_FIRST_SEEN,
                keyring=instance.keyring,
                at=instance.clock(),
                actor=Actor.system(),
                details={"kind": each.setting, "field": each.key_id, "to": each.mark},
            )
    return len(new)


def _keys_seen(session: Session, instance: Instance) -> Mapping[str, datetime]:
    """When each key was seen first, by its mark."""
    events = audit.every(session, Action.KEYS_FIRST_SEEN, keyring=instance.keyring)
    return {str(details_of(event).get("to")): event.at for event in events}


def key_ages(session: Session, instance: Instance) -> list[KeyAge]:
    """Every key with when it was first seen."""
    seen, found = _keys_seen(session, instance), keys_in_use(instance)
    settings = [each.setting for each in found]
    return [
        KeyAge(each.setting, each.key_id, seen.get(each.mark), place == settings.index(each.setting))
        for place, each in enumerate(found)
    ]
