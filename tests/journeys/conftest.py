"""A served instance whose clock a journey can move: the shipped server on a free port, the relay by hand."""

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from intake.accounts import credentials, dev_account
from intake.accounts.dev_account import DevAccount
from intake.act import Act
from intake.app import create_app
from intake.instance import Instance
from intake.server.wsgi import serve
from intake.web.errors import write_fallback_pages
from tests.factories import relay_turn


@dataclass(frozen=True)
class Served:
    """A running service and what a journey needs of it."""

    instance: Instance
    url: str
    account: DevAccount

    def relay(self) -> None:
        """One turn of the relay: deliver what is due, make the rounds that are due."""
        relay_turn(self.instance)

    def code(self) -> str:
        """The six digits that the authenticator app shows now."""
        return self.account.code(self.instance.clock())


@pytest.fixture
def served(
    make_instance: Callable[..., Instance], sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Served]:
    """The whole service on SQLite, at a moment when the clinic is open."""
    monkeypatch.setattr(credentials, "_slots", credentials._slots)  # the server makes it shorter, for good
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        instance = make_instance(sqlite_url, base_url=url)
        with instance.database.transaction() as session:
            account = dev_account.ensure_dev_account(Act(session, instance))
        app, stop = create_app(instance), threading.Event()
        pages = write_fallback_pages(app)
        thread = threading.Thread(target=serve, args=(app, listening, instance.settings, stop, pages))
        thread.start()
        yield Served(instance, url, account)
        stop.set()
        thread.join()
