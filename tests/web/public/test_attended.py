"""The public page tells the truth about us: nobody at the desk, or something down (N2, P3)."""

import pytest

from intake.accounts import sessions
from intake.act import Act
from intake.app import create_app
from intake.leads.models import Lead
from tests.factories import ask, every, hire

NOBODY = {"/": "Our team has not been at the desk", "/es/": "Nuestro equipo no está en su puesto"}
DOWN = {"/": "Part of our system is not working", "/es/": "Una parte de nuestro sistema no funciona"}
PATHS = ("/", "/es/")


@pytest.fixture
def waiting(instance, clock):
    """A clinic where a request has waited two open hours and nobody signed in."""
    ask(instance)
    clock.move(hours=2)
    return create_app(instance).test_client()


@pytest.mark.parametrize("path", PATHS)
def test_the_page_says_that_nobody_is_there_and_keeps_the_phone_before_the_form(waiting, path) -> None:
    page = waiting.get(path).text
    assert page.index("tel:") < page.index(NOBODY[path]) < page.index("<form")


def test_the_promise_then_counts_from_the_next_opening(waiting, instance) -> None:
    assert "by 11 am tomorrow" in waiting.get("/").text
    ask(instance, phone="+13055550177")
    second = max(every(instance, Lead), key=lambda lead: lead.asked_at)
    assert second.promise_at.date() > instance.clock().date()


def test_it_says_nothing_of_it_once_somebody_is_at_the_desk(waiting, instance, clock) -> None:
    assert NOBODY["/"] in waiting.get("/").text
    member = hire(instance)
    with instance.database.transaction() as session:
        sessions.begin(Act(session, instance), staff_id=member.id)
    clock.move(minutes=1)
    assert NOBODY["/"] not in waiting.get("/").text


def test_it_says_nothing_of_it_while_the_clinic_is_closed(waiting, clock) -> None:
    clock.move(hours=10)
    assert NOBODY["/"] not in waiting.get("/").text


@pytest.mark.parametrize("path", PATHS)
def test_a_database_that_is_down_shows_a_notice_and_the_page_still_works(
    path, make_instance, tmp_path
) -> None:
    web = create_app(make_instance(f"sqlite:///{tmp_path}/nowhere/intake.sqlite3")).test_client()
    answer = web.get(path)
    assert answer.status_code == 200
    assert answer.text.index("tel:") < answer.text.index(DOWN[path]) < answer.text.index("<form")
    assert 'class="promise">Ask now' not in answer.text


def test_it_is_looked_up_once_a_minute(waiting, instance, clock, monkeypatch) -> None:
    looks = []
    reading = instance.database.reading
    monkeypatch.setattr(instance.database, "reading", lambda: looks.append(1) or reading())
    for _ in range(10):
        waiting.get("/")
    assert len(looks) == 1
    clock.move(minutes=1)
    waiting.get("/")
    assert len(looks) == 2
