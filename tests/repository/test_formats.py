"""`docs/formats.md` against the code: a stored word or a contract that is renamed shows here.

When a test is red the code is wrong, not the document, unless something was added.
"""

import ast
import importlib
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from flask import Flask

from intake.accounts import dev_account
from intake.act import Act
from intake.app import create_app
from intake.audit.chain import FORMAT as ANCHOR_FORMAT
from intake.audit.models import DETAILS, Action
from intake.audit.service import DIGEST_VERSION, UNLABELLED
from intake.backup import create
from intake.backup.archive import EXCLUDED_TABLES, FORMAT, Manifest
from intake.calling.hours import Window
from intake.cli import intake, run
from intake.conf.secrets import SECRETS
from intake.conf.settings import PREFIX, Settings
from intake.consent.receipt import FORMAT as RECEIPT_FORMAT
from intake.db.types import Base, EnumText
from intake.instance import Instance
from intake.jobs import alerts
from intake.jobs.scheduler import DELIVERY, JOBS
from intake.leads.fields import CHOICES
from intake.leads.models import Outcome
from intake.outbox import mailer
from intake.privacy import erasure_ledger
from intake.security.crypto import _MAGIC as BACKUP_MARK
from intake.security.crypto import _VERSION as SEALED_VERSION
from intake.security.crypto import Keyring, Place, key_fingerprint
from tests.client import Desk, fill_in, read
from tests.conftest import settings_for
from tests.factories import ask, hire

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
ASKED = {
    "mac": ("chain_key", 0),
    "blind_index": ("index_key", 0),
    "app_secrets": ("app_keys", 0),
    "_derive": ("backup_key", 1),
}
"""By which call a key is asked for what: the key, and which argument is the purpose."""
KNOWN = {
    "mac": "f55cffefc3418d2d",
    "index": "010c913ed3e2abdd",
    "code": "1GPTF9W8KY7H04FQ",
    "derived": "2026530aa1829134",
    "mark": "5fcf93f93adc32e7",
}
FIXED = Keyring(sealing={"k1": bytes(range(32))}, index=b"i" * 32, chain=b"c" * 32, app=[b"a" * 32])
"""A keyring for known answers."""
Named = Mapping[str, set[str]]
"""The words of a table by the first cell of their row."""


def written(heading: str) -> Named:
    """What the table under a heading says: the words in backticks of each row, by its first cell."""
    section = DOCUMENT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")][2:]
    return {row[0].strip().strip("`"): set(re.findall(r"`([^`]+)`", row[-1])) for row in rows}


def tables() -> Named:
    """Every table with its columns."""
    return {table.name: {column.name for column in table.columns} for table in Base.metadata.sorted_tables}


def vocabularies() -> Named:
    """Every closed vocabulary of a column, and those inside other values."""
    found = {
        f"{table.name}.{column.name}": {word.value for word in column.type.choices}
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, EnumText)
    }
    sealed = {f"lead.{name}": set(choice.words) for name, choice in CHOICES.items()}
    return (
        found
        | sealed
        | {
            "audit_event.action": {action.value for action in Action},
            "audit_event.details": set(DETAILS),
            "lead.windows": {window.value for window in Window},
            "round_lease.name": {each.name for each in JOBS} | {DELIVERY.name},
        }
    )


def purposes() -> Named:
    """What each key is used for: the words in the code at the places where a key is asked for one."""
    found: dict[str, set[str]] = {
        "chain_key": set(),
        "index_key": {"index:v1:phone", "index:v1:email", "code:v1"},
        "app_keys": set(),
        "backup_key": set(),
    }
    for name, words in asked_for():
        found[ASKED[name][0]].add(f"index:v1:{words}" if name == "blind_index" else words)
    return found


def asked_for() -> Iterator[tuple[str, str]]:
    """Each call in ASKED whose purpose stands in the code, there or in a constant."""
    for path in sorted((ROOT / "intake").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(node, "func", None)
            called = name.attr if isinstance(name, ast.Attribute) else getattr(name, "id", "")
            if isinstance(node, ast.Call) and called in ASKED:
                purpose = node.args[ASKED[called][1]]
                yield from ((called, words) for words in _constant(purpose, module))


def _constant(node: ast.expr, module: str) -> Iterator[str]:
    if isinstance(node, ast.IfExp):
        yield from _constant(node.body, module)
        yield from _constant(node.orelse, module)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node).rpartition(".")[2].isupper():
        value = importlib.import_module(module)
        for part in ast.unparse(node).split("."):
            value = getattr(value, part)
        yield str(value)


def files() -> Named:
    """The names in the data folder and among backups."""
    return {
        "data folder": {
            "intake.sqlite3",
            "keys/",
            *(f"keys/{name}" for name in SECRETS),
            erasure_ledger.FILE,
            dev_account.FILE,
            alerts.FILE,
            f"{mailer.MAIL_FOLDER}/",
            settings_for(Path(), "").anchor_path.name,
        },
        "backups": {f"intake-<moment>{create.SUFFIX}", erasure_ledger.FILE},
    }


def formats() -> Named:
    """The marks by which a file or a value says how it is written."""
    return {
        "sealed value": {f"0x{SEALED_VERSION.hex()}"},
        "audit chain": {*map(str, UNLABELLED), str(DIGEST_VERSION)},
        "anchor": {ANCHOR_FORMAT},
        "receipt": {RECEIPT_FORMAT},
        "backup, encrypted": {BACKUP_MARK.decode().strip()},
        "backup, inside": {str(FORMAT), *(each.name for each in fields(Manifest))},
        "not in a backup": set(EXCLUDED_TABLES),
    }


@pytest.mark.parametrize(
    ("heading", "code"),
    [
        ("Tables and columns", tables),
        ("Closed vocabularies", vocabularies),
        ("Purposes of keys", purposes),
        ("Files", files),
        ("Formats", formats),
    ],
)
def test_what_is_stored_is_as_it_is_written_down(heading: str, code: Callable[[], Named]) -> None:
    assert {name: sorted(words) for name, words in written(heading).items()} == {
        name: sorted(words) for name, words in code().items()
    }


def test_the_keys_answer_as_ever() -> None:
    """Known answers: a changed derivation would find nobody, and verify nothing, that was stored before."""
    assert {
        "mac": FIXED.mac("audit-event", b"x").hex()[:16],
        "index": FIXED.blind_index("phone", "+13055550101").hex()[:16],
        "code": FIXED.code_for("nonce"),
        "derived": FIXED.app_secrets("receipt")[0].hex()[:16],
        "mark": key_fingerprint(b"i" * 32),
    } == KNOWN
    place = Place("lead", "name", uuid.UUID(int=1))
    assert place.bound("k1") == b"intake\x1flead\x1fname\x1f00000000-0000-0000-0000-000000000001\x1fk1"


def options(command: click.Command) -> set[str]:
    """The options and arguments of a command, `--help` and hidden ones aside."""
    shown = [each for each in command.params if not getattr(each, "hidden", False)]
    return {
        each.opts[-1] if isinstance(each, click.Option) else (each.metavar or each.name) for each in shown
    }


def commands() -> Named:
    """Every command with its options."""
    found: dict[str, set[str]] = {}

    def walk(command: click.Command, name: str) -> None:
        if isinstance(command, click.Group):
            for each in command.list_commands(click.Context(command)):
                walk(command.get_command(click.Context(command), each), f"{name} {each}")
        else:
            found[name] = options(command)

    walk(intake, "intake")
    return found


def test_commands_and_options_stay() -> None:
    assert {name: sorted(words) for name, words in written("Commands").items()} == {
        name: sorted(words) for name, words in commands().items()
    }


def test_settings_stay() -> None:
    assert written("Settings")["environment"] == {f"{PREFIX}{each.name.upper()}" for each in fields(Settings)}


def test_addresses_stay(app: Flask) -> None:
    rules = {rule.rule for rule in app.url_map.iter_rules()}
    public = {rule for rule in rules if not rule.startswith(("/desk/", "/dev/", "/static/"))}
    said = written("Addresses")
    assert said["public"] | said["staff"] == public | {"/desk", "/desk/leads/<uuid:lead_id>"}
    assert said["staff"] <= rules


def test_form_fields_stay(sqlite_instance: Instance) -> None:
    web = create_app(sqlite_instance).test_client()
    said = written("Form fields")
    pages = {"/": ["/"], "/manage": ["/manage", "/manage/without-code"], "/sign-in": ["/sign-in"]}
    for page, forms in pages.items():
        shown = read(web.get(page))
        there = {
            each.attributes["name"]
            for each in shown.elements
            if each.tag in ("input", "select", "button", "textarea") and each.attributes.get("name")
        }
        promised = set().union(*(said[form] for form in forms))
        assert promised - there == set(), page


def test_a_form_with_the_promised_fields_alone_is_taken(sqlite_instance: Instance) -> None:
    """No further field has become necessary."""
    web = create_app(sqlite_instance).test_client()
    asked = {name: next(iter(choice.words)) for name, choice in CHOICES.items()}
    typed = fill_in(web, website=None, tell_article="yes", **asked)
    assert set(typed) == written("Form fields")["/"]
    assert "code-words" in web.post("/", data=typed).text


def test_printed_lines_stay(sqlite_instance: Instance) -> None:
    with sqlite_instance.database.transaction() as session:
        account = dev_account.ensure_dev_account(Act(session, sqlite_instance))
    said = written("Words that are read by others")
    printed = click.unstyle(run.greeting(sqlite_instance.settings, account))
    for line in said["make run"]:
        assert re.search(rf"^ *{line} ", printed, re.MULTILINE), line


def test_the_words_of_two_buttons_stay(sqlite_instance: Instance) -> None:
    said = written("Words that are read by others")["buttons"]
    lead = ask(sqlite_instance).lead
    desk = Desk(sqlite_instance, hire(sqlite_instance))
    pages = desk.lead(lead) + desk.act(lead, "reveal", channel="call").text
    buttons = " ".join(re.findall(r"<button.*?</button>", pages, re.DOTALL))
    assert said == {"Reveal", "No answer"}
    assert all(words in buttons for words in said), buttons
    assert Outcome.NO_ANSWER.sentence in said


def test_exit_codes_stay(tmp_path: Path) -> None:
    (tmp_path / "receipt.txt").write_text("of nobody")
    asked = {
        "done": ["--version"],
        "refused, or something is wrong": ["receipt", "verify", str(tmp_path / "receipt.txt")],
        "not understood": ["verify"],
    }
    environment = {"INTAKE_MODE": "development", "INTAKE_DATA_DIR": str(tmp_path)}
    found = {
        what: CliRunner(env=environment).invoke(intake, words).exit_code for what, words in asked.items()
    }
    assert {what: {str(code)} for what, code in found.items()} == written("Exit codes")
