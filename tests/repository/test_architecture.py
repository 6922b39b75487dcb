"""The laws of the house, checked by machine: a law without a check is a wish."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "intake").rglob("*.py"))
TREES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in SOURCES}
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
CHECKS = ("ruff check .", "ruff format --check .", "mypy", "lint-imports", "deptry .")
LONGEST_FILE, LONGEST_FUNCTION = 400, 60
SUPPRESSED = re.compile(r"# (noqa|type: ignore|nosec|pragma: no cover)\b(?P<rest>.*)")
TOLD = re.compile(r"/(wor)k/|/(roo)t/|(TO)DO|(FIX)ME|(X)XX")
LEFT_OUT = re.compile(r"\b(ski)p(if)?\(|mark\.(ski)p|(xfa)il|(import)orskip|NotImplemented(Err)or")


def found(pattern: str, paths: list[Path]) -> list[str]:
    """The files in which `pattern` occurs."""
    sought = re.compile(pattern, re.MULTILINE)
    return [path.relative_to(ROOT).as_posix() for path in paths if sought.search(path.read_text())]


def functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


@pytest.mark.parametrize("command", CHECKS)
def test_the_checks_pass(command: str) -> None:
    program, *arguments = command.split()
    checked = subprocess.run(
        [Path(sys.executable).with_name(program), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_no_file_has_more_than_four_hundred_lines() -> None:
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in SOURCES}
    assert {path: length for path, length in lengths.items() if length > LONGEST_FILE} == {}


def test_no_function_has_more_than_sixty_lines() -> None:
    lengths = {
        f"{path}:{each.name}": each.end_lineno - each.lineno + 1
        for path, tree in TREES.items()
        for each in functions(tree)
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}


def test_every_module_says_what_it_is_for() -> None:
    silent = {path for path, tree in TREES.items() if tree.body and not ast.get_docstring(tree)}
    assert silent == set()


def test_there_is_one_commit() -> None:
    assert found(r"\.commit\(", SOURCES) == ["intake/db/engine.py"]


def test_there_is_one_clock() -> None:
    looking = r"datetime\.(now|utcnow|today)\(|date\.today\(|\btime\.time(_ns)?\(|localtime\(|gmtime\("
    assert found(looking, SOURCES) == ["intake/core/clock.py"]


def test_no_error_is_swallowed_whole() -> None:
    silent = [
        f"{path}:{node.lineno}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and catches_all(node) and isinstance(node.body[0], ast.Pass)
    ]
    assert silent == []


def catches_all(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or ast.unparse(handler.type) in {"Exception", "BaseException"}


def test_no_check_is_silenced_without_naming_it() -> None:
    """A `noqa` or `type: ignore` names its rule; nothing is taken out of the coverage."""
    bare = [
        f"{path.relative_to(ROOT)}: {hit.group()}"
        for path in SOURCES
        for hit in SUPPRESSED.finditer(path.read_text())
        if not re.match(r":? ?\[?[A-Za-z]+", hit["rest"]) or hit.group(1) == "pragma: no cover"
    ]
    assert bare == []


def test_no_template_trusts_a_word() -> None:
    unsafe = r"\|\s*safe\b|autoescape\s+false|<[^>{]*\s(style|on[a-z]+)=|<script(?![^>]*\ssrc=)"
    assert found(unsafe, TEMPLATES) == []


def tracked() -> list[Path]:
    """The text files that git holds and that are still there."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    paths = [
        ROOT / name
        for name in listed.stdout.split("\0")
        if name and not name.endswith((".png", ".lock", ".gz", ".sqlite3", ".backup"))
    ]
    return [path for path in paths if path.is_file()]


def test_nothing_speaks_of_the_machine_it_was_written_on() -> None:
    assert found(TOLD.pattern, tracked()) == []


def test_no_test_is_left_out() -> None:
    assert found(LEFT_OUT.pattern, [path for path in tracked() if path.suffix == ".py"]) == []


def test_demo_contacts_are_reserved_ones() -> None:
    """Numbers 555-0100 to 555-0199 only; help lines and article addresses are real."""
    number = re.compile(r"\+1\d{3}(?!5550[01]\d\d)\d{7}\b")
    allowed = {"+18006624357", "+18004874889"}
    texts = [*SOURCES, *TEMPLATES, *(ROOT / "config").rglob("*.*"), *(ROOT / "docs").rglob("*.md")]
    hits = {hit for path in texts for hit in number.findall(path.read_text(errors="ignore"))}
    assert hits - allowed == set()
