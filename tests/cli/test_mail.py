"""`intake mail`, `outbox`, `demo`, `audit` and `doctor`: what an operator does on a day."""

import re
from pathlib import Path

from sqlalchemy import text

from intake import outbox
from intake.cli.leads import form_data
from intake.instance import Instance
from intake.jobs import schedule
from intake.outbox import Mail, MessageState
from tests.cli.conftest import config_of_today
from tests.factories import relay_turn

CONTACT = re.compile(r"\+?1?[ (-]*\d{3}[) -]*555[ -]*0[01]\d\d|[a-z]+\.\d+@example\.org")


def test_mail_test_reaches_every_recipient(command, opened: Instance, surroundings: Path) -> None:
    result = command("mail", "test")
    recipients = opened.clinic.notices.recipients
    assert result.exit_code == 0
    assert result.output.count("accepted") == len(recipients)
    assert len(list((surroundings / "mail" / "new").iterdir())) == len(recipients)
    for recipient in recipients:
        assert recipient not in result.output


def test_mail_test_names_the_settings_when_the_server_is_not_there(command, monkeypatch) -> None:
    monkeypatch.setenv("INTAKE_SMTP_HOST", "127.0.0.1")
    monkeypatch.setenv("INTAKE_SMTP_PORT", "1")
    monkeypatch.setenv("INTAKE_SMTP_TLS", "none")
    result = command("mail", "test")
    assert result.exit_code == 1
    assert "INTAKE_SMTP_" in result.stderr
    assert "ConnectionRefusedError" in result.stderr


def test_the_outbox_shows_what_was_refused_and_sends_it_again(command, opened: Instance) -> None:
    with opened.database.transaction() as session:
        (message,) = outbox.enqueue(
            session, Mail.TEST, clinic_recipients=["ada@example.org"], at=opened.clock()
        )
        message.state, message.last_error = MessageState.DEAD, "SMTPRecipientsRefused 550"
    shown = command("outbox", "show").output
    assert "0 on their way, 1 refused for good." in shown
    assert "SMTPRecipientsRefused 550" in shown
    assert "ada@example.org" not in shown
    assert command("outbox", "resend").output == "1 will be sent again.\n"
    assert command("outbox", "show").output == "1 on their way, 0 refused for good.\n"


def test_demo_fills_the_desk_through_the_real_door(command, opened: Instance) -> None:
    assert command("demo", "--leads", "15").output.endswith("15 leads were added.\n")
    with opened.database.reading() as session:
        assert session.scalar(text("SELECT count(*) FROM lead")) == 15
        assert session.scalar(text("SELECT count(DISTINCT language) FROM lead")) == 2
        assert session.scalar(text("SELECT count(*) FROM lead WHERE suspected IS NOT NULL")) == 0
    assert command("audit", "verify").exit_code == 0


def test_demo_leads_can_be_linked_into_the_chain(command, opened: Instance) -> None:
    command("mail", "test")
    schedule.link(opened)
    command("demo", "--leads", "9")
    schedule.link(opened)
    assert "0 not linked yet" in command("audit", "verify").output


def test_nobody_real_is_in_the_demo() -> None:
    for number in range(250):
        typed = form_data(number)
        for phone in typed.get("phone", []):
            assert re.fullmatch(r"\(\d{3}\) 555-01\d\d", phone)
        for email in typed.get("email", []):
            assert email.endswith("@example.org")


def test_demo_refuses_production(command, in_production) -> None:
    in_production()
    result = command("demo", "--leads", "1")
    assert (result.exit_code, "development only" in result.stderr) == (1, True)


def test_audit_show_prints_events_without_a_person(command) -> None:
    command("demo", "--leads", "5")
    command("staff", "add", typed="ada@example.org\nAda\n")
    shown = command("audit", "show", "--last", "50").output
    assert shown.count("lead.submitted") == 5
    assert "staff.added" in shown
    assert not CONTACT.search(shown)
    assert "ada@example.org" not in shown


def test_audit_show_is_an_event_itself(command) -> None:
    command("audit", "show")
    assert "audit.read" in command("audit", "show").output


def test_audit_show_prints_as_many_as_asked_for(command) -> None:
    command("demo", "--leads", "5")
    assert command("audit", "show", "-n", "2").output.count("lead.submitted") == 2


def test_audit_verify_finds_what_was_changed(command, opened: Instance) -> None:
    command("demo", "--leads", "2")
    with opened.database.transaction() as session:
        session.execute(text("DROP TRIGGER audit_event_no_update"))
        session.execute(text("UPDATE audit_event SET details = '{}'"))
    result = command("audit", "verify")
    assert result.exit_code == 1
    assert result.stdout.count("was changed.") == 2
    assert result.stderr == "intake: The audit log does not hold: see what is listed above.\n"


def test_doctor_is_red_while_nobody_can_sign_in(command) -> None:
    result = command("doctor")
    assert result.exit_code == 1
    assert "intake staff add" in result.output


def test_doctor_lists_every_wrong_setting_without_a_value(command, monkeypatch) -> None:
    monkeypatch.setenv("INTAKE_PORT", "canary")
    monkeypatch.setenv("INTAKE_BASE_URL", "canary")
    result = command("doctor")
    assert result.exit_code == 1
    assert "INTAKE_PORT" in result.output
    assert "INTAKE_BASE_URL" in result.output
    assert "canary" not in result.output


def test_doctor_is_well_when_everything_is(command, opened: Instance, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INTAKE_CONFIG_DIR", str(config_of_today(tmp_path)))
    command("staff", "add", typed="ada@example.org\nAda\n")
    relay_turn(opened)
    result = command("doctor")
    assert (result.exit_code, "0 red" in result.output) == (0, True)
