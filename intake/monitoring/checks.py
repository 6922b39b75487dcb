"""The health checks, one function each: what is checked, what was found, and what to do about it.

Sentences name settings and files, never a value or a person. They are in the current language: that of the
page at the desk, English on a terminal. A setting does not say when a key was made, so the audit log
records when each key was first seen, by a fingerprint; a key may be older than that.
"""

import os
import shutil
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from intake import audit, outbox
from intake.accounts.models import StaffMember
from intake.act import Act
from intake.audit import Action
from intake.audit.models import AuditEvent
from intake.audit.service import details_of
from intake.backup.models import BackupAct, last_result
from intake.conf.secrets import BACKUP_KEY, parse_key
from intake.core.i18n import gettext, ngettext, translate
from intake.db.engine import SQLITE_PRAGMAS
from intake.db.migrate import MigrationState, migration_state
from intake.instance import Instance
from intake.leads import key_rotation
from intake.leads.models import Lead, LeadKey
from intake.outbox.models import JobLease
from intake.security.crypto import UNREADABLE, KeyFingerprint, Place, UnsealError, key_fingerprint

DELIVERY_NAME = "notices"
"""Name of the lease row in which mail delivery stores its heartbeat; it is never due."""
NOTICE_LATE = timedelta(minutes=15)
RELAY_SILENT = timedelta(minutes=5)
JOB_OVERDUE = timedelta(hours=1)
TAIL_LATE, TAIL_TOO_LATE = timedelta(minutes=15), timedelta(hours=24)
CRISIS_OLD, CRISIS_TOO_OLD = timedelta(days=90), timedelta(days=180)
CLOCK_BACK = timedelta(minutes=5)
DISK_LOW, DISK_FULL = 1_000_000_000, 100_000_000
BACKUP_LATE, BACKUP_TOO_LATE = timedelta(hours=26), timedelta(hours=50)
UNTESTED, TOO_LONG_UNTESTED = timedelta(days=15), timedelta(days=35)
"""For each pair: amber after the first, red after the second; for the disk below them, in bytes."""


class State(StrEnum):
    """Result of a check: green is well, amber needs attention soon, red needs it now."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


@dataclass(frozen=True)
class Check:
    """One check: its name, its state, what was found in a sentence, and what to do (empty when green)."""

    name: str
    state: State
    sentence: str
    what_to_do: str = ""


def database(act: Act) -> Check:
    """The database answers; a SQLite connection has the pragmas of `SQLITE_PRAGMAS`. Raises Unavailable."""
    if not act.settings.sqlite:
        version = act.session.scalar(text("SHOW server_version"))
        return Check("database", State.GREEN, f"PostgreSQL {version}.")
    wrong = wrong_pragmas(act.session)
    if wrong:
        why = translate("SQLite does not take %(names)s as this service needs.", names=", ".join(wrong))
        what_to_do = gettext("Stop whatever else has the file open, then start again.")
        return Check("database", State.RED, why, what_to_do)
    modes = "journal truncate, synchronous full, secure_delete on"  # as SQLite itself calls them
    return Check("database", State.GREEN, f"SQLite {sqlite3.sqlite_version}, {modes}.")


def wrong_pragmas(session: Session) -> list[str]:
    """Names of the pragmas of this connection that differ from those that db/engine.py sets."""
    pragmas = SQLITE_PRAGMAS.items()
    return [name for name, wanted in pragmas if session.scalar(text(f"PRAGMA {name}")) != wanted]


def migrations(instance: Instance) -> Check:
    """The tables are those of this version. Raises Unavailable when the database is."""
    state = migration_state(instance.database)
    if state is MigrationState.BEHIND:
        older = gettext("The database is older than this version.")
        return Check("migrations", State.RED, older, gettext("Run `intake db upgrade`."))
    if state is MigrationState.AHEAD:
        newer = gettext("The database was made by a newer version.")
        what_to_do = gettext("Start that version, or restore the backup before it.")
        return Check("migrations", State.RED, newer, what_to_do)
    return Check("migrations", State.GREEN, gettext("The tables are those of this version."))


def disk(instance: Instance) -> Check:
    """The data folder is writable, and its disk has room."""
    if not os.access(instance.settings.data_dir, os.W_OK):
        why = gettext("The data folder can only be read.")
        return Check("disk", State.RED, why, gettext("Let this account write where INTAKE_DATA_DIR points."))
    free = shutil.disk_usage(instance.settings.data_dir).free
    sentence = translate("%(free)s MB are free in the data folder.", free=f"{free // 1_000_000:,}")
    if free < DISK_LOW:
        state = State.RED if free < DISK_FULL else State.AMBER
        return Check("disk", state, sentence, gettext("Make room where INTAKE_DATA_DIR points."))
    return Check("disk", State.GREEN, sentence)


def mail(instance: Instance) -> Check:
    """A mail server is set, or mail is caught in a folder in development."""
    if instance.settings.smtp_host:
        return Check("mail", State.GREEN, gettext("A mail server is set; `intake mail test` tries it."))
    if instance.settings.development:
        sentence = gettext("Development: mail is caught in the data folder, nothing leaves.")
        return Check("mail", State.GREEN, sentence)
    return Check("mail", State.RED, gettext("No mail server is set."), gettext("Set INTAKE_SMTP_HOST."))


def crisis_lines(instance: Instance) -> Check:
    """The crisis numbers were verified within 90 days (red after 180)."""
    age = instance.clock().date() - instance.clinic.crisis.verified_on
    sentence = translate("The crisis lines were checked %(age)s ago.", age=_days(age.days))
    if age > CRISIS_OLD:
        state = State.RED if age > CRISIS_TOO_OLD else State.AMBER
        what_to_do = gettext("Call each number, then set crisis.verified_on in clinic.toml.")
        return Check("crisis lines", state, sentence, what_to_do)
    return Check("crisis lines", State.GREEN, sentence)


def texts(instance: Instance) -> Check:
    """Every text that needs a review has one: each translation, the crisis block, the ketamine paragraph."""
    unsigned = instance.clinic.texts_reviewed.unsigned
    if unsigned:
        keys = ", ".join(f"texts_reviewed.{name}" for name in unsigned)
        what_to_do = translate("Have them read, then write by and on in clinic.toml: %(keys)s.", keys=keys)
        return Check("texts", State.AMBER, gettext("Not every text has been reviewed."), what_to_do)
    return Check("texts", State.GREEN, gettext("Every text has been reviewed."))


def relay(act: Act) -> Check:
    """A relay ran within the last 5 minutes: it sends mail and runs the jobs."""
    last = act.session.scalar(select(func.max(JobLease.ended_at)))
    if last is None:
        never = gettext("The relay has never run.")
        return Check("relay", State.RED, never, gettext("Start `intake relay`."))
    silent = act.now - last
    sentence = translate("The relay was last seen %(age)s ago.", age=ago(silent))
    if silent > RELAY_SILENT:
        return Check("relay", State.RED, sentence, gettext("Start `intake relay`, or look at its log."))
    return Check("relay", State.GREEN, sentence)


def jobs(act: Act) -> Check:
    """Every job runs within an hour of its time, and succeeds."""
    leases = act.session.scalars(select(JobLease).order_by(JobLease.name)).all()
    due = [each for each in leases if each.name != DELIVERY_NAME]
    overdue = [each.name for each in due if act.now - each.due_at > JOB_OVERDUE]
    failing = [each.name for each in leases if each.last_error]
    if overdue:
        sentence = translate("Overdue by more than an hour: %(names)s.", names=", ".join(overdue))
        return Check("rounds", State.RED, sentence, gettext("Look at the relay’s log."))
    if failing:
        sentence = translate("Did not succeed the last time: %(names)s.", names=", ".join(failing))
        return Check("rounds", State.AMBER, sentence, gettext("Look at the relay’s log."))
    return Check("rounds", State.GREEN, gettext("Every job ran in time."))


def notices(act: Act) -> Check:
    """No mail has been waiting in the outbox for more than 15 minutes."""
    now = outbox.status(act.session, at=act.now)
    age = timedelta(seconds=now.oldest_waiting_seconds)
    if age > NOTICE_LATE:
        sentence = translate("Notices are waiting, the oldest for %(age)s.", age=ago(age))
        what_to_do = gettext("Look at INTAKE_SMTP_HOST with `intake mail test`.")
        return Check("notices", State.RED, sentence, what_to_do)
    return Check("notices", State.GREEN, gettext("No notice waits for long."))


def dead_letters(act: Act) -> Check:
    """No mail was given up after being refused."""
    if outbox.status(act.session, at=act.now).dead:
        sentence = gettext("Some notices were refused and will not be tried again.")
        what_to_do = gettext("Check notices.recipients in clinic.toml, then run `intake outbox resend`.")
        return Check("dead letters", State.RED, sentence, what_to_do)
    return Check("dead letters", State.GREEN, gettext("No notice was refused for good."))


def linking(act: Act) -> Check:
    """The audit chain is at most 15 minutes behind (docs/decisions/0007-one-chain-behind.md)."""
    oldest = audit.oldest_unlinked_at(act.session)
    behind = act.now - oldest if oldest else timedelta()
    if behind > TAIL_LATE:
        state = State.RED if behind > TAIL_TOO_LATE else State.AMBER
        sentence = translate("The audit chain is %(age)s behind.", age=ago(behind))
        what_to_do = gettext("Start `intake relay`, then run `intake audit verify`.")
        return Check("audit chain", state, sentence, what_to_do)
    return Check("audit chain", State.GREEN, gettext("The audit chain is up to date."))


def clock(act: Act) -> Check:
    """The clock is not more than 5 minutes behind the newest audit event."""
    newest = act.session.scalar(select(func.max(AuditEvent.at)))
    if newest and newest - act.now > CLOCK_BACK:
        sentence = gettext("The clock stands before the newest entry of the audit log.")
        what_to_do = gettext("Set this machine’s clock; let it follow a time server.")
        return Check("clock", State.RED, sentence, what_to_do)
    return Check("clock", State.GREEN, gettext("The clock runs forward."))


def keys(act: Act) -> Check:
    """The keys in the settings open the newest lead, verify the newest audit event, and none is missing."""
    newest = act.session.scalars(select(LeadKey).join(Lead).order_by(Lead.asked_at.desc()).limit(1)).first()
    missing = set(key_rotation.count_rows_by_key(act.session, act.keyring)) - {
        *act.keyring.sealing_ids,
        UNREADABLE,
    }
    if missing:
        names = ", ".join(sorted(missing))
        sentence = translate(
            "Something still stands on %(names)s, which the settings do not hold.", names=names
        )
        what_to_do = gettext("Put that key back into INTAKE_SEALING_KEYS, behind the others.")
        return Check("keys", State.RED, sentence, what_to_do)
    try:
        if newest:
            act.keyring.unwrap(newest.wrapped, place=Place("lead_key", "wrapped", newest.lead_id))
    except UnsealError:
        sentence = gettext("The newest lead cannot be opened.")
        return Check("keys", State.RED, sentence, gettext("Look at INTAKE_SEALING_KEYS."))
    if not all(
        audit.authentic(each, keyring=act.keyring) for each in audit.newest_events(act.session, limit=1)
    ):
        sentence = gettext("The newest audit event was not written with this key, or was changed.")
        what_to_do = gettext("Look at INTAKE_CHAIN_KEY, then run `intake audit verify`.")
        return Check("keys", State.RED, sentence, what_to_do)
    return Check("keys", State.GREEN, gettext("The keys open what is kept."))


def staff(act: Act) -> Check:
    """At least one account can sign in."""
    if not act.session.scalar(select(func.count()).where(StaffMember.disabled_at.is_(None))):
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


def backup_taken(act: Act) -> Check:
    """The last try of a backup succeeded, within 26 hours (red after 50)."""
    if not act.settings.backup_key and act.settings.development:
        return Check("backup", State.GREEN, gettext("Development: no backup is taken."))
    if not act.settings.backup_key:
        what_to_do = gettext("Set INTAKE_BACKUP_KEY and INTAKE_BACKUP_DIR.")
        return Check("backup", State.AMBER, gettext("No backup is taken."), what_to_do)
    row = last_result(act.session, BackupAct.TAKEN)
    if row is None:
        never = gettext("No backup was ever taken.")
        return Check("backup", State.AMBER, never, gettext("Run `intake backup`."))
    if row.last_error:
        sentence = gettext("The last backup failed.")
        return Check("backup", State.RED, sentence, gettext("Run `intake backup`: it says what is wrong."))
    age = act.now - (row.succeeded_at or row.tried_at)
    sentence = translate("The last backup was taken %(age)s ago.", age=ago(age))
    return _backup_age("backup", sentence, age, (BACKUP_LATE, BACKUP_TOO_LATE), "intake backup")


def backup_tested(act: Act) -> Check:
    """The last restore test succeeded, within 15 days (red after 35)."""
    first = last_result(act.session, BackupAct.TAKEN)
    row = last_result(act.session, BackupAct.TESTED)
    if not act.settings.backup_key or first is None:
        return Check("restore test", State.GREEN, gettext("There is nothing to try out yet."))
    if row is None:
        sentence = gettext("No backup was ever tried out.")
        return Check("restore test", State.AMBER, sentence, gettext("Run `intake restore --test`."))
    if row.last_error:
        sentence = gettext("The last backup that was tried out could not be brought back.")
        what_to_do = gettext("Run `intake restore --test`: it says what is wrong.")
        return Check("restore test", State.RED, sentence, what_to_do)
    age = act.now - (row.succeeded_at or row.tried_at)
    sentence = translate("A backup was tried out %(age)s ago, and could be brought back.", age=ago(age))
    return _backup_age("restore test", sentence, age, (UNTESTED, TOO_LONG_UNTESTED), "intake restore --test")


def _backup_age(
    name: str, sentence: str, age: timedelta, limits: tuple[timedelta, timedelta], command: str
) -> Check:
    late, too_late = limits
    if age > late:
        state = State.RED if age > too_late else State.AMBER
        what_to_do = translate("Look at the relay’s log, or run `%(command)s`.", command=command)
        return Check(name, state, sentence, what_to_do)
    return Check(name, State.GREEN, sentence)


@dataclass(frozen=True)
class KeyAge:
    """One key of the settings.

    `since`: when it was first seen, None: not yet. `first`: first of its setting.
    """

    setting: str
    key_id: str
    since: datetime | None
    first: bool


def keys_in_use(instance: Instance) -> list[KeyFingerprint]:
    """Fingerprints of every key in the settings, those of a list in their order."""
    backup_key = instance.settings.backup_key
    backup = [KeyFingerprint(BACKUP_KEY, "", key_fingerprint(parse_key(backup_key)))] if backup_key else []
    return [*instance.keyring.fingerprints(), *backup]


def note_new_keys(instance: Instance) -> int:
    """Record an audit event for each key that was never seen before; returns how many."""
    with instance.database.reading() as session:
        known = _keys_seen(Act(session, instance))
    new = [each for each in keys_in_use(instance) if each.fingerprint not in known]
    if not new:
        return 0
    with instance.database.transaction() as session:
        for each in new:
            Act(session, instance).record(
                Action.KEYS_FIRST_SEEN, kind=each.setting, field=each.key_id, to=each.fingerprint
            )
    return len(new)


def _keys_seen(act: Act) -> Mapping[str, datetime]:
    """When each key was first seen, by its fingerprint."""
    events = audit.authentic_events(act.session, Action.KEYS_FIRST_SEEN, keyring=act.keyring)
    return {str(details_of(event).get("to")): event.at for event in events}


def key_ages(act: Act) -> list[KeyAge]:
    """Every key in the settings with when it was first seen."""
    seen, keys = _keys_seen(act), keys_in_use(act.instance)
    settings = [key.setting for key in keys]
    return [
        KeyAge(key.setting, key.key_id, seen.get(key.fingerprint), number == settings.index(key.setting))
        for number, key in enumerate(keys)
    ]
