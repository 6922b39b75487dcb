"""What was acknowledged is there, once, whatever is killed and whenever."""

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.cli.conftest import Service, processes_of, until
from tests.drills.asking import Crowd
from tests.drills.checking import check

REPETITIONS = int(os.environ.get("INTAKE_TEST_ROUNDS", "3"))
"""How often everything is killed; `make drills` does it far more often than the suite."""


def kill(service: Service) -> None:
    """Everything of this instance, at once, with no time to tidy; it is gone when this returns."""
    for pid in processes_of(service.folder):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for process in service.started:
        process.wait()
    service.started.clear()
    service.wait_until_gone()


@pytest.fixture(params=["sqlite", "postgres"])
def doomed(request: pytest.FixtureRequest, make_service: Callable[..., Service]) -> Service:
    """A service that will be killed, once on each database."""
    if request.param == "sqlite":
        return make_service()
    return make_service(INTAKE_DATABASE_URL=request.getfixturevalue("postgres_url"))


def until_asked_again(crowd: Crowd) -> None:
    """However slow the machine is, somebody was answered before the next thing happens."""
    before = len(crowd.acknowledged)
    until(lambda: len(crowd.acknowledged) > before, "a request was taken")


def test_no_acknowledged_request_is_lost_or_doubled(doomed: Service) -> None:
    """Web and relay are killed at random moments under load; who got no answer sends the page again."""
    moments = random.Random(20261118)  # noqa: S311  a drill, repeatable
    with Crowd(doomed.port) as crowd:
        for _ in range(REPETITIONS):
            doomed.start("run")
            doomed.wait_until_up()
            until_asked_again(crowd)
            time.sleep(moments.uniform(0.0, 1.3))
            kill(doomed)
        doomed.start("run")
        doomed.wait_until_up()
        until_asked_again(crowd)
    given = crowd.all_in_the_end()
    kill(doomed)
    assert len(crowd.acknowledged) > REPETITIONS
    check(doomed, given)
