"""Passwords, one-time codes and recovery codes: each compared in full, each code used once."""

import threading
from collections.abc import Callable

import pytest
from argon2 import PasswordHasher, extract_parameters
from sqlalchemy import text

from intake.accounts import credentials
from intake.accounts.models import RecoveryCode, StaffMember
from intake.instance import Instance
from intake.security.crypto import UnsealError
from tests.conftest import SHIPPED_HASHING, MovableClock
from tests.factories import Person, add_account


@pytest.fixture
def maria(instance: Instance) -> Person:
    return add_account(instance)


def won(times: int, act: Callable[[], bool]) -> int:
    """How many of the concurrent attempts succeeded."""
    start, answers = threading.Barrier(times), []

    def one() -> None:
        start.wait()
        answers.append(act())

    threads = [threading.Thread(target=one) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == times
    return sum(answers)


def test_the_shipped_hash_is_at_least_what_asvs_asks_for() -> None:
    hasher, _ = SHIPPED_HASHING
    parameters = extract_parameters(hasher.hash("violin kettle meadow tin"))
    assert parameters.type.name == "ID"
    assert parameters.memory_cost >= 46 * 1024
    assert parameters.salt_len >= 16
    assert parameters.hash_len >= 32


def test_the_stand_in_takes_the_same_work_as_an_account() -> None:
    hasher, stand_in = SHIPPED_HASHING
    assert not hasher.check_needs_rehash(stand_in)


def test_nothing_matches_the_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "HASHER", SHIPPED_HASHING[0])
    for typed in ("", "password", "nobody's password", "stand-in"):
        assert not credentials.password_matches(SHIPPED_HASHING[1], typed)


def test_the_last_of_a_hundred_letters_counts() -> None:
    kept = credentials.hash_password("x" * 99 + "a")
    assert credentials.password_matches(kept, "x" * 99 + "a")
    assert not credentials.password_matches(kept, "x" * 99 + "b")


def test_the_256th_character_counts_and_a_257th_is_wrong() -> None:
    kept = credentials.hash_password("ñ" * 255 + "a")
    assert credentials.password_matches(kept, "ñ" * 255 + "a")
    assert not credentials.password_matches(kept, "ñ" * 255 + "b")
    assert not credentials.password_matches(kept, "ñ" * 255 + "ab")


def test_both_ways_to_write_an_accent_open() -> None:
    assert credentials.password_matches(credentials.hash_password("cancio\u0301n kettle"), "canción kettle")


def test_capitals_and_spaces_count() -> None:
    kept = credentials.hash_password("violin kettle meadow tin")
    for typed in ("Violin kettle meadow tin", " violin kettle meadow tin", "violinkettlemeadowtin"):
        assert not credentials.password_matches(kept, typed)


@pytest.mark.parametrize("typed", ["", "\x00", "\ud800", "x" * 1_000_000, "'; DROP TABLE staff_member --"])
def test_whatever_is_typed_is_only_wrong(typed: str) -> None:
    assert not credentials.password_matches(credentials.hash_password("violin kettle meadow tin"), typed)


def test_a_hash_that_cannot_be_read_opens_for_nobody() -> None:
    assert not credentials.password_matches("not a hash", "violin kettle meadow tin")


def test_a_hash_of_other_parameters_is_outdated() -> None:
    older = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash("x")
    assert credentials.needs_rehash(older)
    assert not credentials.needs_rehash(credentials.HASHER.hash("x"))


def test_the_secret_of_the_second_factor_is_kept_wrapped(instance: Instance, maria: Person) -> None:
    with instance.database.reading() as session:
        row = session.get_one(StaffMember, maria.member.id)
    secret = maria.totp.byte_secret()
    assert len(secret) == 20
    assert secret not in row.totp_secret
    assert credentials.unwrap_secret(row.totp_secret, keyring=instance.keyring, staff_id=row.id) == secret


def test_a_secret_moved_to_another_account_does_not_open(instance: Instance, maria: Person) -> None:
    other = add_account(instance, "joe@example.org", name="Joe")
    with instance.database.reading() as session:
        row = session.get_one(StaffMember, maria.member.id)
    with pytest.raises(UnsealError):
        credentials.unwrap_secret(row.totp_secret, keyring=instance.keyring, staff_id=other.member.id)


@pytest.mark.parametrize(("steps", "fits"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_code_fits_one_half_minute_each_way(
    sqlite_instance: Instance, clock: MovableClock, steps: int, *, fits: bool
) -> None:
    maria = add_account(sqlite_instance)
    step = credentials.matching_step(
        maria.totp.byte_secret(), maria.code(sqlite_instance, steps=steps), at=clock.moment
    )
    now = int(clock.moment.timestamp()) // 30
    assert step == (now + steps if fits else 0)


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("123456", "123456"),
        (" 123 456 ", "123456"),
        ("123-456", "123456"),
        ("123\u2009456\n", "123456"),
        ("١٢٣٤٥٦", "123456"),
        ("１２３４５６", "123456"),
        ("१२३४५६", "123456"),
        ("012345", "012345"),
        ("12345", ""),
        ("1234567", ""),
        ("¹²³⁴⁵⁶", ""),
        ("12345a", ""),
        ("", ""),
        ("ABCD-EFGH-JKMN-PQRS", "ABCDEFGHJKMNPQRS"),
        ("abcd efgh jkmn pqrs", "ABCDEFGHJKMNPQRS"),
        ("obcd-efgh-ikmn-lqrs", "0BCDEFGH1KMN1QRS"),
        ("ABCD-EFGH-JKMN-PQR", ""),
        ("ABCD-EFGH-JKMN-PQRSé", ""),
        ("1" * 10_240, ""),
        ("\x00" * 70, ""),
        ("\ud800", ""),
        ("一二三四五六", ""),
        ("<script>alert(1)</script>", ""),
    ],
)
def test_it_reads_what_was_typed_for_a_code(typed: str, read: str) -> None:
    assert credentials.normalise_code(typed) == read


def test_of_fifty_at_once_with_one_code_one_passes(instance: Instance, maria: Person) -> None:
    def spend() -> bool:
        with instance.database.transaction() as session:
            return credentials.spend_step(session, maria.member.id, step=1000)

    assert won(50, spend) == 1


def test_an_older_code_is_not_taken_after_a_newer_one(instance: Instance, maria: Person) -> None:
    with instance.database.transaction() as session:
        steps = (1000, 999, 1000, 1001)
        answers = [credentials.spend_step(session, maria.member.id, step=step) for step in steps]
    assert answers == [True, False, False, True]


def test_ten_recovery_codes_are_kept_as_hashes(instance: Instance, maria: Person) -> None:
    assert len(set(maria.recovery_codes)) == 10
    with instance.database.reading() as session:
        hashes = [bytes(each) for each in session.scalars(text("SELECT code_hash FROM recovery_code"))]
    assert len(hashes) == 10
    plain = [code.replace("-", "").encode() for code in maria.recovery_codes]
    assert not [each for each in hashes for code in plain if code in each or each == code]


def test_of_fifty_at_once_with_one_recovery_code_one_passes(instance: Instance, maria: Person) -> None:
    code = credentials.normalise_code(maria.recovery_codes[3])

    def spend() -> bool:
        with instance.database.transaction() as session:
            return credentials.spend_recovery_code(
                session, maria.member.id, code, keyring=instance.keyring, at=instance.clock()
            )

    assert won(50, spend) == 1


def test_a_recovery_code_opens_no_other_account(instance: Instance, maria: Person) -> None:
    joe = add_account(instance, "joe@example.org", name="Joe")
    code = credentials.normalise_code(maria.recovery_codes[0])
    with instance.database.transaction() as session:
        assert not credentials.spend_recovery_code(
            session, joe.member.id, code, keyring=instance.keyring, at=instance.clock()
        )


def test_new_recovery_codes_end_the_old_ones(instance: Instance, maria: Person) -> None:
    with instance.database.transaction() as session:
        credentials.new_recovery_codes(session, maria.member.id, keyring=instance.keyring)
    old = credentials.normalise_code(maria.recovery_codes[0])
    with instance.database.transaction() as session:
        assert credentials.recovery_codes_left(session, maria.member.id) == 10
        assert session.query(RecoveryCode).count() == 10
        assert not credentials.spend_recovery_code(
            session, maria.member.id, old, keyring=instance.keyring, at=instance.clock()
        )


def test_an_account_stands_until_it_is_disabled_or_its_password_changed(
    instance: Instance, maria: Person
) -> None:
    with instance.database.transaction() as session:
        row = session.get_one(StaffMember, maria.member.id)
        kept = row.password_hash
        assert credentials.lock_unchanged(session, row.id, kept)
        assert not credentials.lock_unchanged(session, row.id, "another hash")
        row.disabled_at = instance.clock()
        session.flush()
        assert not credentials.lock_unchanged(session, row.id, kept)
