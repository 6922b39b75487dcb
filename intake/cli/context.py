"""What commands share: settings, logging, an instance that is closed at the end, a progress bar."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from intake import monitoring
from intake.conf import settings
from intake.conf.settings import Settings
from intake.core import logging
from intake.core.errors import Refused
from intake.instance import Instance


def load_settings() -> Settings:
    """Load the settings and configure logging by them. Raises SettingsError."""
    loaded = settings.load()
    logging.configure(loaded.log_level)
    return loaded


@contextmanager
def open_instance(*, ready: bool = True) -> Iterator[Instance]:
    """An instance for one command. Raises SettingsError, and Refused when `ready` and the database is not."""
    loaded = load_settings()
    try:
        instance = Instance.from_settings(loaded)
    except OSError:
        raise Refused("INTAKE_DATA_DIR: must be a folder that this account can write to or make.") from None
    try:
        if ready:
            monitoring.require_ready(instance)
        yield instance
    finally:
        instance.database.close()


@contextmanager
def progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error while the block runs; call it with how many of how many are done."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)
