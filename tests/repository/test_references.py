"""What comments, docstrings and documents point to is in this repository: no reference leads nowhere."""

import ast
import re
import subprocess
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = (".png", ".lock", ".gz", ".sqlite3", ".backup", ".sql", ".json", ".svg", ".ico", ".po")
DOCUMENT = re.compile(r"[\w./-]*\w\.md\b")
DECISION = re.compile(r"\b(?:decisions/|ADR[ -]?)(\d{4}[\w-]*)")
MODULE = re.compile(r"[\w./-]*\w\.py\b")
FOLDER = re.compile(
    r"(?<![\w./-])(?:intake|tests|docs(?!/decisions)|templates|migrations|bench|config)/[\w./-]*[\w/]"
)
ADDRESS = re.compile(r"https?://\S+")
PLACE_IN_DOCUMENT = re.compile(r"\w\.md,? (?:facts? )?[A-Z]?[0-9][0-9.]*")
"""A numbered fact or section. No document here has any."""
LAW = re.compile(r"\blaw [0-9]+\b")
"""A number of CONTRIBUTING.md, which moves when a law is added: say the law."""
CODE = re.compile(r"\b[A-Z]{2}-[0-9]{2}\b")
IN_BRACKETS = re.compile(r"\(([^()]*)\)")
SHORT_CODE = re.compile(r"[A-Z][0-9]{1,2}")
PROMISES = frozenset(re.findall(r"\*\*([A-Z][0-9]+)\*\*", (ROOT / "docs" / "promises.md").read_text("utf-8")))


@cache
def tracked() -> frozenset[str]:
    """The paths that git holds, or would hold, from the root of the repository."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return frozenset(name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file())


def remarks(name: str) -> Iterator[tuple[int, str]]:
    """Line and words: comments and docstrings of Python, comments of TOML, every line of other files."""
    text = (ROOT / name).read_text("utf-8")
    if not name.endswith(".py") and name != "dev":
        toml = name.endswith(".toml")
        yield from enumerate((line.partition("#")[2] if toml else line for line in text.splitlines()), 1)
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield from enumerate(str(node.value.value).splitlines(), node.lineno)
    for token in tokenize.generate_tokens(iter(text.splitlines(keepends=True)).__next__):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def read() -> list[str]:
    """The files whose words are looked at: everything written by hand, without the data of the tests."""
    return sorted(name for name in tracked() if not name.endswith(LEFT_OUT) and name != "LICENSE")


def exists(name: str, beside: str) -> bool:
    """Whether a path is there: from the root, from `docs/`, or from the file that names it."""
    starts = (ROOT, ROOT / "docs", (ROOT / beside).parent)
    return any((start / name.removesuffix("/")).exists() for start in starts)


def decision_exists(words: str) -> bool:
    """Whether a decision record begins like this."""
    return any((ROOT / "docs" / "decisions").glob(f"{words}*"))


def module_exists(name: str, beside: str) -> bool:
    """Whether a file is there by its path, or by the end of it."""
    return name in endings() or exists(name, beside)


@cache
def endings() -> frozenset[str]:
    """Every tracked path and each of its ends: `leads/reveal.py` of `intake/leads/reveal.py`."""
    parts = [Path(name).parts for name in tracked()]
    return frozenset("/".join(each[start:]) for each in parts for start in range(len(each)))


def codes(words: str) -> list[str]:
    """Codes of documents that are not here. The promises have codes too, and stand in docs/promises.md."""
    short = [
        code
        for inside in IN_BRACKETS.findall(words)
        for code in re.split(r"[\s,;/]+", inside)
        if SHORT_CODE.fullmatch(code)
    ]
    return CODE.findall(words) + [code for code in short if code not in PROMISES]


def lost(words: str, beside: str) -> list[str]:
    """What `words` in the file `beside` point to and is not there."""
    words = ADDRESS.sub("", words)
    return [
        *(name for name in DOCUMENT.findall(words) if not exists(name, beside)),
        *(name for name in DECISION.findall(words) if not decision_exists(name)),
        *(name for name in MODULE.findall(words) if not module_exists(name, beside)),
        *(
            name
            for name in FOLDER.findall(words)
            if not (name.endswith((".md", ".py")) or exists(name, beside))
        ),
        *PLACE_IN_DOCUMENT.findall(words),
        *LAW.findall(words),
        *codes(words),
    ]


def test_every_reference_leads_somewhere() -> None:
    found = [
        f"{name}:{line}: {each}"
        for name in read()
        for line, words in remarks(name)
        for each in lost(words, name)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        ("as compliance.md says", ["compliance.md"]),
        ("docs/nowhere.md", ["docs/nowhere.md"]),
        ("in intake/nowhere/", ["intake/nowhere/"]),
        ("reliability.md, fact 4", ["y.md, fact 4"]),
        ("one schema (law 6)", ["law 6"]),
        ("ADR 9999", ["9999"]),
        ("decisions/0099-none", ["0099-none"]),
        ("see schemas_of_old.py", ["schemas_of_old.py"]),
        ("never by a part (AC-07)", ["AC-07"]),
        ("promise G1, and what nobody knows (G1, E9)", ["E9"]),
        ("reliability.md, docs/formats.md, ADR 0009, decisions/0009-an, leads/reveal.py", []),
        ("/srv/intake/venv, https://example.org/none.md", []),
        ("promise (P1), (AES-256, UTF-8), ISO/IEC TS 27560, 10 pm", []),
    ],
)
def test_what_leads_nowhere_is_found(words: str, missing: list[str]) -> None:
    assert lost(words, "README.md") == missing
