"""Verifying the log: every event by its own seal, every place by the chain, its end by the anchors."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from intake.audit.anchors import Anchor, Seen, compare
from intake.audit.models import AuditEvent, ChainLink
from intake.audit.service import DIGEST_VERSION, UNLABELLED, authentic, digest_of, tail
from intake.security.crypto import Keyring, same

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
    walk.problems += compare(anchors, seen, keyring=keyring)
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
