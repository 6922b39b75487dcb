"""A lead's page: words first, masked until a recorded reveal, outcomes, and refusals in words (G1 to G4)."""

import re
from datetime import UTC, datetime

import pytest

from intake.accounts.models import Role
from intake.conf.clinic import Channel
from intake.consent import service as consent
from intake.consent.models import Kind, Method
from intake.instance import Instance
from intake.leads.fields import CallLanguage
from intake.leads.models import Suspicion
from tests.client import CANARIES, NOWHERE, Desk, words
from tests.factories import ANY, EMAIL, NAME, SHOWN, acts, ask, hire, show

SUNDAY = datetime(2026, 11, 22, 17, 0, tzinfo=UTC)


@pytest.fixture
def desk(sqlite_instance: Instance) -> Desk:
    return Desk(sqlite_instance, hire(sqlite_instance))


@pytest.fixture
def ben(sqlite_instance: Instance) -> Desk:
    return Desk(sqlite_instance, hire(sqlite_instance, "Ben Ochoa"))


@pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
def test_before_a_reveal_the_page_holds_neither_name_nor_number(instance: Instance, database_url) -> None:
    lead, desk = ask(instance, tell_article=True, article="A title").lead, Desk(instance, hire(instance))
    page = desk.lead(lead)
    assert not [each for each in (*CANARIES, "A title") if each in page]
    text = words(page)
    assert "You may call until 12 noon their time. Do not leave a voicemail." in text
    assert "Name Z••••• Best language for the call The language of the page" in text
    assert "Call (•••) •••-••23 Reveal number r Text Not allowed Email z•••••@•••••.org" in text
    assert "They told us which one; it shows after a reveal." in text
    assert acts(instance, lead) == ["lead.submitted", "lead.viewed"]


@pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
def test_a_reveal_answers_with_the_value_and_a_reload_shows_it_while_held(
    instance: Instance, database_url, clock
) -> None:
    lead = ask(instance, tell_article=True, article="A title").lead
    desk = Desk(instance, hire(instance))
    answer = desk.act(lead, "reveal", channel="call")
    text = words(answer.text)
    assert answer.status_code == 200
    for word in (NAME, SHOWN, "themselves", "Yours for 20 min", "They were reading “A title”."):
        assert word in text
    assert EMAIL not in answer.text
    assert f"Hello, is {NAME} there?" in text
    assert acts(instance, lead) == ["lead.revealed", "lead.submitted"]
    clock.move(minutes=5)
    assert SHOWN in desk.lead(lead)
    assert acts(instance, lead) == ["lead.revealed", "lead.revealed", "lead.submitted"]
    clock.move(minutes=15)
    assert not [each for each in CANARIES if each in desk.lead(lead)]


def test_two_channels_revealed_show_together(desk: Desk) -> None:
    lead = ask(desk.instance, **ANY).lead
    desk.act(lead, "reveal", channel="call")
    page = desk.act(lead, "reveal", channel="email").text
    assert SHOWN in page
    assert EMAIL in page
    assert acts(desk.instance, lead).count("lead.revealed") == 3


def test_a_colleague_sees_who_holds_it_and_nothing_more(desk: Desk, ben: Desk) -> None:
    lead = ask(desk.instance).lead
    ben.act(lead, "reveal", channel="call")
    page = desk.lead(lead)
    assert not [each for each in CANARIES if each in page]
    assert "Ben Ochoa has claimed this for 20 min more. You can read, not act." in words(page)
    answer = desk.act(lead, "reveal", channel="call")
    assert answer.status_code == 409
    assert "Ben Ochoa has claimed this request until 10:20 am." in words(answer.text)
    assert not [each for each in CANARIES if each in answer.text]


def test_a_shut_gate_says_why_and_when_it_opens(desk: Desk, clock) -> None:
    lead = ask(desk.instance, channels=frozenset({Channel.CALL}), email=None).lead
    clock.set(SUNDAY)
    text = words(desk.lead(lead))
    assert "Do not call now. Opens tomorrow at 9 am, their time. " in text
    assert "This is not a time they called safe. The clinic is closed now." in text
    assert "shut until Mon 9 am" in text
    assert "The words show tomorrow at 9 am, when they may be said." in text
    assert "Reveal number" not in text
    answer = desk.act(lead, "reveal", channel="call")
    assert answer.status_code == 409
    assert "This is not a time they called safe." in words(answer.text)
    assert "lead.revealed" not in acts(desk.instance, lead)


def test_a_channel_without_consent_is_refused_in_words(desk: Desk) -> None:
    lead = ask(desk.instance).lead
    answer = desk.act(lead, "reveal", channel="text")
    assert answer.status_code == 409
    assert "They did not agree to this way of contact." in words(answer.text)


def test_a_known_time_zone_is_named_as_theirs_and_an_unknown_one_as_ours(desk: Desk) -> None:
    central = ask(desk.instance, time_zone="America/Chicago", **ANY).lead
    unknown = ask(desk.instance, time_zone=None, **ANY).lead
    assert "Florida, Central time, 9 am there" in words(desk.lead(central))
    assert "You may call until 5 pm their time." in words(desk.lead(central))
    assert "Florida, Eastern time / Central time, 10 am / 9 am there" in words(desk.lead(unknown))
    assert "You may call until 6 pm Eastern time." in words(desk.lead(unknown))


def test_a_spanish_request_has_its_words_in_spanish(desk: Desk) -> None:
    lead = ask(desk.instance, language="es", voicemail=True).lead
    page = desk.act(lead, "reveal", channel="call").text
    assert f'<q lang="es">Hola, ¿está {NAME}?</q>' in page
    assert "If somebody else answers:" in page
    assert "devuélvame la llamada al (305) 555-0142" in page


def test_the_words_name_the_clinic_only_once_it_is_them(desk: Desk) -> None:
    lead = ask(desk.instance).lead
    page = desk.act(lead, "reveal", channel="call").text
    steps = re.findall(r"<li>(.*?)</li>", page[page.index('class="script"') :])
    naming = [place for place, step in enumerate(steps) if "Harbor Lane" in step]
    assert naming == [2]
    assert "can you talk in private" in steps[1]


def test_somebody_who_looked_and_noted_nothing_shows_in_the_story(desk: Desk, ben: Desk, clock) -> None:
    lead = ask(desk.instance, **ANY).lead
    ben.act(lead, "reveal", channel="call")
    assert "Looked at, nothing noted." not in words(desk.lead(lead))
    clock.move(minutes=20)
    text = words(desk.lead(lead))
    assert "Phone number shown, to call · Ben Ochoa. Looked at, nothing noted." in text
    assert "free, looked at" in words(desk.get("/desk").text)
    show(desk.instance, lead, desk.member)
    clock.move(minutes=1)
    desk.note(lead, "no_answer")
    assert words(desk.lead(lead)).count("Looked at, nothing noted.") == 1


def test_what_they_agreed_to_stands_as_it_was_shown(desk: Desk) -> None:
    lead = ask(desk.instance).lead
    text = words(desk.lead(lead))
    assert "Yes · Call v2 en “Yes, a person from Harbor Lane Clinic may call me at the number I gave" in text
    assert "A real person will call you, not a recording." in text
    assert "No · Voicemail v1 en" in text


def test_what_they_took_back_says_when(desk: Desk, clock) -> None:
    lead = ask(desk.instance).lead
    clock.move(minutes=7)
    with desk.instance.database.transaction() as session:
        consent.withdraw(
            session,
            lead_id=lead.id,
            kinds=[Kind.EMAIL],
            method=Method.MANAGE_PAGE,
            actor=desk.member.actor,
            at=clock(),
            keyring=desk.instance.keyring,
        )
    text = words(desk.lead(lead))
    assert "Taken back · Email" in text
    assert "Said yes 10 am, took it back 10:07 am." in text


def test_a_suspected_request_carries_a_calm_tag(desk: Desk) -> None:
    lead = ask(desk.instance, suspected=Suspicion.HONEYPOT).lead
    text = words(desk.lead(lead))
    assert "a box that people do not see was filled in. Treat it like any other until you know." in text
    assert "Reveal number" in text


HOSTILE = [
    '"><script>alert(1)</script>',
    "{{ 7 * 7 }}{% raw %}",
    "O’Brien & Söhne <b>",
    "' onmouseover='alert(1)",
    "a" * 80,
    "مرحبا",
    "%(name)s %s {name}",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_only_a_name(desk: Desk, name: str) -> None:
    lead = ask(desk.instance, preferred_name=name).lead
    before = tags(desk.lead(lead))
    page = desk.act(lead, "reveal", channel="call").text
    assert f"Hello, is {name} there?" in words(page.replace("&lt;", "&#60;"))
    assert "<script>alert" not in page
    assert " onmouseover=" not in re.sub(r">[^<]*<", "><", page)
    assert before <= tags(page)
    assert tags(page) == tags(desk.act(ask(desk.instance).lead, "reveal", channel="call").text)


def tags(page: str) -> set[str]:
    """The kinds of elements on a page."""
    return set(re.findall(r"<([a-z][a-z0-9]*)", page))


def test_the_language_of_the_call_shows_without_a_reveal_and_on_no_list(sqlite_instance: Instance) -> None:
    lead, silent = ask(sqlite_instance, call_language=CallLanguage.OTHER).lead, ask(sqlite_instance).lead
    desk = Desk(sqlite_instance, hire(sqlite_instance))
    assert "Best language for the call Another language" in words(desk.lead(lead))
    assert "Best language for the call The language of the page" in words(desk.lead(silent))
    assert "Another language" not in words(desk.get("/desk").text)
    assert "lead.revealed" not in acts(sqlite_instance, lead)


def test_a_privacy_officer_reads_masked_and_cannot_act(sqlite_instance: Instance) -> None:
    lead = ask(sqlite_instance).lead
    officer = Desk(sqlite_instance, hire(sqlite_instance, "Pia Ott", Role.PRIVACY_OFFICER))
    page = officer.lead(lead)
    assert "Your account sees requests masked." in words(page)
    for word in ("Reveal number", "How did it go?", "Claim c", "Close without a call"):
        assert word not in words(page)
    for act in ("claim", "give-back", "reveal", "outcome", "close"):
        assert officer.act(lead, act, channel="call").status_code == 403
    assert "lead.revealed" not in acts(sqlite_instance, lead)


@pytest.mark.parametrize("path", ["x", "1", f"{NOWHERE}x", f"{NOWHERE}/", "..%2f..%2fetc", "%00"])
def test_an_address_that_is_no_request_is_not_found(desk: Desk, path: str) -> None:
    assert desk.get(f"/desk/leads/{path}").status_code == 404
