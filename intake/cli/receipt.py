"""`intake receipt`: whether a file that somebody shows us is a receipt of ours."""

from pathlib import Path

import click

from intake.cli.opening import opened
from intake.consent import receipt
from intake.core.errors import Refused

OURS = "This receipt is ours and unaltered."
NOT_OURS = "This is no receipt of ours, or it was altered."


@click.group("receipt")
def receipt_command() -> None:
    """Tell whether a receipt is ours and unaltered."""


@receipt_command.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def verify(file: Path) -> None:
    """Say whether FILE is a receipt of ours and unaltered; exit code 1 when it is not."""
    try:
        with file.open("rb") as source:
            content = source.read(receipt.LONGEST + 1)
    except OSError:
        raise Refused("The file cannot be read.") from None
    with opened(ready=False) as instance:
        ours = receipt.verify(content, instance.keyring.app_secrets(receipt.PURPOSE))
    if not ours:
        raise Refused(NOT_OURS)
    click.echo(OURS)
