"""The statements in force: `config/consent/<kind>.<version>.<language>.txt`, with clinic values.

The first paragraph of a file is the label beside the box, the rest is the help below it. Published
files never change; a new wording is a file with the next version. The digest is made of the words as
they are rendered, because that is what a person read (decisions.md 9).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from intake.conf.clinic import Clinic
from intake.consent.models import Kind
from intake.core.errors import SettingsError
from intake.core.i18n import LANGUAGES, hour_phrase
from intake.security.crypto import digest

_NAME = re.compile(r"(?P<kind>[a-z]+)\.(?P<version>\d{1,4})\.(?P<language>[a-z]{2})\.txt")


def digest_of(kind: Kind, version: int, language: str, body: str) -> str:
    """SHA-256 of the words as they are shown, in hex."""
    return digest(f"{kind}.{version}.{language}\n{body}")


@dataclass(frozen=True)
class Statement:
    """One statement as a person sees it."""

    kind: Kind
    version: int
    language: str
    label: str
    help: str

    @property
    def body(self) -> str:
        """All words shown, label first."""
        return f"{self.label}\n\n{self.help}".strip()

    @property
    def digest(self) -> str:
        """SHA-256 of the words, in hex."""
        return digest_of(self.kind, self.version, self.language, self.body)


class Statements:
    """All versions of all statements; `in_force` is the newest of each kind."""

    def __init__(self, every: Iterable[Statement]) -> None:
        self.every = tuple(every)
        self._newest: dict[tuple[str, Kind], Statement] = {}
        for statement in sorted(self.every, key=lambda each: each.version):
            self._newest[statement.language, statement.kind] = statement

    def in_force(self, language: str) -> Mapping[Kind, Statement]:
        """The newest statement of each kind in `language`."""
        return {kind: self._newest[language, kind] for kind in Kind}

    def digests(self, language: str) -> dict[str, str]:
        """Kind to digest of what is in force: what a form carries to say which words it showed."""
        return {kind.value: each.digest for kind, each in self.in_force(language).items()}


def load(folder: Path, clinic: Clinic) -> Statements:
    """Read and render every file in `folder`. Raises SettingsError naming each bad or missing one."""
    problems: list[str] = []
    every = [
        statement
        for path in sorted(folder.glob("*.txt"))
        if (statement := _read(path, _values(clinic), problems))
    ]
    there = {(each.kind, each.language) for each in every}
    problems += [
        f"consent/{kind}.1.{language}.txt: is missing."
        for kind in Kind
        for language in LANGUAGES
        if (kind, language) not in there
    ]
    if problems:
        raise SettingsError(problems)
    return Statements(every)


def _read(path: Path, values: Mapping[str, Mapping[str, object]], problems: list[str]) -> Statement | None:
    name = _NAME.fullmatch(path.name)
    if not name or name["kind"] not in set(Kind) or name["language"] not in LANGUAGES:
        problems.append(f"consent/{path.name}: must be named <kind>.<version>.<language>.txt.")
        return None
    try:
        words = path.read_text(encoding="utf-8").strip().format_map(values[name["language"]])
    except (OSError, ValueError, KeyError, IndexError) as wrong:
        problems.append(f"consent/{path.name}: cannot be used ({type(wrong).__name__}).")
        return None
    label, _, rest = words.partition("\n\n")
    return Statement(Kind(name["kind"]), int(name["version"]), name["language"], _line(label), _line(rest))


def _line(words: str) -> str:
    """A paragraph on one line; how a file is wrapped must not change its digest."""
    return " ".join(words.split())


def _values(clinic: Clinic) -> dict[str, dict[str, object]]:
    """What a statement may name in braces, per language."""
    return {
        language: {
            "clinic": clinic.name,
            "call_from": hour_phrase(clinic.contact.call_from, language),
            "call_until": hour_phrase(clinic.contact.call_until, language),
            "calls_at_most": clinic.contact.calls_at_most,
            "texts_at_most": clinic.contact.texts_at_most,
        }
        for language in LANGUAGES
    }
