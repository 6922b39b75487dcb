"""A request by phone: the same schema, the same words read aloud, kept as given by voice."""

import re

import pytest

from intake.accounts.models import Role
from intake.audit import Action
from intake.audit.models import ActorKind
from intake.consent.models import ConsentEvent, Kind, Method, State
from intake.instance import Instance
from intake.leads.models import Lead, Submission
from intake.outbox import OutboxMessage
from tests.client import OURS, Desk, field, words
from tests.factories import NEVER_BACK, acts, every, given_aloud, hire

CODE = re.compile(r'aria-labelledby="code">(.*?)</output>', re.DOTALL)


@pytest.fixture
def desk(instance: Instance) -> Desk:
    return Desk(instance, hire(instance))


@pytest.mark.parametrize("spoken", ["en", "es"])
def test_it_is_kept_as_given_by_voice_by_whoever_took_it(desk: Desk, instance: Instance, spoken: str) -> None:
    assert desk.take_down(spoken).status_code == 200
    (lead,) = every(instance, Lead)
    answers = {event.kind: event for event in every(instance, ConsentEvent)}
    assert {event.method for event in answers.values()} == {Method.PHONE_VERBAL}
    assert {event.actor_id for event in answers.values()} == {desk.member.id}
    assert {event.actor_kind for event in answers.values()} == {ActorKind.STAFF}
    assert (answers[Kind.VOICEMAIL].state, answers[Kind.EMAIL].state) == (State.REFUSED, State.REFUSED)
    assert (lead.language, lead.suspected) == (spoken, None)
    assert acts(instance, lead) == [Action.LEAD_SUBMITTED]
    assert len(every(instance, OutboxMessage)) == len(instance.clinic.notices.recipients)


@pytest.mark.parametrize("spoken", ["en", "es"])
def test_the_words_to_read_are_those_in_force_in_the_callers_language(desk, instance, spoken) -> None:
    page = words(desk.get(f"/desk/phone?language={spoken}").text)
    for kind, statement in instance.statements.in_force(spoken).items():
        assert statement.label in page, kind


def test_the_words_around_them_stay_in_the_language_of_the_browser(desk: Desk) -> None:
    page = desk.get("/desk/phone?language=es", **{"Accept-Language": "en"}).text
    assert "The caller speaks Spanish" in page
    assert "¿Cómo quiere que le llamemos?" in words(page) or "Parte 1 de 3" in words(page)


def test_the_answer_says_what_to_read_out_and_nothing_about_them(desk: Desk, instance: Instance) -> None:
    page = desk.take_down().text
    (lead,) = every(instance, Lead)
    code = re.sub(r"<[^>]+>|\s", "", CODE.search(page)[1])
    assert lead.reference in words(page).replace(" ", "")
    assert instance.keyring.blind_index("code", code) == lead.code_hash
    assert f"/desk/leads/{lead.id}" in page
    assert not [canary for canary in NEVER_BACK if canary in page]


def test_a_press_repeated_keeps_one_request(desk: Desk, instance: Instance) -> None:
    page = desk.get("/desk/phone").text
    data = given_aloud(token=field(page, "token"), csrf=field(page, "csrf"), language="en")
    first, second = (desk.web.post("/desk/phone", data=data, headers=OURS) for _ in range(2))
    assert CODE.search(first.text)[1] == CODE.search(second.text)[1]
    assert len(every(instance, Lead)) == 1


@pytest.mark.parametrize(
    ("missing", "text"), [("adult", "18 or older"), ("consent_use", "let us use what you typed")]
)
def test_without_the_word_nothing_is_kept_and_nothing_is_lost(desk, instance, missing, text) -> None:
    answer = desk.take_down(**{missing: None})
    assert answer.status_code == 422
    assert text in words(answer.text)
    assert 'value="Rosalind Quill"' in answer.text
    assert 'value="(305) 555-0166"' in answer.text
    assert every(instance, Lead) == every(instance, Submission) == []


def test_changing_the_language_keeps_the_words_and_keeps_nothing_else(desk: Desk, instance: Instance) -> None:
    answer = desk.take_down(switch="es", email=None)
    assert answer.status_code == 200
    assert 'name="language" value="es"' in answer.text
    assert 'value="Rosalind Quill"' in answer.text
    assert every(instance, Lead) == []
    data = given_aloud(token=field(answer.text, "token"), csrf=desk.csrf(), language="es")
    assert desk.web.post("/desk/phone", data=data, headers=OURS).status_code == 200
    assert every(instance, Lead)[0].language == "es"


def test_other_words_under_the_same_sheet_are_a_correction(desk: Desk, instance: Instance) -> None:
    page = desk.get("/desk/phone").text
    data = given_aloud(token=field(page, "token"), csrf=field(page, "csrf"), language="en")
    desk.web.post("/desk/phone", data=data, headers=OURS)
    changed = desk.web.post("/desk/phone", data={**data, "phone": "(305) 555-0167"}, headers=OURS)
    assert changed.status_code == 409
    again = {**data, "phone": "(305) 555-0167", "token": field(changed.text, "token")}
    assert desk.web.post("/desk/phone", data=again, headers=OURS).status_code == 200
    assert sorted(lead.status for lead in every(instance, Lead)) == ["closed", "new"]


@pytest.mark.parametrize("token", ["", "x", "x" * 10_000, "\x00"])
def test_a_sheet_that_is_not_ours_comes_back_with_every_word(desk: Desk, instance: Instance, token) -> None:
    answer = desk.take_down(token=token)
    assert answer.status_code == 422
    assert 'value="Rosalind Quill"' in answer.text
    assert every(instance, Lead) == []


@pytest.mark.parametrize("spoken", ["", "fr", "x" * 10_000, "<script>"])
def test_a_language_we_do_not_speak_is_english(desk: Desk, spoken: str) -> None:
    assert "The caller speaks English" in desk.get(f"/desk/phone?language={spoken}").text


def test_a_role_without_the_permission_is_turned_away(instance: Instance) -> None:
    assert Desk(instance, hire(instance, "Ola", Role.PRIVACY_OFFICER)).get("/desk/phone").status_code == 403


def test_the_receipt_says_that_it_was_given_by_phone(desk: Desk, instance: Instance) -> None:
    page = desk.take_down().text
    code = re.sub(r"<[^>]+>|\s", "", CODE.search(page)[1])
    answer = desk.web.post("/receipt", data={"code": code, "as": "json"})
    assert "phone_verbal" in answer.text
