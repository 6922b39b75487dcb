"""The laws of the house, checked by machine: a law without a check is a wish."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "intake").rglob("*.py"))
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
LONGEST_FILE, LONGEST_FUNCTION = 300, 50
NEVER = {"user", "users", "client", "patient", "customer", "manager", "helper", "helpers", "utils", "data"}
FORCED = {"_deserialize", "_serialize"}  # marshmallow names its arguments


def trees() -> list[tuple[Path, ast.Module]]:
    return [(path, ast.parse(path.read_text())) for path in SOURCES]


def functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


@pytest.mark.parametrize("command", ["ruff check .", "ruff format --check .", "mypy", "lint-imports", "deptry ."])
def test_the_checks_pass(command: str) -> None:
    program, *arguments = command.split()
    found = subprocess.run(
        [Path(sys.executable).with_name(program), *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr


def test_no_file_holds_two_ideas() -> None:
    lengths = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in SOURCES}
    assert {path: length for path, length in lengths.items() if length > LONGEST_FILE} == {}


def test_no_function_is_a_story() -> None:
    long = {
        f"{path.relative_to(ROOT)}:{each.name}": each.end_lineno - each.lineno + 1
        for path, tree in trees()
        for each in functions(tree)
    }
    assert {name: length for name, length in long.items() if length > LONGEST_FUNCTION} == {}


def test_there_is_one_commit() -> None:
    commits = [path.name for path in SOURCES if re.search(r"\.commit\(", path.read_text())]
    assert commits == ["database.py"]


def test_there_is_one_clock() -> None:
    looking = re.compile(r"datetime\.(now|utcnow|today)\(|date\.today\(|time\.time\(")
    assert [path.name for path in SOURCES if looking.search(path.read_text())] == ["clock.py"]


def test_no_error_is_swallowed() -> None:
    silent = re.compile(r"except( Exception| BaseException)?:\s*\n\s*pass")
    assert [path.name for path in SOURCES if silent.search(path.read_text())] == []


def test_no_template_trusts_a_word() -> None:
    unsafe = re.compile(r"\|\s*safe\b|autoescape\s+false|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)")
    assert [path.name for path in TEMPLATES if unsafe.search(path.read_text())] == []


def test_names_are_the_words_of_the_field() -> None:
    named = {
        f"{path.relative_to(ROOT)}: {name}"
        for path, tree in trees()
        for name in [path.stem, *(each.name for each in functions(tree)), *arguments(tree)]
        if name in NEVER
    }
    assert named == set()


def arguments(tree: ast.AST) -> list[str]:
    return [
        argument.arg
        for each in functions(tree)
        if each.name not in FORCED
        for argument in [*each.args.args, *each.args.kwonlyargs]
    ]


def test_nothing_speaks_of_the_machine_it_was_written_on() -> None:
    told = re.compile(r"/(wor)k/|/(roo)t/|(TO)DO|(FIX)ME|(X)XX")
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split("\0")
    found = [
        name
        for name in tracked
        if name and not name.endswith((".png", ".lock")) and (ROOT / name).is_file()
        and told.search((ROOT / name).read_text(errors="ignore"))
    ]
    assert found == []


def test_demo_contacts_are_reserved_ones() -> None:
    """Numbers 555-0100 to 555-0199 and example.org only; help lines and article addresses are real."""
    number = re.compile(r"\+1\d{3}(?!5550[01]\d\d)\d{7}\b")
    allowed = {"+18006624357", "+18004874889"}
    texts = [*SOURCES, *TEMPLATES, *(ROOT / "config").rglob("*.*"), *(ROOT / "docs").rglob("*.md")]
    found = {hit for path in texts for hit in number.findall(path.read_text(errors="ignore"))}
    assert {hit for hit in found if hit not in allowed} == set()
