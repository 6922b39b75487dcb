"""`intake relay`: it sends, it stops in order, and it does not outlive its parent."""

import signal

import pytest
from sqlalchemy import select

from intake.audit import AuditEvent
from intake.audit.models import ChainLink
from intake.outbox import MessageState, OutboxMessage
from tests.cli.conftest import Service, until

UNSENT = select(OutboxMessage.id).where(OutboxMessage.state != MessageState.SENT)
UNLINKED = select(AuditEvent.id).where(AuditEvent.id.not_in(select(ChainLink.event_id)))


@pytest.fixture
def relaying(service: Service) -> Service:
    """A relay at work."""
    service.migrate().start("relay")
    service.wait_for_relay()
    return service


def test_it_sends_what_waits_and_a_signal_ends_it_in_order(relaying: Service) -> None:
    assert "last seen 0 minutes ago" in relaying.run("doctor").stdout
    assert relaying.run("demo", "--leads", "3").returncode == 0
    until(lambda: list(relaying.folder.glob("mail/new/*")), "a notice was caught")
    until(lambda: not relaying.rows(UNSENT), "all were sent")
    assert relaying.run("outbox", "show").stdout.startswith("0 on their way")
    until(lambda: not relaying.rows(UNLINKED), "all were linked")
    assert " 0 not linked yet" in relaying.run("audit", "verify").stdout
    relaying.started[0].send_signal(signal.SIGHUP)
    assert relaying.started[0].wait(90) == 0


def test_it_refuses_a_database_that_is_behind(service: Service) -> None:
    result = service.run("relay")
    assert (result.returncode, "intake db upgrade" in result.stderr) == (1, True)


def test_it_ends_when_whoever_started_it_is_gone(service: Service) -> None:
    process = service.migrate().start(
        "relay", "--until-stdin-closes"
    )  # its standard input is at its end already
    assert process.wait(90) == 0
