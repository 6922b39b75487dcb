"""Alarm mail to the second contacts when health stays red, by a second mail server where one is set (N2).

The watch runs in every web and relay process, so that the web reports a dead relay and the other way round.
It needs neither the database nor the outbox, which may be what fails: its state is a file in the data
folder, shared by all processes of a machine.
"""

import fcntl
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import IO

import structlog

from intake import monitoring
from intake.conf.settings import Settings
from intake.core.errors import Unavailable
from intake.instance import Instance
from intake.outbox import Mail, OutboxMessage
from intake.outbox.mailer import Mailer, NotSent, open_mailer
from intake.outbox.messages import render

log = structlog.get_logger()

CHECK_INTERVAL = timedelta(minutes=1)
GRACE_PERIOD = timedelta(minutes=5)
"""How long health must be red before a mail is sent: a restart or an upgrade takes less."""
REPEAT_AFTER = timedelta(hours=4)
FILE = "alarm.json"


@dataclass(frozen=True)
class WatchState:
    """Result of the last check and the last mail; the timestamps are ISO 8601, None where there is none."""

    checked_at: str | None = None
    red_since: str | None = None
    alerted_at: str | None = None


def run_watch(instance: Instance, stop: Event) -> Thread:
    """Check health every minute, in a thread that ends with the process or when `stop` is set."""
    mailer = open_mailer(second_mail_server(instance.settings))

    def watch() -> None:
        state = WatchState()
        while not stop.wait(CHECK_INTERVAL.total_seconds()):
            state = check_once(instance, mailer, state)

    thread = Thread(target=watch, name="alarm", daemon=True)
    thread.start()
    return thread


def second_mail_server(settings: Settings) -> Settings:
    """The settings with INTAKE_ALARM_SMTP_* in place of INTAKE_SMTP_*, where they are set."""
    if not settings.alarm_smtp_host:
        return settings
    changes = {
        name.removeprefix("alarm_"): value
        for name, value in vars(settings).items()
        if name.startswith("alarm_smtp_")
    }
    return replace(settings, **changes)


def check_once(instance: Instance, mailer: Mailer, state: WatchState | None = None) -> WatchState:
    """Check health, unless another process of this machine just did, and send a mail when one is due.

    Returns the new state, to be passed to the next call: on a full disk the file cannot keep it. A mail
    that is not accepted is tried again by the next call. Raises nothing, so that one failure does not end
    the watch.
    """
    state = state or WatchState()
    try:
        with _locked_file(instance.settings.data_dir / FILE) as file:
            state = max(state, _read(file), key=lambda each: each.checked_at or "")
            now = instance.clock()
            if _since(state.checked_at, now) >= CHECK_INTERVAL / 2:
                state = _check(instance, mailer, state, now)
                _write(file, state)
    except Exception as failure:  # noqa: BLE001  the next check may succeed
        log.warning("alarm_failed", error=type(failure).__name__)
    return state


def _check(instance: Instance, mailer: Mailer, state: WatchState, now: datetime) -> WatchState:
    checked = replace(state, checked_at=now.isoformat())
    if _is_well(instance):
        accepted = state.alerted_at and _send_to_all(instance, mailer, Mail.WELL_AGAIN)
        return replace(checked, red_since=None, alerted_at=None if accepted else state.alerted_at)
    checked = replace(checked, red_since=state.red_since or now.isoformat())
    due = _since(checked.red_since, now) >= GRACE_PERIOD and _since(state.alerted_at, now) >= REPEAT_AFTER
    if due and _send_to_all(instance, mailer, Mail.ALARM):
        return replace(checked, alerted_at=now.isoformat())
    return checked


def _is_well(instance: Instance) -> bool:
    try:
        return monitoring.is_well(monitoring.run_checks(instance))
    except (Unavailable, OSError):
        return False


def _since(moment: str | None, now: datetime) -> timedelta:
    """Time since `moment`; `timedelta.max` when it is None or in the future."""
    if moment is None or (age := now - datetime.fromisoformat(moment)) < timedelta():
        return timedelta.max
    return age


def _send_to_all(instance: Instance, mailer: Mailer, mail: Mail) -> bool:
    """Send one constant mail to each second contact; True when at least one was accepted."""
    accepted = 0
    for recipient in instance.clinic.notices.second_contacts:
        row = OutboxMessage(id=uuid.uuid4(), mail=mail, recipient=recipient)
        message = render(row, clinic=instance.clinic, settings=instance.settings, at=instance.clock())
        try:
            with mailer.batch() as send:
                send(message)
        except NotSent as failure:
            log.warning("alarm_failed", error=failure.code)
            continue
        accepted += 1
    log.warning("alarm_told" if accepted else "alarm_not_told", kind=mail.value)
    return accepted > 0


@contextmanager
def _locked_file(path: Path) -> Iterator[IO[str] | None]:
    """The state file, locked against the other processes of this machine; None where it cannot be opened."""
    with ExitStack() as stack:
        file = None
        try:
            path.touch(mode=0o600)
            file = stack.enter_context(path.open("r+", encoding="utf-8"))
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as failure:
            log.warning("alarm_failed", error=type(failure).__name__)
        yield file


def _read(file: IO[str] | None) -> WatchState:
    """What `_write` wrote; an empty state for anything else."""
    try:
        stored = json.loads((file and file.read()) or "{}")
        state = WatchState(stored.get("looked_at"), stored.get("red_since"), stored.get("told_at"))
        for moment in filter(None, vars(state).values()):
            datetime.fromisoformat(moment)
        return state
    except (OSError, ValueError, TypeError, AttributeError):
        return WatchState()  # partly written at a power cut: start anew


def _write(file: IO[str] | None, state: WatchState) -> None:
    """Overwrite in place, then truncate, so that a full disk needs no new block.

    The keys are those of earlier releases (docs/formats.md).
    """
    if file is None:
        return
    stored = {"looked_at": state.checked_at, "red_since": state.red_since, "told_at": state.alerted_at}
    content = json.dumps(stored).encode()
    try:
        os.pwrite(file.fileno(), content, 0)
        os.ftruncate(file.fileno(), len(content))
    except OSError as failure:
        log.warning("alarm_failed", error=type(failure).__name__)
