"""`intake consent`: the words people agree to."""

import click
from rich.console import Console
from rich.table import Table

from intake.cli.opening import opened
from intake.consent.statements import Statement
from intake.core.i18n import LANGUAGES


@click.group("consent")
def consent_command() -> None:
    """Show the statements in force."""


@consent_command.command()
@click.option("--words", is_flag=True, help="Print the words too, as a person sees them.")
def show(*, words: bool) -> None:
    """List the statements in force in each language with version and digest."""
    with opened(ready=False) as instance:
        for language in LANGUAGES:
            statements = list(instance.statements.in_force(language).values())
            _print_table(statements, language)
            if words:
                _print_words(statements)


def _print_table(statements: list[Statement], language: str) -> None:
    table = Table(
        "kind", "version", "SHA-256 of the words", title=f"In force: {language}", title_justify="left"
    )
    for each in statements:
        table.add_row(each.kind.value, str(each.version), each.digest)
    Console(width=100).print(table)


def _print_words(statements: list[Statement]) -> None:
    for each in statements:
        click.echo(f"\n[{each.kind.value}]\n{each.body}")
    click.echo()
