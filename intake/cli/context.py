"""What every command needs: settings, logging, and an instance that is closed at the end."""

from collections.abc import Iterator
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
