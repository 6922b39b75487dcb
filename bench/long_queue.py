"""Time of the pages of the queue with 100,000 leads, as a multiple of the time with 1,000.

    .venv/bin/python bench/long_queue.py                                  SQLite, in a folder of its own
    .venv/bin/python bench/long_queue.py postgresql+psycopg://…/empty     an empty PostgreSQL database

Both fillings are made in one run on one machine, so that the ratio says something on any machine; the
times beside it say something of this one only. `--leads` sets the larger number.
"""

import argparse
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from intake.accounts.models import Role, StaffMember, StaffRole
from intake.accounts.permissions import Member, StaffAct
from intake.casework import queue, search
from intake.casework.queue import ClaimedBy, QueueFilters, Show
from intake.conf import secrets as conf_secrets
from intake.conf.clinic import Channel
from intake.conf.settings import Mode, Settings
from intake.consent.models import ConsentEvent, ConsentStatement, Kind, Method, State
from intake.core.paths import CONFIG
from intake.db.migrate import upgrade
from intake.instance import Instance
from intake.leads.models import CloseReason, Lead, LeadKey, LeadStatus
from intake.security import crypto
from intake.security.crypto import Place

FEW, TIMES, BATCH = 1_000, 15, 2_000
STATUSES = [LeadStatus.NEW] * 3 + [LeadStatus.TRYING] * 2 + [LeadStatus.BOOKED] + [LeadStatus.CLOSED] * 4
MEMBER = Member(uuid.uuid4(), "bench@example.org", "Bench", frozenset({Role.SUPERVISOR}))


def make_instance(folder: Path, url: str) -> Instance:
    """A migrated, empty instance."""
    secrets = {name: conf_secrets.new_secret(name) for name in conf_secrets.SECRETS}
    settings = Settings(
        mode=Mode.DEVELOPMENT,
        base_url="http://localhost",
        data_dir=folder,
        config_dir=CONFIG,
        database_url=url,
        mail_from="intake@example.org",
        **secrets,
    )
    instance = Instance.from_settings(settings)
    upgrade(instance.database)
    return instance


def add_account(session: Session, instance: Instance) -> None:
    """Insert one account and the consent statements."""
    now = instance.clock()
    session.add(
        StaffMember(
            id=MEMBER.id,
            email=MEMBER.email,
            name=MEMBER.name,
            password_hash="-",
            totp_secret=b"-",
            created_at=now,
        )
    )
    session.flush()
    session.add(StaffRole(staff_id=MEMBER.id, role=Role.SUPERVISOR))
    for kind in Kind:
        session.add(
            ConsentStatement(
                digest=f"d-{kind}", kind=kind, version=1, language="en", body="-", first_shown_at=now
            )
        )


def make_leads(instance: Instance, numbers: range) -> Iterator[tuple[dict, dict, list[dict]]]:
    """Rows of leads, keys and consents, spread over 60 days; half of the leads still wait."""
    now, ring = instance.clock(), instance.keyring
    for number in numbers:
        lead_id, key, use = uuid.uuid4(), crypto.new_key(), uuid.uuid4()
        status, asked = STATUSES[number % 10], now - timedelta(days=60) * ((number * 7919 % 10_007) / 10_007)
        phone, closed = f"+1305{number:07}", status is LeadStatus.CLOSED
        lead = {
            "id": lead_id,
            "reference": f"B{number:07}",
            "code_hash": f"c{number}".encode(),
            "language": "es" if number % 3 == 0 else "en",
            "region": "US-FL",
            "time_zone": "America/New_York",
            "number_zones": "America/New_York",
            "windows": "any",
            "status": status,
            "close_reason": CloseReason.TALKED if closed else None,
            "closed_at": asked if closed else None,
            "promise_at": asked + timedelta(hours=2),
            "asked_at": asked,
            "opened_at": asked if number % 50 == 0 else None,
            "first_contact_at": None if status is LeadStatus.NEW else asked,
            "booked_for": asked if status is LeadStatus.BOOKED else None,
            "purge_after": now + timedelta(days=30),
            "use_event_id": use,
            "use_kind": Kind.USE,
            "use_state": State.GIVEN,
            "version": 1,
            "name": crypto.seal(key, "Bench", place=Place("lead", "name", lead_id)),
            "phone": crypto.seal(key, phone, place=Place("lead", "phone", lead_id)),
            "phone_index": ring.blind_index("phone", phone),
        }
        answers = {Kind.USE: use, Kind.CALL: uuid.uuid4(), Kind.TEXT: uuid.uuid4()}
        events = [
            {
                "id": each,
                "lead_id": lead_id,
                "kind": kind,
                "statement": f"d-{kind}",
                "language": "en",
                "state": State.REFUSED if kind is Kind.TEXT and number % 4 else State.GIVEN,
                "method": Method.WEB_FORM,
                "actor_kind": "person",
                "at": asked,
                "mac": b"-",
            }
            for kind, each in answers.items()
        ]
        wrapped = ring.wrap(key, place=Place("lead_key", "wrapped", lead_id))
        yield lead, {"lead_id": lead_id, "wrapped": wrapped}, events


def fill(instance: Instance, numbers: range) -> None:
    """Insert the leads in bulk, and run ANALYZE on PostgreSQL, as autovacuum would in time."""
    for start in range(numbers.start, numbers.stop, BATCH):
        made_up = list(make_leads(instance, range(start, min(start + BATCH, numbers.stop))))
        with instance.database.transaction() as session:
            session.execute(insert(ConsentEvent), [each for _, _, events in made_up for each in events])
            session.execute(insert(Lead), [lead for lead, _, _ in made_up])
            session.execute(insert(LeadKey), [key for _, key, _ in made_up])
    if not instance.database.sqlite:
        with instance.database.transaction() as session:
            session.execute(text("ANALYZE"))


def pages(instance: Instance) -> dict[str, Callable[[Session], object]]:
    """The pages to measure by name: every list of the queue, two searches, and the hand-over."""

    def listed(**filters: object) -> Callable[[Session], object]:
        return lambda session: queue.page(
            StaffAct(session, instance, MEMBER), filters=QueueFilters(**filters)
        )

    def found(term: str) -> Callable[[Session], object]:
        return lambda session: search.find(StaffAct(session, instance, MEMBER), term=term)

    return {
        "waiting": listed(),
        "booked": listed(show=Show.BOOKED),
        "closed": listed(show=Show.CLOSED),
        "waiting, in Spanish": listed(language="es"),
        "waiting, by text": listed(channel=Channel.TEXT),
        "held by me": listed(claimed=ClaimedBy.ME),
        "held by nobody": listed(claimed=ClaimedBy.NOBODY),
        "find a number": found("+13050000007"),
        "find a reference": found("B0000007"),
        "hand-over": lambda session: queue.handover(StaffAct(session, instance, MEMBER)),
    }


def measure(instance: Instance) -> dict[str, float]:
    """The median of each page, in milliseconds."""
    return {name: statistics.median(_times(instance, page)) for name, page in pages(instance).items()}


def _times(instance: Instance, page: Callable[[Session], object]) -> Iterator[float]:
    for _ in range(TIMES):
        with instance.database.reading() as session:
            began = time.perf_counter()
            page(session)
            yield (time.perf_counter() - began) * 1000


def main() -> None:
    """Fill, measure, fill more, measure again, and print the ratio."""
    parser = argparse.ArgumentParser(description="The cost of the queue, few leads against many.")
    parser.add_argument("url", nargs="?", help="an empty PostgreSQL database; without it SQLite")
    parser.add_argument("--leads", type=int, default=100_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = chosen.url or f"sqlite:///{folder}/intake.sqlite3"
        instance = make_instance(Path(folder), url)
        with instance.database.transaction() as session:
            add_account(session, instance)
        fill(instance, range(FEW))
        few = measure(instance)
        fill(instance, range(FEW, chosen.leads))
        many = measure(instance)
        instance.database.close()
    print(f"{'':22}{FEW:>9} {chosen.leads:>9}    ratio   (median ms of {TIMES})")
    for name, cost in few.items():
        print(f"{name:22}{cost:9.1f} {many[name]:9.1f} {many[name] / cost:8.2f}")
    one, other = sum(few.values()), sum(many.values())
    print(f"{'RATIO of the whole':22}{one:9.1f} {other:9.1f} {other / one:8.2f}")


if __name__ == "__main__":
    main()
