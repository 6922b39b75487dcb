"""The data of an evidence report, and its JSON. No field can hold a name, number or address of a person."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from intake.monitoring import Check, State

FORMAT = "intake-evidence-1"
"""Identifies the JSON format; renaming or removing a field needs a new number."""
URGENCY = {State.RED: "now", State.AMBER: "soon"}
"""When staff should act on a finding, by the state of its check."""

Value = int | str | bool | datetime | None


class FigureState(StrEnum):
    """How to read a figure. An unknown value never counts as good."""

    OPEN = "open"
    NOT_KNOWN = "not_known"
    GOOD = "as_it_should_be"
    INFORMATION = "for_information"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure of the report, with its value or without one.

    `name` never changes; `item` distinguishes figures of the same name; `at` is the moment that the value
    applies to; `detail` adds to the value in words; `means` and `source` explain it to an auditor. `check`
    names the health check that judges the same subject. Texts are in the language of the report.
    """

    name: str
    label: str
    value: Value
    at: datetime | None
    means: str
    source: str
    state: FigureState
    item: str
    detail: str
    check: str


@dataclass(frozen=True)
class Section:
    """A titled group of figures."""

    name: str
    title: str
    figures: Sequence[Figure]


@dataclass(frozen=True)
class ComplianceReport:
    """A report: `checks` are those of `intake doctor` that are not well, and sections as of `at`."""

    at: datetime
    clinic: str
    address: str
    version: str
    mode: str
    checks: Sequence[Check]
    sections: Sequence[Section]

    def figures(self) -> list[Figure]:
        """Every figure, in order."""
        return [figure for section in self.sections for figure in section.figures]

    @property
    def findings(self) -> list[Check]:
        """The doctor's findings, and the open figures that no health check judges; the urgent first."""
        own = [
            Check(each.name, State.RED, f"{each.label}: {each.detail or each.value}", each.means)
            for each in self.figures()
            if each.state is FigureState.OPEN and not each.check
        ]
        return [each for state in URGENCY for each in (*self.checks, *own) if each.state is state]

    def source_of(self, finding: Check) -> str:
        """The command that tells of a finding."""
        return "intake doctor" if finding in self.checks else "intake evidence"

    @property
    def not_known(self) -> list[Figure]:
        """The figures whose value is unknown."""
        return [each for each in self.figures() if each.state is FigureState.NOT_KNOWN]


def as_json(report: ComplianceReport) -> str:
    """The report as JSON; timestamps are ISO 8601 in UTC. docs/evidence.md lists the fields."""
    fields = {
        "format": FORMAT,
        "made_at": report.at.isoformat(),
        "clinic": report.clinic,
        "service": report.address,
        "version": report.version,
        "mode": report.mode,
        "findings": [
            {
                "name": each.name,
                "urgency": URGENCY[each.state],
                "sentence": each.sentence,
                "what_to_do": each.what_to_do,
                "source": report.source_of(each),
            }
            for each in report.findings
        ],
        "not_known": [" ".join(filter(None, (each.name, each.item))) for each in report.not_known],
        "sections": [
            {
                "name": section.name,
                "title": section.title,
                "figures": [
                    {
                        "name": each.name,
                        "label": each.label,
                        "value": each.value.isoformat() if isinstance(each.value, datetime) else each.value,
                        "at": each.at.isoformat() if each.at else None,
                        "means": each.means,
                        "source": each.source,
                        "standing": each.state.value,
                        "item": each.item,
                        "detail": each.detail,
                        "check": each.check,
                    }
                    for each in section.figures
                ],
            }
            for section in report.sections
        ],
    }
    return json.dumps(fields, ensure_ascii=False, indent=2) + "\n"
