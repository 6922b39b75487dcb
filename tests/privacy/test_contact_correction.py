"""Correcting a number or address renews its consents to the statements in force."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import delete, select

from intake import audit
from intake.act import Act
from intake.conf.clinic import Channel
from intake.consent import service as consent
from intake.consent.models import ConsentEvent, Kind, Method, State
from intake.consent.statements import Statements
from intake.core.errors import Unprocessable
from intake.instance import Instance
from intake.leads import contact_values, form
from intake.leads.models import CloseReason, Lead, LeadKey
from intake.leads.reveal import ContactUnreadable
from intake.leads.submission import Submitted
from intake.privacy import contact_correction, self_service
from intake.privacy.contact_correction import STATEMENTS_CHANGED, Correction
from intake.privacy.self_service import OpenedRequest, RequestClosed, RequestNotFound
from tests.factories import EMAIL, PHONE, acts, ask, hire, now, show, take

NEW_PHONE, NEW_EMAIL = "(813) 555-0144", "Somebody.New@example.org"


def corrected(instance: Instance, asked: Submitted, **changes) -> OpenedRequest:
    """Put another number in, with a yes to calls, unless `changes` say otherwise."""
    values = {
        "kind": "phone",
        "value": NEW_PHONE,
        "channels": ["call"],
        "voicemail": False,
        "language": "en",
        "statements": instance.statements.page_digest("en"),
        **changes,
    }
    with instance.database.transaction() as session:
        return contact_correction.correct(
            Act(session, instance), code=asked.code, correction=Correction(**values)
        )


def answered(instance: Instance, lead: Lead) -> dict[Kind, State]:
    with instance.database.reading() as session:
        return {kind: event.state for kind, event in consent.current(session, lead.id).items()}


def agreed_for(instance: Instance, kind: str, value: str) -> list[tuple[Kind, State]]:
    """What was ever answered about one number or address."""
    index = instance.keyring.blind_index(kind, value)
    with instance.database.reading() as session:
        events = session.scalars(
            select(ConsentEvent).where(ConsentEvent.contact_index == index).order_by(ConsentEvent.at)
        ).all()
    return [(event.kind, event.state) for event in events if event.state is not State.REFUSED]


def test_the_new_number_takes_the_place_of_the_old_one(instance: Instance) -> None:
    asked = ask(instance)
    own = corrected(instance, asked)
    assert own.masked.phone == "(•••) •••-••44"
    assert own.masked.email == "z•••••@•••••.org"
    after = now(instance, asked.lead)
    assert after.phone_index == instance.keyring.blind_index("phone", "+18135550144")
    ana = hire(instance)
    take(instance, asked.lead, ana)
    assert show(instance, asked.lead, ana).value == "+18135550144"


def test_the_old_number_gets_its_permission_back_and_the_new_one_a_fresh_one(instance: Instance) -> None:
    asked = ask(instance, voicemail=True)
    corrected(instance, asked)
    kinds = (Kind.CALL, Kind.VOICEMAIL)
    assert sorted(agreed_for(instance, "phone", PHONE)) == sorted(
        (kind, state) for kind in kinds for state in (State.GIVEN, State.WITHDRAWN)
    )
    assert agreed_for(instance, "phone", "+18135550144") == [(Kind.CALL, State.GIVEN)]
    assert answered(instance, asked.lead) == {
        Kind.USE: State.GIVEN, Kind.ADULT: State.GIVEN, Kind.EMAIL: State.GIVEN,
        Kind.CALL: State.GIVEN, Kind.TEXT: State.REFUSED, Kind.VOICEMAIL: State.REFUSED,
    }  # fmt: skip


def test_it_is_one_act_and_the_proof_holds(instance: Instance) -> None:
    asked = ask(instance)
    corrected(instance, asked)
    assert acts(instance, asked.lead) == ["lead.changed", "lead.submitted"]
    with instance.database.reading() as session:
        assert consent.verify_proof(session, keyring=instance.keyring) == []
        assert audit.verify(session, keyring=instance.keyring).intact
        fresh = session.scalars(select(ConsentEvent).where(ConsentEvent.method == Method.MANAGE_PAGE)).all()
    words = {each.digest for each in instance.statements.in_force("en").values()}
    assert {event.statement for event in fresh} <= words


def test_an_address_is_put_right_the_same_way(instance: Instance) -> None:
    asked = ask(instance)
    corrected(instance, asked, kind="email", value=NEW_EMAIL, channels=["email"])
    assert agreed_for(instance, "email", NEW_EMAIL.lower()) == [(Kind.EMAIL, State.GIVEN)]
    assert agreed_for(instance, "email", EMAIL) == [(Kind.EMAIL, State.GIVEN), (Kind.EMAIL, State.WITHDRAWN)]
    assert answered(instance, asked.lead)[Kind.CALL] is State.GIVEN


def test_texts_can_be_allowed_and_calls_left_out(instance: Instance) -> None:
    asked = ask(instance, voicemail=True)
    own = corrected(instance, asked, channels=["text"])
    assert own.contact_status.channels == (Channel.TEXT, Channel.EMAIL)
    assert not own.contact_status.voicemail


def test_a_voicemail_can_be_allowed_anew(instance: Instance) -> None:
    own = corrected(instance, ask(instance), voicemail=True)
    assert own.contact_status.voicemail


def test_a_dropped_channel_can_be_given_back_with_a_number(instance: Instance) -> None:
    asked = ask(instance)
    with instance.database.transaction() as session:
        self_service.withdraw_channel(Act(session, instance), code=asked.code, channel=Channel.CALL)
    own = corrected(instance, asked, value=PHONE)
    assert own.contact_status.channels == (Channel.CALL, Channel.EMAIL)
    assert own.masked.phone == "(•••) •••-••23"


def test_what_was_given_anew_can_be_taken_back_at_the_same_moment(instance: Instance) -> None:
    asked = ask(instance)
    corrected(instance, asked)
    with instance.database.transaction() as session:
        own = self_service.withdraw_channel(Act(session, instance), code=asked.code, channel=Channel.CALL)
    assert own.contact_status.channels == (Channel.EMAIL,)


def test_the_promise_and_the_clocks_follow_the_number(instance: Instance, clock) -> None:
    asked = ask(instance)
    clock.move(hours=1)
    corrected(instance, asked, value="(310) 555-0144")
    after = now(instance, asked.lead)
    assert after.number_zones == "America/Los_Angeles"
    assert after.promise_at > asked.lead.promise_at


def test_the_same_words_and_ticks_change_nothing(instance: Instance, clock) -> None:
    asked = ask(instance)
    corrected(instance, asked)
    promised = now(instance, asked.lead).promise_at
    clock.move(minutes=30)
    corrected(instance, asked)
    assert acts(instance, asked.lead) == ["lead.changed", "lead.submitted"]
    assert now(instance, asked.lead).promise_at == promised


def test_other_ticks_for_the_same_number_are_a_change(instance: Instance) -> None:
    asked = ask(instance)
    corrected(instance, asked, value=PHONE, channels=["call", "text"])
    assert answered(instance, asked.lead)[Kind.TEXT] is State.GIVEN


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        ({"value": "305"}, {"phone"}),
        ({"value": ""}, {"phone"}),
        ({"value": "x" * 10_000}, {"phone"}),
        ({"value": "\x00"}, {"phone"}),
        ({"channels": []}, {"channels"}),
        ({"channels": ["email"]}, {"channels"}),
        ({"channels": ["call", "carrier pigeon"]}, {"channels"}),
        ({"value": "911", "channels": []}, {"phone", "channels"}),
        ({"kind": "email", "value": "nobody", "channels": ["email"]}, {"email"}),
        ({"kind": "email", "value": NEW_EMAIL, "channels": ["call"]}, {"channels"}),
        ({"statements": "forged"}, {"channels"}),
        ({"statements": ""}, {"channels"}),
    ],
)
def test_an_invalid_value_has_its_message_at_its_field(
    instance: Instance, changes: dict, problems: set[str]
) -> None:
    asked = ask(instance)
    with pytest.raises(Unprocessable) as refused:
        corrected(instance, asked, **changes)
    assert set(refused.value.problems) == problems
    assert now(instance, asked.lead).phone_index == asked.lead.phone_index
    assert acts(instance, asked.lead) == ["lead.submitted"]


def test_the_sentences_are_those_of_the_form(instance: Instance) -> None:
    asked = ask(instance)
    with pytest.raises(Unprocessable) as refused:
        corrected(instance, asked, value="305 555", channels=[])
    assert refused.value.problems == {"phone": (contact_values.PHONE,), "channels": (form.CHANNELS,)}


def test_a_yes_to_words_that_changed_since_is_asked_anew(instance: Instance) -> None:
    asked = ask(instance)
    before = instance.statements.page_digest("en")
    newer = replace(instance.statements.in_force("en")[Kind.CALL], version=3, label="Other words")
    instance = replace(instance, statements=Statements((*instance.statements.every, newer)))
    with pytest.raises(Unprocessable) as refused:
        corrected(instance, asked, statements=before)
    assert refused.value.problems == {"channels": (STATEMENTS_CHANGED,)}
    corrected(instance, asked)
    with instance.database.reading() as session:
        fresh = consent.current(session, asked.lead.id)[Kind.CALL]
    assert fresh.statement == instance.statements.in_force("en")[Kind.CALL].digest


def test_the_answer_is_kept_in_the_language_of_the_page(instance: Instance) -> None:
    asked = ask(instance)
    corrected(instance, asked, language="es", statements=instance.statements.page_digest("es"))
    with instance.database.reading() as session:
        assert consent.current(session, asked.lead.id)[Kind.CALL].language == "es"


def test_a_number_on_the_do_not_contact_list_is_taken_like_any_other(instance: Instance) -> None:
    """The answer must not reveal to a stranger which numbers are suppressed."""
    listed = ask(instance, phone="+18135550144", email=None, channels=frozenset({Channel.CALL}))
    with instance.database.transaction() as session:
        self_service.stop(Act(session, instance), code=listed.code)
    own = corrected(instance, ask(instance))
    assert own.masked.phone == "(•••) •••-••44"


def test_a_closed_request_and_a_wrong_code_take_no_correction(instance: Instance) -> None:
    asked = ask(instance)
    with pytest.raises(RequestNotFound):
        corrected(instance, replace(asked, code="0" * 16))
    with instance.database.transaction() as session:
        self_service.stop(Act(session, instance), code=asked.code)
    with pytest.raises(RequestClosed):
        corrected(instance, asked)
    assert now(instance, asked.lead).close_reason is CloseReason.STOPPED


def test_without_the_key_nothing_is_sealed(instance: Instance) -> None:
    asked = ask(instance)
    with instance.database.transaction() as session:
        session.execute(delete(LeadKey))
    with pytest.raises(ContactUnreadable):
        corrected(instance, asked)
    with instance.database.reading() as session:
        assert self_service.find_by_code(Act(session, instance), asked.code).phone.box == asked.lead.phone.box


def test_the_old_words_leave_no_bytes(make_instance, sqlite_url: str) -> None:
    instance = make_instance(sqlite_url)
    asked = ask(instance)
    raw = instance.settings.data_dir / "intake.sqlite3"
    assert asked.lead.phone.box in raw.read_bytes()
    corrected(instance, asked)
    assert asked.lead.phone.box not in raw.read_bytes()


def test_a_promise_is_counted_from_the_moment_of_the_change(instance: Instance, clock) -> None:
    asked = ask(instance)
    clock.set(datetime(2026, 11, 18, 16, 0, tzinfo=UTC))
    corrected(instance, asked)
    assert now(instance, asked.lead).promise_at == datetime(2026, 11, 19, 15, 0, tzinfo=UTC)
