"""PostgreSQL goes away and comes back under load; nobody starts anything of ours again."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus

import pytest

from tests.cli.conftest import Service, processes_of, until
from tests.drills.asking import TOKEN, Crowd, ask_once, form_of, sent
from tests.drills.checking import check
from tests.postgres import Booted

REPETITIONS = int(os.environ.get("INTAKE_TEST_ROUNDS", "3"))
HOW = (signal.SIGQUIT, signal.SIGINT)
"""An immediate stop, which is a crash, and a fast one, as of an upgrade."""


@pytest.fixture
def own_postgres() -> Iterator[Booted]:
    """A server that nobody else needs."""
    booted = Booted()
    yield booted
    booted.stop()


@pytest.fixture
def running(own_postgres: Booted, make_service: Callable[..., Service]) -> Service:
    own_postgres.create("drill")
    service = make_service(INTAKE_DATABASE_URL=own_postgres.url_for("drill"))
    service.start("run")
    service.wait_until_up()
    service.wait_for_relay()
    return service


def test_what_was_acknowledged_outlives_it_and_we_go_on(running: Service, own_postgres: Booted) -> None:
    ours = set(processes_of(running.folder))
    with Crowd(running.port) as crowd:
        for turn in range(REPETITIONS):
            time.sleep(0.5)
            own_postgres.halt(HOW[turn % 2])
            own_postgres.begin()
            before = len(crowd.acknowledged)
            until(lambda: len(crowd.acknowledged) > before, "a request was taken again")  # noqa: B023
    given = crowd.all_in_the_end()
    assert set(processes_of(running.folder)) == ours, "something of ours had to start again"
    running.end()
    check(running, given)


def test_the_next_person_notices_nothing(running: Service, own_postgres: Booted) -> None:
    for person in range(3):
        assert ask_once(running.port, person)
        own_postgres.halt()
        own_postgres.begin()


def test_while_it_is_away_the_refusal_is_honest(running: Service, own_postgres: Booted) -> None:
    token = TOKEN.search(sent(running.port, "GET").words)
    own_postgres.halt()
    refused = sent(running.port, "POST", form=form_of(1, token[1]))
    assert refused.status == HTTPStatus.SERVICE_UNAVAILABLE
    for words in ("(305) 555-0142", "988", 'value="Person 1"'):
        assert words in refused.words
    assert sent(running.port, "GET").status == HTTPStatus.OK
    assert sent(running.port, "GET", "/readyz").status == HTTPStatus.SERVICE_UNAVAILABLE
    own_postgres.begin()
    again = sent(running.port, "POST", form=form_of(1, token[1]))
    assert 'aria-labelledby="ref"' in again.words
