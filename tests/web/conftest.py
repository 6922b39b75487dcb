"""What tests of the public pages share."""

from collections.abc import Callable, Iterator

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Page
from sqlalchemy import func, select

from intake.accounts.models import Role
from intake.app import create_app
from intake.instance import Instance
from intake.leads.models import Lead
from tests.browser import serving, signed_in
from tests.client import token_of
from tests.conftest import MovableClock
from tests.factories import hire


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
    with serving(create_app(sqlite_instance)) as url:
        yield url


@pytest.fixture
def staffed(sqlite_instance: Instance) -> Instance:
    """The instance whose desk a browser looks at."""
    return sqlite_instance


@pytest.fixture
def open_desk(staffed: Instance, page_at: Callable[..., Page]) -> Iterator[Callable[..., Page]]:
    """Serves the desk and opens pages of it for Ana, who is signed in."""
    ana = hire(staffed, "Ana Ruiz", *Role)
    with serving(create_app(staffed)) as url:

        def open_page(path: str, width: int = 1280, **options: object) -> Page:
            page = page_at(width, base_url=url, **options)
            signed_in(page, url, token_of(staffed, ana)).goto(path)
            return page

        yield open_page
