"""Structured logs: one JSON event per line on standard error, without personal data.

An event has a name and keys from a closed list. Any other key is dropped and named in `dropped`, so
that a careless log call loses its values instead of disclosing them.
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
    """Set up structlog, and send the libraries' warnings through it."""
    logging.basicConfig(handlers=[_LibraryWarnings()], level=logging.WARNING, force=True)
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
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _SafeStream(sys.stderr))),
        cache_logger_on_first_use=False,
    )


def only_allowed(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Structlog processor: drop keys that are not in ALLOWED, and list them in `dropped`."""
    extra = sorted(set(event) - ALLOWED)
    for key in extra:
        del event[key]
    if extra:
        event["dropped"] = extra
    return event


class _SafeStream:
    """A stream that ignores write errors: on a full disk log lines are lost.

    Logging a failure must not become a second failure, which would cost the person asking the error page
    with the phone number (promise P4).
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, ignoring errors. Returns the length of `text`."""
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, ignoring errors."""
        with suppress(OSError, ValueError):
            self._stream.flush()


class _LibraryWarnings(logging.Handler):
    """Logs where a library's warning came from and its exception type, never its text.

    The text may quote a request, an SQL statement with its values or an address.
    """

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
        structlog.get_logger().warning(
            "library_warning", name=record.name, code=f"{record.module}:{record.lineno}", error=error
        )
