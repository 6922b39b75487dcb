"""Telling somebody outside when the service is not well, by a second mail server where there is one (N2).

The watch runs beside every web and relay process, so that a dead relay is told of by the web and the
other way round. It needs neither the database nor the outbox, which may be what is wrong: what it
remembers stands in a file of the data folder, one for all processes of a machine.
"""

import fcntl
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
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

EVERY = timedelta(minutes=1)
PATIENCE = timedelta(minutes=5)
"""A restart or an upgrade is not worth a mail."""
REPEAT = timedelta(hours=4)
FILE = "alarm.json"


@dataclass(frozen=True)
class Memory:
    """What is known from the last look; the moments are ISO 8601, None: not so."""

    looked_at: str | None = None
    red_since: str | None = None
    told_at: str | None = None


def run_watch(instance: Instance, stop: Event) -> Thread:
    """Look every minute, in a thread that ends with the process or when `stop` is set."""
    mailer = open_mailer(second_mail_server(instance.settings))

    def look_again_and_again() -> None:
        own = Memory()
        while not stop.wait(EVERY.total_seconds()):
            own = look(instance, mailer, own)

    thread = Thread(target=look_again_and_again, name="alarm", daemon=True)
    thread.start()
    return thread


def second_mail_server(settings: Settings) -> Settings:
    """The settings with the second mail server in the place of the first, where one is set."""
    if not settings.alarm_smtp_host:
        return settings
    changes = {
        name.removeprefix("alarm_"): value
        for name, value in vars(settings).items()
        if name.startswith("alarm_smtp_")
    }
    return replace(settings, **changes)


def look(instance: Instance, mailer: Mailer, own: Memory | None = None) -> Memory:
    """Look once, unless another process of this machine just did; tell when it has been red for long.

    Returns what is known now, to be handed in with the next look: a disk that is full is worth an alarm,
    and the file forgets on it. A mail that is not accepted is tried again with the next look. Raises
    nothing: a watch that ends is worse than one that is wrong once.
    """
    memory = own or Memory()
    try:
        with _remembered(instance.settings.data_dir / FILE) as file:
            memory, now = max(memory, _read(file), key=_age), instance.clock()
            if _since(memory.looked_at, now) >= EVERY / 2:
                memory = _looked(instance, mailer, memory, now)
                _write(file, memory)
    except Exception as failure:  # noqa: BLE001  whatever it is, there is a next look
        _not_kept(failure)
    return memory


def _age(memory: Memory) -> str:
    return memory.looked_at or ""


def _looked(instance: Instance, mailer: Mailer, memory: Memory, now: datetime) -> Memory:
    seen = replace(memory, looked_at=now.isoformat())
    if _well(instance):
        told = memory.told_at and _tell(instance, mailer, Mail.WELL_AGAIN)
        return replace(seen, red_since=None, told_at=None if told else memory.told_at)
    seen = replace(seen, red_since=memory.red_since or now.isoformat())
    long_enough = _since(seen.red_since, now) >= PATIENCE and _since(memory.told_at, now) >= REPEAT
    if long_enough and _tell(instance, mailer, Mail.ALARM):
        return replace(seen, told_at=now.isoformat())
    return seen


def _well(instance: Instance) -> bool:
    try:
        return monitoring.is_well(monitoring.run_checks(instance))
    except (Unavailable, OSError):
        return False


def _since(moment: str | None, now: datetime) -> timedelta:
    """How long ago; for ever when it never was, or stands in times to come."""
    if moment is None or (age := now - datetime.fromisoformat(moment)) < timedelta():
        return timedelta.max
    return age


def _tell(instance: Instance, mailer: Mailer, mail: Mail) -> bool:
    """One constant mail to every second contact; True when at least one was accepted."""
    accepted = [_sent(instance, mailer, mail, to) for to in instance.clinic.notices.second_contacts]
    log.warning("alarm_told" if any(accepted) else "alarm_not_told", kind=mail.value)
    return any(accepted)


def _sent(instance: Instance, mailer: Mailer, mail: Mail, recipient: str) -> bool:
    message = OutboxMessage(id=uuid.uuid4(), mail=mail, recipient=recipient)
    letter = render(message, clinic=instance.clinic, settings=instance.settings, at=instance.clock())
    try:
        with mailer.batch() as send:
            send(letter)
    except NotSent as failure:
        log.warning("alarm_failed", error=failure.code)
        return False
    return True


@contextmanager
def _remembered(path: Path) -> Iterator[IO[str] | None]:
    """The file of all processes of this machine, ours alone meanwhile; None where there can be none."""
    with ExitStack() as opened:
        file = None
        try:
            path.touch(mode=0o600)
            file = opened.enter_context(path.open("r+", encoding="utf-8"))
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as failure:
            _not_kept(failure)
        yield file


def _read(file: IO[str] | None) -> Memory:
    try:
        memory = Memory(**json.loads((file and file.read()) or "{}"))
        for moment in filter(None, vars(memory).values()):
            datetime.fromisoformat(moment)
    except (OSError, ValueError, TypeError):
        return Memory()  # half written when the power went: begin anew
    return memory


def _write(file: IO[str] | None, memory: Memory) -> None:
    """Over what stands there and shortened after it, so that a full disk has the room already."""
    if file is None:
        return
    try:
        words = json.dumps(asdict(memory)).encode()
        os.pwrite(file.fileno(), words, 0)
        os.ftruncate(file.fileno(), len(words))
    except OSError as failure:
        _not_kept(failure)


def _not_kept(failure: Exception) -> None:
    log.warning("alarm_failed", error=type(failure).__name__)
