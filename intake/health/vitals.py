"""The vital signs, one function each: what is looked at, what was found, and what to do about it.

Sentences name settings and files, never a value and never anybody.
"""

import shutil
import sqlite3
from dataclasses import dataclass, fields
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from intake import audit, outbox
from intake.audit.models import AuditEvent
from intake.crypto import Place, Unopenable
from intake.database import SQLITE_PRAGMAS
from intake.instance import Instance
from intake.leads.models import Lead, LeadKey
from intake.outbox.models import RoundLease
from intake.staff.models import StaffMember
from intake.upgrade import Standing, standing

DELIVERY = "notices"
"""The relay's heartbeat: a row that says when it last ended, and is never due."""
NOTICE_LATE = timedelta(minutes=15)
RELAY_SILENT = timedelta(minutes=5)
ROUND_OVERDUE = timedelta(hours=1)
TAIL_LATE, TAIL_TOO_LATE = timedelta(minutes=15), timedelta(hours=24)
CRISIS_OLD, CRISIS_TOO_OLD = timedelta(days=90), timedelta(days=180)
CLOCK_BACK = timedelta(minutes=5)
DISK_LOW, DISK_FULL = 1_000_000_000, 100_000_000
_UPGRADE = "Run `intake db upgrade`."


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
        why = f"SQLite does not take {', '.join(wrong)} as this service needs."
        return Check("database", State.RED, why, "Stop whatever else has the file open, then start again.")
    modes = "journal truncate, synchronous full, secure_delete on"
    return Check("database", State.GREEN, f"SQLite {sqlite3.sqlite_version}, {modes}.")


def wrong_pragmas(session: Session) -> list[str]:
    """The pragmas of this connection that are not what database.py asked for (reliability.md, A4)."""
    pragmas = SQLITE_PRAGMAS.items()
    return [name for name, wanted in pragmas if session.scalar(text(f"PRAGMA {name}")) != wanted]


def migrations(instance: Instance) -> Check:
    """The tables are those of this version. Raises Unavailable when the database is."""
    where = standing(instance.database)
    if where is Standing.BEHIND:
        return Check("migrations", State.RED, "The database is older than this version.", _UPGRADE)
    if where is Standing.AHEAD:
        newer = "The database was made by a newer version."
        return Check("migrations", State.RED, newer, "Start that version, or restore the backup before it.")
    return Check("migrations", State.GREEN, "The tables are those of this version.")


def disk(instance: Instance) -> Check:
    """Room in the data folder."""
    free = shutil.disk_usage(instance.settings.data_dir).free
    said = f"{free // 1_000_000:,} MB are free in the data folder."
    if free < DISK_LOW:
        state = State.RED if free < DISK_FULL else State.AMBER
        return Check("disk", state, said, "Make room where INTAKE_DATA_DIR points.")
    return Check("disk", State.GREEN, said)


def mail(instance: Instance) -> Check:
    """Notices have a way out."""
    if instance.settings.smtp_host:
        return Check("mail", State.GREEN, "A mail server is set; `intake mail test` tries it.")
    if instance.settings.development:
        return Check("mail", State.GREEN, "Development: mail is caught in the data folder, nothing leaves.")
    return Check("mail", State.RED, "No mail server is set.", "Set INTAKE_SMTP_HOST.")


def crisis_lines(instance: Instance) -> Check:
    """The crisis numbers were looked at lately (CR-03)."""
    age = instance.clock().date() - instance.clinic.crisis.verified_on
    said = f"The crisis lines were checked {age.days} days ago."
    if age > CRISIS_OLD:
        state = State.RED if age > CRISIS_TOO_OLD else State.AMBER
        todo = "Call each number, then set crisis.verified_on in clinic.toml."
        return Check("crisis lines", state, said, todo)
    return Check("crisis lines", State.GREEN, said)


def texts(instance: Instance) -> Check:
    """Whoever has to sign a text has signed it: the Spanish, the crisis block, the ketamine paragraph."""
    reviewed = instance.clinic.texts_reviewed
    unsigned = [each.name for each in fields(reviewed) if not getattr(reviewed, each.name).by]
    if unsigned:
        keys = ", ".join(f"texts_reviewed.{name}" for name in unsigned)
        todo = f"Have them read, then write by and on in clinic.toml: {keys}."
        return Check("texts", State.AMBER, "Not every text has been reviewed.", todo)
    return Check("texts", State.GREEN, "Every text has been reviewed.")


def relay(session: Session, instance: Instance) -> Check:
    """Somebody makes the rounds: sends notices, links the audit log, ends what retention ends."""
    last = session.scalar(select(func.max(RoundLease.ended_at)))
    if last is None:
        return Check("relay", State.RED, "The relay has never run.", "Start `intake relay`.")
    silent = instance.clock() - last
    said = f"The relay was last seen {ago(silent)} ago."
    if silent > RELAY_SILENT:
        return Check("relay", State.RED, said, "Start `intake relay`, or look at its log.")
    return Check("relay", State.GREEN, said)


def rounds(session: Session, instance: Instance) -> Check:
    """Every round is made when it is due, and succeeds."""
    leases = session.scalars(select(RoundLease).order_by(RoundLease.name)).all()
    due = [each for each in leases if each.name != DELIVERY]
    overdue = [each.name for each in due if instance.clock() - each.due_at > ROUND_OVERDUE]
    failing = [each.name for each in leases if each.last_error]
    if overdue:
        said = f"Overdue by more than an hour: {', '.join(overdue)}."
        return Check("rounds", State.RED, said, "Look at the relay's log.")
    if failing:
        said = f"Did not succeed the last time: {', '.join(failing)}."
        return Check("rounds", State.AMBER, said, "Look at the relay's log.")
    return Check("rounds", State.GREEN, "Every round was made in time.")


def notices(session: Session, instance: Instance) -> Check:
    """No notice has been waiting for long (reliability.md, A10)."""
    now = outbox.status(session, at=instance.clock())
    age = timedelta(seconds=now.oldest_waiting_seconds)
    if age > NOTICE_LATE:
        said = f"Notices are waiting, the oldest for {ago(age)}."
        return Check("notices", State.RED, said, "Look at INTAKE_SMTP_HOST with `intake mail test`.")
    return Check("notices", State.GREEN, "No notice waits for long.")


def dead_letters(session: Session, instance: Instance) -> Check:
    """No notice was given up."""
    if outbox.status(session, at=instance.clock()).dead:
        said = "Some notices were refused and will not be tried again."
        todo = "Check notices.recipients in clinic.toml, then run `intake outbox resend`."
        return Check("dead letters", State.RED, said, todo)
    return Check("dead letters", State.GREEN, "No notice was refused for good.")


def linking(session: Session, instance: Instance) -> Check:
    """The audit chain follows closely behind the acts (architecture.md, law 12)."""
    oldest = audit.oldest_unlinked(session)
    behind = instance.clock() - oldest if oldest else timedelta()
    if behind > TAIL_LATE:
        state = State.RED if behind > TAIL_TOO_LATE else State.AMBER
        said = f"The audit chain is {ago(behind)} behind."
        return Check("audit chain", state, said, "Start `intake relay`, then run `intake audit verify`.")
    return Check("audit chain", State.GREEN, "The audit chain is up to date.")


def clock(session: Session, instance: Instance) -> Check:
    """The clock does not stand before what was already recorded."""
    newest = session.scalar(select(func.max(AuditEvent.at)))
    if newest and newest - instance.clock() > CLOCK_BACK:
        said = "The clock stands before the newest entry of the audit log."
        return Check("clock", State.RED, said, "Set this machine's clock; let it follow a time server.")
    return Check("clock", State.GREEN, "The clock runs forward.")


def keys(session: Session, instance: Instance) -> Check:
    """The keys are those that this database was written with."""
    newest = session.scalars(select(LeadKey).join(Lead).order_by(Lead.asked_at.desc()).limit(1)).first()
    try:
        if newest:
            instance.keyring.unwrap(newest.wrapped, place=Place("lead_key", "wrapped", newest.lead_id))
    except Unopenable:
        return Check("keys", State.RED, "The newest lead cannot be opened.", "Look at INTAKE_SEALING_KEYS.")
    if not all(audit.authentic(each, keyring=instance.keyring) for each in audit.newest(session, limit=1)):
        said = "The newest audit event was not written with this key, or was changed."
        return Check("keys", State.RED, said, "Look at INTAKE_CHAIN_KEY, then run `intake audit verify`.")
    return Check("keys", State.GREEN, "The keys open what is kept.")


def staff(session: Session, _instance: Instance) -> Check:
    """Somebody can sign in."""
    if not session.scalar(select(func.count()).where(StaffMember.disabled_at.is_(None))):
        return Check("staff", State.RED, "Nobody can sign in.", "Run `intake staff add`.")
    return Check("staff", State.GREEN, "Somebody can sign in.")


def ago(age: timedelta) -> str:
    """An age in its largest whole unit: 3 days, 1 hour, 12 minutes."""
    for unit, length in (("day", timedelta(days=1)), ("hour", timedelta(hours=1))):
        if age >= length:
            return _counted(age // length, unit)
    return _counted(max(0, age // timedelta(minutes=1)), "minute")


def _counted(count: int, unit: str) -> str:
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
