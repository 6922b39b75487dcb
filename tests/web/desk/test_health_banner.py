"""The desk tells when the service itself may forget somebody (N2)."""

import pytest

from intake import outbox
from intake.accounts.models import Role
from intake.instance import Instance
from intake.outbox import Mail, MessageState
from intake.web.desk.layout import WARNINGS
from tests.client import Desk
from tests.factories import ask, hire, relay_turn

PATHS = ("/desk", "/desk/stop", "/desk/log")


@pytest.fixture
def desk(sqlite_instance: Instance) -> Desk:
    relay_turn(sqlite_instance)
    return Desk(sqlite_instance, hire(sqlite_instance, "Ana Ruiz", *Role))


def text(desk: Desk, path: str = "/desk", **headers: str) -> set[str]:
    page = desk.get(path, **headers).text
    return {name for name, sentence in WARNINGS.items() if sentence in page}


@pytest.mark.parametrize("path", PATHS)
def test_no_warning_while_all_is_well(desk: Desk, path: str) -> None:
    ask(desk.instance)
    assert text(desk, path) == set()
    assert 'class="health"' not in desk.get(path).text


@pytest.mark.parametrize("path", PATHS)
def test_a_relay_that_died_shows_on_every_page(desk: Desk, clock, path: str) -> None:
    clock.move(minutes=6)
    assert text(desk, path) == {"relay"}
    relay_turn(desk.instance)
    assert text(desk, path) == set()


def test_late_notices_show(desk: Desk, clock) -> None:
    ask(desk.instance)
    clock.move(minutes=16)
    assert text(desk) == {"relay", "notices"}


def test_a_notice_that_was_refused_shows(desk: Desk) -> None:
    with desk.instance.database.transaction() as session:
        (message,) = outbox.enqueue(
            session, Mail.TEST, clinic_recipients=["ada@example.org"], at=desk.instance.clock()
        )
        message.state = MessageState.DEAD
    assert text(desk) == {"dead letters"}


def test_the_warning_is_in_spanish_too(desk: Desk, clock) -> None:
    clock.move(minutes=6)
    page = desk.get("/desk", **{"Accept-Language": "es"}).text
    assert "No sale ningún aviso" in page
