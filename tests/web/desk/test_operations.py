"""The operator's room: what the doctor finds, mail that was refused, what runs by itself, the settings."""

import re
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import timedelta

import pytest
from playwright.sync_api import Page

from intake import monitoring, outbox
from intake.accounts.models import Role
from intake.conf.settings import Mode, Outbound, Settings, Tls, setting
from intake.instance import Instance
from intake.jobs import scheduler
from intake.jobs.schedule import JOBS
from intake.monitoring import article_links
from intake.outbox import Mail, MessageState, OutboxMessage, sender
from intake.outbox.mailer import open_mailer
from intake.web.desk.operations import MAILS, SettingSource, setting_rows
from tests.browser import axe_violations
from tests.client import CANARIES, NOWHERE, OURS, Desk, field, words
from tests.factories import ask, details_of, every, hire, relay_turn
from tests.smtp import HOST, Fault, mail_server

__all__ = ["mail_server"]

PAGES = ("/desk/service", "/desk/service/mail", "/desk/service/rounds", "/desk/service/settings")
CANARY = "canary-that-nobody-may-see-4711"


class Room(Desk):
    """The desk of somebody who looks after the service, and may do nothing else."""

    def csrf(self) -> str:
        return field(self.get("/desk/service").text, "csrf")


@pytest.fixture
def room(sqlite_instance: Instance) -> Room:
    return Room(sqlite_instance, hire(sqlite_instance, "Ada Kern", Role.ADMIN))


def refused(instance: Instance, *recipients: str, mail: Mail = Mail.NEW_LEAD) -> list[OutboxMessage]:
    """Messages that were given up."""
    with instance.database.transaction() as session:
        written = outbox.enqueue(session, mail, clinic_recipients=recipients, at=instance.clock())
        for each in written:
            each.state, each.attempts, each.last_error = MessageState.DEAD, 5, "SMTPRecipientsRefused 550"
    return written


def steady(text: str) -> str:
    """Without the free megabytes, which others on the machine change between two looks."""
    return re.sub(r"[\d,]+ MB", "MB", text)


# --- the doctor -----------------------------------------------------------------------------------------


def test_the_page_and_the_command_find_the_same(room: Room) -> None:
    relay_turn(room.instance)
    text = steady(words(room.get("/desk/service").text))
    command = monitoring.doctor(room.instance)
    for check in command:
        assert (steady(f"{check.name} {check.sentence}") in text) == (
            check.name not in monitoring.DOCTOR_ONLY
        )
    assert [check.name for check in command if check.name in monitoring.DOCTOR_ONLY] == [
        article_links.ARTICLES_CHECK
    ]


def test_the_worst_stands_first(room: Room) -> None:
    """Nothing has run yet, so the relay is red; the texts have no reader, so they are amber."""
    page = room.get("/desk/service").text
    states = re.findall(r'<tr role="row" class="(red|amber|green)">', page)
    assert states == sorted(states, key=["red", "amber", "green"].index)
    assert set(states) == {"red", "amber", "green"}
    assert re.search(r"\d things? wants? attention now\.", words(page))


def test_no_page_asks_another_site(room: Room, monkeypatch) -> None:
    def asked(*_: object, **__: object) -> None:
        raise AssertionError("a page load went out to the network")

    monkeypatch.setattr(article_links, "urlopen", asked)
    instance = replace(room.instance, settings=replace(room.instance.settings, outbound=Outbound.YES))
    other = Room(instance, room.member)
    assert [other.get(path).status_code for path in PAGES] == [200] * len(PAGES)


# --- mail -----------------------------------------------------------------------------------------------


def test_nothing_was_refused_on_a_fresh_install(room: Room) -> None:
    text = words(room.get("/desk/service/mail").text)
    assert "Nothing was refused." in text
    assert "The last mail was accepted not yet" in text
    assert room.post("/desk/service/mail/again").location == "/desk/service/mail?message=nothing_to_resend"
    assert room.post(f"/desk/service/mail/{NOWHERE}/again").location.endswith("message=nothing_to_resend")
    assert details_of(room.instance, "mail.resent") == []


def test_a_refused_mail_says_what_where_and_why_and_no_address(room: Room) -> None:
    notices = room.instance.clinic.notices
    refused(room.instance, notices.recipients[0])
    refused(room.instance, notices.second_contacts[-1], mail=Mail.DAILY)
    refused(room.instance, "gone@example.org", mail=Mail.UNOPENED)
    refused(room.instance, "new@example.org", mail=Mail.INVITED)
    page = room.get("/desk/service/mail").text
    text = words(page)
    assert (
        "Notice of a new request notices.recipients in clinic.toml, number 1 The mail server does not" in text
    )
    assert f"notices.second_contacts in clinic.toml, number {len(notices.second_contacts)}" in text
    assert "an address that does not stand in clinic.toml any more" in text
    assert "the address of an account that was invited" in text
    assert not re.search(r"[\w.]+@example\.org", page.replace(room.instance.settings.mail_from, ""))


@pytest.fixture
def over_smtp(make_instance, sqlite_url, mail_server):
    """A room of an instance that talks to a real mail server, and that server."""
    server = mail_server(fault=Fault.RCPT_550)
    settings = {"smtp_host": HOST, "smtp_port": server.port, "smtp_tls": Tls.NONE, "smtp_timeout": 60}
    instance = make_instance(sqlite_url, **settings)
    return Room(instance, hire(instance, "Ada Kern", Role.ADMIN)), server


def deliver(instance: Instance) -> sender.DeliveryCounts:
    return sender.deliver_due(
        instance.database,
        open_mailer(instance.settings),
        clinic=instance.clinic,
        settings=instance.settings,
        clock=instance.clock,
        limit=10,
    )


def test_what_was_refused_is_sent_once_more_under_its_own_name(over_smtp) -> None:
    """Five refusals, a person who puts it right and presses the button twice, one letter."""
    room, server = over_smtp
    with room.instance.database.transaction() as session:
        to = room.instance.clinic.notices.recipients[:1]
        outbox.enqueue(session, Mail.NEW_LEAD, clinic_recipients=to, at=room.instance.clock())
    for _ in range(sender.MAX_REFUSALS):
        deliver(room.instance)
        room.instance.clock.move(minutes=20)
    [message] = every(room.instance, OutboxMessage)
    assert (message.state, server.received) == (MessageState.DEAD, [])
    server.fault = Fault.NONE
    assert deliver(room.instance) == sender.DeliveryCounts()
    page = room.get("/desk/service/mail").text
    assert f"/desk/service/mail/{message.id}/again" in page
    again = f"/desk/service/mail/{message.id}/again"
    assert room.post(again).location == "/desk/service/mail?message=resent"
    twice = room.post(again)
    assert twice.status_code == 409
    assert "Only a message that needs attention can be sent again." in words(twice.text)
    assert deliver(room.instance) == sender.DeliveryCounts(sent=1)
    assert deliver(room.instance) == sender.DeliveryCounts()
    domain = room.instance.settings.mail_from.rpartition("@")[2]
    assert [each.message_id for each in server.received] == [f"<{message.id}@{domain}>"]
    assert details_of(room.instance, "mail.resent") == ['{"kind":"new_lead"}']


def test_all_of_them_at_once(room: Room) -> None:
    refused(room.instance, "ana@example.org", "ben@example.org")
    assert "Send all of them again" in words(room.get("/desk/service/mail").text)
    assert room.post("/desk/service/mail/again").location == "/desk/service/mail?message=resent"
    assert {each.state for each in every(room.instance, OutboxMessage)} == {MessageState.WAITING}
    assert len(details_of(room.instance, "mail.resent")) == 2


def test_every_mail_has_a_name() -> None:
    assert set(MAILS) == set(Mail)


# --- rounds ---------------------------------------------------------------------------------------------


def test_before_the_first_round_everything_is_yet_to_come(room: Room) -> None:
    text = words(room.get("/desk/service/rounds").text)
    assert text.count("not made yet") == len(JOBS) + 1
    assert text.count("never never") == len(JOBS) + 1


def test_a_round_says_when_it_was_made_and_when_it_is_next(room: Room) -> None:
    relay_turn(room.instance)
    text = words(room.get("/desk/service/rounds").text)
    assert "Erases the requests whose time is over. retention 1 hour 10 am 10 am 11 am" in text
    assert "Sends the mail that is due. notices 15 seconds 10 am 10 am whenever mail is due" in text


def test_a_round_that_failed_says_with_what_and_keeps_its_last_good_end(room: Room, monkeypatch) -> None:
    relay_turn(room.instance)
    room.instance.clock.move(hours=1)

    def fail(_: Instance) -> int:
        raise LookupError("jane canary")

    retention = next(each for each in JOBS if each.name == "retention")
    scheduler.run_due(room.instance, jobs=[replace(retention, run=fail)])
    page = room.get("/desk/service/rounds").text
    assert "failed Erases the requests whose time is over. retention It ended with: LookupError" in words(
        page
    )
    assert "1 hour 11 am 10 am 11:01 am" in words(page)
    assert "canary" not in page


def test_a_round_is_under_way_for_no_longer_than_its_lease(sqlite_instance: Instance, clock) -> None:
    seen = []

    def look(instance: Instance) -> int:
        with instance.database.reading() as session:
            now = next(each for each in scheduler.status(session) if each.name == "link")
        seen.extend([now.running(clock()), now.running(clock() + timedelta(hours=1))])
        return 0

    link = next(each for each in JOBS if each.name == "link")
    scheduler.run_due(sqlite_instance, jobs=[replace(link, run=look)])
    with sqlite_instance.database.reading() as session:
        after = next(each for each in scheduler.status(session) if each.name == "link")
    assert (seen, after.running(clock())) == ([True, False], False)


def test_every_round_says_what_it_is_for() -> None:
    assert [each.name for each in JOBS if not each.description] == []


# --- settings -------------------------------------------------------------------------------------------


def all_canaries(settings: Settings) -> Settings:
    """The same with a canary in every place for words that is not said to be shown."""
    hidden = [
        each.name for each in fields(Settings) if each.type is str and not Settings.may_be_shown(each.name)
    ]
    assert {"database_url", "smtp_password", "alarm_smtp_password", "backup_key", "metrics_token"} < set(
        hidden
    )
    return replace(settings, **{name: f"{CANARY}-{name}" for name in hidden})


def test_no_secret_stands_on_any_page(room: Room) -> None:
    bare = Room(replace(room.instance, settings=all_canaries(room.instance.settings)), room.member)
    for path in PAGES:
        assert CANARY not in bare.get(path).text, path
    shown = {each.name: each.shown_as for each in setting_rows(all_canaries(room.instance.settings))}
    for name in ("SEALING_KEYS", "INDEX_KEY", "CHAIN_KEY", "APP_KEYS", "DATABASE_URL", "SMTP_USERNAME"):
        assert shown[f"INTAKE_{name}"] is SettingSource.SET


def test_no_key_in_use_stands_on_any_page(room: Room) -> None:
    secret = [str(getattr(room.instance.settings, each.name)) for each in fields(Settings) if not each.repr]
    pages = "".join(room.get(path).text for path in PAGES)
    parts = {part for value in filter(None, secret) for part in re.split("[,:]", value) if len(part) > 8}
    assert len(parts) >= 5
    assert [part for part in parts if part in pages] == []


def test_a_new_setting_is_hidden_until_somebody_says_otherwise() -> None:
    assert setting("", "New words.").metadata["shown"] is False
    secret_and_shown = [each.name for each in fields(Settings) if not each.repr and each.metadata["shown"]]
    assert secret_and_shown == []
    assert not any(Settings.may_be_shown(each.name) for each in fields(Settings) if not each.repr)


def test_what_may_be_shown_is_shown(room: Room) -> None:
    shown = {
        each.name: each
        for each in setting_rows(replace(room.instance.settings, smtp_host="mail.example.org"))
    }
    assert (shown["INTAKE_SMTP_HOST"].value, shown["INTAKE_SMTP_HOST"].is_default) == (
        "mail.example.org",
        False,
    )
    assert (shown["INTAKE_SMTP_PORT"].value, shown["INTAKE_SMTP_PORT"].is_default) == ("587", True)
    assert shown["INTAKE_MODE"].value == Mode.DEVELOPMENT.value
    assert shown["INTAKE_ANCHOR_MAIL_TO"].shown_as is SettingSource.NOT_SET
    text = words(room.get("/desk/service/settings").text)
    assert "INTAKE_SMTP_PORT 587 (usual) Port of the mail server." in text
    assert "INTAKE_SEALING_KEYS set, not shown" in text


# --- all of them ----------------------------------------------------------------------------------------


def test_they_speak_both_languages(room: Room) -> None:
    relay_turn(room.instance)
    for path, text in zip(
        PAGES,
        (
            "El relevo se vio por última vez hace 0 minutos.",
            "No se rechazó nada.",
            "Hace una copia de seguridad al día.",
            "Puerto del servidor de correo.",
        ),
        strict=True,
    ):
        assert text in words(room.get(path, **{"Accept-Language": "es"}).text)


def test_nothing_on_them_is_about_a_request(room: Room) -> None:
    lead = ask(room.instance).lead
    for path in PAGES:
        page = room.get(path).text
        assert not [each for each in (*CANARIES, lead.reference, str(lead.id)) if each in page]


def test_whoever_looks_after_the_service_gets_from_page_to_page(room: Room) -> None:
    for path in (*PAGES, "/desk/accounts"):
        page = room.get(path).text
        assert {each for each in PAGES if f'href="{each}"' in page} == set(PAGES)
    assert room.web.post("/desk/service/mail/again", headers=OURS).status_code == 403


@pytest.mark.parametrize(("width", "dark", "locale"), [(320, True, "es-US"), (1280, False, "en-US")])
def test_the_pages_read_well(
    page_at: Callable[..., Page], address: str, room: Room, width: int, locale: str, *, dark: bool
) -> None:
    relay_turn(room.instance)
    refused(room.instance, *room.instance.clinic.notices.recipients, "long.address@example.org")
    page = page_at(width, dark=dark, locale=locale)
    token = room.web.get_cookie("intake").value
    page.context.add_cookies([{"name": "intake", "value": token, "url": address, "sameSite": "Strict"}])
    for path in PAGES:
        page.goto(address + path)
        assert axe_violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
