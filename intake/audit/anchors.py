"""Anchors: how far the chain had come and where it ended, kept outside the database.

Whoever may write to the database can cut the newest events off together with their links, or put an
older copy of everything in its place; what is left is whole in itself. An anchor remembers how far the
chain had come. It is one line of a file (or of a mail), sealed with the chain's key, and says nothing
about anybody.
"""

import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from intake.audit.models import AuditEvent, ChainLink
from intake.core import files
from intake.security.crypto import Keyring, same

MARK = "intake-anchor-1"
AT_LEAST = timedelta(days=1)
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
        return same(self.mac, _mac(self, keyring))


@dataclass(frozen=True)
class Seen:
    """What a log was found to hold: events, links, and the digests at the places that anchors name."""

    events: int
    linked: int
    digests: Mapping[int, bytes]


def _mac(anchor: Anchor, keyring: Keyring) -> bytes:
    return keyring.mac("audit-anchor", anchor.said.encode())


def take(session: Session, *, keyring: Keyring, at: datetime) -> Anchor | None:
    """An anchor of the chain as it is now; None as long as nothing has a place in it."""
    last = session.scalars(select(ChainLink).order_by(ChainLink.seq.desc()).limit(1)).first()
    if last is None:
        return None
    events = session.scalar(select(func.count()).select_from(AuditEvent)) or 0
    bare = Anchor(at, last.seq, events, last.digest)
    return Anchor(at, last.seq, events, last.digest, _mac(bare, keyring))


def keep(path: Path, anchor: Anchor) -> bool:
    """Append it to the file unless that says the same already and lately. Returns whether it did."""
    before = last(path)
    if before and before.seq == anchor.seq and before.at <= anchor.at < before.at + AT_LEAST:
        return False
    files.append(path, [str(anchor)])
    return True


def read(words: str) -> list[Anchor]:
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


def kept(path: Path) -> list[Anchor] | None:
    """The anchors in a file; None when there is no file that can be read."""
    try:
        return read(path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None


def last(path: Path) -> Anchor | None:
    """The newest anchor of a file; None when there is none."""
    return next(reversed(kept(path) or ()), None)


def held(session: Session, anchor: Anchor, *, keyring: Keyring) -> bool:
    """Whether the chain still has the link that an anchor of ours names: a quick look, no verification."""
    digest = session.scalar(select(ChainLink.digest).where(ChainLink.seq == anchor.seq))
    return anchor.authentic(keyring) and digest is not None and same(digest, anchor.head)


def compare(anchors: Iterable[Anchor], seen: Seen, *, keyring: Keyring) -> Iterator[str]:
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
