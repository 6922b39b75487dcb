"""What an evidence report is made of. Nothing in it has room for anybody's name, number or address."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

FORMAT = "intake-evidence-1"
"""Names the shape of the JSON; a field that is renamed or taken away needs another number."""

Value = int | str | bool | datetime | None


class FigureState(StrEnum):
    """How a figure is to be read. What is not known is never as good as what is as it should be."""

    OPEN = "open"
    NOT_KNOWN = "not_known"
    GOOD = "as_it_should_be"
    TOLD = "for_information"


class Urgency(StrEnum):
    """When a finding wants somebody's attention."""

    NOW = "now"
    SOON = "soon"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One thing that is known, or not.

    `name` never changes; `item` tells figures of one name apart; `at` is the moment that the value speaks of;
    `detail` says in words what the value leaves open; `means` and `source` are for whoever has to judge it.
    `check`: the check of the doctor that looks at the same, so that a finding is told once. The words are in
    the language in use when the report was made.
    """

    name: str
    label: str
    value: Value
    at: datetime | None
    means: str
    source: str
    standing: FigureState = FigureState.TOLD
    item: str = ""
    detail: str = ""
    check: str = ""


@dataclass(frozen=True)
class Section:
    """Figures that belong together."""

    name: str
    title: str
    figures: Sequence[Figure]


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be, what to do about it, and who found it."""

    name: str
    urgency: Urgency
    sentence: str
    what_to_do: str
    source: str


@dataclass(frozen=True)
class ComplianceReport:
    """The whole report of one moment."""

    at: datetime
    clinic: str
    address: str
    version: str
    mode: str
    findings: Sequence[Finding]
    sections: Sequence[Section]

    def figures(self) -> Iterator[Figure]:
        """Every figure, in order."""
        for section in self.sections:
            yield from section.figures

    @property
    def not_known(self) -> Sequence[Figure]:
        """The figures that nobody can tell."""
        return [each for each in self.figures() if each.standing is FigureState.NOT_KNOWN]


def as_json(report: ComplianceReport) -> str:
    """The report for a machine; moments are ISO 8601 in UTC. docs/evidence.md lists the fields."""
    return json.dumps(_plain(report), ensure_ascii=False, indent=2) + "\n"


def _plain(report: ComplianceReport) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "made_at": report.at.isoformat(),
        "clinic": report.clinic,
        "service": report.address,
        "version": report.version,
        "mode": report.mode,
        "findings": [{**vars(each), "urgency": each.urgency.value} for each in report.findings],
        "not_known": [" ".join(filter(None, (each.name, each.item))) for each in report.not_known],
        "sections": [
            {"name": each.name, "title": each.title, "figures": [_figure(one) for one in each.figures]}
            for each in report.sections
        ],
    }


def _figure(figure: Figure) -> dict[str, Any]:
    value = figure.value.isoformat() if isinstance(figure.value, datetime) else figure.value
    at = figure.at.isoformat() if figure.at else None
    return {**vars(figure), "value": value, "at": at, "standing": figure.standing.value}
