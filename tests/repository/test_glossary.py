"""Names: none that was retired comes back, and each word of docs/glossary.md is in the code and on screen."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.catalogues import forms, messages

ROOT = Path(__file__).resolve().parents[2]
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
NOT_SHOWN = "–"
MODULES = frozenset(
    """
    acts again alike asking attendance attended before challenges choices chosen configuration confirming
    correct desk_words facts failures first flood forgetting fresh held here holds joining keeping
    lasting letter line listening looking managing opening own preview promises proof proving reading
    received relay replaying reserve resources responses restoring rewrap rounds rows rules said scripts
    second settings_rules shape sharing standing status stopped stopping story taking telling traces typed
    view vitals words writing
    """.split()
)
"""Names of modules that nobody could guess. Free for what they plainly mean: act, claims, contact, find,
guards, manage, snapshot, tokens, versions."""
IDENTIFIERS = tuple(
    """
    writers_line rounds make_rounds said here standing told comer place_in_line leave_room vitals vital_signs
    letter knob lent twin put_back give_back kept_words gone_for_good no_longer_held lasting
    """.split()
)
"""Names that have become something else, as whole words of an identifier. Stored words are strings."""


def sources() -> list[Path]:
    """The modules of the package."""
    return sorted((ROOT / "intake").rglob("*.py"))


def words(identifier: str) -> str:
    """An identifier as words between underscores: `SaidOtherwise` is `_said_otherwise_`."""
    return f"_{re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', identifier).lower().strip('_')}_"


def retired(identifier: str) -> list[str]:
    """The retired names in an identifier."""
    return [name for name in IDENTIFIERS if f"_{name}_" in words(identifier)]


def identifiers(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of everything that is given a name, with the names of arguments in calls."""
    for node in ast.walk(tree):
        name: str | None = None
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.ExceptHandler():
                name = node.name
            case ast.arg() | ast.keyword():
                name = node.arg
            case ast.alias():
                name = node.asname
            case ast.Name(ctx=ast.Store()):
                name = node.id
            case ast.Attribute(ctx=ast.Store()):
                name = node.attr
            case ast.MatchAs() | ast.MatchStar():
                name = node.name
        if name:
            yield getattr(node, "lineno", 0), name


def test_no_module_bears_a_retired_name() -> None:
    names = {path: {path.stem, path.parent.name} & MODULES for path in sources()}
    assert {path.relative_to(ROOT).as_posix(): bad for path, bad in names.items() if bad} == {}


def test_no_identifier_holds_a_retired_name() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in sources()
        for line, name in identifiers(ast.parse(path.read_text(encoding="utf-8")))
        if retired(name)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("code", "bad"),
    [
        ("class SaidOtherwise: ...", ["SaidOtherwise"]),
        ("def f(*, told=1): g(letter=2)", ["told", "letter"]),
        ("self._standing = here_ = 1", ["_standing", "here_"]),
        ("import x as vital_signs", ["vital_signs"]),
        ("try: ...\nexcept E as lasting: ...", ["lasting"]),
        ("where = everlasting = newsletter = background = 'said'", []),
    ],
)
def test_a_retired_name_is_seen(code: str, bad: list[str]) -> None:
    assert sorted(name for _, name in identifiers(ast.parse(code)) if retired(name)) == sorted(bad)


# --- the glossary -------------------------------------------------------------------------------------


def terms() -> list[list[str]]:
    """The rows of the tables: term, names in the code, English and Spanish on screen, definition."""
    lines = [line for line in GLOSSARY.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in rows if row[0] != "Term" and not row[0].startswith("-")]


def test_the_glossary_has_one_row_a_term_and_one_sentence_each() -> None:
    rows = terms()
    assert len(rows) >= 30
    assert [row for row in rows if len(row) != 5 or not all(row)] == []
    names = [row[0] for row in rows]
    assert names == sorted(set(names), key=str.lower)
    assert [row[0] for row in rows if not re.fullmatch(r"[A-Z0-9`][^.]*(\.[^ .][^.]*)*\.", row[4])] == []


def resolve(dotted: str) -> object:
    """What `leads.models.Lead` names below `intake`; raises when there is no such module or name."""
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(["intake", *parts[:end]]))
        except ModuleNotFoundError:
            continue
        for name in parts[end:]:
            found = getattr(found, name)
        return found
    raise ModuleNotFoundError(dotted)


@pytest.mark.parametrize(("term", "code"), [(row[0], row[1]) for row in terms()])
def test_what_the_glossary_names_is_in_the_code(term: str, code: str) -> None:
    names = re.findall(r"`([^`]+)`", code)
    assert names, term
    for name in names:
        assert resolve(name) is not None


@pytest.mark.parametrize(
    ("english", "spanish"),
    [(row[2], row[3]) for row in terms() if row[2] != NOT_SHOWN],
    ids=lambda word: word,
)
def test_what_the_glossary_says_is_shown_is_shown(english: str, spanish: str) -> None:
    """Some sentence has the English word, and its translation has the Spanish one."""
    pairs = [(" ".join(forms(each.id)).lower(), " ".join(forms(each.string)).lower()) for each in messages()]
    assert any(english.lower() in shown and spanish.lower() in translated for shown, translated in pairs)


@pytest.mark.parametrize("name", ["leads.models.Request", "nowhere", "leads.models.Lead.nothing"])
def test_a_name_that_is_not_there_is_noticed(name: str) -> None:
    with pytest.raises((ModuleNotFoundError, AttributeError)):
        resolve(name)
