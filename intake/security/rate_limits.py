"""Named limits and the counters behind them, in a file of their own (decisions.md 30).

A counter's name is HMAC(key, date and whom it counts), so no address can be read from it, and it is
gone after its window. Whoever stands in front of a door comes from a network: an IPv4 /24 or an IPv6
/64, because that is what one place can change at will. If counting fails, the person gets in.

The counters live in `throttle.sqlite3`, one per machine, shared by all its processes. With several
machines each counts for itself, so a limit is at most as many times as loose as there are machines.
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

_WAIT = 2.0
"""Seconds to wait for other processes' counting before the person gets in uncounted."""
_V4_BITS, _V6_BITS = 24, 64
_COUNTER = """
CREATE TABLE IF NOT EXISTS counter (
  name TEXT PRIMARY KEY, count INTEGER NOT NULL, ends_at REAL NOT NULL
) STRICT, WITHOUT ROWID
"""
_BY_END = "CREATE INDEX IF NOT EXISTS counter_ends_at ON counter (ends_at)"
_TIDY = "DELETE FROM counter WHERE ends_at <= :now OR (name = :name AND ends_at > :ends)"
"""What is over, and what a clock that had run ahead left behind."""
_COUNT_ON = """
INSERT INTO counter (name, count, ends_at) VALUES (:name, :amount, :ends)
ON CONFLICT (name) DO UPDATE SET count = count + excluded.count
RETURNING count
"""


@dataclass(frozen=True)
class Limit:
    """One named limit: how often in how long, counted from the first time."""

    name: str
    rate: str

    @property
    def item(self) -> RateLimitItem:
        """The rate in the words of the `limits` library."""
        return parse(self.rate)


SIGN_IN_ACCOUNT = Limit("sign_in_account", "10 per 5 minutes")
"""Tries for one account from one network. Never for an account alone: whoever types a colleague's
address in another place must not lock them out."""
SIGN_IN_NETWORK = Limit("sign_in_network", "60 per 5 minutes")
"""Tries for whatever account from one network; beyond it we do not even look."""
SECOND_FACTOR = Limit("second_factor", "10 per 5 minutes")
"""Second factors tried by one account that is signed in already."""
PUBLIC_FORM = Limit("public_form", "30 per 10 minutes")
"""Requests from one network; beyond it they are kept all the same, and marked."""
MANAGE_CODE = Limit("manage_code", "20 per 10 minutes")
"""Wrong private codes from one network; a right one is never counted."""
STOP_REQUEST = Limit("stop_request", "20 per 10 minutes")
"""References tried from one network to stop contact without the code."""


@dataclass(frozen=True)
class Verdict:
    """Whether it may go on; if not, in how many seconds. `first`: this hit was the first too many."""

    allowed: bool
    retry_after: int = 0
    first: bool = False


class RateLimiter:
    """The counters of one machine."""

    def __init__(self, path: Path, *, keyring: Keyring, clock: Clock) -> None:
        self._key = keyring.app_secrets("throttle")[-1]
        self._clock = clock
        self._counters = Counters(path, clock=clock)

    def hit(self, limit: Limit, *who: str) -> Verdict:
        """Count once more for `who` and say whether it may go on. Never raises, never waits long."""
        try:
            return self._counted(limit.item, self._name(limit, who))
        except StorageError as failed:
            log.warning("throttle_failed", kind=limit.name, error=type(failed.storage_error).__name__)
            return Verdict(allowed=True)

    def used_up(self, limit: Limit, *who: str) -> Verdict:
        """Say whether `who` has already had all the tries of a limit, without counting one."""
        try:
            rate = limit.item
            key = rate.key_for(self._name(limit, who))
            if self._counters.get(key) < rate.amount:
                return Verdict(allowed=True)
            return Verdict(allowed=False, retry_after=self._left(key))
        except StorageError as failed:
            log.warning("throttle_failed", kind=limit.name, error=type(failed.storage_error).__name__)
            return Verdict(allowed=True)

    def _counted(self, rate: RateLimitItem, name: str) -> Verdict:
        key = rate.key_for(name)
        count = self._counters.incr(key, rate.get_expiry())
        if count <= rate.amount:
            return Verdict(allowed=True)
        return Verdict(allowed=False, retry_after=self._left(key), first=count == rate.amount + 1)

    def _left(self, key: str) -> int:
        return max(1, ceil(self._counters.get_expiry(key) - self._clock().timestamp()))

    def _name(self, limit: Limit, who: tuple[str, ...]) -> str:
        parts = (limit.name, self._clock().date().isoformat(), *who)
        return hmac.digest(self._key, b"".join(map(_framed, parts)), "sha256").hex()


def _framed(part: str) -> bytes:
    """With its length in front, so that no two lists of parts look alike."""
    written = part.encode("utf-8", "replace")
    return len(written).to_bytes(4) + written


def network(address: str | None) -> str:
    """The network an address belongs to: /24 or /64; one name for all that we cannot read."""
    try:
        found = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    bits = _V4_BITS if found.version == 4 else _V6_BITS  # noqa: PLR2004  the protocol's own name
    return str(ipaddress.ip_network((found, bits), strict=False))


class Counters(Storage):
    """The `limits` library's storage on a SQLite file: each count is one statement, so it is atomic.

    Nothing here needs to survive a power cut, so nothing waits for the disk (synchronous off); a file
    that is damaged all the same is thrown away. A connection is opened for each count: it costs a
    fraction of a millisecond, and no thread or forked process ever shares one.
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
        """Count on and return the count; what is past its end counts as nothing and goes."""
        now = self._now()
        values = {"name": key, "amount": amount, "now": now, "ends": now + expiry}
        with self._open() as connection:
            connection.execute(_TIDY, values)
            return int(connection.execute(_COUNT_ON, values).fetchone()[0])

    def get(self, key: str) -> int:
        """The count so far; 0 when there is none or its time is over."""
        return int(self._row(key)[0])

    def get_expiry(self, key: str) -> float:
        """When this count ends, in seconds since 1970; now, when there is none."""
        return float(self._row(key)[1])

    def _row(self, key: str) -> tuple[int, float]:
        with self._open() as connection:
            found = connection.execute("SELECT count, ends_at FROM counter WHERE name = ?", (key,)).fetchone()
        return found if found and found[1] > self._now() else (0, self._now())

    def check(self) -> bool:
        """Whether counting works."""
        with suppress(sqlite3.Error, OSError), self._open():
            return True
        return False

    def reset(self) -> int:
        """Forget all counts. Returns how many there were."""
        with self._open() as connection:
            return connection.execute("DELETE FROM counter").rowcount

    def clear(self, key: str) -> None:
        """Forget one count."""
        with self._open() as connection:
            connection.execute("DELETE FROM counter WHERE name = ?", (key,))

    def _now(self) -> float:
        return self._clock().timestamp()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection inside BEGIN IMMEDIATE, committed at the end. A damaged file is thrown away."""
        try:
            with closing(sqlite3.connect(self._path, timeout=_WAIT, isolation_level=None)) as connection:
                connection.execute("PRAGMA synchronous = OFF")
                connection.execute("PRAGMA journal_mode = TRUNCATE")
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(_COUNTER)
                connection.execute(_BY_END)
                yield connection
                connection.execute("COMMIT")
        except sqlite3.OperationalError:
            raise  # busy, full or read-only: the file itself is sound
        except sqlite3.DatabaseError:
            self._path.unlink(missing_ok=True)
            self._path.with_name(f"{self._path.name}-journal").unlink(missing_ok=True)
            raise
