"""W1: password and second factor in one step, one refusal for every reason, one audit event per attempt."""

import json
import threading
from collections import Counter
from collections.abc import Callable

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, text

from intake import audit
from intake.accounts import credentials, service, sessions, sign_in
from intake.accounts.models import StaffMember
from intake.accounts.sign_in import SignedIn, SignInRefused
from intake.act import Act
from intake.audit import Action, AuditEvent
from intake.core.errors import NotSignedIn, TooMany
from intake.instance import Instance
from tests.conftest import MovableClock
from tests.factories import AWAY, HOME_NETWORK, PASSWORD, Person, add_account, sign_in_as


@pytest.fixture
def maria(instance: Instance) -> Person:
    return add_account(instance)


def events(instance: Instance) -> list[tuple[str, str]]:
    """Every sign-in event with its reason or factor, in no particular order."""
    with instance.database.reading() as session:
        assert audit.verify(session, keyring=instance.keyring).intact
        found = session.scalars(select(AuditEvent)).all()
    tries = (Action.STAFF_SIGNED_IN, Action.STAFF_REFUSED, Action.STAFF_SIGNED_OUT)
    return [(each.action, *json.loads(each.details).values()) for each in found if each.action in tries]  # type: ignore[misc]


def refused(instance: Instance, person: Person, **changes: str) -> bool:
    try:
        sign_in_as(instance, person, **changes)
    except SignInRefused:
        return True
    return False


def at_once(times: int, act: Callable[[int], SignedIn]) -> tuple[list[SignedIn], list[Exception]]:
    """The results of concurrent attempts."""
    start = threading.Barrier(times)
    came_in: list[SignedIn] = []
    failed: list[Exception] = []

    def one(number: int) -> None:
        start.wait()
        try:
            came_in.append(act(number))
        except (SignInRefused, TooMany) as refusal:
            failed.append(refusal)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return came_in, failed


@pytest.fixture
def many_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred hashing slots, so that a race is decided in the database and not before it."""
    monkeypatch.setattr(credentials, "_slots", threading.BoundedSemaphore(100))


def test_it_lets_in_who_knows_the_password_and_has_the_code(instance: Instance, maria: Person) -> None:
    signed_in = sign_in_as(instance, maria)
    assert signed_in.active.member == maria.member
    with instance.database.reading() as session:
        assert sessions.find(Act(session, instance), signed_in.token).member == maria.member
    assert events(instance) == [("staff.signed_in", "totp")]


def test_the_event_names_the_account_and_not_the_address(instance: Instance, maria: Person) -> None:
    sign_in_as(instance, maria)
    refused(instance, maria, password="wrong")
    refused(instance, maria, email="nobody@example.org")
    with instance.database.reading() as session:
        kept = session.scalars(select(AuditEvent).order_by(AuditEvent.action)).all()
    by_reason = {json.loads(each.details).get("reason"): each for each in kept}
    assert by_reason["password"].about == maria.member.id
    assert by_reason["password"].actor_id is None
    assert by_reason["no_account"].about is None
    assert not [each for each in kept if "example.org" in each.details]


def test_a_recovery_code_opens_once(instance: Instance, maria: Person) -> None:
    code = maria.recovery_codes[0]
    assert sign_in_as(instance, maria, code=code).active.member == maria.member
    assert refused(instance, maria, code=code)
    assert events(instance) == [("staff.signed_in", "recovery_code"), ("staff.refused", "code")]


def test_a_recovery_code_is_read_kindly(instance: Instance, maria: Person) -> None:
    assert not refused(instance, maria, code=maria.recovery_codes[0].lower().replace("-", " ") + "\n")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"email": "nobody@example.org"}, "no_account"),
        ({"email": ""}, "no_account"),
        ({"email": "\x00"}, "no_account"),
        ({"email": "' OR 1=1 --"}, "no_account"),
        ({"email": "m" * 10_240 + "@example.org"}, "no_account"),
        ({"email": "<script>alert(1)</script>@example.org"}, "no_account"),
        ({"password": ""}, "password"),
        ({"password": "violin kettle meadow ti"}, "password"),
        ({"password": "Violin kettle meadow tin"}, "password"),
        ({"password": "x" * 10_240}, "password"),
        ({"password": "\x00\ud800"}, "password"),
        ({"code": ""}, "code"),
        ({"code": "000000"}, "code"),
        ({"code": "9" * 10_240}, "code"),
        ({"code": "ABCD-EFGH-JKMN-PQRS"}, "code"),
        ({"code": "\x00\ud800"}, "code"),
    ],
)
def test_it_refuses_everything_else_and_keeps_one_event(
    instance: Instance, maria: Person, changes: dict[str, str], reason: str
) -> None:
    assert refused(instance, maria, **changes)
    assert events(instance) == [("staff.refused", reason)]


def test_a_disabled_account_is_refused(instance: Instance, maria: Person) -> None:
    add_account(instance, "joe@example.org", name="Joe")
    with instance.database.transaction() as session:
        service.disable(Act(session, instance), staff_id=maria.member.id)
    assert refused(instance, maria)
    assert refused(instance, maria, code=maria.recovery_codes[0])
    assert events(instance) == [("staff.refused", "disabled")] * 2


@pytest.mark.parametrize(
    "spelling",
    [
        "MARIA.LOPEZ@EXAMPLE.ORG",
        " maria.lopez@example.org ",
        "maria.lopez@Example.Org\n",
        "ｍａｒｉａ．ｌｏｐｅｚ＠ｅｘａｍｐｌｅ．ｏｒｇ",
    ],
)
def test_the_address_may_be_spelled_in_any_way_people_spell_it(
    instance: Instance, maria: Person, spelling: str
) -> None:
    assert not refused(instance, maria, email=spelling)


def test_other_spellings_do_not_give_more_tries(instance: Instance, maria: Person) -> None:
    spellings = ["maria.lopez@example.org", "MARIA.LOPEZ@example.org", " maria.lopez@EXAMPLE.org\t"]
    for number in range(10):
        assert refused(instance, maria, email=spellings[number % 3], password="wrong")
    assert refused(instance, maria, email="Maria.Lopez@example.org")
    assert Counter(events(instance)) == {
        ("staff.refused", "password"): 10,
        ("staff.refused", "too_many"): 1,
    }


def test_a_code_that_was_used_is_refused(instance: Instance, maria: Person) -> None:
    sign_in_as(instance, maria)
    assert refused(instance, maria)


def test_the_code_before_one_that_was_used_is_refused(instance: Instance, maria: Person) -> None:
    earlier = maria.code(instance, steps=-1)
    sign_in_as(instance, maria)
    assert refused(instance, maria, code=earlier)


def test_a_wrong_password_does_not_use_up_the_code(instance: Instance, maria: Person) -> None:
    refused(instance, maria, password="wrong")
    refused(instance, maria, password="wrong", code=maria.recovery_codes[0])
    assert not refused(instance, maria)
    assert not refused(instance, maria, code=maria.recovery_codes[0])


@pytest.mark.usefixtures("many_slots")
def test_of_fifty_at_once_with_one_code_one_comes_in(instance: Instance, maria: Person) -> None:
    code = maria.code(instance)
    came_in, failed = at_once(
        50, lambda number: sign_in_as(instance, maria, code=code, address=f"10.0.{number}.1")
    )
    assert len(came_in) == 1
    assert {type(each) for each in failed} == {SignInRefused}
    assert Counter(events(instance)) == {("staff.signed_in", "totp"): 1, ("staff.refused", "code"): 49}


@pytest.mark.usefixtures("many_slots")
def test_of_fifty_at_once_with_one_recovery_code_one_comes_in(instance: Instance, maria: Person) -> None:
    code = maria.recovery_codes[0]
    came_in, _ = at_once(
        50, lambda number: sign_in_as(instance, maria, code=code, address=f"10.0.{number}.1")
    )
    assert len(came_in) == 1
    assert Counter(events(instance))[("staff.refused", "code")] == 49


@pytest.mark.usefixtures("many_slots")
def test_a_hundred_at_once_from_one_network_reach_the_password_no_more_often_than_the_limit(
    sqlite_instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    maria = add_account(sqlite_instance)
    compared: list[str] = []
    really = credentials.password_matches

    def counting(password_hash: str, password: str) -> bool:
        if password_hash != credentials.DUMMY_HASH:
            compared.append(password)
        return really(password_hash, password)

    monkeypatch.setattr(credentials, "password_matches", counting)
    at_once(100, lambda number: sign_in_as(sqlite_instance, maria, password=f"wrong {number}"))
    assert len(compared) == 10


def test_when_too_many_wait_for_the_password_to_be_looked_at_it_says_so_at_once(
    sqlite_instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    maria = add_account(sqlite_instance)
    monkeypatch.setattr(credentials, "_slots", threading.BoundedSemaphore(1))
    with credentials.acquire_hashing_slot(), pytest.raises(TooMany):
        sign_in_as(sqlite_instance, maria)
    assert events(sqlite_instance) == []
    assert not refused(sqlite_instance, maria)


def test_two_hundred_wrong_tries_elsewhere_do_not_lock_her_out(
    sqlite_instance: Instance, clock: MovableClock
) -> None:
    maria = add_account(sqlite_instance)
    answers: Counter[type] = Counter()
    for _ in range(200):
        try:
            sign_in_as(sqlite_instance, maria, password="wrong", address=AWAY)
        except (SignInRefused, TooMany) as refusal:
            answers[type(refusal)] += 1
    assert answers == {SignInRefused: 60, TooMany: 140}
    for _ in range(20):
        clock.move(seconds=90)
        assert sign_in_as(sqlite_instance, maria, address=HOME_NETWORK).active.member == maria.member


def test_a_storm_from_one_network_fills_no_log(sqlite_instance: Instance) -> None:
    maria = add_account(sqlite_instance)
    for _ in range(100):
        with pytest.raises((SignInRefused, TooMany)):
            sign_in_as(sqlite_instance, maria, email="nobody@example.org", password="wrong")
    kept = Counter(events(sqlite_instance))
    assert kept == {("staff.refused", "no_account"): 10, ("staff.refused", "too_many"): 51}


def test_too_many_says_when_to_come_back(sqlite_instance: Instance, clock: MovableClock) -> None:
    maria = add_account(sqlite_instance)
    for _ in range(60):
        refused(sqlite_instance, maria, password="wrong")
    clock.move(seconds=60)
    with pytest.raises(TooMany) as turned_away:
        sign_in_as(sqlite_instance, maria)
    assert turned_away.value.retry_after == 240
    clock.move(seconds=240)
    assert not refused(sqlite_instance, maria)


def test_the_session_that_this_browser_had_before_ends(
    instance: Instance, clock: MovableClock, maria: Person
) -> None:
    first = sign_in_as(instance, maria)
    clock.move(minutes=1)
    second = sign_in_as(instance, maria, previous_token=first.token)
    assert first.token != second.token
    with instance.database.reading() as session:
        assert sessions.find(Act(session, instance), second.token)
        with pytest.raises(NotSignedIn):
            sessions.find(Act(session, instance), first.token)


def test_an_outdated_hash_is_renewed_when_the_password_is_at_hand(instance: Instance, maria: Person) -> None:
    older = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash(PASSWORD)
    with instance.database.transaction() as session:
        session.get_one(StaffMember, maria.member.id).password_hash = older
    assert refused(instance, maria, code="000000")
    with instance.database.reading() as session:
        assert session.get_one(StaffMember, maria.member.id).password_hash == older
    assert not refused(instance, maria)
    with instance.database.reading() as session:
        renewed = session.get_one(StaffMember, maria.member.id).password_hash
    assert not credentials.needs_rehash(renewed)
    assert credentials.password_matches(renewed, PASSWORD)


def test_a_second_factor_that_no_longer_opens_leaves_the_recovery_codes(
    instance: Instance, maria: Person
) -> None:
    with instance.database.transaction() as session:
        session.get_one(StaffMember, maria.member.id).totp_secret = b"\x01broken"
    assert refused(instance, maria)
    assert not refused(instance, maria, code=maria.recovery_codes[0])


def test_a_password_that_was_reset_while_it_was_looked_at_does_not_come_in(
    sqlite_instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    maria = add_account(sqlite_instance)
    really = credentials.password_matches

    def and_meanwhile(password_hash: str, password: str) -> bool:
        with sqlite_instance.database.transaction() as session:
            service.reset(Act(session, sqlite_instance), staff_id=maria.member.id)
        return really(password_hash, password)

    monkeypatch.setattr(credentials, "password_matches", and_meanwhile)
    assert refused(sqlite_instance, maria)
    with sqlite_instance.database.reading() as session:
        assert session.scalar(text("SELECT count(*) FROM staff_session")) == 0


def test_no_transaction_is_open_while_a_password_is_looked_at(
    sqlite_instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    maria = add_account(sqlite_instance)
    really = credentials.password_matches

    def while_another_writes(password_hash: str, password: str) -> bool:
        wrote = threading.Event()

        def write() -> None:
            with sqlite_instance.database.transaction():
                wrote.set()

        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        assert wrote.wait(timeout=60)
        writer.join()
        return really(password_hash, password)

    monkeypatch.setattr(credentials, "password_matches", while_another_writes)
    assert not refused(sqlite_instance, maria)


def test_signing_out_is_one_event_and_twice_is_as_good(instance: Instance, maria: Person) -> None:
    signed_in = sign_in_as(instance, maria)
    for _ in range(2):
        with instance.database.transaction() as session:
            sign_in.sign_out(Act(session, instance), signed_in.token)
    assert sorted(events(instance)) == [("staff.signed_in", "totp"), ("staff.signed_out",)]
    with instance.database.reading() as session, pytest.raises(NotSignedIn):
        sessions.find(Act(session, instance), signed_in.token)


def test_nothing_that_opens_anything_is_printed(instance: Instance, maria: Person) -> None:
    signed_in = sign_in_as(instance, maria)
    assert signed_in.token not in repr(signed_in)


def test_every_refusal_costs_one_comparison_and_one_transaction(
    sqlite_instance: Instance, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    maria = add_account(sqlite_instance)
    joe = add_account(sqlite_instance, "joe@example.org", name="Joe")
    with sqlite_instance.database.transaction() as session:
        service.disable(Act(session, sqlite_instance), staff_id=joe.member.id)
    work: list[str] = []
    really_compare, really_write = credentials.password_matches, sqlite_instance.database.transaction

    def compare(password_hash: str, password: str) -> bool:
        work.append(f"compare {len(password_hash)} letters")
        return really_compare(password_hash, password)

    def write() -> object:
        work.append("write")
        return really_write()

    monkeypatch.setattr(credentials, "password_matches", compare)
    monkeypatch.setattr(sqlite_instance.database, "transaction", write)
    costs = {}
    for name, changes in {
        "unknown": {"email": "nobody@example.org"},
        "not an address": {"email": ""},
        "password": {"password": "wrong"},
        "long password": {"password": "x" * 300},
        "code": {"code": "000000"},
        "disabled": {"email": "joe@example.org"},
    }.items():
        work.clear()
        assert refused(sqlite_instance, maria, **changes)
        costs[name] = tuple(work)
    for _ in range(10):
        work.clear()
        assert refused(sqlite_instance, maria, password="wrong")
        costs["too many"] = tuple(work)
    assert len(set(costs.values())) == 1
    assert costs["unknown"][1:] == ("write",)
