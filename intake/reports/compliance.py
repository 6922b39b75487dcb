"""The evidence report: what can be shown to whoever has to judge this service, each figure with its date.

One structure, made by one function: the page, the printable file and the JSON are the same report. It asks
no other machine and verifies nothing that takes long; what was verified, it tells with its date.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from intake import __version__, monitoring
from intake.core.i18n import gettext
from intake.instance import Instance
from intake.monitoring import Check, State
from intake.reports import access, keeping, keys, proving, telling
from intake.reports.compliance_model import (
    FORMAT,
    Evidence,
    Figure,
    Finding,
    Section,
    Standing,
    Urgency,
    as_json,
)

__all__ = ["FORMAT", "Evidence", "Figure", "Finding", "Section", "Standing", "Urgency", "as_json", "gather"]

_URGENT = {State.RED: Urgency.NOW, State.AMBER: Urgency.SOON}


def gather(instance: Instance, *, policies: Mapping[str, str]) -> Evidence:
    """The report of this moment, in the language in use. Raises Unavailable when the database is.

    `policies`: the Content-Security-Policy of the public and of the staff pages, which the doors know.
    """
    now, checks = instance.clock(), monitoring.checks(instance)
    with instance.database.reading() as session:
        sections = [
            _doctor(checks, now),
            access.section(session, instance),
            proving.log(session, instance),
            keeping.erasing(session, instance),
            keeping.backups(session),
            keys.section(session, instance),
            telling.section(session, instance),
            proving.pages(policies, now),
            proving.statements(session, instance),
        ]
    sections = [_judged(section, checks) for section in sections]
    return Evidence(
        at=now,
        clinic=instance.clinic.name,
        address=instance.settings.base_url,
        version=__version__,
        mode=instance.settings.mode.value,
        findings=_findings(checks, [figure for section in sections for figure in section.figures]),
        sections=sections,
    )


def _judged(section: Section, checks: Sequence[Check]) -> Section:
    """A figure is not as it should be when the doctor, who knows how old it may be, says otherwise."""
    unwell = {each.name for each in checks if each.state is not State.GREEN}
    figures = [
        replace(figure, standing=Standing.OPEN)
        if figure.check in unwell and figure.standing is not Standing.NOT_KNOWN
        else figure
        for figure in section.figures
    ]
    return replace(section, figures=figures)


def _findings(checks: Sequence[Check], figures: Sequence[Figure]) -> list[Finding]:
    """What the doctor finds, the worst first, then what only this report looks at."""
    found = [each for state in _URGENT for each in checks if each.state is state]
    by_doctor = [
        Finding(each.name, _URGENT[each.state], each.sentence, each.what_to_do, "intake doctor")
        for each in found
    ]
    told = {each.name for each in found}
    more = [each for each in figures if each.standing is Standing.OPEN and each.check not in told]
    return sorted([*by_doctor, *map(_finding, more)], key=lambda each: list(Urgency).index(each.urgency))


def _finding(figure: Figure) -> Finding:
    value = figure.detail or ("" if figure.value is None else str(figure.value))
    return Finding(figure.name, Urgency.NOW, f"{figure.label}: {value}", figure.means, "intake evidence")


def _doctor(checks: Sequence[Check], now: datetime) -> Section:
    looked = Figure(
        name="doctor.checks",
        label=gettext("Checks that were made"),
        value=len(checks),
        at=now,
        means=gettext("What they found and is not well stands under the open findings."),
        source=gettext("The same checks that `intake doctor` makes, made when this report was."),
    )
    left_out = [
        Figure(
            name="doctor.not_looked_at",
            item=name,
            label=gettext("A check that was not made"),
            value=None,
            at=None,
            means=gettext("It asks other sites, and a report asks nobody."),
            source=gettext("`intake doctor` on the machine."),
            standing=Standing.NOT_KNOWN,
            detail=name,
        )
        for name in monitoring.NOT_FOR_A_PAGE
    ]
    return Section("doctor", gettext("Checks of the service"), [looked, *left_out])
