"""`intake audit`, `consent`, `evidence` and `receipt`: verifying and showing what the service can prove."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from intake import audit
from intake.act import Act
from intake.app import create_app
from intake.audit import Action, AuditEvent, Verification, export
from intake.audit.chain import load_anchors
from intake.cli.context import open_instance
from intake.consent import receipt
from intake.consent.statements import Statement
from intake.core.errors import Refused
from intake.core.i18n import LANGUAGES
from intake.instance import Instance
from intake.monitoring import integrity
from intake.monitoring.checks import ago
from intake.reports import compliance
from intake.reports.compliance import ComplianceReport, Figure, FigureState
from intake.web.desk.privacy import HTML, JSON, as_html
from intake.web.headers import POLICIES

_LONGEST_DETAILS = 60
OURS = "This receipt is ours and unaltered."
NOT_OURS = "This is no receipt of ours, or it was altered."
_OUT = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.group("audit")
def audit_command() -> None:
    """Verify the audit log, or look at its last events."""


_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


@audit_command.command()
@click.option(
    "--file", "saved", type=_FILE, help="Check a log that was saved from the desk, and nothing else."
)
@click.option("--anchors", multiple=True, type=_FILE, help="Compare with the anchors in a saved mail, too.")
def verify(saved: Path | None, anchors: tuple[Path, ...]) -> None:
    """Check every event, the chain and the proof of consent; exit code 1 when something is wrong."""
    with open_instance(ready=saved is None) as instance:
        found = read_saved(instance, saved, anchors) if saved else integrity.verify(instance, more=anchors)
        now = instance.clock()
    _print_verification(found, now)
    if not found.intact:
        raise Refused("The audit log does not hold: see what is listed above.")
    click.echo("Nothing was changed, removed or moved.")


def read_saved(instance: Instance, saved: Path, anchors: Sequence[Path]) -> Verification:
    """Verify a log saved from the desk, with the anchors of further files besides its own."""
    more = [each for path in anchors for each in load_anchors(path) or ()]
    with saved.open(encoding="utf-8", errors="replace") as lines:
        return export.verify(lines, keyring=instance.keyring, anchors=more)


def _print_verification(found: Verification, now: datetime) -> None:
    click.echo(f"{found.events} events, {found.linked} linked, {found.unlinked} not linked yet.")
    if found.unlinked:
        click.echo(f"The oldest that is not linked has waited {ago(found.waiting(now))}.")
    click.echo(f"Head of the chain: {found.head or 'none yet'}")
    click.echo(f"Compared with {found.anchors} anchors.")
    for each in found.notes:
        click.echo(f"Note: {each}")
    for each in found.problems:
        click.echo(each)


@audit_command.command()
@click.option("-n", "--last", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many.")
def show(last: int) -> None:
    """Print the last events, newest first. That somebody looked is itself an event."""
    with open_instance() as instance, instance.database.transaction() as session:
        events = audit.newest_events(session, limit=last)
        Act(session, instance).record(Action.AUDIT_READ, count=len(events))
    _print_table(events)


def _print_table(events: Sequence[AuditEvent]) -> None:
    table = Table("when (UTC)", "who", "what", "about", "details", box=None, pad_edge=False)
    for each in events:
        table.add_row(
            f"{each.at:%Y-%m-%d %H:%M:%S}",
            f"staff {str(each.actor_id)[:8]}" if each.actor_id else each.actor_kind.value,
            each.action,
            str(each.about)[:8] if each.about else "",
            each.details if len(each.details) <= _LONGEST_DETAILS else f"{each.details[:_LONGEST_DETAILS]}…",
        )
    Console(width=120).print(table)


@click.group("consent")
def consent_command() -> None:
    """Show the statements in force."""


@consent_command.command("show")
@click.option("--words", is_flag=True, help="Print the words too, as a person sees them.")
def show_statements(*, words: bool) -> None:
    """List the statements in force in each language with version and digest."""
    with open_instance(ready=False) as instance:
        for language in LANGUAGES:
            statements = list(instance.statements.in_force(language).values())
            _print_statements(statements, language)
            if words:
                _print_wording(statements)


def _print_statements(statements: list[Statement], language: str) -> None:
    table = Table(
        "kind", "version", "SHA-256 of the words", title=f"In force: {language}", title_justify="left"
    )
    for each in statements:
        table.add_row(each.kind.value, str(each.version), each.digest)
    Console(width=100).print(table)


def _print_wording(statements: list[Statement]) -> None:
    for each in statements:
        click.echo(f"\n[{each.kind.value}]\n{each.body}")
    click.echo()


@click.command("evidence")
@click.option("--json", "machine", is_flag=True, help="Print it as JSON.")
@click.option("--html", "page", type=_OUT, help="Write it as a page to print into FILE, and print nothing.")
def evidence_command(*, machine: bool, page: Path | None) -> None:
    """Tell what the service can show of itself, each figure with its date; open findings stand first."""
    with open_instance() as instance:
        report = compliance.gather(instance, policies=POLICIES)
        if page:
            _write_report(page, report, instance)
        _note_saved(instance, HTML if page else JSON if machine else "")
    if machine:
        click.echo(compliance.as_json(report), nl=False)
    elif not page:
        _print_report(report)


def _write_report(path: Path, report: ComplianceReport, instance: Instance) -> None:
    with create_app(instance).test_request_context("/"):
        page = as_html(report)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise Refused(f"The report could not be written to {path}: {error.strerror}.") from None
    click.echo(f"Written to {path}.")


def _note_saved(instance: Instance, kind: str) -> None:
    with instance.database.transaction() as session:
        act = Act(session, instance)
        if kind:
            act.record(Action.EVIDENCE_SAVED, kind=kind)
        else:
            act.record(Action.EVIDENCE_READ)


def _print_report(report: ComplianceReport) -> None:
    click.echo(
        f"Evidence report, {_report_moment(report.at)}. "
        f"{report.clinic}, version {report.version}, {report.mode}."
    )
    click.echo(f"\nOpen findings: {len(report.findings)}")
    for each in report.findings:
        click.echo(f"  {compliance.URGENCY[each.state]}: {each.sentence} {each.what_to_do}".rstrip())
    click.echo(f"\nNot known: {len(report.not_known)}")
    for figure in report.not_known:
        click.echo(f"  {figure.label} {figure.item}".rstrip())
    for section in report.sections:
        click.echo(f"\n{section.title}")
        for figure in section.figures:
            click.echo(f"  {_report_line(figure)}")


def _report_line(figure: Figure) -> str:
    value = "not known" if figure.state is FigureState.NOT_KNOWN else _report_value(figure)
    name = f"{figure.label} {figure.item}".strip()
    detail = f" ({figure.detail})" if figure.detail and figure.detail != value else ""
    at = f", as of {_report_moment(figure.at)}" if figure.at and figure.at != figure.value else ""
    mark = " [open]" if figure.state is FigureState.OPEN else ""
    return f"{name}: {value}{detail}{at}{mark}"


def _report_value(figure: Figure) -> str:
    if isinstance(figure.value, datetime):
        return _report_moment(figure.value)
    if isinstance(figure.value, bool):
        return "yes" if figure.value else "no"
    return "none" if figure.value is None else str(figure.value)


def _report_moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


@click.group("receipt")
def receipt_command() -> None:
    """Tell whether a receipt is ours and unaltered."""


@receipt_command.command("verify")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def verify_receipt(file: Path) -> None:
    """Say whether FILE is a receipt of ours and unaltered; exit code 1 when it is not."""
    try:
        with file.open("rb") as source:
            content = source.read(receipt.MAX_BYTES + 1)
    except OSError:
        raise Refused("The file cannot be read.") from None
    with open_instance(ready=False) as instance:
        ours = receipt.verify(content, instance.keyring.app_secrets(receipt.PURPOSE))
    if not ours:
        raise Refused(NOT_OURS)
    click.echo(OURS)
