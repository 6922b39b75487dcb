"""`intake staff`, and the first account of a development instance."""

import re
import stat
from datetime import timedelta
from pathlib import Path

import pyotp
import pytest

from intake.accounts import dev_account, invitations, service
from intake.accounts.invitations import InvalidInvitation
from intake.accounts.models import Role
from intake.act import Act
from intake.instance import Instance
from intake.outbox.models import OutboxMessage
from tests.factories import acts, ask, now, take


def add(command, *, email: str = "ada@example.org", name: str = "Ada", arguments: tuple[str, ...] = ()):
    return command("staff", "add", *arguments, typed=f"{email}\n{name}\n")


def test_staff_add_hands_over_everything_once(command) -> None:
    output = add(command).output
    assert re.search(r"Password: [a-z]{5}(-[a-z]{5}){4}\n", output)
    uri = re.search(r"otpauth://\S+", output)
    assert uri
    assert len(str(pyotp.TOTP(pyotp.parse_uri(uri[0]).secret).now())) == 6
    assert len(re.findall(r"^  [0-9A-Z]{4}(?:-[0-9A-Z]{4}){3}$", output, re.MULTILINE)) == 10
    assert "Password" not in command("staff", "list").output


def test_staff_add_gives_all_roles_to_a_clinic_of_one(command) -> None:
    add(command)
    listed = command("staff", "list").output
    for role in ("admin", "coordinator", "privacy_officer", "supervisor"):
        assert role in listed


def test_staff_add_gives_the_roles_named(command) -> None:
    add(command, arguments=("--role", "coordinator", "--role", "supervisor"))
    listed = command("staff", "list").output
    assert "coordinator, supervisor" in listed
    assert "admin" not in listed


def test_staff_add_takes_a_chosen_password_without_showing_it(command) -> None:
    chosen = "lantern meadow quartz pebble"
    typed = f"ada@example.org\nAda\n{chosen}\n{chosen}\n"
    result = command("staff", "add", "--choose-password", typed=typed)
    assert result.exit_code == 0
    assert chosen not in result.output
    assert "otpauth://" in result.output


def test_no_option_of_any_command_takes_a_secret_or_a_person(command) -> None:
    verbs = ("add", "reset", "disable", "enable")
    message = "".join(command("staff", verb, "--help").output for verb in verbs)
    options = set(re.findall(r"--[a-z-]+", message))
    assert options == {"--help", "--role", "--choose-password"}


@pytest.mark.parametrize(
    ("email", "name", "message"), [("ada", "Ada", "email:"), ("ada@example.org", " ", "name:")]
)
def test_staff_add_says_what_to_type(command, email: str, name: str, message: str) -> None:
    result = command("staff", "add", typed=f"{email}\n{name}\n" if name.strip() else f"{email}\n \u2060\n")
    assert (result.exit_code, message in result.stderr) == (1, True)


def test_staff_add_refuses_a_second_account_for_one_address(command) -> None:
    add(command)
    result = add(command, email="ADA@example.org")
    assert (result.exit_code, "already an account" in result.stderr) == (1, True)


def test_staff_can_be_closed_and_opened_again(command) -> None:
    add(command)
    add(command, email="ben@example.org", name="Ben")
    assert command("staff", "disable", typed="ben@example.org\n").exit_code == 0
    assert "disabled" in command("staff", "list").output
    assert command("staff", "enable", typed="ben@example.org\n").exit_code == 0
    assert "disabled" not in command("staff", "list").output


def test_the_last_admin_is_not_closed(command) -> None:
    add(command)
    result = command("staff", "disable", typed="ada@example.org\n")
    assert (result.exit_code, "last account" in result.stderr) == (1, True)


@pytest.mark.parametrize("verb", ["disable", "enable", "reset"])
def test_an_account_that_is_not_there_is_refused(command, verb: str) -> None:
    result = command("staff", verb, typed="nobody@example.org\n")
    assert (result.exit_code, "no account" in result.stderr) == (1, True)


def test_staff_reset_hands_over_new_credentials(command) -> None:
    before = add(command).output
    after = command("staff", "reset", typed="ada@example.org\n").output
    uris = [re.search(r"secret=(\w+)", output)[1] for output in (before, after)]
    assert uris[0] != uris[1]
    assert "Password: " in after


def invite(command, *arguments: str, email: str = "ada@example.org") -> str:
    output = command("staff", "invite", *arguments, typed=f"{email}\nAda\n").output
    found = re.search(r"^(http://127\.0\.0\.1:8000/join#\S+)$", output, re.MULTILINE)
    assert found, output
    return found[1].partition("#")[2]


def test_staff_invite_shows_a_link_that_works_once(command, opened: Instance) -> None:
    token = invite(command, "--role", "coordinator")
    with opened.database.reading() as session:
        taking = invitations.find_open(Act(session, opened), token)
    assert taking.member.roles == {Role.COORDINATOR}
    app = pyotp.parse_uri(taking.totp_uri)
    chosen = {"password": "lantern meadow quartz pebble", "code": app.at(opened.clock().timestamp())}
    assert len(invitations.accept(instance=opened, token=token, **chosen)) == 10
    with pytest.raises(InvalidInvitation):
        invitations.accept(instance=opened, token=token, **chosen)


def test_staff_invite_hands_over_the_link_and_nothing_else(command, opened: Instance) -> None:
    result = command("staff", "invite", typed="ada@example.org\nAda\n")
    assert result.exit_code == 0
    assert not re.search("otpauth|Password:|Recovery", result.output)
    token = re.search(r"/join#(\S+)", result.output)[1]
    assert token not in command("staff", "list").output
    assert token not in command("audit", "show").output
    with opened.database.reading() as session:
        mails = [(each.mail.value, each.recipient) for each in session.query(OutboxMessage)]
    assert mails == [("invited", "ada@example.org")]


def test_staff_invite_refuses_what_staff_add_refuses(command) -> None:
    invite(command)
    again = command("staff", "invite", typed="ADA@example.org\nAda\n")
    assert (again.exit_code != 0, "already an account" in again.output) == (True, True)
    bad = command("staff", "invite", typed="no address\nAda\n")
    assert (bad.exit_code != 0, "Type an email address" in bad.output) == (True, True)


@pytest.mark.parametrize("verb", ["disable", "reset"])
def test_what_a_closed_or_reset_account_holds_goes_back(command, opened: Instance, verb: str) -> None:
    add(command)
    add(command, email="ben@example.org", name="Ben")
    with opened.database.reading() as session:
        ada = service.by_email(session, "ada@example.org")
    lead = ask(opened).lead
    take(opened, lead, ada)
    assert command("staff", verb, typed="ada@example.org\n").exit_code == 0
    assert now(opened, lead).claimed_by is None
    assert "claim.given_back" in acts(opened, lead)


def test_staff_code_is_the_first_accounts(command, opened: Instance) -> None:
    assert command("staff", "code").exit_code == 1
    with opened.database.transaction() as session:
        account = dev_account.ensure_dev_account(Act(session, opened))
    before = opened.clock()
    printed = command("staff", "code").output.strip()
    assert printed in {account.code(before), account.code(opened.clock())}


def test_staff_code_follows_a_shifted_clock(command, opened: Instance, monkeypatch) -> None:
    with opened.database.transaction() as session:
        account = dev_account.ensure_dev_account(Act(session, opened))
    monkeypatch.setenv("INTAKE_TIME_SHIFT", "90")
    before = opened.clock()
    printed = command("staff", "code").output.strip()
    moments = (before, opened.clock())
    assert printed in {account.code(moment + timedelta(minutes=90)) for moment in moments}


def test_staff_code_is_not_there_in_production(command, in_production) -> None:
    in_production()
    result = command("staff", "code")
    assert (result.exit_code, "development only" in result.stderr) == (1, True)


def test_the_first_account_is_kept_for_its_owner_alone(opened: Instance, surroundings: Path) -> None:
    with opened.database.transaction() as session:
        made = dev_account.ensure_dev_account(Act(session, opened))
    path = surroundings / dev_account.FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = dev_account.read_dev_account(opened.settings)
    assert (kept.email, kept.password, kept.totp_uri, kept.recovery_codes) == (
        made.email,
        made.password,
        made.totp_uri,
        made.recovery_codes,
    )
    assert len(kept.recovery_codes) == 10
    assert kept.secret in path.read_text()
    assert kept.password not in repr(kept)


def test_there_is_one_first_account(opened: Instance) -> None:
    with opened.database.transaction() as session:
        one = dev_account.ensure_dev_account(Act(session, opened))
    with opened.database.transaction() as session:
        assert dev_account.ensure_dev_account(Act(session, opened)).password == one.password


def test_no_first_account_is_added_beside_others(command, opened: Instance, surroundings: Path) -> None:
    add(command)
    with opened.database.transaction() as session:
        assert dev_account.ensure_dev_account(Act(session, opened)) is None
    assert not (surroundings / dev_account.FILE).exists()


def test_a_spoiled_file_is_as_good_as_none(opened: Instance, surroundings: Path) -> None:
    (surroundings / dev_account.FILE).write_text("email: desk@example.org\nnothing more\n")
    assert dev_account.read_dev_account(opened.settings) is None
