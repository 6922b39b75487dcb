"""`intake evidence`: the same report on a terminal, as JSON and as a page to print."""

import json
from pathlib import Path

from intake.instance import Instance
from intake.reports import compliance
from tests.factories import details_of


def test_it_is_printed_on_a_terminal_with_open_findings_first(command) -> None:
    result = command("evidence")
    assert result.exit_code == 0
    assert (
        result.output.index("Open findings:")
        < result.output.index("Not known:")
        < result.output.index("Backups")
    )
    assert "now: The relay has never run. Start `intake relay`." in result.output
    assert "Last backup that was taken: not known (None is on record.)" in result.output


def test_json_is_json_and_nothing_else(command, opened: Instance) -> None:
    report = json.loads(command("evidence", "--json").stdout)
    assert report["format"] == compliance.FORMAT
    assert details_of(opened, "evidence.saved") == ['{"kind":"json"}']


def test_a_page_is_written_and_recorded(command, opened: Instance, tmp_path: Path) -> None:
    file = tmp_path / "evidence.html"
    assert command("evidence", "--html", str(file)).output == f"Written to {file}.\n"
    assert "Open findings" in file.read_text()
    assert details_of(opened, "evidence.saved") == ['{"kind":"html"}']


def test_a_missing_folder_is_refused_in_one_line(command, opened: Instance, tmp_path: Path) -> None:
    result = command("evidence", "--html", str(tmp_path / "nowhere" / "evidence.html"))
    assert (result.exit_code, "could not be written" in result.stderr) == (1, True)
    assert details_of(opened, "evidence.saved") == []


def test_looking_at_it_is_recorded(command, opened: Instance) -> None:
    command("evidence")
    assert details_of(opened, "evidence.read") == ["{}"]
