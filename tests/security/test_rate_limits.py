"""Rate limits: no overshoot, no raw address, counters survive a restart, failures lock nobody out."""

import multiprocessing
import secrets
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from intake.security.crypto import Keyring
from intake.security.rate_limits import SIGN_IN_ACCOUNT, Limit, RateLimiter, network
from tests.conftest import MovableClock

THREE = Limit("three", "3 per 5 minutes")
MANY = Limit("many", "40 per 5 minutes")
APP_KEY = secrets.token_bytes(32)
WHO = ("maria@example.org", "203.0.113.0/24")

Make = Callable[..., RateLimiter]


def throttle_at(path: Path, clock: MovableClock, app_key: bytes = APP_KEY) -> RateLimiter:
    keyring = Keyring(sealing={"k1": b"s" * 32}, index=b"i" * 32, chain=b"c" * 32, app=[app_key])
    return RateLimiter(path, keyring=keyring, clock=clock)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "throttle.sqlite3"


@pytest.fixture
def throttle(path: Path, clock: MovableClock) -> RateLimiter:
    return throttle_at(path, clock)


def test_it_allows_as_many_as_the_limit_says_and_then_no_more(throttle: RateLimiter) -> None:
    verdicts = [throttle.hit(THREE, *WHO) for _ in range(5)]
    assert [verdict.allowed for verdict in verdicts] == [True, True, True, False, False]
    assert [verdict.first for verdict in verdicts] == [False, False, False, True, False]


def test_it_says_in_how_many_seconds_to_come_back(throttle: RateLimiter, clock: MovableClock) -> None:
    for _ in range(3):
        throttle.hit(THREE, *WHO)
    clock.move(seconds=100)
    assert throttle.hit(THREE, *WHO).retry_after == 200


def test_it_opens_again_to_the_second(throttle: RateLimiter, clock: MovableClock) -> None:
    for _ in range(4):
        throttle.hit(THREE, *WHO)
    clock.move(seconds=299)
    assert not throttle.hit(THREE, *WHO).allowed
    clock.move(seconds=1)
    assert throttle.hit(THREE, *WHO).allowed


def test_it_does_not_wait_longer_because_somebody_keeps_trying(
    throttle: RateLimiter, clock: MovableClock
) -> None:
    for _ in range(29):
        throttle.hit(THREE, *WHO)
        clock.move(seconds=10)
    clock.move(seconds=10)
    assert throttle.hit(THREE, *WHO).allowed


def test_it_counts_each_limit_and_each_network_for_itself(throttle: RateLimiter) -> None:
    for _ in range(4):
        throttle.hit(THREE, *WHO)
    assert throttle.hit(THREE, WHO[0], "198.51.100.0/24").allowed
    assert throttle.hit(THREE, "other@example.org", WHO[1]).allowed
    assert throttle.hit(SIGN_IN_ACCOUNT, *WHO).allowed


def test_it_tells_lists_of_names_apart_that_would_read_alike(throttle: RateLimiter) -> None:
    for _ in range(4):
        throttle.hit(THREE, "ab", "c")
    assert throttle.hit(THREE, "a", "bc").allowed


def test_two_of_them_on_one_file_count_together(path: Path, clock: MovableClock) -> None:
    one, other = throttle_at(path, clock), throttle_at(path, clock)
    verdicts = [each.hit(THREE, *WHO).allowed for each in (one, other, one, other)]
    assert verdicts == [True, True, True, False]


def test_it_remembers_over_a_restart(path: Path, clock: MovableClock) -> None:
    for _ in range(3):
        throttle_at(path, clock).hit(THREE, *WHO)
    assert not throttle_at(path, clock).hit(THREE, *WHO).allowed


def _allowed_of(path: Path, hits: int, go: object, answers: object) -> None:
    """What one process among several does."""
    throttle = throttle_at(path, MovableClock(), b"p" * 32)
    go.wait()  # type: ignore[attr-defined]
    answers.put(sum(throttle.hit(MANY, *WHO).allowed for _ in range(hits)))  # type: ignore[attr-defined]


def test_a_hundred_at_the_edge_from_four_processes_do_not_overshoot(path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    go, answers = spawn.Event(), spawn.Queue()
    workers = [spawn.Process(target=_allowed_of, args=(path, 25, go, answers), daemon=True) for _ in range(4)]
    for worker in workers:
        worker.start()
    go.set()
    allowed = sum(answers.get(timeout=300) for _ in workers)
    for worker in workers:
        worker.join()
    assert allowed == 40


def test_a_hundred_threads_at_the_edge_do_not_overshoot(path: Path, clock: MovableClock) -> None:
    both = [throttle_at(path, clock), throttle_at(path, clock)]
    start, allowed = threading.Barrier(100), []

    def hit(number: int) -> None:
        start.wait()
        allowed.append(both[number % 2].hit(MANY, *WHO).allowed)

    threads = [threading.Thread(target=hit, args=(number,)) for number in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(allowed) == [False] * 60 + [True] * 40


def test_no_address_and_no_name_stands_in_the_file(throttle: RateLimiter, path: Path) -> None:
    throttle.hit(THREE, *WHO)
    written = path.read_bytes()
    assert b"maria" not in written
    assert b"203.0.113" not in written
    assert b"2026-11" not in written  # a keyed hash in figures may well hold the year alone


def test_a_count_is_gone_from_the_file_when_its_time_is_over(
    throttle: RateLimiter, path: Path, clock: MovableClock
) -> None:
    for number in range(10):
        throttle.hit(THREE, str(number))
    clock.move(minutes=5)
    throttle.hit(THREE, *WHO)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM counter").fetchone() == (1,)
    connection.close()


def test_the_same_network_has_another_name_the_next_day(
    throttle: RateLimiter, path: Path, clock: MovableClock
) -> None:
    clock.set(clock.moment.replace(hour=23, minute=59))
    throttle.hit(THREE, *WHO)
    clock.move(minutes=2)
    throttle.hit(THREE, *WHO)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(DISTINCT name) FROM counter").fetchone() == (2,)
    connection.close()


def test_the_person_gets_in_when_the_file_cannot_be_opened(tmp_path: Path, clock: MovableClock) -> None:
    throttle = throttle_at(tmp_path / "no such folder" / "throttle.sqlite3", clock)
    assert all(throttle.hit(THREE, *WHO).allowed for _ in range(10))


def test_a_damaged_file_lets_the_person_in_and_then_counts_again(path: Path, clock: MovableClock) -> None:
    path.write_bytes(b"this is not a database" * 100)
    throttle = throttle_at(path, clock)
    verdicts = [throttle.hit(THREE, *WHO).allowed for _ in range(5)]
    assert verdicts == [True, True, True, True, False]


def test_a_clock_that_ran_ahead_locks_nobody_out(throttle: RateLimiter, clock: MovableClock) -> None:
    clock.move(hours=5)
    for _ in range(4):
        throttle.hit(THREE, *WHO)
    clock.move(hours=-5)
    assert throttle.hit(THREE, *WHO).allowed


@pytest.mark.parametrize(
    ("address", "belongs_to"),
    [
        ("203.0.113.7", "203.0.113.0/24"),
        ("::ffff:203.0.113.200", "203.0.113.0/24"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb:cccc:dddd:eeee", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        (None, "unknown"),
        ("", "unknown"),
        ("203.0.113.7, 198.51.100.1", "unknown"),
        ("a'; DROP TABLE counter", "unknown"),
    ],
)
def test_an_address_counts_as_its_network(address: str | None, belongs_to: str) -> None:
    assert network(address) == belongs_to


def test_hostile_names_are_only_names(throttle: RateLimiter) -> None:
    for who in ("\ud800", "\x00", "'; DROP TABLE counter --", "x" * 10_000):
        verdicts = [throttle.hit(THREE, who).allowed for _ in range(4)]
        assert verdicts == [True, True, True, False]
