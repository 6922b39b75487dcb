"""Promise W1: anchors keep the end of the chain outside the database, and a truncated log is detected."""

import shutil
from email import message_from_bytes
from email.policy import default

import pytest

from intake import audit
from intake.audit import chain, export
from intake.instance import Instance
from intake.jobs import schedule
from intake.monitoring import integrity
from intake.monitoring.checks import State
from tests.audit.test_chain import link, record_some, tamper


def anchored(instance: Instance, count: int = 4) -> None:
    """Some events, linked, and their end written down."""
    record_some(instance, count)
    link(instance)
    schedule.anchor(instance)


def test_a_log_is_compared_with_its_anchors(instance: Instance) -> None:
    anchored(instance)
    instance.clock.move(hours=1)
    anchored(instance, 2)
    found = integrity.verify(instance)
    assert (found.problems, found.notes, found.anchors) == ((), (), 2)


def test_a_cut_tail_is_named(instance: Instance) -> None:
    """Alone, what is left of it is whole; only the anchor knows better."""
    anchored(instance)
    tamper(instance, "DELETE FROM chain_link WHERE seq > 2")
    tamper(instance, "DELETE FROM audit_event WHERE id NOT IN (SELECT event_id FROM chain_link)")
    with instance.database.reading() as session:
        assert audit.verify(session, keyring=instance.keyring).intact
    cut, missing = integrity.verify(instance).problems
    assert "it ends at link 2" in cut
    assert "it had come to link 4; links 3 to 4 are missing." in cut
    assert missing.startswith("2 events are missing: there are 2")
    assert integrity.anchored(instance).state is State.RED


def test_a_chain_that_grew_again_is_another_one(instance: Instance) -> None:
    anchored(instance)
    tamper(instance, "DELETE FROM chain_link WHERE seq > 2")
    tamper(instance, "DELETE FROM audit_event WHERE id NOT IN (SELECT event_id FROM chain_link)")
    record_some(instance, 5)
    link(instance)
    [problem] = integrity.verify(instance).problems
    assert problem.startswith("link 4 is another one than on")
    assert integrity.anchored(instance).state is State.RED


def test_an_older_copy_of_everything_is_named(sqlite_instance: Instance, tmp_path) -> None:
    anchored(sqlite_instance)
    shutil.copyfile(tmp_path / "intake.sqlite3", tmp_path / "older")
    sqlite_instance.clock.move(hours=1)
    anchored(sqlite_instance, 3)
    sqlite_instance.database.close()
    shutil.copyfile(tmp_path / "older", tmp_path / "intake.sqlite3")
    problems = integrity.verify(sqlite_instance).problems
    assert any("it ends at link 4" in each and "link 7" in each for each in problems)


def test_a_missing_file_is_named_and_stops_nothing(instance: Instance) -> None:
    record_some(instance, 2)
    found = integrity.verify(instance)
    assert found.intact
    assert found.notes == ("no anchor was found in anchors.log.",)
    assert integrity.anchored(instance).state is State.GREEN
    instance.clock.move(days=3)
    assert integrity.anchored(instance).state is State.AMBER


def test_an_anchor_is_written_when_something_has_happened_and_once_a_day(instance: Instance) -> None:
    assert schedule.anchor(instance) == 0
    anchored(instance)
    assert schedule.anchor(instance) == 0
    instance.clock.move(hours=23)
    assert schedule.anchor(instance) == 0
    instance.clock.move(hours=1)
    assert schedule.anchor(instance) == 1
    record_some(instance, 1)
    link(instance)
    assert schedule.anchor(instance) == 1
    assert [each.seq for each in chain.load_anchors(instance.settings.anchor_path)] == [4, 4, 5]
    instance.clock.move(days=2, seconds=1)
    assert integrity.anchored(instance).state is State.AMBER
    instance.clock.move(days=5)
    assert integrity.anchored(instance).state is State.RED


@pytest.mark.parametrize("what", ["seq", "events", "at"])
def test_a_changed_anchor_is_named(instance: Instance, what: str) -> None:
    anchored(instance)
    path = instance.settings.anchor_path
    words = path.read_text().split(" ")
    place = {"at": 1, "seq": 2, "events": 3}[what]
    words[place] = words[place].replace("2026", "2025").replace("4", "3")
    path.write_text(" ".join(words))
    assert integrity.verify(instance).problems == (
        "1 anchors were changed, or were not written with this key.",
    )


def test_a_torn_line_is_left_behind(instance: Instance) -> None:
    anchored(instance)
    path = instance.settings.anchor_path
    path.write_text(path.read_text() + "intake-anchor-1 2026-11")
    record_some(instance, 1)
    link(instance)
    assert schedule.anchor(instance) == 1
    assert [each.seq for each in chain.load_anchors(path)] == [4, 5]
    assert path.stat().st_mode & 0o077 == 0


def test_the_file_may_lie_elsewhere(make_instance, sqlite_url: str, tmp_path) -> None:
    other = tmp_path / "other" / "marks"
    other.parent.mkdir()
    instance = make_instance(sqlite_url, anchor_file=str(other))
    anchored(instance)
    assert len(chain.load_anchors(other)) == 1
    assert not (tmp_path / "anchors.log").exists()


def test_the_mail_says_how_far_and_nothing_else(make_instance, sqlite_url: str, tmp_path) -> None:
    instance = make_instance(sqlite_url, anchor_mail_to="officer@example.org")
    assert schedule.mail_anchor(instance) == 0
    anchored(instance)
    assert schedule.mail_anchor(instance) == 1
    [path] = (tmp_path / "mail" / "new").iterdir()
    mail = message_from_bytes(path.read_bytes(), policy=default)
    assert (mail["To"], mail["Subject"]) == ("officer@example.org", "Weekly mark of the audit log")
    body = mail.get_content().replace("\r\n", "\n")
    [anchor] = chain.parse_anchors(body)
    assert anchor == chain.last_anchor(instance.settings.anchor_path)
    assert "Date: 2026-11-18 15:00 UTC\nEvents in the log: 4\nLast place in the chain: 4\n" in body
    tamper(instance, "DELETE FROM chain_link WHERE seq = 4")
    instance.settings.anchor_path.unlink()
    found = integrity.verify(instance, more=[path])
    assert any("link 4" in each for each in found.problems)


def test_without_an_address_no_mail_leaves(sqlite_instance: Instance, tmp_path) -> None:
    anchored(sqlite_instance)
    assert schedule.mail_anchor(sqlite_instance) == 0
    assert not (tmp_path / "mail").exists()


# --- the log as a file --------------------------------------------------------------------------------


def saved(instance: Instance) -> list[str]:
    with instance.database.reading() as session:
        head = chain.take_anchor(session, keyring=instance.keyring, at=instance.clock())
    return "".join(export.export_lines(instance.database, head)).splitlines(keepends=True)


def test_a_saved_log_holds_without_the_database(instance: Instance, monkeypatch) -> None:
    monkeypatch.setattr(export, "PAGE", 3)
    anchored(instance, 7)
    record_some(instance, 1)
    lines = saved(instance)
    found = export.verify(lines, keyring=instance.keyring)
    assert (found.problems, found.events, found.linked) == ((), 7, 7)
    later = chain.load_anchors(instance.settings.anchor_path)
    assert export.verify(lines, keyring=instance.keyring, anchors=later).anchors == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: lines[:-1],
        lambda lines: lines[1:],
        lambda lines: lines[:2] + lines[3:],
        lambda lines: [*lines, lines[-1]],
        lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
        lambda lines: [*lines[:2], lines[2].replace('count\\":1', 'count\\":9'), *lines[3:]],
        lambda lines: [*lines[:2], "{}\n", *lines[3:]],
        lambda lines: [*lines[:2], "[" * 50_000 + "\n", *lines[3:]],
        lambda lines: lines[:0],
    ],
)
def test_a_damaged_file_is_found_out(sqlite_instance: Instance, damage) -> None:
    anchored(sqlite_instance, 5)
    lines = saved(sqlite_instance)
    changed = damage(lines)
    assert changed != lines
    assert not export.verify(changed, keyring=sqlite_instance.keyring).intact
