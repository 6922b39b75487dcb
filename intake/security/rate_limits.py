"""Rate limits and their counters.

A counter's name is an HMAC of the date, the limit and its subject, so no address can be read from it,
and it is deleted after its window. Visitors are counted by network, an IPv4 /24 or an IPv6 /64, since
addresses within one can be changed at will. When counting fails, the request is allowed.

The counters are in `throttle.sqlite3`, one file per machine, shared by all its processes. With several
machines each counts for itself, so the limits are looser by that factor
(docs/decisions/0006-staff-sign-in.md).
"""

import hmac
import ipaddress
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import structlog
from limits import RateLimitItem, parse
from limits.errors import StorageError
from limits.storage import Storage

from intake.core.clock import Clock
from intake.security.crypto import Keyring

log = structlog.get_logger()

_LOCK_TIMEOUT = 2.0
"""Seconds to wait for the counters' lock before a request is allowed uncounted."""
_V4_BITS, _V6_BITS = 24, 64
_TABLE = """
CREATE TABLE IF NOT EXISTS counter (
  name TEXT PRIMARY KEY, count INTEGER NOT NULL, ends_at REAL NOT NULL
) STRICT, WITHOUT ROWID
"""
_INDEX = "CREATE INDEX IF NOT EXISTS counter_ends_at ON counter (ends_at)"
_DELETE_EXPIRED = "DELETE FROM counter WHERE ends_at <= :now OR (name = :name AND ends_at > :ends)"
"""Deletes expired counters, and those that a clock running ahead has left behind."""
_INCREMENT = """
INSERT INTO counter (name, count, ends_at) VALUES (:name, :amount, :ends)
ON CONFLICT (name) DO UPDATE SET count = count + excluded.count
RETURNING count
"""


@dataclass(frozen=True)
class Limit:
    """A named rate limit with a fixed window that begins at the first hit."""

    name: str
    rate: str

    @property
    def item(self) -> RateLimitItem:
        """The rate, parsed by the `limits` library."""
        return parse(self.rate)


SIGN_IN_ACCOUNT = Limit("sign_in_account", "10 per 5 minutes")
"""Sign-in attempts for one account from one network. Not for an account alone, or anybody could lock a
staff member out by typing their address."""
SIGN_IN_NETWORK = Limit("sign_in_network", "60 per 5 minutes")
"""Sign-in attempts for any account from one network; beyond it no password is checked."""
SECOND_FACTOR = Limit("second_factor", "10 per 5 minutes")
"""Second factors tried by an account that is signed in."""
PUBLIC_FORM = Limit("public_form", "30 per 10 minutes")
"""Submitted forms from one network; beyond it they are stored all the same, and marked."""
MANAGE_CODE = Limit("manage_code", "20 per 10 minutes")
"""Wrong private codes from one network; a correct one is never counted."""
STOP_REQUEST = Limit("stop_request", "20 per 10 minutes")
"""References from one network on the page that stops contact without the private code."""


@dataclass(frozen=True)
class Verdict:
    """Whether a hit is allowed, else the seconds to wait. `first`: it was the first beyond the limit."""

    allowed: bool
    retry_after: int = 0
    first: bool = False


class RateLimiter:
    """The counters of one machine."""

    def __init__(self, path: Path, *, keyring: Keyring, clock: Clock) -> None:
        self._key = keyring.app_secrets("throttle")[-1]
        self._clock = clock
        self._counters = Counters(path, clock=clock)

    def hit(self, limit: Limit, *subject: str) -> Verdict:
        """Count a hit of `subject`, and say whether it is within the limit. Never raises."""
        rate = limit.item
        try:
            key = self._key_for(limit, subject)
            count = self._counters.incr(key, rate.get_expiry())
            if count <= rate.amount:
                return Verdict(allowed=True)
            return Verdict(allowed=False, retry_after=self._seconds_left(key), first=count == rate.amount + 1)
        except StorageError as failure:
            log.warning("throttle_failed", kind=limit.name, error=type(failure.storage_error).__name__)
            return Verdict(allowed=True)

    def check(self, limit: Limit, *subject: str) -> Verdict:
        """Whether `subject` is still within the limit, without counting a hit. Never raises."""
        try:
            key = self._key_for(limit, subject)
            if self._counters.get(key) < limit.item.amount:
                return Verdict(allowed=True)
            return Verdict(allowed=False, retry_after=self._seconds_left(key))
        except StorageError as failure:
            log.warning("throttle_failed", kind=limit.name, error=type(failure.storage_error).__name__)
            return Verdict(allowed=True)

    def _key_for(self, limit: Limit, subject: tuple[str, ...]) -> str:
        """The counter's name. Each part has its length in front, so that no two lists of them are alike."""
        message = b""
        for part in (limit.name, self._clock().date().isoformat(), *subject):
            encoded = part.encode("utf-8", "replace")
            message += len(encoded).to_bytes(4) + encoded
        return limit.item.key_for(hmac.digest(self._key, message, "sha256").hex())

    def _seconds_left(self, key: str) -> int:
        return max(1, ceil(self._counters.get_expiry(key) - self._clock().timestamp()))


def network(address: str | None) -> str:
    """The /24 (IPv4) or /64 (IPv6) network of an address; `unknown` when it cannot be parsed."""
    try:
        found = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    bits = _V4_BITS if found.version == 4 else _V6_BITS  # noqa: PLR2004  the protocol version
    return str(ipaddress.ip_network((found, bits), strict=False))


class Counters(Storage):
    """Storage for the `limits` library in a SQLite file; each count is one atomic statement.

    Counters need not survive a power cut, so nothing waits for the disk (synchronous off); a damaged file
    is deleted. A connection is opened for each count: it costs a fraction of a millisecond, and no thread
    or forked process shares one.
    """

    STORAGE_SCHEME = None

    def __init__(self, path: Path, *, clock: Clock) -> None:
        super().__init__(wrap_exceptions=True)
        self._path = path
        self._clock = clock

    @property
    def base_exceptions(self) -> type[Exception] | tuple[type[Exception], ...]:
        return (sqlite3.Error, OSError)

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add `amount` and return the count; expired counters are deleted first."""
        now = self._now()
        values = {"name": key, "amount": amount, "now": now, "ends": now + expiry}
        with self._open() as connection:
            connection.execute(_DELETE_EXPIRED, values)
            return int(connection.execute(_INCREMENT, values).fetchone()[0])

    def get(self, key: str) -> int:
        """The count; 0 when there is none or it has expired."""
        return int(self._row(key)[0])

    def get_expiry(self, key: str) -> float:
        """When the counter expires, in seconds since 1970; the current time when there is none."""
        return float(self._row(key)[1])

    def _row(self, key: str) -> tuple[int, float]:
        with self._open() as connection:
            found = connection.execute("SELECT count, ends_at FROM counter WHERE name = ?", (key,)).fetchone()
        return found if found and found[1] > self._now() else (0, self._now())

    def check(self) -> bool:
        """Whether the storage works."""
        with suppress(sqlite3.Error, OSError), self._open():
            return True
        return False

    def reset(self) -> int:
        """Delete all counters. Returns how many there were."""
        with self._open() as connection:
            return connection.execute("DELETE FROM counter").rowcount

    def clear(self, key: str) -> None:
        """Delete one counter."""
        with self._open() as connection:
            connection.execute("DELETE FROM counter WHERE name = ?", (key,))

    def _now(self) -> float:
        return self._clock().timestamp()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection within BEGIN IMMEDIATE, committed at the end. A damaged file is deleted."""
        try:
            with closing(
                sqlite3.connect(self._path, timeout=_LOCK_TIMEOUT, isolation_level=None)
            ) as connection:
                connection.execute("PRAGMA synchronous = OFF")
                connection.execute("PRAGMA journal_mode = TRUNCATE")
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(_TABLE)
                connection.execute(_INDEX)
                yield connection
                connection.execute("COMMIT")
        except sqlite3.OperationalError:
            raise  # busy, full or read-only: the file is not damaged
        except sqlite3.DatabaseError:
            self._path.unlink(missing_ok=True)
            self._path.with_name(f"{self._path.name}-journal").unlink(missing_ok=True)
            raise
