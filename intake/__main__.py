"""`python -m intake` and the `intake` command: the operator's door."""

import os
import sys
import traceback

from intake.cli import intake


def main() -> None:
    """Run one command; what it writes is readable by its own account alone.

    Exit code 0: done; 1: refused, with one line saying why; 2: wrong usage. A failure nobody
    expected is told by its place and kind alone: its own words may quote a row.
    """
    os.umask(0o077)
    try:
        intake(prog_name="intake")
    except Exception as unexpected:  # noqa: BLE001  the last door: nothing stands above it
        sys.stderr.writelines(traceback.format_tb(unexpected.__traceback__))
        sys.exit(f"intake: stopped by an unexpected {type(unexpected).__name__} at the place above.")


if __name__ == "__main__":
    main()
