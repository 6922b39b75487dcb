"""How commands end, and the small ones: db, keys, consent."""

from pathlib import Path

import pytest
from sqlalchemy import text

from intake.cli import COMMANDS, one_line
from intake.conf import secrets
from intake.core.errors import Refused, SettingsError, Unavailable, Unprocessable
from intake.instance import Instance


def test_help_names_every_command(command) -> None:
    result = command("--help")
    assert result.exit_code == 0
    for name in COMMANDS:
        assert f"\n  {name} " in result.output


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help(command, name: str) -> None:
    result = command(name, "--help")
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: intake {name} ")


@pytest.mark.parametrize("arguments", [["nonsense"], ["db", "nonsense"], ["audit", "show", "--last", "x"]])
def test_wrong_usage_ends_with_2(command, arguments: list[str]) -> None:
    assert command(*arguments).exit_code == 2


def test_a_refusal_is_one_line_and_ends_with_1(command, monkeypatch) -> None:
    monkeypatch.setenv("INTAKE_PORT", "canary")
    monkeypatch.setenv("INTAKE_LOG_LEVEL", "canary")
    result = command("db", "check")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("intake: INTAKE_")
    assert "canary" not in result.stderr


@pytest.mark.parametrize(
    ("failure", "line"),
    [
        (Refused("No."), "No."),
        (Refused("Two\nlines."), "Two lines."),
        (SettingsError(["One.", "Two."]), "One. Two."),
        (Unavailable(), "The database cannot be reached or written: run `intake doctor`."),
        (Unprocessable({"email": ["Type one."]}, "Put right."), "Put right. email: Type one."),
    ],
)
def test_every_expected_failure_becomes_one_line(failure, line: str) -> None:
    assert one_line(failure) == line


def test_db_upgrade_says_whether_there_was_something_to_do(command, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INTAKE_DATABASE_URL", f"sqlite:///{tmp_path}/fresh.sqlite3")
    assert command("db", "check").exit_code == 1
    assert command("db", "upgrade").output == "The database is up to date.\n"
    assert command("db", "upgrade").output == "Nothing to do.\n"
    assert command("db", "check").exit_code == 0


def test_db_refuses_a_newer_database(command, opened: Instance) -> None:
    with opened.database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for arguments in (["db", "upgrade"], ["db", "check"], ["audit", "verify"], ["relay"]):
        result = command(*arguments)
        assert result.exit_code == 1
        assert "newer version" in result.stderr


@pytest.mark.parametrize("arguments", [["audit", "verify"], ["staff", "list"], ["outbox", "show"], ["relay"]])
def test_a_database_that_is_behind_names_the_command(
    command, monkeypatch, tmp_path: Path, arguments: list[str]
) -> None:
    monkeypatch.setenv("INTAKE_DATABASE_URL", f"sqlite:///{tmp_path}/fresh.sqlite3")
    result = command(*arguments)
    assert (result.exit_code, "intake db upgrade" in result.stderr) == (1, True)


def test_a_database_that_is_gone_is_named_by_its_setting(command, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INTAKE_DATABASE_URL", f"sqlite:///{tmp_path}/nowhere/x.sqlite3")
    result = command("audit", "verify")
    assert (result.exit_code, "INTAKE_DATABASE_URL" in result.stderr) == (1, True)
    assert "nowhere" not in result.stderr


def test_keys_new_prints_a_set_that_settings_take(command) -> None:
    lines = command("keys", "new").output.splitlines()
    made = dict(line.split("=", 1) for line in lines)
    assert list(made) == [f"INTAKE_{name.upper()}" for name in (*secrets.SECRETS, secrets.BACKUP_KEY)]
    assert secrets.check_secrets({name: made[f"INTAKE_{name.upper()}"] for name in secrets.SECRETS}) == []


def test_consent_show_lists_what_is_in_force(command, opened: Instance) -> None:
    output = command("consent", "show").output
    for language in ("en", "es"):
        for statement in opened.statements.in_force(language).values():
            assert statement.digest in output


def test_consent_show_gives_the_words_when_asked(command, opened: Instance) -> None:
    label = next(iter(opened.statements.in_force("es").values())).label
    assert label not in command("consent", "show").output
    assert label in command("consent", "show", "--words").output
