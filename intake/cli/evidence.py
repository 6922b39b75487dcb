"""`intake evidence`: what can be shown to whoever has to judge this service."""

from datetime import datetime
from pathlib import Path

import click

from intake import audit
from intake.app import create_app
from intake.audit import Action, Actor
from intake.cli.opening import opened
from intake.core.errors import Refused
from intake.instance import Instance
from intake.reports import compliance
from intake.reports.compliance import Evidence, Figure, Standing
from intake.web.desk.desk_evidence import HTML, JSON, as_html
from intake.web.errors import POLICIES

_FILE = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.command("evidence")
@click.option("--json", "machine", is_flag=True, help="Print it as JSON.")
@click.option("--html", "page", type=_FILE, help="Write it as a page to print into FILE, and print nothing.")
def evidence_command(*, machine: bool, page: Path | None) -> None:
    """Tell what the service can show of itself, each figure with its date; open findings stand first."""
    with opened() as instance:
        report = compliance.gather(instance, policies=POLICIES)
        if page:
            _write(page, report, instance)
        _note(instance, HTML if page else JSON if machine else "")
    if machine:
        click.echo(compliance.as_json(report), nl=False)
    elif not page:
        _print(report)


def _write(path: Path, report: Evidence, instance: Instance) -> None:
    with create_app(instance).test_request_context("/"):
        words = as_html(report)
    try:
        path.write_text(words, encoding="utf-8")
    except OSError as wrong:
        raise Refused(f"The report could not be written to {path}: {wrong.strerror}.") from None
    click.echo(f"Written to {path}.")


def _note(instance: Instance, kind: str) -> None:
    with instance.database.transaction() as session:
        audit.record(
            session,
            Action.EVIDENCE_SAVED if kind else Action.EVIDENCE_READ,
            keyring=instance.keyring,
            at=instance.clock(),
            actor=Actor.system(),
            details={"kind": kind} if kind else {},
        )


def _print(report: Evidence) -> None:
    click.echo(
        f"Evidence report, {_moment(report.at)}. {report.clinic}, version {report.version}, {report.mode}."
    )
    click.echo(f"\nOpen findings: {len(report.findings)}")
    for each in report.findings:
        click.echo(f"  {each.urgency.value}: {each.sentence} {each.what_to_do}".rstrip())
    click.echo(f"\nNot known: {len(report.not_known)}")
    for figure in report.not_known:
        click.echo(f"  {figure.label} {figure.item}".rstrip())
    for section in report.sections:
        click.echo(f"\n{section.title}")
        for figure in section.figures:
            click.echo(f"  {_line(figure)}")


def _line(figure: Figure) -> str:
    value = "not known" if figure.standing is Standing.NOT_KNOWN else _said(figure)
    name = f"{figure.label} {figure.item}".strip()
    detail = f" ({figure.detail})" if figure.detail and figure.detail != value else ""
    at = f", as of {_moment(figure.at)}" if figure.at and figure.at != figure.value else ""
    mark = " [open]" if figure.standing is Standing.OPEN else ""
    return f"{name}: {value}{detail}{at}{mark}"


def _said(figure: Figure) -> str:
    if isinstance(figure.value, datetime):
        return _moment(figure.value)
    if isinstance(figure.value, bool):
        return "yes" if figure.value else "no"
    return "none" if figure.value is None else str(figure.value)


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
