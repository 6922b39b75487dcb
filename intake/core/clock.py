"""The one clock. Everything stored is UTC; whoever needs the time is handed this."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def ahead(minutes: int) -> Clock:
    """A clock that runs `minutes` ahead of the real one; with 0 the real one itself."""
    shift = timedelta(minutes=minutes)
    return (lambda: now() + shift) if minutes else now
