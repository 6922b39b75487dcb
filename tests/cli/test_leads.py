"""The operator ends by hand what is due, and tells a receipt of ours from another."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from intake.act import Act
from intake.instance import Instance
from intake.leads.models import Lead
from intake.privacy import data_export, retention
from intake.privacy.data_export import ReceiptFormat
from tests.factories import ask


def make_due(instance: Instance, how_many: int) -> None:
    for _ in range(how_many):
        lead = ask(instance).lead
        with instance.database.transaction() as session:
            session.get_one(Lead, lead.id).purge_after = instance.clock() - timedelta(seconds=1)


def left(instance: Instance) -> int:
    with instance.database.reading() as session:
        return session.scalar(select(func.count()).select_from(Lead))


def test_a_dry_run_says_how_many_and_changes_nothing(command, opened: Instance) -> None:
    make_due(opened, 2)
    ask(opened)
    result = command("leads", "purge", "--dry-run")
    expected = "2 requests are due. Nothing was changed.\n  2 because they came in 90 days ago.\n"
    assert (result.exit_code, result.stdout) == (0, expected)
    assert left(opened) == 3


def test_a_purge_erases_what_is_due_and_nothing_else(command, opened: Instance) -> None:
    make_due(opened, 1)
    ask(opened)
    result = command("leads", "purge")
    assert (result.exit_code, result.stdout) == (0, "1 request is erased.\n")
    assert left(opened) == 1
    assert command("leads", "purge").stdout == "0 requests are erased.\n"


def test_a_purge_that_left_something_says_so_and_fails(command, opened: Instance, monkeypatch) -> None:
    make_due(opened, 1)

    def stumble(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(retention, "delete_permanently", stumble)
    result = command("leads", "purge")
    assert result.exit_code == 1
    assert "Not erased, though due: 1." in result.stderr
    assert left(opened) == 1


@pytest.mark.parametrize("form", ReceiptFormat)
def test_a_receipt_of_ours_is_confirmed(
    command, opened: Instance, tmp_path: Path, form: ReceiptFormat
) -> None:
    path = tmp_path / "saved"
    path.write_bytes(made(opened, form))
    result = command("receipt", "verify", str(path))
    assert (result.exit_code, result.stdout) == (0, "This receipt is ours and unaltered.\n")


def made(instance: Instance, form: ReceiptFormat) -> bytes:
    asked = ask(instance)
    with instance.database.transaction() as session:
        return data_export.save_receipt(Act(session, instance), code=asked.code, file_format=form).content


@pytest.mark.parametrize("form", ReceiptFormat)
def test_an_altered_one_is_refused_without_a_word_of_it(
    command, opened: Instance, tmp_path: Path, form: ReceiptFormat
) -> None:
    path = tmp_path / "saved"
    path.write_bytes(made(opened, form).replace(b"2027", b"2028").replace(b"Florida", b"Georgia"))
    result = command("receipt", "verify", str(path))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == "intake: This is no receipt of ours, or it was altered.\n"


def test_what_is_no_file_is_wrong_usage(command, tmp_path: Path) -> None:
    assert command("receipt", "verify", str(tmp_path / "nothing")).exit_code == 2
    assert command("receipt", "verify", str(tmp_path)).exit_code == 2
