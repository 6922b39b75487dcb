"""The data of an evidence report, and its JSON. No field can hold a name, number or address of a person."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

FORMAT = "intake-evidence-1"
"""Identifies the JSON format; renaming or removing a field needs a new number."""

Value = int | str | bool | datetime | None


class FigureState(StrEnum):
    """How to read a figure. An unknown value never counts as good."""

    OPEN = "open"
    NOT_KNOWN = "not_known"
    GOOD = "as_it_should_be"
    INFORMATION = "for_information"


class Urgency(StrEnum):
    """When staff should act on a finding."""

    NOW = "now"
    SOON = "soon"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure of the report, with its value or without one.

    `name` never changes; `item` distinguishes figures of the same name; `at` is the moment that the value
    applies to; `detail` adds to the value in words; `means` and `source` explain it to an auditor. `check`
    names the health check of the same subject, so that a finding is listed once. Texts are in the language
    of the report.
    """

    name: str
    label: str
    value: Value
    at: datetime | None
    means: str
    source: str
    state: FigureState = FigureState.INFORMATION
    item: str = ""
    detail: str = ""
    check: str = ""


@dataclass(frozen=True)
class Section:
    """A titled group of figures."""

    name: str
    title: str
    figures: Sequence[Figure]


@dataclass(frozen=True)
class Finding:
    """A fault: how urgent it is, what is wrong, what to do, and which command reports it."""

    name: str
    urgency: Urgency
    sentence: str
    what_to_do: str
    source: str


@dataclass(frozen=True)
class ComplianceReport:
    """A report: findings and sections as of `at`."""

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
        """The figures whose value is unknown."""
        return [each for each in self.figures() if each.state is FigureState.NOT_KNOWN]


def as_json(report: ComplianceReport) -> str:
    """The report as JSON; timestamps are ISO 8601 in UTC. docs/evidence.md lists the fields."""
    return json.dumps(_report_fields(report), ensure_ascii=False, indent=2) + "\n"


def _report_fields(report: ComplianceReport) -> dict[str, Any]:
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
            {
                "name": each.name,
                "title": each.title,
                "figures": [_figure_fields(figure) for figure in each.figures],
            }
            for each in report.sections
        ],
    }


def _figure_fields(figure: Figure) -> dict[str, Any]:
    return {
        "name": figure.name,
        "label": figure.label,
        "value": figure.value.isoformat() if isinstance(figure.value, datetime) else figure.value,
        "at": figure.at.isoformat() if figure.at else None,
        "means": figure.means,
        "source": figure.source,
        "standing": figure.state.value,
        "item": figure.item,
        "detail": figure.detail,
        "check": figure.check,
    }
