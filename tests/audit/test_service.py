"""Reading the log: pages without gap or repetition, and all events about one subject."""

import uuid

import pytest

from intake import audit
from intake.audit import Action, Actor, service
from intake.audit.service import PageStart
from intake.instance import Instance


@pytest.fixture
def written(instance: Instance, clock) -> list[uuid.UUID]:
    """Seven events, some at the same moment; the third and the sixth are about one thing."""
    ids = []
    for number in range(7):
        clock.move(seconds=number % 2)
        with instance.database.transaction() as session:
            event = audit.record(
                session,
                Action.LEAD_VIEWED if number % 3 == 2 else Action.LEADS_LISTED,
                keyring=instance.keyring,
                at=clock(),
                actor=Actor.system(),
                about=uuid.UUID(int=7) if number % 3 == 2 else None,
                details={"count": number},
            )
            ids.append(event.id)
    return ids


def test_pages_follow_each_other_from_new_to_old(instance: Instance, written, monkeypatch) -> None:
    monkeypatch.setattr(service, "LOG_PAGE", 3)
    seen, after, pages = [], None, 0
    while pages == 0 or after:
        with instance.database.reading() as session:
            page = service.log_page(session, after=after)
        seen += page.events
        after, pages = page.after, pages + 1
    assert sorted(event.id for event in seen) == sorted(written)
    assert [event.at for event in seen] == sorted((event.at for event in seen), reverse=True)
    assert pages == 3


def test_one_act_and_one_thing_can_be_asked_for(instance: Instance, written) -> None:
    with instance.database.reading() as session:
        viewed = service.log_page(session, wanted=service.LogFilter(action=Action.LEAD_VIEWED)).events
        about = service.events_about(session, uuid.UUID(int=7))
        newest = service.events_about(session, uuid.UUID(int=7), limit=1)
    assert [event.id for event in viewed] == [event.id for event in about] == [written[5], written[2]]
    assert [event.id for event in newest] == [written[5]]
    assert service.details_of(newest[0]) == {"count": 5}


def test_it_says_how_far_the_chain_has_come(instance: Instance, written, clock) -> None:
    with instance.database.transaction() as session:
        audit.link(session, keyring=instance.keyring, at=clock(), limit=4)
    with instance.database.reading() as session:
        assert service.chain_reach(session) == service.ChainReach(linked=4, unlinked=3)


def test_a_spot_survives_its_address(instance: Instance, clock) -> None:
    spot = PageStart(clock(), uuid.uuid4())
    assert PageStart.read(str(spot)) == spot
