"""Command line of the operator: output in English, no personal data in arguments.

Exit code 0: done; 1: refused, with one line on standard error saying why; 2: wrong usage.
"""

from importlib import import_module

import click

from intake import __version__
from intake.core.errors import IntakeError, SettingsError, Unavailable, Unprocessable

DATABASE_DOWN = "The database cannot be reached or written: run `intake doctor`."
COMMANDS = {
    "audit": "Verify the audit log, or look at its last events.",
    "backup": "Write an encrypted backup while everything runs.",
    "consent": "Show the statements in force.",
    "db": "Bring the database to this version, or see where it stands.",
    "demo": "Fill a development instance with made-up leads.",
    "doctor": "Say what is wrong, by the name of the setting.",
    "evidence": "Tell what the service can show of itself.",
    "keys": "Make fresh keys, and move everything to a new one.",
    "leads": "Erase requests that have been kept long enough.",
    "mail": "Try the mail server.",
    "outbox": "See and send again what was refused.",
    "receipt": "Tell whether a receipt is ours and unaltered.",
    "relay": "Send mail that is due and run the jobs, until stopped.",
    "restore": "Bring a backup back on an empty machine, or try whether it could be.",
    "run": "Start everything here, in one terminal.",
    "serve": "Start the web server, until stopped.",
    "staff": "Add, list, reset and disable staff accounts.",
}

MODULES = {
    "backup": "database", "consent": "audit", "db": "database", "demo": "leads", "evidence": "audit",
    "outbox": "mail", "receipt": "audit", "relay": "run", "restore": "database", "serve": "run",
    "staff": "accounts",
}  # fmt: skip
"""Modules of the commands that are not in a module of their own name."""


class IntakeGroup(click.Group):
    """Imports a command's module on demand, and prints an expected failure as one line on standard error."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(
            import_module(f"intake.cli.{MODULES.get(cmd_name, cmd_name)}"), f"{cmd_name}_command"
        )
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except IntakeError as error:
            click.echo(f"intake: {one_line(error)}", err=True)
            raise click.exceptions.Exit(1) from None


def one_line(error: IntakeError) -> str:
    """The message of an expected failure on one line, with the problems by field or setting."""
    if isinstance(error, Unavailable) and error.sentence == Unavailable.sentence:
        return DATABASE_DOWN
    parts = error.problems if isinstance(error, SettingsError) else (error.sentence,)
    if isinstance(error, Unprocessable):
        parts += tuple(f"{field}: {' '.join(sentences)}" for field, sentences in error.problems.items())
    return " ".join(" ".join(parts).split())


@click.group(
    cls=IntakeGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="intake")
def intake() -> None:
    """The door between a reader and a clinic's intake team."""
