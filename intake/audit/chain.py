"""Verifying the log: every event by its own seal, every place by the chain, its end by the anchors."""

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
from intake.security.crypto import Keyring, same

# --- Anchors: how far the chain had come and where it ended, kept outside the database.
# Whoever may write to the database can cut the newest events off together with their links, or put an
# older copy of everything in its place; what is left is whole in itself. An anchor remembers how far the
# chain had come. It is one line of a file (or of a mail), sealed with the chain's key, and says nothing
# about anybody.

MARK = "intake-anchor-1"
ANCHOR_AT_LEAST = timedelta(days=1)
"""An anchor is written this often although nothing has happened."""
_LINE = re.compile(
    rf"{MARK}\s+(?P<at>[0-9T:.+-]{{25,32}})\s+(?P<seq>[0-9]{{1,15}})\s+(?P<events>[0-9]{{1,15}})"
    r"\s+(?P<head>[0-9a-f]{64})\s+(?P<mac>[0-9a-f]{64})"
)


@dataclass(frozen=True)
class Anchor:
    """At `at` the log held `events` events, and link `seq`, the last one, had the digest `head`."""

    at: datetime
    seq: int
    events: int
    head: bytes
    mac: bytes = b""

    @property
    def said(self) -> str:
        """What its seal is made of."""
        return f"{self.at.isoformat()} {self.seq} {self.events} {self.head.hex()}"

    def __str__(self) -> str:
        return f"{MARK} {self.said} {self.mac.hex()}"

    def lines(self) -> list[str]:
        """The same on three short lines, for a mail."""
        place, head, seal = str(self).rsplit(" ", 2)
        return [place, head, seal]

    @property
    def id(self) -> uuid.UUID:
        """The same for the same anchor, so that a mail sent again can be told by it."""
        return uuid.UUID(bytes=self.mac[:16], version=4)

    def authentic(self, keyring: Keyring) -> bool:
        """Whether it was written with this key and not changed since."""
        return same(self.mac, _anchor_mac(self, keyring))


@dataclass(frozen=True)
class Seen:
    """What a log was found to hold: events, links, and the digests at the places that anchors name."""

    events: int
    linked: int
    digests: Mapping[int, bytes]


def _anchor_mac(anchor: Anchor, keyring: Keyring) -> bytes:
    return keyring.mac("audit-anchor", anchor.said.encode())


def take_anchor(session: Session, *, keyring: Keyring, at: datetime) -> Anchor | None:
    """An anchor of the chain as it is now; None as long as nothing has a place in it."""
    last = session.scalars(select(ChainLink).order_by(ChainLink.seq.desc()).limit(1)).first()
    if last is None:
        return None
    events = session.scalar(select(func.count()).select_from(AuditEvent)) or 0
    bare = Anchor(at, last.seq, events, last.digest)
    return Anchor(at, last.seq, events, last.digest, _anchor_mac(bare, keyring))


def keep_anchor(path: Path, anchor: Anchor) -> bool:
    """Append it to the file unless that says the same already and lately. Returns whether it did."""
    before = last_anchor(path)
    if before and before.seq == anchor.seq and before.at <= anchor.at < before.at + ANCHOR_AT_LEAST:
        return False
    files.append(path, [str(anchor)])
    return True


def read_anchors(words: str) -> list[Anchor]:
    """The anchors in a text, in their order: our file, or mails that were saved, however they wrap."""
    return [anchor for found in _LINE.finditer(words) if (anchor := _anchor(found))]


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


def anchors_in(path: Path) -> list[Anchor] | None:
    """The anchors in a file; None when there is no file that can be read."""
    try:
        return read_anchors(path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None


def last_anchor(path: Path) -> Anchor | None:
    """The newest anchor of a file; None when there is none."""
    return next(reversed(anchors_in(path) or ()), None)


def anchor_holds(session: Session, anchor: Anchor, *, keyring: Keyring) -> bool:
    """Whether the chain still has the link that an anchor of ours names: a quick look, no verification."""
    digest = session.scalar(select(ChainLink.digest).where(ChainLink.seq == anchor.seq))
    return anchor.authentic(keyring) and digest is not None and same(digest, anchor.head)


def compare_anchors(anchors: Iterable[Anchor], seen: Seen, *, keyring: Keyring) -> Iterator[str]:
    """What the anchors say against the log; each kind of fault is named once, by what shows most of it."""
    every = list(anchors)
    ours = [anchor for anchor in every if anchor.authentic(keyring)]
    if len(ours) < len(every):
        yield f"{len(every) - len(ours)} anchors were changed, or were not written with this key."
    yield from _cut(ours, seen)
    yield from _replaced(ours, seen)


def _cut(anchors: Sequence[Anchor], seen: Seen) -> Iterator[str]:
    furthest = max(anchors, key=lambda each: each.seq, default=None)
    if furthest and furthest.seq > seen.linked:
        yield (
            f"the chain was cut: it ends at link {seen.linked}, and on {_moment(furthest)} it had come to "
            f"link {furthest.seq}; links {seen.linked + 1} to {furthest.seq} are missing."
        )
    most = max(anchors, key=lambda each: each.events, default=None)
    if most and most.events > seen.events:
        yield (
            f"{most.events - seen.events} events are missing: there are {seen.events}, and on "
            f"{_moment(most)} there were {most.events}."
        )


def _replaced(anchors: Sequence[Anchor], seen: Seen) -> Iterator[str]:
    for anchor in anchors:
        digest = seen.digests.get(anchor.seq)
        if digest is not None and not same(digest, anchor.head):
            yield f"link {anchor.seq} is another one than on {_moment(anchor)}: the chain was replaced."
            return


def _moment(anchor: Anchor) -> str:
    return f"{anchor.at:%Y-%m-%d %H:%M} UTC"


_PAGE = 1000
UNREADABLE = (ValueError, TypeError, OverflowError, DBAPIError)
"""What reading a row raises that holds a moment, a word or an id that is none any more."""


@dataclass(frozen=True)
class Verification:
    """What the log proves. `problems` are sentences that name each bad place; `notes` need no act.

    `unlinked` newer events have no place in the chain yet; the oldest of them is of `unlinked_since`.
    `anchors`: how many anchors it was compared with.
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
        """True when nothing was found."""
        return not self.problems

    def waiting(self, now: datetime) -> timedelta:
        """For how long the oldest event without a place has been waiting for one."""
        return max(now - self.unlinked_since, timedelta(0)) if self.unlinked_since else timedelta(0)


class Walk:
    """One walk along a chain, link by link, from whatever it is read."""

    def __init__(self, keyring: Keyring, wanted: Collection[int] = ()) -> None:
        self.problems: list[str] = []
        self.linked, self.head = 0, b""
        self.digests: dict[int, bytes] = {}
        self._keyring, self._wanted = keyring, frozenset(wanted)
        self._reached = UNLABELLED[0]

    def step(self, chained: ChainLink, event: AuditEvent | None) -> None:
        """Look at the next link and its event."""
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
        """Whether the digest is right by a formula that the link may have: never one older than before it."""
        label = chained.digest_version
        named = UNLABELLED if label is None else {label} & {DIGEST_VERSION}
        for version in (each for each in named if each >= self._reached):
            made = digest_of(self._keyring, self.head, chained, event, version=version)
            if same(chained.digest, made):
                self._reached = version
                return True
        return False


def verify(session: Session, *, keyring: Keyring, anchors: Sequence[Anchor] = ()) -> Verification:
    """Check every event's MAC, the whole chain, and its end against `anchors`. Reads in pages."""
    walk = Walk(keyring, [anchor.seq for anchor in anchors])
    waiting: list[datetime] = []
    try:
        for chained, event in _chain(session):
            walk.step(chained, event)
        for event in session.scalars(tail()):
            waiting.append(event.at)
            walk.problems += [] if authentic(event, keyring=keyring) else [f"event {event.id} was changed."]
    except UNREADABLE as wrong:
        raise_unless_unreadable(wrong)
        walk.problems.append(f"an entry behind link {walk.linked} can no longer be read, so it was changed.")
        return _result(session, walk, waiting, 0)
    seen = Seen(_count(session), walk.linked, walk.digests)
    walk.problems += compare_anchors(anchors, seen, keyring=keyring)
    return _result(session, walk, waiting, len(anchors))


def raise_unless_unreadable(wrong: Exception) -> None:
    """Raise what is the database's failure and not that of a row: bytes that are no text are a row's."""
    if isinstance(wrong, DBAPIError) and "decode" not in str(wrong.orig):
        raise wrong


def _result(session: Session, walk: Walk, waiting: Sequence[datetime], anchors: int) -> Verification:
    return Verification(
        events=_count(session),
        linked=walk.linked,
        unlinked=len(waiting),
        head=walk.head.hex(),
        unlinked_since=min(waiting, default=None),
        anchors=anchors,
        problems=tuple(walk.problems),
    )


def _count(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(AuditEvent)) or 0


def _chain(session: Session) -> Iterator[tuple[ChainLink, AuditEvent | None]]:
    """Every link in order with its event, read in pages; also links where none of ours can stand."""
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
