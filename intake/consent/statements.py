"""The statements in force: `config/consent/<kind>.<version>.<language>.txt`, with clinic values.

The first paragraph of a file is the label of the checkbox, the rest is the help text below it. Published
files never change; a new wording is a file with the next version. The digest covers the text as rendered,
because that is what the person read.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from intake.conf.clinic import Clinic
from intake.consent.models import Kind
from intake.core.errors import SettingsError
from intake.core.i18n import LANGUAGES, hour_phrase
from intake.security.crypto import digest

_PAGE_DIGEST_LENGTH = 16
_NAME = re.compile(r"(?P<kind>[a-z]+)\.(?P<version>\d{1,4})\.(?P<language>[a-z]{2,3})\.txt")


def digest_of(kind: Kind, version: int, language: str, body: str) -> str:
    """Return the SHA-256 of a statement as shown, in hex."""
    return digest(f"{kind}.{version}.{language}\n{body}")


@dataclass(frozen=True)
class Statement:
    """One statement as shown to a person."""

    kind: Kind
    version: int
    language: str
    label: str
    help: str

    @cached_property
    def body(self) -> str:
        """The full text shown, label first."""
        return f"{self.label}\n\n{self.help}".strip()

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the statement, in hex."""
        return digest_of(self.kind, self.version, self.language, self.body)


class Statements:
    """All versions of all statements; the newest of each kind is in force."""

    def __init__(self, every: Iterable[Statement]) -> None:
        self.every = tuple(every)
        newest = {
            (each.language, each.kind): each for each in sorted(self.every, key=lambda each: each.version)
        }
        self._in_force: dict[str, Mapping[Kind, Statement]] = {}
        self._page_digests: dict[str, str] = {}
        for language in {each.language for each in self.every}:
            shown = {kind: newest[language, kind] for kind in Kind}
            lines = sorted(f"{kind} {each.digest}" for kind, each in shown.items())
            self._in_force[language] = shown
            self._page_digests[language] = digest("\n".join(lines))[:_PAGE_DIGEST_LENGTH]

    def in_force(self, language: str) -> Mapping[Kind, Statement]:
        """Return the newest statement of each kind in `language`."""
        return self._in_force[language]

    def page_digest(self, language: str) -> str:
        """A short digest of all statements in force, by which a form tells which statements it showed."""
        return self._page_digests[language]


def load(folder: Path, clinic: Clinic) -> Statements:
    """Read and render every file in `folder`. Raises SettingsError naming each bad or missing one."""
    problems: list[str] = []
    every = [
        statement
        for path in sorted(folder.glob("*.txt"))
        if (statement := _read(path, _template_values(clinic), problems))
    ]
    found = {(each.kind, each.language) for each in every}
    problems += [
        f"consent/{kind}.1.{language}.txt: is missing."
        for kind in Kind
        for language in LANGUAGES
        if (kind, language) not in found
    ]
    if problems:
        raise SettingsError(problems)
    return Statements(every)


def _read(path: Path, values: Mapping[str, Mapping[str, object]], problems: list[str]) -> Statement | None:
    name = _NAME.fullmatch(path.name)
    if not name or name["kind"] not in set(Kind):
        problems.append(f"consent/{path.name}: must be named <kind>.<version>.<language>.txt.")
        return None
    if name["language"] not in LANGUAGES:
        problems.append(f"consent/{path.name}: intake/locales/{name['language']}.po is missing.")
        return None
    try:
        text = path.read_text(encoding="utf-8").strip().format_map(values[name["language"]])
    except (OSError, ValueError, KeyError, IndexError) as error:
        problems.append(f"consent/{path.name}: cannot be used ({type(error).__name__}).")
        return None
    label, _, rest = text.partition("\n\n")
    return Statement(
        Kind(name["kind"]), int(name["version"]), name["language"], _unwrap(label), _unwrap(rest)
    )


def _unwrap(paragraph: str) -> str:
    """Join the lines of a paragraph, so that wrapping a file differently does not change its digest."""
    return " ".join(paragraph.split())


def _template_values(clinic: Clinic) -> dict[str, dict[str, object]]:
    """Return the values that a statement may use in braces, by language."""
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
