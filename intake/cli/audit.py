"""`intake audit`, `consent`, `evidence` and `receipt`: verifying and showing what the service can prove."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from intake import audit
from intake.act import Act
from intake.audit import Action, Verification, export
from intake.audit.chain import load_anchors
from intake.cli.context import open_instance
from intake.consent import receipt
from intake.core.errors import Refused
from intake.core.i18n import LANGUAGES
from intake.instance import Instance
from intake.monitoring import integrity
from intake.monitoring.checks import ago
from intake.reports import compliance
from intake.reports.compliance import ComplianceReport, Figure, FigureState
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
        found = _read_saved(instance, saved, anchors) if saved else integrity.verify(instance, more=anchors)
        now = instance.clock()
    click.echo(f"{found.events} events, {found.linked} linked, {found.unlinked} not linked yet.")
    if found.unlinked:
        click.echo(f"The oldest that is not linked has waited {ago(found.waiting(now))}.")
    click.echo(f"Head of the chain: {found.head or 'none yet'}")
    click.echo(f"Compared with {found.anchors} anchors.")
    for note in found.notes:
        click.echo(f"Note: {note}")
    for problem in found.problems:
        click.echo(problem)
    if not found.intact:
        raise Refused("The audit log does not hold: see what is listed above.")
    click.echo("Nothing was changed, removed or moved.")


def _read_saved(instance: Instance, saved: Path, anchors: Sequence[Path]) -> Verification:
    """Verify a log saved from the desk, with the anchors of further files besides its own."""
    more = [each for path in anchors for each in load_anchors(path) or ()]
    with saved.open(encoding="utf-8", errors="replace") as lines:
        return export.verify(lines, keyring=instance.keyring, anchors=more)


@audit_command.command()
@click.option("-n", "--last", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many.")
def show(last: int) -> None:
    """Print the last events, newest first. That somebody looked is itself an event."""
    with open_instance() as instance, instance.database.transaction() as session:
        events = audit.newest_events(session, limit=last)
        Act(session, instance).record(Action.AUDIT_READ, count=len(events))
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
            table = Table("kind", "version", "SHA-256 of the words")
            table.title, table.title_justify = f"In force: {language}", "left"
            statements = instance.statements.in_force(language).values()
            for each in statements:
                table.add_row(each.kind.value, str(each.version), each.digest)
            Console(width=100).print(table)
            if words:
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
        with instance.database.transaction() as session:
            act = Act(session, instance)
            if page or machine:
                act.record(Action.EVIDENCE_SAVED, kind="html" if page else "json")
            else:
                act.record(Action.EVIDENCE_READ)
    if machine:
        click.echo(compliance.as_json(report), nl=False)
    elif not page:
        _print_report(report)


def _write_report(path: Path, report: ComplianceReport, instance: Instance) -> None:
    from intake.app import create_app  # noqa: PLC0415  no other command of the log renders a page
    from intake.web.desk.privacy import as_html  # noqa: PLC0415

    with create_app(instance).test_request_context("/"):
        page = as_html(report)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise Refused(f"The report could not be written to {path}: {error.strerror}.") from None
    click.echo(f"Written to {path}.")


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
    value = "none" if figure.value is None else str(figure.value)
    if figure.state is FigureState.NOT_KNOWN:
        value = "not known"
    elif isinstance(figure.value, datetime):
        value = _report_moment(figure.value)
    elif isinstance(figure.value, bool):
        value = "yes" if figure.value else "no"
    name = f"{figure.label} {figure.item}".strip()
    detail = f" ({figure.detail})" if figure.detail and figure.detail != value else ""
    at = f", as of {_report_moment(figure.at)}" if figure.at and figure.at != figure.value else ""
    mark = " [open]" if figure.state is FigureState.OPEN else ""
    return f"{name}: {value}{detail}{at}{mark}"


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
