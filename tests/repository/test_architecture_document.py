"""docs/architecture.md against the code: the tree, the floors, and the ways that requests really go."""

import ast
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from flask.testing import FlaskClient

from intake.accounts.models import Role
from intake.instance import Instance
from tests.client import Desk, fill_in
from tests.factories import ask, hire

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "intake"
DOCUMENT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
WAYS = ("The way of one request", "The way of a reveal")


def block(begins_with: str) -> list[str]:
    """The lines of the drawing that begins like this."""
    (found,) = [
        each for each in re.findall(r"```\n(.*?)```", DOCUMENT, re.DOTALL) if each.startswith(begins_with)
    ]
    return [line for line in found.splitlines() if line]


def drawn() -> Iterator[tuple[str, str]]:
    """Path and half line of everything in the tree; two spaces further in is one folder deeper."""
    folders: list[str] = []
    for line in block("intake/")[1:]:
        indent, name, words = re.fullmatch(r"( +)(\S+) *(.*)", line).groups()
        folders = folders[: len(indent) // 2 - 1]
        yield "".join([*folders, name]), words
        folders += [name] if name.endswith("/") else []


def test_the_tree_has_every_module_and_package_and_nothing_else() -> None:
    modules = [path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py")]
    there = {f"{path.parent.as_posix()}/" for path in modules} - {"./"}
    there |= {path.as_posix() for path in modules if path.name != "__init__.py"}
    paths = [path for path, _ in drawn()]
    assert sorted(paths) == sorted(there)


def test_the_tree_says_in_half_a_line_what_each_is() -> None:
    assert [path for path, words in drawn() if not 4 <= len(words) <= 80] == []


def contract(name: str) -> list[list[str]]:
    """The layers of an import contract, the highest first."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (found,) = [each for each in config["tool"]["importlinter"]["contracts"] if each["name"] == name]
    return [layer.split(" | ") for layer in found["layers"]]


@pytest.mark.parametrize(
    ("begins_with", "name"),
    [("__main__\n", "The floors: imports go downward only"), ("desk\n", "The floors inside the web")],
)
def test_the_floors_are_those_that_are_checked(begins_with: str, name: str) -> None:
    assert [line.split() for line in block(begins_with)] == contract(name)


# --- the ways -----------------------------------------------------------------------------------------


def ways(heading: str) -> list[list[tuple[str, str]]]:
    """File and function of each step, table by table."""
    section = DOCUMENT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    tables = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)
    return [re.findall(r"\| `([^`]+)` \| `([^`]+)` \|$", table, re.MULTILINE) for table in tables]


def steps() -> list[tuple[str, str]]:
    """The steps of all ways."""
    return [step for heading in WAYS for table in ways(heading) for step in table]


def defined(tree: ast.AST, before: str = "") -> Iterator[str]:
    """The functions and methods of a module as `function` and `Class.method`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            yield before + node.name
        elif isinstance(node, ast.ClassDef):
            yield from defined(node, f"{before}{node.name}.")


def test_every_row_of_a_way_is_read() -> None:
    written = [
        line
        for heading in WAYS
        for line in DOCUMENT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0].splitlines()
        if line.startswith("| ") and not line.startswith(("| step", "| ---"))
    ]
    assert len(steps()) == len(written) > 25


@pytest.mark.parametrize(("file", "function"), sorted(set(steps())))
def test_every_step_is_a_function_that_exists(file: str, function: str) -> None:
    assert function in set(defined(ast.parse((PACKAGE / file).read_text(encoding="utf-8"))))


def calls(act: Callable[[], object]) -> list[tuple[str, str]]:
    """File and function of each call into the package while `act` runs, in order."""
    seen: list[tuple[str, str]] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(f"{PACKAGE}/"):
            name = code.co_qualname.partition(".<locals>")[0]
            seen.append((code.co_filename.removeprefix(f"{PACKAGE}/"), name))

    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(None)
    return seen


def out_of_order(way: list[tuple[str, str]], seen: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The steps that do not come after the step before them."""
    late, place = [], 0
    for step in way:
        if step in seen[place:]:
            place = seen.index(step, place) + 1
        else:
            late.append(step)
    return late


def test_a_form_goes_the_way_that_is_written(web: FlaskClient, clock) -> None:
    form = fill_in(web)
    clock.move(minutes=1)
    assert out_of_order(ways(WAYS[0])[0], calls(lambda: web.post("/", data=form))) == []


def test_a_reveal_goes_the_way_that_is_written(sqlite_instance: Instance) -> None:
    desk = Desk(sqlite_instance, hire(sqlite_instance, "Ana Ruiz", Role.COORDINATOR))
    lead = ask(sqlite_instance).lead
    desk.lead(lead)
    assert out_of_order(ways(WAYS[1])[0], calls(lambda: desk.act(lead, "reveal", channel="call"))) == []


def test_a_step_in_the_wrong_place_is_noticed() -> None:
    a, b, c = ("a.py", "a"), ("b.py", "b"), ("c.py", "c")
    assert out_of_order([a, c], [a, b, c]) == []
    assert out_of_order([b, a], [a, b, c]) == [a]
