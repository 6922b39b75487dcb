"""What tests of the public pages share."""

import threading
from collections.abc import Callable, Iterator

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.serving import make_server

from intake.app import create_app
from intake.instance import Instance
from intake.leads.models import Lead
from tests.conftest import MovableClock


@pytest.fixture
def on_both(instance: Instance) -> FlaskClient:
    """A browser without a screen, once on SQLite and once on PostgreSQL."""
    return create_app(instance).test_client()


@pytest.fixture
def leads_in() -> Callable[[Instance], int]:
    """How many requests are kept."""

    def count(instance: Instance) -> int:
        with instance.database.reading() as session:
            return session.scalar(select(func.count()).select_from(Lead)) or 0

    return count


@pytest.fixture
def read_it(clock: MovableClock) -> Callable[[], object]:
    """Let the minute go by that it takes to read a page and answer it."""
    return lambda: clock.move(minutes=1)


@pytest.fixture
def address(sqlite_instance: Instance) -> Iterator[str]:
    """The application behind a real port, for a real browser."""
    server = make_server("127.0.0.1", 0, create_app(sqlite_instance), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
