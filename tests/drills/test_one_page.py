"""One page, one lead (ADR 0004): twenty at once on two processes, a correction, a restart in between."""

import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from http import HTTPStatus

import pytest
from sqlalchemy import select

from intake.conf import secrets
from intake.leads.models import CloseReason, Lead, LeadStatus
from tests.cli.conftest import Service
from tests.drills.asking import TOKEN, Answer, form_of, reference_in, sent
from tests.drills.checking import check
from tests.drills.test_kill import kill

AT_ONCE = 20
CORRECTED = {"phone": "(305) 555-0177"}


@pytest.fixture(params=["sqlite", "postgres"])
def doubled(request: pytest.FixtureRequest, make_service: Callable[..., Service]) -> Service:
    """Two web processes behind one port, once on each database."""
    more = (
        {"INTAKE_DATABASE_URL": request.getfixturevalue("postgres_url")}
        if request.param == "postgres"
        else {}
    )
    service = make_service(**more).migrate()
    service.start("serve", "--processes", "2")
    service.wait_until_up()
    return service


def page(service: Service) -> str:
    """The token of a page that somebody opened."""
    return TOKEN.search(sent(service.port, "GET").words)[1]


def all_at_once(port: int, forms: Sequence[str]) -> list[Answer]:
    """What each of them is answered."""
    ready, found = threading.Barrier(len(forms)), [Answer()] * len(forms)

    def send(place: int) -> None:
        ready.wait()
        while (answer := sent(port, "POST", form=forms[place])).status == HTTPStatus.SERVICE_UNAVAILABLE:
            continue  # the line was too long on a slow machine, and its page says to send again
        found[place] = answer

    senders = [threading.Thread(target=send, args=(place,)) for place in range(len(forms))]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    return found


def leads_of(service: Service) -> list[Lead]:
    with closing(service.open_database()) as database, database.reading() as session:
        return list(session.scalars(select(Lead)))


def test_twenty_who_send_one_page_have_one_request(doubled: Service) -> None:
    form = form_of(0, page(doubled))
    found = all_at_once(doubled.port, [form] * AT_ONCE)
    assert {answer.status for answer in found} == {HTTPStatus.OK}
    references = {reference_in(answer.words) for answer in found}
    assert len(references) == 1
    kill(doubled)
    check(doubled, references)


def test_a_correction_with_the_same_page_is_not_lost(doubled: Service) -> None:
    """Ten send one number and ten another; whoever came second is asked, sends again, and is heard."""
    token = page(doubled)
    forms = [form_of(0, token), form_of(0, token, **CORRECTED)]
    found = all_at_once(doubled.port, forms * (AT_ONCE // 2))
    assert {answer.status for answer in found} == {HTTPStatus.OK, HTTPStatus.CONFLICT}
    asked = [answer for answer in found if answer.status == HTTPStatus.CONFLICT]
    assert len({reference_in(answer.words) for answer in found} - {""}) == 1
    second = CORRECTED if CORRECTED["phone"] in asked[0].words else {}
    again = [form_of(0, TOKEN.search(answer.words)[1], **second) for answer in asked]
    assert {answer.status for answer in all_at_once(doubled.port, again)} == {HTTPStatus.OK}
    kill(doubled)
    leads = leads_of(doubled)
    open_ones = [lead for lead in leads if lead.status is LeadStatus.NEW]
    assert len(open_ones) == 1
    assert open_ones[0].follows is not None
    assert {lead.close_reason for lead in leads} == {None, CloseReason.SUPERSEDED}


@pytest.mark.parametrize("doubled", ["sqlite"], indirect=True)
def test_a_page_from_before_a_restart_and_new_keys_goes_through(doubled: Service) -> None:
    form = form_of(0, page(doubled))
    kill(doubled)
    old = (doubled.folder / "keys" / "app_keys").read_text()
    doubled.environment["INTAKE_APP_KEYS"] = f"{secrets.new_secret('app_keys')},{old}"
    doubled.start("serve", "--processes", "2")
    doubled.wait_until_up()
    first, second = sent(doubled.port, "POST", form=form), sent(doubled.port, "POST", form=form)
    assert reference_in(first.words) == reference_in(second.words) != ""
