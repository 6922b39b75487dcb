"""Somebody on the do-not-contact list asked again: the page says so, and one click allows contact (G4)."""

import re

import pytest

from intake.accounts.models import Role
from intake.act import Act
from intake.instance import Instance
from intake.leads import suppression
from intake.leads.models import Lead, Outcome, SuppressionReason
from tests.client import CANARIES, Desk, words
from tests.factories import ANY, SHOWN, acts, ask, hire, note

AGAIN = (
    "They asked us to stop on November 18, 2026, and asked again on November 20, 2026."
    " Allow contact on this new request?"
)


def asked_again(instance: Instance, clock, reason: SuppressionReason = SuppressionReason.ASKED) -> Lead:
    """A request with a number that was put on the list two days before."""
    before, dana = ask(instance, **ANY).lead, hire(instance, "Dana Holt")
    if reason is SuppressionReason.ASKED:
        note(instance, before, dana, Outcome.ASKED_TO_STOP)
    else:
        with instance.database.transaction() as session:
            indexes = suppression.indexes_of(before)
            suppression.suppress(Act(session, instance, dana.actor), indexes, reason=reason)
    clock.move(days=2)
    return ask(instance, **ANY).lead


@pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
def test_one_click_allows_contact_with_who_asked_again(instance: Instance, database_url, clock) -> None:
    lead, desk = asked_again(instance, clock), Desk(instance, hire(instance))
    page = desk.lead(lead)
    assert f"They asked again {AGAIN} Allow contact " in words(page)
    assert "Reveal number" not in page
    assert not [each for each in CANARIES if each in page]
    answer = desk.act(lead, "lift")
    assert (answer.status_code, answer.location) == (303, f"/desk/leads/{lead.id}?message=lifted")
    after = words(desk.get(answer.location).text)
    assert "Contact is allowed again on this new request." in after
    assert "Taken off the do-not-contact list · you" in after
    assert "They asked again" not in after
    assert SHOWN in desk.act(lead, "reveal", channel="call").text


def test_a_second_click_is_answered_like_the_first(sqlite_instance: Instance, clock) -> None:
    lead, desk = asked_again(sqlite_instance, clock), Desk(sqlite_instance, hire(sqlite_instance))
    answers = [desk.act(lead, "lift") for _ in range(2)]
    assert {(each.status_code, each.location) for each in answers} == {
        (303, f"/desk/leads/{lead.id}?message=lifted")
    }
    assert acts(sqlite_instance, lead).count("suppression.lifted") == 1


def test_a_click_that_did_not_come_from_our_page_lifts_nothing(sqlite_instance: Instance, clock) -> None:
    lead, desk = asked_again(sqlite_instance, clock), Desk(sqlite_instance, hire(sqlite_instance))
    assert desk.act(lead, "lift", csrf="of another page").status_code == 403
    assert "suppression.lifted" not in acts(sqlite_instance, lead)


@pytest.mark.parametrize(
    ("reason", "role", "who"),
    [
        ("asked", Role.PRIVACY_OFFICER, "A coordinator or a supervisor may allow contact here."),
        ("wrong_number", Role.COORDINATOR, "Only a supervisor may allow contact here."),
        ("third_party", Role.COORDINATOR, "Only a supervisor may allow contact here."),
    ],
)
def test_staff_without_the_permission_see_who_has_it(
    sqlite_instance: Instance, clock, reason: str, role: Role, who: str
) -> None:
    lead = asked_again(sqlite_instance, clock, SuppressionReason(reason))
    desk = Desk(sqlite_instance, hire(sqlite_instance, "Pia Ott", role))
    page = desk.lead(lead)
    assert who in words(page)
    assert f"/desk/leads/{lead.id}/lift" not in page
    assert desk.act(lead, "lift").status_code == 403
    assert "suppression.lifted" not in acts(sqlite_instance, lead)


def test_a_supervisor_reads_when_to_allow_a_number_that_was_wrong(sqlite_instance: Instance, clock) -> None:
    lead = asked_again(sqlite_instance, clock, SuppressionReason.WRONG_NUMBER)
    desk = Desk(sqlite_instance, hire(sqlite_instance, "Sol Marin", Role.SUPERVISOR))
    text = words(desk.lead(lead))
    assert "was noted as somebody else’s on November 18, 2026" in text
    assert text.count("Allow contact only when they have called us and said that it is theirs.") == 1
    assert desk.act(lead, "lift").status_code == 303
    assert acts(sqlite_instance, lead).count("suppression.lifted") == 1


def test_who_has_not_asked_since_is_not_offered_and_refused_in_words(
    sqlite_instance: Instance, clock
) -> None:
    lead, ana = ask(sqlite_instance, **ANY).lead, hire(sqlite_instance)
    clock.move(minutes=1)
    with sqlite_instance.database.transaction() as session:
        indexes, reason = suppression.indexes_of(lead), SuppressionReason.ASKED
        suppression.suppress(Act(session, sqlite_instance, ana.actor), indexes, reason=reason)
    desk = Desk(sqlite_instance, ana)
    assert "They asked again" not in words(desk.lead(lead))
    answer = desk.act(lead, "lift")
    assert answer.status_code == 409
    assert "They have not asked again since contact was stopped." in words(answer.text)


def test_it_speaks_spanish(sqlite_instance: Instance, clock) -> None:
    lead, desk = asked_again(sqlite_instance, clock), Desk(sqlite_instance, hire(sqlite_instance))
    page = desk.get(f"/desk/leads/{lead.id}", **{"Accept-Language": "es"}).text
    assert re.search("El 18 de noviembre de 2026 nos pidió que paremos, y el 20 de noviembre", words(page))
