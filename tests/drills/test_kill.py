"""What was acknowledged is there, once, whatever is killed and whenever (reliability.md A1, A3)."""

import http.client
import os
import random
import re
import signal
import threading
import time
from contextlib import closing, suppress
from http import HTTPStatus
from urllib.parse import urlencode

from sqlalchemy import func, select

from intake import audit
from intake.audit import Action, AuditEvent
from intake.consent import service as consent
from intake.consent.models import ConsentEvent, Kind
from intake.crypto import Keyring
from intake.database import Database
from intake.keys import SECRETS
from intake.leads.models import Lead, LeadKey, Submission
from intake.outbox.models import OutboxMessage
from tests.cli.conftest import Service, processes_of
from tests.conftest import settings_for

ROUNDS, PEOPLE = 4, 4
_TOKEN = re.compile(r'name="token" value="([^"]+)"')
_REFERENCE = re.compile(r'aria-labelledby="ref"><span>([^<]+)</span>')


def exchange(port: int, method: str, body: str = "") -> str:
    """One request to the form; empty when nobody answered to the end."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    with closing(line), suppress(OSError, http.client.HTTPException):
        line.request(method, "/", body, {"Content-Type": "application/x-www-form-urlencoded"})
        answer = line.getresponse()
        words = answer.read().decode()
        return words if answer.status == HTTPStatus.OK else ""
    return ""


def answers(token: str, number: int) -> str:
    return urlencode(
        {
            "preferred_name": f"Person {number}",
            "channels": "call",
            "phone": f"+1305555{100 + number % 100:04}",
            "voicemail": "no",
            "windows": "any",
            "region": "US-FL",
            "adult": "yes",
            "consent_use": "yes",
            "token": token,
        }
    )


class Crowd:
    """People who ask, one page after the other, and keep the references they were given."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.stop = threading.Event()
        self.acknowledged: list[str] = []
        self.unsure: list[str] = []

    def ask(self, person: int) -> None:
        number = person
        while not self.stop.is_set():
            token = _TOKEN.search(exchange(self.port, "GET"))
            if not token:
                time.sleep(0.02)
                continue
            number += PEOPLE
            form = answers(token[1], number)
            reference = _REFERENCE.search(exchange(self.port, "POST", form))
            if reference:
                self.acknowledged.append(reference[1].replace(" ", ""))
            else:
                self.unsure.append(form)


def kill(service: Service) -> None:
    """Everything of this instance, at once, with no time to tidy."""
    for pid in processes_of(service.folder):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for process in service.started:
        process.wait()
    service.started.clear()


def test_no_acknowledged_request_is_lost_or_doubled(service: Service) -> None:
    """Web and relay are killed at random moments under load; who got no answer sends the page again."""
    crowd = Crowd(service.port)
    people = [threading.Thread(target=crowd.ask, args=(person,)) for person in range(PEOPLE)]
    moments = random.Random(20261118)  # noqa: S311  a drill, repeatable
    for thread in people:
        thread.start()
    for _ in range(ROUNDS):
        service.start("run")
        service.wait_until_up()
        time.sleep(moments.uniform(0.2, 1.5))
        kill(service)
    service.start("run")
    service.wait_until_up()
    time.sleep(1)
    crowd.stop.set()
    for thread in people:
        thread.join()
    again = [_REFERENCE.search(exchange(service.port, "POST", form)) for form in crowd.unsure]
    references = crowd.acknowledged + [found[1].replace(" ", "") for found in again if found]
    kill(service)
    assert len(crowd.acknowledged) > ROUNDS
    check(service, references)


def check(service: Service, references: list[str]) -> None:
    """Each reference has its lead, consent, notice and audit event once; nothing is half there."""
    database = Database(f"sqlite:///{service.folder / 'intake.sqlite3'}", lock=service.folder / "lock")
    written = {name: (service.folder / "keys" / name).read_text() for name in SECRETS}
    keyring = Keyring.from_settings(settings_for(service.folder, "sqlite://", **written))
    with database.reading() as session:
        assert sorted(session.scalars(select(Lead.reference))) == sorted(references)
        ids = sorted(session.scalars(select(Lead.id)))
        submitted = AuditEvent.action == Action.LEAD_SUBMITTED
        for kept in (
            select(LeadKey.lead_id),
            select(Submission.lead_id),
            select(ConsentEvent.lead_id).where(ConsentEvent.kind == Kind.USE),
            select(OutboxMessage.lead_id),
            select(AuditEvent.about).where(submitted),
        ):
            assert sorted(session.scalars(kept)) == ids
        assert session.scalar(select(func.count()).select_from(Submission)) == len(ids)
        assert consent.verify(session, keyring=keyring) == []
        assert audit.verify(session, keyring=keyring).intact
        assert session.connection().exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    database.close()
