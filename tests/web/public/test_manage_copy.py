"""The person's copy of everything held: masked, or in full for who knows the number too (ADR 0010)."""

import json
import re

import pytest
from flask.testing import FlaskClient

from intake.accounts.models import Role
from intake.core.i18n import translate
from intake.instance import Instance
from intake.leads.fields import CHOICES, CallLanguage
from intake.leads.models import Lead, LeadKey, Outcome, SealedText
from intake.security import crypto
from intake.security.crypto import Place
from tests.client import Desk, read
from tests.factories import EMAIL, NAME, PHONE, acts, ask, details_of, hire, note, show, take

ARTICLE = "Is Ketamine Addictive When Used for Depression?"
FULL = (NAME, PHONE, EMAIL)


def save(web: FlaskClient, code: str, form: str = "json", address: str = "", path: str = "/manage/copy"):
    return web.post(path, data={"code": code, "as": form, "address": address, "kind": "copy"})


def called(instance: Instance, **more: object):
    """A request that a coordinator has seen and called once."""
    asked, ana = ask(instance, **more), hire(instance)
    take(instance, asked.lead, ana)
    show(instance, asked.lead, ana)
    note(instance, asked.lead, ana, Outcome.NO_ANSWER)
    return asked


def test_the_record_tells_all_of_it_masked(on_both: FlaskClient, instance: Instance) -> None:
    asked = called(instance, tell_article=True, article=ARTICLE)
    text = save(on_both, asked.code).get_json()
    assert text["masked"] is True
    assert text["request"]["name"] == "Z•••••"
    assert text["request"]["phone"] == "(•••) •••-••23"
    assert text["request"]["article"] == "Stored"
    assert text["request"]["safe_times"] == "weekday mornings"
    assert text["attempts"] == [
        {"at": "2026-11-18T15:00:00+00:00", "channel": "Phone call", "outcome": "No answer"}
    ]
    assert [each["who"] for each in text["opened_by"]] == ["somebody who makes the calls"]
    assert {each["about"] for each in text["consents"]} >= {
        "Use of what you typed",
        "Phone call",
        "Email",
    }
    assert all(each["words"] and each["at"] and each["version"] for each in text["consents"])
    assert [each["sent_at"] for each in text["notices"]] == [None]
    assert text["legal_hold"] == []
    assert text["erasure"]["at"].startswith("2027-02-16")


def test_the_full_copy_has_every_sealed_value(web: FlaskClient, sqlite_instance: Instance) -> None:
    """The right of access: a sealed column that the copy leaves out would go unnoticed."""
    asked = ask(sqlite_instance, tell_article=True)
    sealed = [each.name for each in Lead.__table__.columns if isinstance(each.type, SealedText)]
    words = {name: next(iter(choice.words)) for name, choice in CHOICES.items()}
    values = {name: words.get(name, f"canary in {name}") for name in sealed}
    with sqlite_instance.database.transaction() as session:
        lead, row = session.get_one(Lead, asked.lead.id), session.get_one(LeadKey, asked.lead.id)
        key = sqlite_instance.keyring.unwrap(row.wrapped, place=Place("lead_key", "wrapped", lead.id))
        for name, value in values.items():
            setattr(lead, name, crypto.seal(key, value, place=Place("lead", name, lead.id)))
    found = save(web, asked.code, address=PHONE).get_json()["request"]
    shown = {name: translate(CHOICES[name].words[value]) if name in CHOICES else value
             for name, value in values.items()}  # fmt: skip
    assert {name: found.get(name) for name in sealed} == shown


def test_the_language_of_the_call_is_no_secret_to_the_person(
    web: FlaskClient, sqlite_instance: Instance
) -> None:
    asked, silent = ask(sqlite_instance, call_language=CallLanguage.OTHER), ask(sqlite_instance)
    assert save(web, asked.code).get_json()["request"]["call_language"] == "Another language"
    assert save(web, silent.code).get_json()["request"]["call_language"] == "The language of the page"
    assert "Best language for the call: Another language" in save(web, asked.code, "text").text
    page = web.post("/es/manage", data={"code": asked.code}).text
    assert re.search(r"El mejor idioma para la llamada</dt><dd[^>]*>Otro idioma<", page)


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("language", ["en", "es"])
def test_nothing_in_it_names_or_reaches_anybody_by_default(
    web: FlaskClient, sqlite_instance: Instance, form: str, language: str
) -> None:
    asked = called(sqlite_instance, language=language, tell_article=True, article=ARTICLE)
    answer = save(web, asked.code, form)
    sought = (*FULL, *NAME.split(), "5550123", EMAIL.split("@")[0], asked.code, ARTICLE, "Ana Ruiz", "Ruiz")
    assert not [each for each in sought if each.lower() in answer.text.lower()]
    assert asked.code not in str(answer.headers)


def test_the_text_reads_in_the_language_of_the_request(web: FlaskClient, sqlite_instance: Instance) -> None:
    spanish = save(web, called(sqlite_instance, language="es").code, "text").text
    assert "Todo lo que Harbor Lane Clinic guarda sobre su pedido" in spanish
    assert "Qué resultó: No contestó" in spanish or "Qué resultó: Sin respuesta" in spanish
    english = save(web, ask(sqlite_instance).code, "text").text
    assert "When we tried to reach you\n--------------------------\n\nNone." in english
    assert "Asked: November 18, 2026, 10 am (Eastern)" in english


@pytest.mark.parametrize("address", [PHONE, "305 555 0123", EMAIL.upper(), f"  {EMAIL} "])
@pytest.mark.parametrize("form", ["text", "json"])
def test_who_knows_the_number_too_sees_all(
    on_both: FlaskClient, instance: Instance, form: str, address: str
) -> None:
    asked = ask(instance, tell_article=True, article=ARTICLE)
    answer = save(on_both, asked.code, form, address)
    assert not [each for each in (*FULL, ARTICLE) if each not in answer.text]
    assert details_of(instance, "copy.saved") == [f'{{"field":"full","kind":"{form}"}}']


@pytest.mark.parametrize(
    "address", ["+13055550124", "somebody@example.org", "x", "5" * 10_000, "\x00", "<b>"]
)
def test_another_number_shows_at_its_field_and_counts_like_a_wrong_code(
    web: FlaskClient, sqlite_instance: Instance, address: str
) -> None:
    asked = ask(sqlite_instance)
    answer = save(web, asked.code, address=address)
    assert answer.status_code == 422
    assert "This is not the number or address of this request." in answer.text
    assert not [each for each in FULL if each in answer.text]
    assert details_of(sqlite_instance, "copy.saved") == []
    found = [save(web, asked.code, address=address).status_code for _ in range(20)]
    assert found[-1] == 429
    elsewhere = web.post(
        "/manage/copy", data={"code": asked.code}, environ_overrides={"REMOTE_ADDR": "203.0.113.9"}
    )
    assert elsewhere.status_code == 200


def test_each_copy_is_one_event_and_changes_nothing_else(on_both: FlaskClient, instance: Instance) -> None:
    asked = ask(instance)
    before = acts(instance, asked.lead)
    save(on_both, asked.code, "text")
    assert sorted([*before, "copy.saved"]) == acts(instance, asked.lead)
    assert details_of(instance, "copy.saved") == ['{"field":"masked","kind":"text"}']


@pytest.mark.parametrize(("form", "name"), [("text", "copy.txt"), ("json", "copy.json"), ("x", "copy.txt")])
def test_its_name_is_neutral(web: FlaskClient, sqlite_instance: Instance, form: str, name: str) -> None:
    answer = save(web, ask(sqlite_instance).code, form)
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_get_is_the_empty_page(web: FlaskClient, sqlite_instance: Instance) -> None:
    assert web.get("/manage/copy").data == web.get("/manage").data
    assert details_of(sqlite_instance, "copy.saved") == []


def test_a_legal_hold_shows_without_its_reason(web: FlaskClient, sqlite_instance: Instance) -> None:
    asked = ask(sqlite_instance)
    officer = Desk(sqlite_instance, hire(sqlite_instance, "Olga Paz", Role.PRIVACY_OFFICER))
    officer.act(asked.lead, "hold", reason="complaint", last_day="2027-05-01")
    web.post("/manage/erase", data={"code": asked.code})
    text = json.loads(save(web, asked.code).data)
    assert text["legal_hold"][0]["until"] == text["erasure"]["at"]
    assert set(text["legal_hold"][0]) == {"since", "until", "erase_asked_at"}
    assert "Olga" not in str(text)


def test_a_wrong_number_leaves_the_times_on_the_page_ticked(
    web: FlaskClient, sqlite_instance: Instance
) -> None:
    page = read(save(web, ask(sqlite_instance).code, address="x"))
    assert page.ticked("windows") == {"weekday_morning"}
