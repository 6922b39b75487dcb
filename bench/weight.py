"""How much code one act runs through: files, changes of file, calls, depth of the stack, SQL statements.

    .venv/bin/python bench/weight.py

Counted with `sys.setprofile` over the functions of `intake/` (templates and libraries left out) and the
cursor events of SQLAlchemy (BEGIN and COMMIT left out), on SQLite, in one process, at the second request of
each kind, so that what is made once is not counted. Then lines of code without blanks, comments and
docstrings, by folder. The figures do not depend on the machine; the table stands in docs/architecture.md.
"""

import ast
import io
import re
import sys
import tempfile
import tokenize
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

from flask.testing import FlaskClient  # noqa: E402
from sqlalchemy import event  # noqa: E402

from intake.accounts.models import Role  # noqa: E402
from intake.app import create_app  # noqa: E402
from intake.db.migrate import upgrade  # noqa: E402
from intake.instance import Instance  # noqa: E402
from tests.client import OURS, Desk, code_on, fill_in, read  # noqa: E402
from tests.client import field as field_on  # noqa: E402
from tests.conftest import settings_for  # noqa: E402
from tests.factories import hire  # noqa: E402

PACKAGE = f"{ROOT}/intake/"
ROW = "{:<12}{:>7}{:>9}{:>7}{:>7}{:>5}"
NOT_CODE = frozenset(
    {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
)
FOLDERS = (("templates", "*.html"), ("intake/static", "*.*"), ("bench", "*.py"), ("tests", "*.py"))
WEDNESDAY_TEN = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)


@dataclass
class Weight:
    """What was counted while one request was answered."""

    files: set[str] = field(default_factory=set)
    changes: int = 0
    calls: int = 0
    deepest: int = 0
    statements: int = 0
    _stack: list[str] = field(default_factory=list)

    def profile(self, frame: FrameType, kind: str, _argument: Any) -> None:
        """One call or return, as `sys.setprofile` tells it."""
        name = frame.f_code.co_filename
        if not name.startswith(PACKAGE) or frame.f_code.co_name.startswith("<"):
            return
        if kind == "call":
            self.files.add(name)
            self.calls += 1
            self.changes += bool(self._stack) and self._stack[-1] != name
            self._stack.append(name)
            self.deepest = max(self.deepest, len(self._stack))
        elif kind == "return" and self._stack:
            self._stack.pop()


def weigh(act: Callable[[], Any], instance: Instance) -> Weight:
    """Count while `act` runs."""
    found = Weight()

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        found.statements += not statement.startswith(("BEGIN", "COMMIT"))

    event.listen(instance.database.engine, "before_cursor_execute", count)
    sys.setprofile(found.profile)
    try:
        answer = act()
    finally:
        sys.setprofile(None)
        event.remove(instance.database.engine, "before_cursor_execute", count)
    if answer.status_code != 200:  # noqa: PLR2004
        raise SystemExit(f"answered {answer.status_code}")
    return found


def lines_of_code(path: Path) -> int:
    """Lines that hold code: no blank, no comment, no docstring."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    held: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NOT_CODE:
            held.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        for statement in getattr(node, "body", []) if isinstance(getattr(node, "body", []), list) else []:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                held -= set(range(statement.lineno, (statement.end_lineno or statement.lineno) + 1))
    return sum(1 <= line <= len(lines) and bool(lines[line - 1].strip()) for line in held)


def import_depth() -> int:
    """The longest chain of imports between modules of the package."""
    edges: dict[str, set[str]] = {}
    names = {module_name(path): path for path in (ROOT / "intake").rglob("*.py")}
    for name, path in names.items():
        found = set()
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    full = f"{node.module}.{alias.name}"
                    found.add(full if full in names else node.module)
        edges[name] = {each for each in found if each in names and each != name}
    deepest: dict[str, int] = {}

    def depth(name: str, open_ones: frozenset[str]) -> int:
        if name not in deepest:
            below = [depth(each, open_ones | {name}) for each in edges[name] if each not in open_ones]
            deepest[name] = 1 + max(below, default=0)
        return deepest[name]

    return max(depth(name, frozenset()) for name in names)


def module_name(path: Path) -> str:
    """The dotted name of a module's file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def one_statement_functions() -> tuple[int, int]:
    """How many functions are one simple statement, and how many there are."""
    blocks = (ast.With, ast.For, ast.If, ast.Try, ast.While)
    simple = count = 0
    for path in (ROOT / "intake").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                count += 1
                simple += len(body) == 1 and not isinstance(body[0], blocks)
    return simple, count


def one_round(
    instance: Instance, web: FlaskClient, desk: Desk, turn: int, moment: list[datetime]
) -> dict[str, Weight]:
    """One request of each kind, each weighed."""
    found: dict[str, Weight] = {}
    given = fill_in(web, phone=f"305 555 01{turn}1", email=f"person{turn}@example.org")
    moment[0] += timedelta(minutes=1)
    sent: list[Any] = []
    found["POST /"] = weigh(lambda: sent.append(web.post("/", data=given)) or sent[0], instance)
    code = code_on(read(sent[0]))
    lead_id = re.findall(r"/desk/leads/([0-9a-f-]{36})", desk.get("/desk").text)[-1]
    page = desk.get(f"/desk/leads/{lead_id}").text
    found["lead page"] = weigh(lambda: desk.web.get(f"/desk/leads/{lead_id}"), instance)
    typed = {"csrf": field_on(page, "csrf"), "channel": "call"}
    typed |= {"seen": field_on(page, "seen")} if 'name="seen"' in page else {}
    address = f"/desk/leads/{lead_id}/reveal"
    found["reveal"] = weigh(lambda: desk.web.post(address, data=typed, headers=OURS), instance)
    found["erase"] = weigh(lambda: web.post("/manage/erase", data={"code": code}), instance)
    return found


def main() -> None:
    """Print the tables."""
    moment = [WEDNESDAY_TEN]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = settings_for(folder, f"sqlite:///{folder}/intake.sqlite3")
        instance = Instance.from_settings(settings, clock=lambda: moment[0])
        upgrade(instance.database)
        web = create_app(instance).test_client()
        desk = Desk(instance, hire(instance, "Ana Ruiz", *Role))
        found = {}
        for turn in range(2):
            moment[0] += timedelta(minutes=1)
            found = one_round(instance, web, desk, turn, moment)
        instance.database.close()
    print(ROW.format("act", "files", "changes", "calls", "depth", "SQL"))
    for act, each in found.items():
        print(ROW.format(act, len(each.files), each.changes, each.calls, each.deepest, each.statements))
    sources = sorted((ROOT / "intake").rglob("*.py"))
    counted = {path: lines_of_code(path) for path in sources}
    small = sum(count < 40 and path.name != "__init__.py" for path, count in counted.items())  # noqa: PLR2004
    simple, count = one_statement_functions()
    print(
        f"\nintake/: {sum(counted.values())} lines of code in {len(sources)} files, {small} of them under 40"
    )
    print(f"functions: {count}, {simple} of them one simple statement; import depth {import_depth()}")
    for name, pattern in FOLDERS:
        total = sum(
            len(each.read_text(encoding="utf-8").splitlines()) for each in (ROOT / name).rglob(pattern)
        )
        print(f"{name}: {total} lines")


if __name__ == "__main__":
    main()
