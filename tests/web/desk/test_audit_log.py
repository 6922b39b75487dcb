"""The log on the desk: who did what to which request, and whether it is whole (W1, K3)."""

import re

import pytest

from intake import audit
from intake.accounts.models import Role
from intake.audit import Action
from intake.instance import Instance
from intake.web.desk import audit_labels
from tests.client import Desk, words
from tests.factories import ask, details_of, hire


@pytest.fixture
def desk(sqlite_instance: Instance) -> Desk:
    return Desk(sqlite_instance, hire(sqlite_instance, "Ana Ruiz", *Role))


def test_the_log_says_who_did_what_to_which_request(desk: Desk) -> None:
    lead = ask(desk.instance).lead
    desk.act(lead, "reveal", channel="call")
    text = words(desk.get("/desk/log").text)
    assert re.search(rf"Ana Ruiz Phone number shown, to call {lead.reference[:4]}", text)
    assert "the person Asked for contact" in text
    assert "lead.submitted consents 6" in text
    assert "0 events stand in the chain." in text


def test_the_log_can_be_narrowed_to_one_act(desk: Desk) -> None:
    ask(desk.instance)
    page = desk.get("/desk/log?action=lead.submitted").text
    assert page.count("<code>lead.submitted</code>") == page.count("<code>") == 1
    assert "No such act is in the log." in words(desk.get("/desk/log?action=lead.erased").text)


def test_the_log_is_read_page_by_page(desk: Desk, monkeypatch) -> None:
    monkeypatch.setattr("intake.audit.service.LOG_PAGE", 2)
    for _ in range(3):
        ask(desk.instance)
    path, references = "/desk/log?action=lead.submitted", []
    while path:
        page = desk.get(path).text
        references += re.findall(r'class="ref" href="[^"]+">([^<]+)<', page)
        following = re.search(r'rel="next" href="([^"]+)"', page)
        path = following[1].replace("&amp;", "&") if following else ""
    assert len(references) == len(set(references)) == 3


def test_reading_the_log_is_recorded_once(desk: Desk) -> None:
    desk.get("/desk/log")
    assert len(details_of(desk.instance, "audit.read")) == 1


def test_a_whole_log_is_found_whole(desk: Desk) -> None:
    ask(desk.instance)
    with desk.instance.database.transaction() as session:
        audit.link(session, keyring=desk.instance.keyring, at=desk.instance.clock())
    text = words(desk.post("/desk/log/verify").text)
    assert "Yes. All 1 events and the consent proof are as they were written" in text
    assert details_of(desk.instance, "audit.verified") == ['{"count":1,"hit":true}']


def test_a_log_that_was_changed_is_found_out(desk: Desk) -> None:
    ask(desk.instance)
    with desk.instance.database.engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER audit_event_no_update")
        connection.exec_driver_sql("UPDATE audit_event SET details = '{}' WHERE action = 'lead.submitted'")
    text = words(desk.post("/desk/log/verify").text)
    assert "No. Something in the log or in the consent proof is not as it was written." in text
    assert "was changed." in text


def test_only_who_may_read_the_log_reads_it(sqlite_instance: Instance) -> None:
    coordinator = Desk(sqlite_instance, hire(sqlite_instance, "Ben Ochoa"))
    assert coordinator.get("/desk/log").status_code == 403
    assert "/desk/log" not in coordinator.get("/desk").text
    officer = Desk(sqlite_instance, hire(sqlite_instance, "Pia Ott", Role.PRIVACY_OFFICER))
    assert officer.get("/desk/log").status_code == 200


def test_every_act_of_the_log_has_words() -> None:
    assert {each for each in Action if audit_labels.label(each) == each.value} == set()
