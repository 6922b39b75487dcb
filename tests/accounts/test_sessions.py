"""Sessions expire on the server: idle, absolute, signed out, disabled; an ended one stays ended."""

import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, text

from intake.accounts import service, sessions
from intake.accounts.models import Role, StaffRole, StaffSession
from intake.accounts.sessions import ActiveSession
from intake.act import Act
from intake.core.errors import NotSignedIn
from intake.instance import Instance
from tests.conftest import MovableClock
from tests.factories import Person, add_account


@pytest.fixture
def maria(instance: Instance) -> Person:
    return add_account(instance)


@pytest.fixture
def token(instance: Instance, maria: Person) -> str:
    with instance.database.transaction() as session:
        return sessions.begin(Act(session, instance), staff_id=maria.member.id)


def find(instance: Instance, token: str) -> ActiveSession:
    with instance.database.reading() as session:
        return sessions.find(Act(session, instance), token)


def touch(instance: Instance, token: str) -> None:
    found = find(instance, token)
    with instance.database.transaction() as session:
        sessions.touch(Act(session, instance), found)


def stands(instance: Instance, token: str) -> bool:
    try:
        find(instance, token)
    except NotSignedIn:
        return False
    return True


def end(instance: Instance, token: str) -> bool:
    with instance.database.transaction() as session:
        return sessions.end(Act(session, instance), token)


def test_it_finds_who_is_signed_in_with_all_their_roles(
    instance: Instance, maria: Person, token: str
) -> None:
    found = find(instance, token)
    assert found.member == maria.member
    assert found.member.roles == frozenset(Role)


def test_the_token_is_not_in_the_database(instance: Instance, token: str) -> None:
    with instance.database.reading() as session:
        kept = bytes(session.scalars(text("SELECT token_hash FROM staff_session")).one())
    assert len(token) >= 43
    assert token.encode() not in kept
    assert kept == instance.keyring.blind_index("session", token)


@pytest.mark.parametrize("wrong", ["", "x", "\x00", "\ud7ff", "' OR 1=1 --", "y" * 10_000])
def test_a_token_that_we_did_not_hand_out_opens_nothing(instance: Instance, token: str, wrong: str) -> None:
    assert not stands(instance, wrong)
    assert not stands(instance, token[:-1])
    assert not stands(instance, token + "A")


def test_it_ends_after_fifteen_idle_minutes_to_the_second(
    instance: Instance, clock: MovableClock, token: str
) -> None:
    clock.move(minutes=14, seconds=59)
    assert stands(instance, token)
    clock.move(seconds=1)
    assert not stands(instance, token)


def test_work_lets_the_fifteen_minutes_begin_anew(
    instance: Instance, clock: MovableClock, token: str
) -> None:
    clock.move(minutes=14)
    touch(instance, token)
    clock.move(minutes=14, seconds=59)
    assert stands(instance, token)
    clock.move(seconds=1)
    assert not stands(instance, token)


def test_looking_alone_does_not_extend_it(instance: Instance, clock: MovableClock, token: str) -> None:
    for _ in range(14):
        clock.move(minutes=1)
        assert stands(instance, token)
    clock.move(minutes=1)
    assert not stands(instance, token)


def test_it_ends_after_twelve_hours_of_steady_work_to_the_second(
    instance: Instance, clock: MovableClock, token: str
) -> None:
    for _ in range(12 * 6 - 1):
        clock.move(minutes=10)
        touch(instance, token)
    clock.move(minutes=9, seconds=59)
    assert stands(instance, token)
    clock.move(seconds=1)
    assert not stands(instance, token)


def test_being_seen_is_written_no_more_often_than_every_half_minute(
    instance: Instance, clock: MovableClock, token: str
) -> None:
    found = find(instance, token)
    assert not sessions.needs_touch(found, at=clock.move(seconds=29))
    assert sessions.needs_touch(found, at=clock.move(seconds=1))


def test_it_ends_at_once_when_signed_out(instance: Instance, token: str) -> None:
    assert end(instance, token)
    assert not stands(instance, token)
    assert not end(instance, token)


def test_a_slow_request_does_not_bring_an_ended_session_back(
    instance: Instance, clock: MovableClock, token: str
) -> None:
    found = find(instance, token)
    end(instance, token)
    clock.move(minutes=1)
    with instance.database.transaction() as session:
        sessions.touch(Act(session, instance), found)
    assert not stands(instance, token)


def test_slow_requests_that_race_a_sign_out_do_not_bring_it_back(
    instance: Instance, clock: MovableClock, maria: Person
) -> None:
    for _ in range(20):
        with instance.database.transaction() as session:
            token = sessions.begin(Act(session, instance), staff_id=maria.member.id)
        found = find(instance, token)
        clock.move(minutes=1)
        start = threading.Barrier(5)

        def slow(found: ActiveSession = found, start: threading.Barrier = start) -> None:
            start.wait()
            with instance.database.transaction() as session:
                sessions.touch(Act(session, instance), found)

        threads = [threading.Thread(target=slow) for _ in range(4)]
        for thread in threads:
            thread.start()
        start.wait()
        end(instance, token)
        for thread in threads:
            thread.join()
        assert not stands(instance, token)


def test_all_sessions_of_an_account_end_and_no_other(instance: Instance, maria: Person, token: str) -> None:
    joe = add_account(instance, "joe@example.org", name="Joe")
    with instance.database.transaction() as session:
        second = sessions.begin(Act(session, instance), staff_id=maria.member.id)
        joes = sessions.begin(Act(session, instance), staff_id=joe.member.id)
    with instance.database.transaction() as session:
        assert sessions.end_all(Act(session, instance), staff_id=maria.member.id) == 2
    assert [stands(instance, each) for each in (token, second, joes)] == [False, False, True]


def test_a_disabled_account_is_out_at_the_next_request(instance: Instance, maria: Person, token: str) -> None:
    add_account(instance, "joe@example.org", name="Joe")
    with instance.database.transaction() as session:
        service.disable(Act(session, instance), staff_id=maria.member.id)
    assert not stands(instance, token)


def test_a_session_left_over_from_a_disabled_account_does_not_stand(
    instance: Instance, maria: Person, token: str
) -> None:
    with instance.database.transaction() as session:
        session.execute(text("UPDATE staff_member SET disabled_at = created_at"))
    assert not stands(instance, token)


def test_a_role_that_is_taken_away_is_gone_at_the_next_request(
    instance: Instance, maria: Person, token: str
) -> None:
    with instance.database.transaction() as session:
        for row in session.scalars(select(StaffRole).where(StaffRole.role != Role.ADMIN)):
            session.delete(row)
    assert find(instance, token).member.roles == {Role.ADMIN}


def test_without_any_role_one_is_signed_in_and_may_do_nothing(
    instance: Instance, maria: Person, token: str
) -> None:
    with instance.database.transaction() as session:
        session.execute(text("DELETE FROM staff_role"))
    assert find(instance, token).member.permissions == frozenset()


def test_a_clock_that_fell_back_does_not_make_a_session_last(
    instance: Instance, clock: MovableClock, token: str
) -> None:
    clock.move(days=-1)
    assert not stands(instance, token)


def test_the_clocks_of_two_machines_may_differ_a_little(
    instance: Instance, clock: MovableClock, token: str
) -> None:
    clock.move(seconds=-5)
    assert stands(instance, token)


def test_the_job_deletes_sessions_that_have_ended_or_expired(
    instance: Instance, clock: MovableClock, maria: Person, token: str
) -> None:
    clock.move(hours=11)
    with instance.database.transaction() as session:
        ended = sessions.begin(Act(session, instance), staff_id=maria.member.id)
        kept = sessions.begin(Act(session, instance), staff_id=maria.member.id)
    end(instance, ended)
    clock.move(hours=1)
    with instance.database.transaction() as session:
        assert sessions.delete_ended(Act(session, instance)) == 2
        left = session.scalars(select(StaffSession.token_hash)).all()
    assert left == [sessions.token_hash(kept, instance.keyring)]


def test_what_was_found_does_not_print_what_opens_it(instance: Instance, token: str) -> None:
    found = find(instance, token)
    assert found.token_hash.hex() not in repr(found)
    assert repr(found.token_hash) not in repr(found)
    assert isinstance(found.seen_at, datetime)
    assert found.seen_at.utcoffset() == timedelta(0)
