"""Verification of the audit log: each event by its MAC, the chain link by link, its end by anchors.

Whoever can write to the database could delete the newest events together with their links, or restore an
older copy of everything; what remains is consistent in itself. An anchor therefore records outside the
database how far the chain reached: one line in a file or a mail, authenticated with the chain key, without
any data of a person. See docs/decisions/0018-anchors.md.
"""

import re
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from intake.audit.models import AuditEvent, ChainLink
from intake.audit.service import DIGEST_VERSION, UNLABELLED, authentic, digest_of, tail
from intake.core import files
from intake.security.crypto import Keyring, constant_time_equal

FORMAT = "intake-anchor-1"
ANCHOR_AT_LEAST = timedelta(days=1)
"""An anchor is written this often even when the chain has not grown."""
_LINE = re.compile(
    rf"{FORMAT}\s+(?P<at>[0-9T:.+-]{{25,32}})\s+(?P<seq>[0-9]{{1,15}})\s+(?P<events>[0-9]{{1,15}})"
    r"\s+(?P<head>[0-9a-f]{64})\s+(?P<mac>[0-9a-f]{64})"
)


@dataclass(frozen=True)
class Anchor:
    """States that at `at` the log held `events` events and its last link, `seq`, had the digest `head`."""

    at: datetime
    seq: int
    events: int
    head: bytes
    mac: bytes = b""

    @property
    def signed_text(self) -> str:
        """The text that its MAC covers."""
        return f"{self.at.isoformat()} {self.seq} {self.events} {self.head.hex()}"

    def __str__(self) -> str:
        return f"{FORMAT} {self.signed_text} {self.mac.hex()}"

    def lines(self) -> list[str]:
        """Return the anchor on three short lines, for a mail."""
        place, head, seal = str(self).rsplit(" ", 2)
        return [place, head, seal]

    @property
    def id(self) -> uuid.UUID:
        """An id derived from the MAC, so that a mail sent twice has the same Message-ID."""
        return uuid.UUID(bytes=self.mac[:16], version=4)

    def authentic(self, keyring: Keyring) -> bool:
        """Return whether its MAC is valid under this key."""
        return constant_time_equal(self.mac, _anchor_mac(self, keyring))


@dataclass(frozen=True)
class LogExtent:
    """The extent of a verified log: events, links, and the digests at the anchors' positions."""

    events: int
    linked: int
    digests: Mapping[int, bytes]


def _anchor_mac(anchor: Anchor, keyring: Keyring) -> bytes:
    return keyring.mac("audit-anchor", anchor.signed_text.encode())


def take_anchor(session: Session, *, keyring: Keyring, at: datetime) -> Anchor | None:
    """Return an anchor of the chain as it is now; None while the chain is empty."""
    last = session.scalars(select(ChainLink).order_by(ChainLink.seq.desc()).limit(1)).first()
    if last is None:
        return None
    events = session.scalar(select(func.count()).select_from(AuditEvent)) or 0
    unsigned = Anchor(at, last.seq, events, last.digest)
    return Anchor(at, last.seq, events, last.digest, _anchor_mac(unsigned, keyring))


def append_anchor(path: Path, anchor: Anchor) -> bool:
    """Append the anchor to the file unless the last one is the same and recent. Returns whether it did."""
    previous = last_anchor(path)
    if previous and previous.seq == anchor.seq and previous.at <= anchor.at < previous.at + ANCHOR_AT_LEAST:
        return False
    files.append(path, [str(anchor)])
    return True


def parse_anchors(text: str) -> list[Anchor]:
    """Parse the anchors in a text, in order: an anchor file, or saved mails with any line wrapping."""
    return [anchor for found in _LINE.finditer(text) if (anchor := _anchor(found))]


def _anchor(found: re.Match[str]) -> Anchor | None:
    try:
        at = datetime.fromisoformat(found["at"])
        return Anchor(
            at,
            int(found["seq"]),
            int(found["events"]),
            bytes.fromhex(found["head"]),
            bytes.fromhex(found["mac"]),
        )
    except ValueError:
        return None


def load_anchors(path: Path) -> list[Anchor] | None:
    """Read the anchors of a file; None when the file cannot be read."""
    try:
        return parse_anchors(path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None


def last_anchor(path: Path) -> Anchor | None:
    """Return the newest anchor of a file; None when there is none."""
    return next(reversed(load_anchors(path) or ()), None)


def anchor_matches(session: Session, anchor: Anchor, *, keyring: Keyring) -> bool:
    """Return whether an authentic anchor's link is in the chain: one query, no verification of the chain."""
    digest = session.scalar(select(ChainLink.digest).where(ChainLink.seq == anchor.seq))
    return anchor.authentic(keyring) and digest is not None and constant_time_equal(digest, anchor.head)


def compare_anchors(anchors: Iterable[Anchor], extent: LogExtent, *, keyring: Keyring) -> Iterator[str]:
    """Yield contradictions between anchors and log; each kind once, by the anchor that shows most."""
    every = list(anchors)
    valid = [anchor for anchor in every if anchor.authentic(keyring)]
    if len(valid) < len(every):
        yield f"{len(every) - len(valid)} anchors were changed, or were not written with this key."
    yield from _cut_off(valid, extent)
    yield from _replaced(valid, extent)


def _cut_off(anchors: Sequence[Anchor], extent: LogExtent) -> Iterator[str]:
    furthest = max(anchors, key=lambda each: each.seq, default=None)
    if furthest and furthest.seq > extent.linked:
        yield (
            f"the chain was cut: it ends at link {extent.linked}, and on {_moment(furthest)} it had come to "
            f"link {furthest.seq}; links {extent.linked + 1} to {furthest.seq} are missing."
        )
    most = max(anchors, key=lambda each: each.events, default=None)
    if most and most.events > extent.events:
        yield (
            f"{most.events - extent.events} events are missing: there are {extent.events}, and on "
            f"{_moment(most)} there were {most.events}."
        )


def _replaced(anchors: Sequence[Anchor], extent: LogExtent) -> Iterator[str]:
    for anchor in anchors:
        digest = extent.digests.get(anchor.seq)
        if digest is not None and not constant_time_equal(digest, anchor.head):
            yield f"link {anchor.seq} is another one than on {_moment(anchor)}: the chain was replaced."
            return


def _moment(anchor: Anchor) -> str:
    return f"{anchor.at:%Y-%m-%d %H:%M} UTC"


_PAGE = 1000
UNREADABLE = (ValueError, TypeError, OverflowError, DBAPIError)
"""What reading a row raises when a value in it is no longer of its type."""


@dataclass(frozen=True)
class Verification:
    """The result of a verification. `problems`: a sentence for each fault; `notes` need no action.

    `unlinked`: number of events without a position in the chain yet, the oldest from `unlinked_since`.
    `head`: the last digest in hex. `anchors`: number of anchors compared.
    """

    events: int = 0
    linked: int = 0
    unlinked: int = 0
    head: str = ""
    unlinked_since: datetime | None = None
    anchors: int = 0
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def intact(self) -> bool:
        """True when no problem was found."""
        return not self.problems

    def waiting(self, now: datetime) -> timedelta:
        """Return for how long the oldest unlinked event has been waiting."""
        return max(now - self.unlinked_since, timedelta(0)) if self.unlinked_since else timedelta(0)


class ChainVerifier:
    """Verifies a chain link by link, from the database or from a file; collects `problems`."""

    def __init__(self, keyring: Keyring, wanted: Collection[int] = ()) -> None:
        self.problems: list[str] = []
        self.linked, self.head = 0, b""
        self.digests: dict[int, bytes] = {}
        self._keyring, self._wanted = keyring, frozenset(wanted)
        self._reached = UNLABELLED[0]

    def step(self, chained: ChainLink, event: AuditEvent | None) -> None:
        """Verify the next link and its event."""
        self.problems += self._faults(chained, event)
        self.linked, self.head = max(self.linked, chained.seq), chained.digest
        if chained.seq in self._wanted:
            self.digests[chained.seq] = chained.digest

    def _faults(self, chained: ChainLink, event: AuditEvent | None) -> Iterator[str]:
        expected = self.linked + 1
        if chained.seq < expected:
            yield f"link {chained.seq}: no link can stand there."
        if chained.seq > expected:
            yield f"links {expected} to {chained.seq - 1} are missing."
        if event is None:
            yield f"link {chained.seq}: its event is missing."
            return
        if not authentic(event, keyring=self._keyring):
            yield f"link {chained.seq}: event {event.id} was changed."
        if chained.seq == expected and not self._follows(chained, event):
            yield f"link {chained.seq}: does not follow from the link before it."

    def _follows(self, chained: ChainLink, event: AuditEvent) -> bool:
        """Return whether the digest is valid by an allowed formula, none older than the previous link's."""
        stored = chained.digest_version
        allowed = UNLABELLED if stored is None else {stored} & {DIGEST_VERSION}
        for version in (each for each in allowed if each >= self._reached):
            expected = digest_of(self._keyring, self.head, chained, event, version=version)
            if constant_time_equal(chained.digest, expected):
                self._reached = version
                return True
        return False


def verify(session: Session, *, keyring: Keyring, anchors: Sequence[Anchor] = ()) -> Verification:
    """Verify every event's MAC, the whole chain, and its end against `anchors`. Reads in pages."""
    verifier = ChainVerifier(keyring, [anchor.seq for anchor in anchors])
    waiting: list[datetime] = []
    try:
        for chained, event in _chain(session):
            verifier.step(chained, event)
        for event in session.scalars(tail()):
            waiting.append(event.at)
            verifier.problems += (
                [] if authentic(event, keyring=keyring) else [f"event {event.id} was changed."]
            )
    except UNREADABLE as error:
        reraise_database_failure(error)
        verifier.problems.append(
            f"an entry behind link {verifier.linked} can no longer be read, so it was changed."
        )
        return _result(session, verifier, waiting, 0)
    extent = LogExtent(_count(session), verifier.linked, verifier.digests)
    verifier.problems += compare_anchors(anchors, extent, keyring=keyring)
    return _result(session, verifier, waiting, len(anchors))


def reraise_database_failure(error: Exception) -> None:
    """Re-raise an error of the database itself; one caused by a row that is not decodable passes."""
    if isinstance(error, DBAPIError) and "decode" not in str(error.orig):
        raise error


def _result(
    session: Session, verifier: ChainVerifier, waiting: Sequence[datetime], anchors: int
) -> Verification:
    return Verification(
        events=_count(session),
        linked=verifier.linked,
        unlinked=len(waiting),
        head=verifier.head.hex(),
        unlinked_since=min(waiting, default=None),
        anchors=anchors,
        problems=tuple(verifier.problems),
    )


def _count(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(AuditEvent)) or 0


def _chain(session: Session) -> Iterator[tuple[ChainLink, AuditEvent | None]]:
    """Yield every link in order with its event, read in pages; also links at impossible positions."""
    after: int | None = None
    while True:
        wanted = (
            select(ChainLink, AuditEvent)
            .outerjoin(AuditEvent, AuditEvent.id == ChainLink.event_id)
            .order_by(ChainLink.seq)
            .limit(_PAGE)
        )
        page = session.execute(wanted if after is None else wanted.where(ChainLink.seq > after)).all()
        if not page:
            return
        yield from [(chained, event) for chained, event in page]
        after = page[-1][0].seq
        session.expunge_all()
