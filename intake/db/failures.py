"""What the outside world does to a database, turned into one expected failure."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as NoneFree

from intake.core.errors import Unavailable

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_READ_ONLY = "25006"
"""What PostgreSQL calls a write to a server that only follows another."""


class Damaged(Unavailable):
    """The file of the database is not whole: a backup has to be restored."""


@contextmanager
def failing_well() -> Iterator[None]:
    """Raises Unavailable, or Damaged, for what the outside world has done; a defect of ours as it is."""
    try:
        yield
    except (DBAPIError, sqlite3.DatabaseError) as broken:
        cause = broken.orig if isinstance(broken, DBAPIError) else broken
        if getattr(cause, "sqlite_errorcode", None) in _DAMAGED:
            raise Damaged from broken
        if isinstance(broken, OperationalError) or _lost(broken) or _state(cause) == _READ_ONLY:
            raise Unavailable from broken
        raise
    except NoneFree as busy:  # every connection is in use
        raise Unavailable from busy


def _lost(broken: Exception) -> bool:
    return isinstance(broken, DBAPIError) and broken.connection_invalidated


def _state(cause: object) -> str | None:
    return getattr(cause, "sqlstate", None)
