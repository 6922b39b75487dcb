"""What the documents say is held against the code: settings, commands, checks, audit events."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path

import click
import pytest

from intake import monitoring
from intake.audit import Action
from intake.cli import COMMANDS, intake
from intake.conf.secrets import BACKUP_KEY, SECRETS
from intake.conf.settings import Settings
from intake.core.paths import CONFIG
from intake.instance import Instance
from intake.monitoring import article_links
from intake.security import rate_limits

OPERATIONS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
EXAMPLE = (CONFIG / "intake.example.toml").read_text(encoding="utf-8")
KNOBS = fields(Settings)
WRITABLE = [each for each in KNOBS if each.repr and each.name != "config_dir"]
DEPENDS = {"base_url", "data_dir"}
"""Their default depends on other settings; the example shows one that could be."""


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading of operations.md, without its head."""
    section = OPERATIONS.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]


# --- settings ---------------------------------------------------------------------------------------


def test_the_limits_table_is_throttle_py() -> None:
    limits = [each for each in vars(rate_limits).values() if isinstance(each, rate_limits.Limit)]
    assert {name: rate for name, rate, _ in rows("Limits")} == {each.name: each.rate for each in limits}


def test_the_settings_table_is_settings_py() -> None:
    written = {name: (default, doc) for name, default, doc in rows("Settings")}
    assert list(written) == [f"INTAKE_{each.name.upper()}" for each in KNOBS]
    for each in KNOBS:
        default, doc = written[f"INTAKE_{each.name.upper()}"]
        assert doc == each.metadata["help"]
        if each.default is not None and each.name != "config_dir":
            assert default == str(each.default), each.name


def uncommented() -> dict[str, object]:
    """The example with every setting switched on."""
    return tomllib.loads(re.sub(r"^# ([a-z_]+ = )", r"\1", EXAMPLE, flags=re.MULTILINE))


def test_the_example_has_every_setting_with_its_default() -> None:
    written = uncommented()
    assert list(written) == [each.name for each in WRITABLE]
    for each in WRITABLE:
        assert each.default is not MISSING
        if each.name not in DEPENDS:
            assert written[each.name] == each.default, each.name


def test_the_example_changes_nothing_as_it_is() -> None:
    assert tomllib.loads(EXAMPLE) == {}


@pytest.mark.parametrize("knob", WRITABLE, ids=lambda knob: knob.name)
def test_the_example_explains_each_setting_above_it(knob) -> None:
    assert f"# {knob.metadata['help']}\n# {knob.name} = " in EXAMPLE


@pytest.mark.parametrize("knob", [each for each in KNOBS if each not in WRITABLE], ids=lambda knob: knob.name)
def test_the_example_names_what_belongs_into_the_environment(knob) -> None:
    assert f"# INTAKE_{knob.name.upper()}: {knob.metadata['help']}\n" in EXAMPLE


def test_the_example_holds_no_key_that_could_be_used() -> None:
    assert not re.search(r"[A-Za-z0-9+/_-]{40,}", EXAMPLE)


def test_every_secret_is_explained() -> None:
    assert {name.lower() for name, *_ in rows("Keys")} == {*SECRETS, BACKUP_KEY}


def test_every_setting_that_is_named_somewhere_exists() -> None:
    root = Path(__file__).parents[2]
    known = {f"INTAKE_{each.name.upper()}" for each in KNOBS}
    known |= {f"{name}_FILE" for name in known} | {"INTAKE_SMTP", "INTAKE_TEST"}  # INTAKE_SMTP_* and the like
    texts = [root / "README.md", *(root / "docs").rglob("*.md"), *(root / "intake").rglob("*.py")]
    named = {
        (path.name, name)
        for path in texts
        for name in re.findall(r"\bINTAKE_[A-Z]+(?:_[A-Z]+)*\b", path.read_text(encoding="utf-8"))
    }
    assert {pair for pair in named if pair[1] not in known} == set()


# --- commands -----------------------------------------------------------------------------------------


def commands(command: click.Command, path: tuple[str, ...] = ("intake",)) -> Iterator[tuple[str, str]]:
    """Every command that does something, with the first paragraph of its help."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from commands(command.get_command(context, name), (*path, name))
    else:
        yield " ".join(path), " ".join((command.help or "").split("\n\n")[0].split())


def test_the_commands_table_is_the_command_line() -> None:
    assert dict(map(tuple, rows("Commands"))) == dict(commands(intake))


def test_every_command_begins_with_the_line_that_the_list_shows() -> None:
    context = click.Context(intake)
    assert set(intake.list_commands(context)) == set(COMMANDS)
    for summary in COMMANDS.values():
        assert summary.endswith(".")


@pytest.mark.parametrize(
    "path", ["README.md", "CONTRIBUTING.md", "docs/operations.md", "docs/architecture.md"]
)
def test_every_command_that_a_document_names_exists(path: str) -> None:
    text = (Path(__file__).parents[2] / path).read_text(encoding="utf-8")
    known = dict(commands(intake))
    for words in re.findall(r"`(?:\./dev )?intake ([a-z]+(?: [a-z]+)?)[^`]*`", text):
        assert any(f"intake {words} ".startswith(f"{name} ") for name in known), words


# --- checks and events ---------------------------------------------------------------------------------


def test_every_check_of_doctor_is_explained(sqlite_instance: Instance) -> None:
    found = [check.name for check in monitoring.run_checks(sqlite_instance)]
    assert sorted(name for name, *_ in rows("What doctor looks at")) == sorted(
        ["settings", article_links.ARTICLES_CHECK, *found]
    )


def test_every_audit_event_is_explained() -> None:
    written = rows("What the audit log can say")
    assert [name for name, _ in written] == [action.value for action in Action]
    assert all(sentence.endswith(".") for _, sentence in written)


def test_the_actions_stand_in_order_and_say_thing_and_act() -> None:
    names = [action.value for action in Action]
    assert names == sorted(names)
    assert all(re.fullmatch(r"[a-z]+\.[a-z_]+", name) for name in names)
