"""A relay process is killed between the server's 250 and recording it: at most one copy more, none lost."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from intake.conf.settings import Tls
from intake.outbox import sender
from intake.outbox.mailer import FlaskMailer
from intake.outbox.sender import DeliveryCounts
from tests.outbox.conftest import Post

RELAY = """
import signal, threading
from intake.conf import settings
from intake.jobs import scheduler
from intake.instance import Instance
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
scheduler.run(Instance.from_settings(settings.load()), stop)
"""
RECIPIENTS = [f"staff{n}@example.org" for n in range(5)]


@pytest.fixture
def server(mail_server):
    return mail_server()


@pytest.fixture
def post(make_instance, database_url, server, clock) -> Post:
    clock.set(datetime.now(UTC))
    instance = make_instance(
        database_url, smtp_host="localhost", smtp_port=server.port, smtp_tls=Tls.NONE, smtp_timeout=30
    )
    return Post(instance)


def start_relay(post: Post) -> subprocess.Popen[bytes]:
    chosen = post.instance.settings
    variables = {
        "MODE": "development",
        "DATA_DIR": str(chosen.data_dir),
        "DATABASE_URL": chosen.database_url,
        "MAIL_FROM": chosen.mail_from,
        "SMTP_HOST": chosen.smtp_host,
        "SMTP_PORT": str(chosen.smtp_port),
        "SMTP_TLS": "none",
        "SMTP_TIMEOUT": "30",
    }
    environment = os.environ | {f"INTAKE_{name}": value for name, value in variables.items()}
    return subprocess.Popen([sys.executable, "-c", RELAY], env=environment, stderr=subprocess.DEVNULL)


def when(server, count: int, strike: signal.Signals, process: list[subprocess.Popen[bytes]]) -> None:
    """Send `strike` to the relay when the server has stored `count` messages and not replied yet."""

    def struck(_kept) -> None:
        if len(server.received) == count:
            process[0].send_signal(strike)

    server.when_received = struck


@pytest.mark.parametrize("count", [1, 3])
def test_a_killed_relay_costs_one_copy_at_most(count, post, server, clock) -> None:
    post.enqueue(*RECIPIENTS)
    process: list[subprocess.Popen[bytes]] = []
    when(server, count, signal.SIGKILL, process)
    process.append(start_relay(post))
    assert process[0].wait(300) == -signal.SIGKILL
    assert len(server.received) == count
    assert sorted(post.states) == ["sending"] + ["sent"] * (count - 1) + ["waiting"] * (5 - count)
    clock.set(datetime.now(UTC) + timedelta(seconds=sender.lease_seconds(post.instance.settings)))
    assert post.deliver(FlaskMailer(post.instance.settings)) == DeliveryCounts(sent=6 - count)
    assert {kept.message_id for kept in server.received} == {f"<{row.id}@example.org>" for row in post.rows()}
    assert len(server.received) == 6


def test_a_stopped_relay_finishes_the_current_mail(post, server) -> None:
    post.enqueue(*RECIPIENTS)
    process: list[subprocess.Popen[bytes]] = []
    when(server, 2, signal.SIGTERM, process)
    process.append(start_relay(post))
    assert process[0].wait(300) == 0
    assert len(server.received) == 2
    assert sorted(post.states) == ["sent"] * 2 + ["waiting"] * 3
