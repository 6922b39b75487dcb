"""Promises W1 and C3: a thousand random faults, each of which is reported.

Somebody who has the whole database and none of the keys: triggers and foreign keys are out of the way.
One small database is built, linked and anchored; each fault is one statement or two, and is rolled back.
"""

import json
import random
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from intake import audit
from intake.accounts.models import Role
from intake.act import Act
from intake.audit import chain
from intake.audit.chain import Anchor
from intake.conf.clinic import Channel
from intake.consent import service as consent
from intake.instance import Instance
from intake.leads import suppression
from intake.leads.models import Outcome
from tests.factories import ask, hire, note, show, take

TABLES = ("audit_event", "chain_link", "consent_event", "consent_statement")
KEYS = {"audit_event": "id", "chain_link": "seq", "consent_event": "id", "consent_statement": "digest"}
MANY = {"sqlite": 1200, "postgresql": 250}
SEED = 20261118
Row = dict[str, Any]


@dataclass
class Attack:
    """The open tables, and the dice."""

    connection: Connection
    dice: random.Random
    sqlite: bool

    def rows(self, table: str) -> list[Row]:
        found = self.connection.execute(text(f"SELECT * FROM {table} ORDER BY {KEYS[table]}"))
        return [dict(row._mapping) for row in found]

    def one(self, table: str) -> Row:
        return self.dice.choice(self.rows(table))

    def change(self, table: str, key: object, **values: object) -> None:
        assignments = ", ".join(f"{name} = :{name}" for name in values)
        self.run(
            f"UPDATE {table} SET {assignments} WHERE {KEYS[table]} = :the_key", {"the_key": key, **values}
        )

    def remove(self, table: str, where: str, **values: object) -> None:
        self.run(f"DELETE FROM {table} WHERE {where}", values)

    def insert(self, table: str, row: Row) -> None:
        self.run(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(f':{n}' for n in row)})", row)

    def run(self, statement: str, values: Row) -> None:
        self.connection.execute(text(statement), values)

    def id(self) -> object:
        fresh = uuid.UUID(int=self.dice.getrandbits(128), version=4)
        return str(fresh) if self.sqlite else fresh


def edited(attack: Attack) -> str:
    """One column of one row says something else."""
    table = attack.dice.choice(TABLES)
    row = attack.one(table)
    column = attack.dice.choice(list(row))
    value = other(attack, column, row[column])
    attack.change(table, row[KEYS[table]], **{column: value})
    return f"{table}.{column} of {row[KEYS[table]]}: {row[column]!r} to {value!r}"


CLOSED = {
    "actor_kind": ["person", "system"],
    "kind": ["use", "call", "text", "email", "voicemail", "article", "adult"],
    "state": ["given", "refused", "withdrawn"],
    "method": ["web_form", "phone_verbal", "manage_page", "staff"],
    "language": ["en", "es"],
}
MOMENTS = ("at", "linked_at", "first_shown_at")
IDS = ("id", "lead_id", "actor_id", "about", "event_id")


def other(attack: Attack, column: str, value: Any) -> Any:
    """Another value that the column takes: what is worth forging, or nearly the same as before."""
    dice = attack.dice
    if column in CLOSED:
        return dice.choice([each for each in CLOSED[column] if each != value])
    if column in IDS:
        return attack.id()
    if column in MOMENTS:
        far = dice.choice([1, 10**6, 86_400_000_000])
        return moved(value, timedelta(microseconds=dice.choice([-far, far])))
    if isinstance(value, int):
        return value + dice.choice([-1000, 1000, 7])
    return flipped(dice, bytes(value)) if isinstance(value, bytes | memoryview) else damaged(dice, str(value))


def flipped(dice: random.Random, words: bytes) -> bytes:
    """One bit is the other one."""
    changed = bytearray(words)
    changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def moved(value: Any, by: timedelta) -> Any:
    if isinstance(value, datetime):
        return value + by
    moment = datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC) + by
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def damaged(dice: random.Random, words: str) -> str:
    """One character inserted, deleted or replaced."""
    place = dice.randrange(len(words) + 1)
    character = dice.choice("abc019 {}\"'é")
    before, after = words[:place], words[place:]
    variants = [before + character + after, before + after[1:], before + character + after[1:]]
    return dice.choice([each for each in variants if each != words] or [words + character])


def deleted(attack: Attack) -> str:
    """A row is gone. An event that has neither a place nor an anchor yet leaves no trace (ADR 0018)."""
    table = attack.dice.choice(TABLES)
    row = attack.one(table)
    if table == "audit_event" and row["id"] not in {link["event_id"] for link in attack.rows("chain_link")}:
        return ""
    attack.remove(table, f"{KEYS[table]} = :the_key", the_key=row[KEYS[table]])
    return f"{table}: {row[KEYS[table]]} deleted"


def swapped(attack: Attack) -> str:
    """Two rows change what they say in one column, or in all of them but the key."""
    table = attack.dice.choice(TABLES)
    one, two = attack.dice.sample(attack.rows(table), 2)
    columns = [name for name in one if name != KEYS[table]]
    if attack.dice.random() < 0.7:
        columns = [attack.dice.choice(columns)]
    if all(one[name] == two[name] for name in columns):
        return ""
    if table == "chain_link" and "event_id" in columns:
        attack.remove(table, "seq IN (:one, :two)", one=one["seq"], two=two["seq"])
        for place, words in ((one, two), (two, one)):
            attack.insert(table, {**place, **{name: words[name] for name in columns}})
    else:
        attack.change(table, one[KEYS[table]], **{name: two[name] for name in columns})
        attack.change(table, two[KEYS[table]], **{name: one[name] for name in columns})
    return f"{table}: {columns} of two rows swapped"


def inserted(attack: Attack) -> str:
    """A row like another, with a key of its own; a link may go where none of ours can stand."""
    table = attack.dice.choice(TABLES)
    row = attack.one(table)
    if table == "chain_link":
        forged = {**attack.one("audit_event"), "id": attack.id()}
        attack.insert("audit_event", forged)
        row |= {"seq": attack.dice.choice([0, -1, -7, 10**6]), "event_id": forged["id"]}
    elif table == "consent_statement":
        row["digest"] = f"{attack.dice.getrandbits(256):064x}"
    else:
        row["id"] = attack.id()
    attack.insert(table, row)
    return f"{table}: one put in"


def cut(attack: Attack) -> str:
    """The newest links, and perhaps their events and what those carry, are gone."""
    links = attack.rows("chain_link")
    kept = attack.dice.randrange(len(links))
    gone = links[kept:]
    attack.remove("chain_link", "seq > :kept", kept=kept)
    if attack.dice.random() < 0.7:
        for link in gone:
            event = one_by(attack, "audit_event", link["event_id"])
            remove_carried(attack, event)
            attack.remove("audit_event", "id = :the_key", the_key=link["event_id"])
    return f"cut behind link {kept}"


def one_by(attack: Attack, table: str, key: object) -> Row:
    return next(row for row in attack.rows(table) if row[KEYS[table]] == key)


def remove_carried(attack: Attack, event: Row) -> None:
    for mac in json.loads(event["details"]).get("consents", ()):
        attack.remove("consent_event", "mac = :mac", mac=bytes.fromhex(mac))


def reordered(attack: Attack) -> str:
    """Links change their places: all of a stretch moves by one, or is turned round."""
    links = attack.rows("chain_link")
    first = attack.dice.randrange(len(links) - 2)
    stretch = links[first : first + attack.dice.randrange(2, len(links) - first + 1)]
    turned = stretch[::-1] if attack.dice.random() < 0.5 else stretch[1:] + stretch[:1]
    attack.remove("chain_link", "seq >= :a AND seq <= :b", a=stretch[0]["seq"], b=stretch[-1]["seq"])
    for place, link in zip(stretch, turned, strict=True):
        attack.insert("chain_link", {**link, "seq": place["seq"]})
    return f"{len(stretch)} links re-ordered"


def closed_up(attack: Attack) -> str:
    """One event and its link are taken out, and all later links move up so that no gap shows."""
    links = attack.rows("chain_link")
    place = attack.dice.randrange(len(links))
    later = links[place + 1 :]
    attack.remove("chain_link", "seq >= :seq", seq=links[place]["seq"])
    attack.remove("audit_event", "id = :the_key", the_key=links[place]["event_id"])
    for link in later:
        attack.insert("chain_link", {**link, "seq": link["seq"] - 1})
    return f"event of link {place + 1} taken out, the rest closed up"


FAULTS: tuple[Callable[[Attack], str], ...] = (
    edited, edited, edited, deleted, swapped, swapped, inserted, cut, reordered, closed_up
)  # fmt: skip


# --- the one small database ---------------------------------------------------------------------------


@pytest.fixture
def anchored(instance: Instance, clock: Any) -> tuple[Instance, list[Anchor]]:
    """Two requests in two languages, looked at, answered and stopped; all linked, the end anchored."""
    ana = hire(instance, "Ana Ruiz", *Role)
    one = ask(instance, channels=frozenset(Channel)).lead
    clock.move(minutes=1)
    ask(instance, language="es", phone="+13055550144", email="somebody@example.org")
    clock.move(minutes=1)
    take(instance, one, ana)
    show(instance, one, ana)
    with instance.database.transaction() as session:
        suppression.stop_contact(Act(session, instance, ana.actor), kind="phone", value="+13055550144")
    with instance.database.transaction() as session:
        audit.link(session, keyring=instance.keyring, at=clock())
    with instance.database.reading() as session:
        taken = chain.take_anchor(session, keyring=instance.keyring, at=clock())
    clock.move(minutes=1)
    note_unlinked(instance, one, ana)
    return instance, [taken]


def note_unlinked(instance: Instance, lead: Any, member: Any) -> None:
    """What came after the anchor and has no place yet: changes to it must be seen all the same."""
    note(instance, lead, member, Outcome.NO_ANSWER)


def found_in(instance: Instance, connection: Connection, known: list[Anchor]) -> tuple[str, ...]:
    with Session(bind=connection, join_transaction_mode="create_savepoint") as session:
        found = audit.verify(session, keyring=instance.keyring, anchors=known)
        return (*found.problems, *consent.verify_proof(session, keyring=instance.keyring))


@contextmanager
def unguarded(instance: Instance) -> Iterator[Connection]:
    """A connection with all triggers dropped and foreign keys off; nothing it does stays."""
    with instance.database.engine.connect() as connection:
        if instance.database.sqlite:
            connection.rollback()  # the pragma does nothing inside a transaction
            connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")
            named = text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            for name in connection.scalars(named).all():
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
        else:
            connection.exec_driver_sql("SET session_replication_role = replica")
        yield connection
        connection.rollback()
        connection.invalidate()


def test_an_untouched_log_is_whole(anchored: tuple[Instance, list[Anchor]]) -> None:
    instance, known = anchored
    with unguarded(instance) as connection:
        assert found_in(instance, connection, known) == ()


def test_every_one_of_a_thousand_random_faults_is_named(anchored: tuple[Instance, list[Anchor]]) -> None:
    instance, known = anchored
    dice = random.Random(SEED)  # noqa: S311  dice, the same at every run
    unseen, tried = [], 0
    with unguarded(instance) as connection:
        attack = Attack(connection, dice, instance.database.sqlite)
        while tried < MANY[connection.dialect.name]:
            inner = connection.begin_nested()
            try:
                what = dice.choice(FAULTS)(attack)
            except IntegrityError:  # the tables themselves have refused it
                what = ""
            if what:
                tried += 1
                unseen += [] if found_in(instance, connection, known) else [what]
            inner.rollback()
    assert unseen == []
