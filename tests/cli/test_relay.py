"""`intake relay`: it sends, it stops in order, and it does not outlive its parent."""

import signal

import pytest

from tests.cli.conftest import Service, until


@pytest.fixture
def relaying(service: Service) -> Service:
    """A relay at work."""
    service.migrate().start("relay")
    until(lambda: "last seen 0 minutes ago" in service.run("doctor").stdout, "the relay was at work")
    return service


def test_it_sends_what_waits(relaying: Service) -> None:
    assert relaying.run("demo", "--leads", "3").returncode == 0
    until(lambda: list(relaying.folder.glob("mail/new/*")), "a notice was caught")
    until(lambda: relaying.run("outbox", "show").stdout.startswith("0 on their way"), "all were sent")
    until(lambda: " 0 not linked yet" in relaying.run("audit", "verify").stdout, "all were linked")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_in_order(relaying: Service, number: int) -> None:
    relaying.started[0].send_signal(number)
    assert relaying.started[0].wait(90) == 0


def test_it_refuses_a_database_that_is_behind(service: Service) -> None:
    result = service.run("relay")
    assert (result.returncode, "intake db upgrade" in result.stderr) == (1, True)


def test_it_ends_when_whoever_started_it_is_gone(service: Service) -> None:
    process = service.migrate().start(
        "relay", "--until-stdin-closes"
    )  # its standard input is at its end already
    assert process.wait(90) == 0
