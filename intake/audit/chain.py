"""Verification of the audit log: each event by its MAC, the chain link by link, its end by anchors.

Whoever can write to the database could delete the newest events together with their links, or restore an
older copy of everything; what remains is consistent in itself. An anchor therefore records outside the
database how far the chain reached: one line in a file or a mail, authenticated with the chain key, without
any data of a person. See docs/decisions/0018-anchors.md.
"""

import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from intake.audit.models import AuditEvent, ChainLink
from intake.audit.service import (
    DIGEST_VERSION,
    UNLABELLED,
    authentic,
    count_events,
    digest_of,
    last_link,
    tail,
)
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
    def when(self) -> str:
        """Its moment in words."""
        return f"{self.at:%Y-%m-%d %H:%M} UTC"

    @property
    def id(self) -> uuid.UUID:
        """An id derived from the MAC, so that a mail sent twice has the same Message-ID."""
        return uuid.UUID(bytes=self.mac[:16], version=4)

    def authentic(self, keyring: Keyring) -> bool:
        """Return whether its MAC is valid under this key."""
        return constant_time_equal(self.mac, self.mac_under(keyring))

    def mac_under(self, keyring: Keyring) -> bytes:
        """Return the MAC that it has to have under this key."""
        return keyring.mac("audit-anchor", self.signed_text.encode())


def take_anchor(session: Session, *, keyring: Keyring, at: datetime) -> Anchor | None:
    """Return an anchor of the chain as it is now; None while the chain is empty."""
    last = last_link(session)
    if last is None:
        return None
    unsigned = Anchor(at, last.seq, count_events(session), last.digest)
    return replace(unsigned, mac=unsigned.mac_under(keyring))


def append_anchor(path: Path, anchor: Anchor) -> bool:
    """Append the anchor to the file unless the last one is the same and recent. Returns whether it did."""
    previous = last_anchor(path)
    if previous and previous.seq == anchor.seq and previous.at <= anchor.at < previous.at + ANCHOR_AT_LEAST:
        return False
    files.append(path, [str(anchor)])
    return True


def parse_anchors(text: str) -> list[Anchor]:
    """Parse the anchors in a text, in order: an anchor file, or saved mails with any line wrapping."""
    anchors = []
    for found in _LINE.finditer(text):
        try:
            at = datetime.fromisoformat(found["at"])
        except ValueError:
            continue
        head, mac = bytes.fromhex(found["head"]), bytes.fromhex(found["mac"])
        anchors.append(Anchor(at, int(found["seq"]), int(found["events"]), head, mac))
    return anchors


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
    """Verifies a chain link by link, from the database or from a file; collects `problems`.

    With `compare`, its end is verified against `anchors`.
    """

    def __init__(self, keyring: Keyring, anchors: Sequence[Anchor]) -> None:
        self.problems: list[str] = []
        self.linked, self.head = 0, b""
        self._keyring, self._anchors = keyring, anchors
        self._digests: dict[int, bytes | None] = {anchor.seq: None for anchor in anchors}
        self._reached = UNLABELLED[0]

    def step(self, chained: ChainLink, event: AuditEvent | None) -> None:
        """Verify the next link and its event."""
        self.problems += self._faults(chained, event)
        self.linked, self.head = max(self.linked, chained.seq), chained.digest
        if chained.seq in self._digests:
            self._digests[chained.seq] = chained.digest

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

    def compare(self, events: int) -> None:
        """Note what contradicts the anchors in a log of `events` events; each kind once, at its worst."""
        valid = [anchor for anchor in self._anchors if anchor.authentic(self._keyring)]
        if len(valid) < len(self._anchors):
            count = len(self._anchors) - len(valid)
            self.problems.append(f"{count} anchors were changed, or were not written with this key.")
        furthest = max(valid, key=lambda each: each.seq, default=None)
        if furthest and furthest.seq > self.linked:
            self.problems.append(
                f"the chain was cut: it ends at link {self.linked}, and on {furthest.when} it had come to "
                f"link {furthest.seq}; links {self.linked + 1} to {furthest.seq} are missing."
            )
        most = max(valid, key=lambda each: each.events, default=None)
        if most and most.events > events:
            self.problems.append(
                f"{most.events - events} events are missing: there are {events}, and on "
                f"{most.when} there were {most.events}."
            )
        for anchor in valid:
            digest = self._digests[anchor.seq]
            if digest is not None and not constant_time_equal(digest, anchor.head):
                self.problems.append(
                    f"link {anchor.seq} is another one than on {anchor.when}: the chain was replaced."
                )
                break


def verify(session: Session, *, keyring: Keyring, anchors: Sequence[Anchor] = ()) -> Verification:
    """Verify every event's MAC, the whole chain, and its end against `anchors`. Reads in pages."""
    verifier = ChainVerifier(keyring, anchors)
    waiting: list[datetime] = []
    compared = 0
    try:
        for chained, event in _chain(session):
            verifier.step(chained, event)
        for event in session.scalars(tail()):
            waiting.append(event.at)
            if not authentic(event, keyring=keyring):
                verifier.problems.append(f"event {event.id} was changed.")
        verifier.compare(count_events(session))
        compared = len(anchors)
    except UNREADABLE as error:
        reraise_database_failure(error)
        verifier.problems.append(
            f"an entry behind link {verifier.linked} can no longer be read, so it was changed."
        )
    return Verification(
        events=count_events(session),
        linked=verifier.linked,
        unlinked=len(waiting),
        head=verifier.head.hex(),
        unlinked_since=min(waiting, default=None),
        anchors=compared,
        problems=tuple(verifier.problems),
    )


def reraise_database_failure(error: Exception) -> None:
    """Re-raise an error of the database itself; one caused by a row that is not decodable passes."""
    if isinstance(error, DBAPIError) and "decode" not in str(error.orig):
        raise error


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
