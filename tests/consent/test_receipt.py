"""The receipt shows what was consented to, masked and signed; any change is detected (promise C2)."""

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from intake.act import Act
from intake.conf import secrets
from intake.conf.clinic import Channel
from intake.consent import receipt
from intake.consent.models import Kind
from intake.consent.receipt import FORMAT, MAX_BYTES
from intake.instance import Instance
from intake.leads.fields import CallLanguage
from intake.leads.submission import Submitted
from intake.privacy import data_export, self_service
from intake.privacy.data_export import ReceiptFormat
from intake.privacy.self_service import RequestNotFound
from tests.factories import EMAIL, NAME, PHONE, acts, ask, details_of

HEADER = {"schema_version", "receipt_id", "created", "consents", "signature"}
MANDATORY = {
    "record_id", "data_subject", "notice", "language", "process", "purpose", "personal_data",
    "storage_conditions", "controller", "recipients", "consent_change", "jurisdiction", "rights",
    "consent_type", "consent_status", "event_time", "event_duration", "expressed_by",
}  # fmt: skip
"""Every field required by ISO/IEC TS 27560, by the guide of the W3C Data Privacy Vocabulary."""


def saved(instance: Instance, asked: Submitted, form: ReceiptFormat = ReceiptFormat.TEXT) -> bytes:
    with instance.database.transaction() as session:
        return data_export.save_receipt(Act(session, instance), code=asked.code, file_format=form).content


def record(instance: Instance, asked: Submitted) -> dict:
    return json.loads(saved(instance, asked, ReceiptFormat.JSON))


def ours(instance: Instance, content: bytes) -> bool:
    return receipt.verify(content, instance.keyring.app_secrets(receipt.PURPOSE))


# --- what it says --------------------------------------------------------------------------------------


def test_the_text_has_everything_to_keep(sqlite_instance: Instance) -> None:
    asked = ask(sqlite_instance)
    words = saved(sqlite_instance, asked).decode()
    code, reference = asked.code, asked.lead.reference
    assert " ".join(code[place : place + 4] for place in range(0, 16, 4)) in words
    assert f"{reference[:4]} {reference[4:]}" in words
    assert "by 12 noon on Wednesday, November 18 (Eastern)" in " ".join(words.split())
    assert "Safe times: weekday mornings" in words
    assert "We keep your request until February 16, 2027" in words
    assert "http://localhost/manage" in words
    assert "(305) 555-0142" in words


def test_it_quotes_every_statement_with_its_answer(sqlite_instance: Instance) -> None:
    asked = ask(sqlite_instance)
    words = " ".join(saved(sqlite_instance, asked).decode().split())
    for kind, statement in sqlite_instance.statements.in_force("en").items():
        quoted = all(f"“{part}”" in words for part in statement.body.split("\n\n"))
        assert quoted == (kind is not Kind.ARTICLE), kind
        assert (f"{kind}.{statement.version}.en sha256:{statement.digest}" in words) == quoted
    for answer in ("Phone call: Yes", "Text message: No", "Email: Yes", "Voicemail: No"):
        assert answer in words


@pytest.mark.parametrize("form", ReceiptFormat)
def test_it_shows_contact_masked_only(sqlite_instance: Instance, form: ReceiptFormat) -> None:
    words = saved(sqlite_instance, ask(sqlite_instance), form).decode()
    assert "Z•••••" in words
    assert "(•••) •••-••23" in words
    canaries = (NAME, NAME.split()[0], NAME.split()[1], PHONE, PHONE[2:], "555-0123", EMAIL, "zaraida")
    assert not any(canary in words for canary in canaries)


def test_it_has_the_language_of_the_call_if_that_was_answered(sqlite_instance: Instance) -> None:
    asked, silent = ask(sqlite_instance, call_language=CallLanguage.SPANISH), ask(sqlite_instance)
    assert "\nBest language for the call: Spanish\n" in saved(sqlite_instance, asked).decode()
    assert "Best language for the call" not in saved(sqlite_instance, silent).decode()
    (use,) = [
        each for each in record(sqlite_instance, asked)["consents"] if "use." in each["notice"]["version"]
    ]
    languages = [each["value"] for each in use["personal_data"] if each["type"] == "pd:Language"]
    assert languages == ["en", "es"]


def test_it_speaks_the_language_of_the_request(sqlite_instance: Instance) -> None:
    words = " ".join(saved(sqlite_instance, ask(sqlite_instance, language="es")).decode().split())
    assert "Su código privado" in words
    assert "el miércoles 18 de noviembre antes de las 12 del mediodía" in words
    assert "http://localhost/es/manage" in words
    spanish = sqlite_instance.statements.in_force("es")[Kind.CALL]
    assert f"call.{spanish.version}.es sha256:{spanish.digest}" in words
    assert not {"Your", "Name:", "Yes", "The words"} & set(words.split())


def test_the_json_has_every_mandatory_field(sqlite_instance: Instance) -> None:
    found = record(sqlite_instance, ask(sqlite_instance))
    assert set(found) == HEADER
    assert found["schema_version"] == "https://w3id.org/dpv/schema/dpv-27560#receipt-record"
    assert len(found["consents"]) == 6
    for each in found["consents"]:
        assert set(each) == MANDATORY
        assert all(each.values())


def test_the_json_is_true(sqlite_instance: Instance, clock) -> None:
    asked = ask(sqlite_instance)
    by_name = {each["purpose"]["name"]: each for each in record(sqlite_instance, asked)["consents"]}
    call, text = by_name["Phone call"], by_name["Text message"]
    words = sqlite_instance.statements.in_force("en")[Kind.CALL]
    assert call["notice"] == {
        "url": "http://localhost/",
        "version": f"call.{words.version}",
        "hash": f"sha256:{words.digest}",
        "words": words.body,
    }
    assert (call["consent_status"], text["consent_status"]) == ("dpv:ConsentGiven", "dpv:ConsentRefused")
    assert (call["event_time"], call["event_duration"]) == (clock().isoformat(), "P90D")
    assert call["data_subject"] == asked.lead.reference
    raised = {"type": "pd:TelephoneNumber", "sensitive": False, "value": "(•••) •••-••23"}
    assert call["personal_data"] == [raised]
    assert {"type": "pd:Health", "sensitive": True, "inferred": True} in by_name["Use of what you typed"][
        "personal_data"
    ]
    assert call["controller"]["name"] == sqlite_instance.clinic.legal_name
    assert call["storage_conditions"]["until"] == asked.lead.purge_after.isoformat()


def test_the_json_does_not_hold_the_code(sqlite_instance: Instance) -> None:
    asked = ask(sqlite_instance)
    words = saved(sqlite_instance, asked, ReceiptFormat.JSON).decode()
    assert asked.code not in words.replace(" ", "")


def test_a_clinic_without_processors_says_none(make_instance, sqlite_url: str) -> None:
    instance = make_instance(sqlite_url)
    privacy = replace(instance.clinic.privacy, processors=())
    alone = replace(instance, clinic=replace(instance.clinic, privacy=privacy))
    assert record(alone, ask(alone))["consents"][0]["recipients"] == ["none"]


def test_what_was_taken_back_stands_beside_what_was_given(sqlite_instance: Instance, clock) -> None:
    asked = ask(sqlite_instance)
    clock.move(hours=1)
    with sqlite_instance.database.transaction() as session:
        self_service.withdraw_channel(Act(session, sqlite_instance), code=asked.code, channel=Channel.EMAIL)
    emails = [
        (each["consent_status"], each["event_duration"], each["expressed_by"]["method"])
        for each in record(sqlite_instance, asked)["consents"]
        if each["purpose"]["name"] == "Email"
    ]
    assert emails == [
        ("dpv:ConsentGiven", "P90D", "web_form"),
        ("dpv:ConsentWithdrawn", "P0D", "manage_page"),
    ]
    words = saved(sqlite_instance, asked).decode()
    assert "Email: Taken back\nOn November 18, 2026, at 11 am (Eastern)." in words


def test_expired_consent_is_shown_as_expired(sqlite_instance: Instance, clock) -> None:
    asked = ask(sqlite_instance)
    with sqlite_instance.database.transaction() as session:
        lead = session.get_one(type(asked.lead), asked.lead.id)
        lead.purge_after += timedelta(days=10)
    clock.move(days=sqlite_instance.clinic.retention.open_days)
    states = {each["consent_status"] for each in record(sqlite_instance, asked)["consents"]}
    assert states == {"dpv:ConsentExpired", "dpv:ConsentRefused"}
    assert "Phone call: Ran out" in saved(sqlite_instance, asked).decode()


def test_a_promise_that_no_longer_holds_is_not_in_it(sqlite_instance: Instance, clock) -> None:
    asked = ask(sqlite_instance)
    clock.move(hours=3)
    assert "in touch" not in saved(sqlite_instance, asked).decode()


def test_saving_is_one_event(sqlite_instance: Instance) -> None:
    asked = ask(sqlite_instance)
    for form in ReceiptFormat:
        saved(sqlite_instance, asked, form)
    assert acts(sqlite_instance, asked.lead) == ["lead.submitted", "receipt.saved", "receipt.saved"]
    assert sorted(details_of(sqlite_instance, "receipt.saved")) == ['{"kind":"json"}', '{"kind":"text"}']


def test_a_wrong_code_saves_nothing(sqlite_instance: Instance) -> None:
    asked = ask(sqlite_instance)
    with pytest.raises(RequestNotFound):
        saved(sqlite_instance, replace(asked, code="0" * 16))
    assert acts(sqlite_instance) == ["lead.submitted"]


# --- its signature ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ReceiptFormat)
@pytest.mark.parametrize("language", ["en", "es"])
def test_a_receipt_of_ours_is_known(sqlite_instance: Instance, form: ReceiptFormat, language: str) -> None:
    assert ours(sqlite_instance, saved(sqlite_instance, ask(sqlite_instance, language=language), form))


@pytest.mark.parametrize("form", ReceiptFormat)
def test_changed_line_ends_and_marks_of_editors_do_no_harm(
    sqlite_instance: Instance, form: ReceiptFormat
) -> None:
    content = saved(sqlite_instance, ask(sqlite_instance), form)
    for changed in (
        content.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + content,
        content.rstrip(),
        content + b"\n\n",
    ):
        assert ours(sqlite_instance, changed)


def test_other_spaces_and_order_do_a_record_no_harm(sqlite_instance: Instance) -> None:
    found = record(sqlite_instance, ask(sqlite_instance))
    turned = dict(reversed(list(found.items())))
    assert ours(sqlite_instance, json.dumps(turned).encode())


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("Text message: No", "Text message: Yes"),
        ("3 times", "9 times"),
        ("2027", "2028"),
        (FORMAT, f" {FORMAT}"),
    ],
)
def test_a_changed_word_of_the_text_is_found_out(sqlite_instance: Instance, was: str, becomes: str) -> None:
    words = saved(sqlite_instance, ask(sqlite_instance)).decode()
    assert was in words
    assert not ours(sqlite_instance, words.replace(was, becomes).encode())


@pytest.mark.parametrize("form", ReceiptFormat)
@pytest.mark.parametrize("language", ["en", "es"])
def test_every_byte_that_is_not_a_space_counts(
    sqlite_instance: Instance, form: ReceiptFormat, language: str
) -> None:
    content = saved(sqlite_instance, ask(sqlite_instance, language=language), form)
    unnoticed = [
        place
        for place, byte in enumerate(content)
        if byte not in b" \r\n" and ours(sqlite_instance, replaced(content, place))
    ]
    assert unnoticed == []


def replaced(content: bytes, place: int) -> bytes:
    """The same file with one byte changed, into one that may stand there."""
    return content[:place] + (b"7" if content[place : place + 1] != b"7" else b"8") + content[place + 1 :]


def test_every_changed_value_of_the_record_is_found_out(sqlite_instance: Instance) -> None:
    found = record(sqlite_instance, ask(sqlite_instance))
    consent = found["consents"][2]
    for name in MANDATORY:
        kept = consent[name]
        consent[name] = "changed"
        assert not ours(sqlite_instance, json.dumps(found).encode()), name
        consent[name] = kept
    assert ours(sqlite_instance, json.dumps(found).encode())
    found["consents"].pop()
    assert not ours(sqlite_instance, json.dumps(found).encode())


def test_a_key_that_stands_twice_is_refused(sqlite_instance: Instance) -> None:
    words = saved(sqlite_instance, ask(sqlite_instance), ReceiptFormat.JSON).decode()
    twice = words.replace('"created":', '"created": "never", "created":', 1)
    assert json.loads(twice) == json.loads(words)
    assert not ours(sqlite_instance, twice.encode())


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"{}", b"[]", b"null", b'{"signature": 1}', b'{"signature": {"value": null}}',
        b'{"signature": {"value": "\xc3\xa9"}}', b'{"signature": {"value": "\\ud800"}}', b"\xff\xfe\x00",
        b"x\n" + FORMAT.encode() + b" " + b"0" * 64, FORMAT.encode() + b" " + b"0" * 64,
        b"[" * 100_000, b'{"a":' * 100_000, b'{"a": NaN, "signature": {"value": "0"}}',
        b"x" * (MAX_BYTES + 1),
    ],
)  # fmt: skip
def test_what_is_no_receipt_is_refused_quietly(sqlite_instance: Instance, content: bytes) -> None:
    assert not ours(sqlite_instance, content)


def test_another_instance_does_not_know_it(sqlite_instance: Instance, make_instance, sqlite_url: str) -> None:
    content = saved(sqlite_instance, ask(sqlite_instance))
    assert not ours(make_instance(sqlite_url, app_keys=secrets.new_secret("app_keys")), content)


def test_receipts_outlive_a_change_of_keys_while_the_old_one_is_kept(make_instance, sqlite_url: str) -> None:
    before = make_instance(sqlite_url)
    content = saved(before, ask(before))
    old, new = before.settings.app_keys, secrets.new_secret("app_keys")
    assert ours(make_instance(sqlite_url, app_keys=f"{new},{old}"), content)
    assert not ours(make_instance(sqlite_url, app_keys=new), content)


def test_two_receipts_have_different_ids(sqlite_instance: Instance) -> None:
    asked = ask(sqlite_instance)
    ids = {record(sqlite_instance, asked)["receipt_id"] for _ in range(2)}
    assert len(ids) == 2


def test_the_signature_is_the_last_line(sqlite_instance: Instance) -> None:
    words = saved(sqlite_instance, ask(sqlite_instance)).decode()
    assert re.search(rf"\n{FORMAT} [0-9a-f]{{64}}\n\Z", words)
