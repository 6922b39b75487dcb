"""Entry point of `python -m intake` and of the `intake` command."""

import os
import sys
import traceback

from intake.cli import intake


def main() -> None:
    """Run one command with umask 077: the files that it writes are readable by their owner only.

    Exit code 0: done; 1: refused, with one line saying why; 2: wrong usage. Of an unexpected exception
    the traceback and the type are printed, not its message, which may quote a row.
    """
    os.umask(0o077)
    try:
        intake(prog_name="intake")
    except Exception as unexpected:  # noqa: BLE001  the outermost frame
        sys.stderr.writelines(traceback.format_tb(unexpected.__traceback__))
        sys.exit(f"intake: stopped by an unexpected {type(unexpected).__name__} at the place above.")


if __name__ == "__main__":
    main()
