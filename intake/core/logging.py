"""Logs: one JSON event a line, on standard error, with nothing in it about anybody.

The rule is by shape: an event is a name and a few closed keys. What is not on the list is dropped
and named in `dropped`, so that a careless line loses its words instead of telling them.
"""

import logging
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog

ALLOWED = frozenset(
    {
        "event", "level", "timestamp", "logger", "dropped",  # every line
        "action", "attempt", "code", "count", "error", "every", "kind", "method", "mode", "name", "path",
        "pid", "port", "reason", "result", "route", "seconds", "setting", "state", "status", "version",
    }
)  # fmt: skip
_NOISY = ("waitress", "waitress.queue", "sqlalchemy", "alembic", "werkzeug", "asyncio", "babel")


def configure(level: str = "INFO") -> None:
    """Send our events and the libraries' warnings to standard error in one form."""
    logging.basicConfig(handlers=[_Plain()], level=logging.WARNING, force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            only_allowed,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _NullStream(sys.stderr))),
        cache_logger_on_first_use=False,
    )


def only_allowed(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Keep the closed keys; say which others were dropped."""
    extra = sorted(set(event) - ALLOWED)
    for key in extra:
        del event[key]
    if extra:
        event["dropped"] = extra
    return event


class _NullStream:
    """A stream that fails nobody: where a log cannot be written (the disk is full), its lines are lost.

    A line about a failure must not become a second failure, which would cost a person the page that says
    whom to call (promise P4).
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, words: str) -> int:
        """Write what can be written."""
        with suppress(OSError, ValueError):
            self._stream.write(words)
        return len(words)

    def flush(self) -> None:
        """Hand over what can be handed over."""
        with suppress(OSError, ValueError):
            self._stream.flush()


class _Plain(logging.Handler):
    """The libraries' own warnings: where they came from and of what kind, never their text.

    Their text may quote a request, a statement with its values or an address.
    """

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
        structlog.get_logger().warning(
            "library_warning", name=record.name, code=f"{record.module}:{record.lineno}", error=error
        )
