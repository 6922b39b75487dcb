"""The clock. Everything stored is UTC; code that needs the time takes a `Clock`, so that tests can set it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]


def now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.now(UTC)


def clock_ahead(minutes: int) -> Clock:
    """A clock that runs `minutes` ahead of the system clock; `now` itself for 0."""
    shift = timedelta(minutes=minutes)
    return (lambda: now() + shift) if minutes else now
