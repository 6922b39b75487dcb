"""Signed-in browsers: opaque tokens, rows in SQL, ends that are enforced here and not by the browser.

There is no session object that is loaded and saved: a request reads one row, and the only thing it may
change is `seen_at`, where the session has not ended. So a slow request cannot bring back to life what
a sign-out has ended meanwhile.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, delete, or_, select, update
from sqlalchemy.orm import Session

from intake.accounts.models import Browser, SpentChallenge, StaffMember, StaffRole, StaffSession
from intake.accounts.permissions import Member
from intake.core.errors import NotSignedIn
from intake.instance import Instance
from intake.security import crypto
from intake.security.crypto import Keyring

IDLE = timedelta(minutes=15)
ABSOLUTE = timedelta(hours=12)
FRESH = timedelta(minutes=5)
"""So long after a second factor nobody is asked for another (reliability.md, E9)."""
TOUCH_EVERY = timedelta(seconds=30)
"""`seen_at` is written no more often than this, so a session may end up to so much early, never late."""
_SKEW = timedelta(minutes=1)
"""So far may the clocks of two machines be apart; a session from further ahead is not believed."""


@dataclass(frozen=True)
class Found:
    """A session that stands: whose it is, and its moments."""

    member: Member
    id: uuid.UUID
    browser: Browser
    began_at: datetime
    seen_at: datetime
    confirmed_at: datetime
    token_hash: bytes = field(repr=False)

    def is_fresh(self, at: datetime) -> bool:
        """Whether the second factor was given within the last five minutes."""
        return -_SKEW <= at - self.confirmed_at < FRESH

    def ends_at(self) -> datetime:
        """When it ends if nobody does anything more."""
        return min(self.seen_at + IDLE, self.began_at + ABSOLUTE)


def begin(
    session: Session, *, instance: Instance, staff_id: uuid.UUID, browser: Browser = Browser.OTHER
) -> str:
    """Begin a session and return its token for the cookie; only its keyed hash is kept."""
    token, now = crypto.token(), instance.clock()
    session.add(
        StaffSession(
            token_hash=token_hash(token, instance.keyring),
            id=uuid.uuid4(),
            staff_id=staff_id,
            browser=browser,
            began_at=now,
            seen_at=now,
            confirmed_at=now,
        )
    )
    return token


def token_hash(token: str, keyring: Keyring) -> bytes:
    """How a token is kept and looked up."""
    return keyring.blind_index("session", token)


def find(session: Session, token: str, *, instance: Instance) -> Found:
    """The session of a token, with the roles that its account holds right now.

    Raises NotSignedIn when there is none, when it has ended, idled for 15 minutes or lasted for 12
    hours, and when the account is disabled.
    """
    hashed, now = token_hash(token, instance.keyring), instance.clock()
    rows = session.execute(
        select(StaffMember, StaffSession, StaffRole.role)
        .join(StaffSession, StaffSession.staff_id == StaffMember.id)
        .outerjoin(StaffRole, StaffRole.staff_id == StaffMember.id)
        .where(
            StaffSession.token_hash == hashed,
            StaffSession.ended_at.is_(None),
            StaffMember.disabled_at.is_(None),
        )
    ).all()
    if not rows or not _stands(rows[0][1], now):
        raise NotSignedIn
    account, row, _ = rows[0]
    roles = frozenset(role for _, _, role in rows if role)
    member = Member(id=account.id, email=account.email, name=account.name, roles=roles)
    return Found(member, row.id, row.browser, row.began_at, row.seen_at, row.confirmed_at, hashed)


def _stands(row: StaffSession, now: datetime) -> bool:
    idle, age = now - row.seen_at, now - row.began_at
    return -_SKEW <= idle < IDLE and -_SKEW <= age < ABSOLUTE


def due(found: Found, *, at: datetime) -> bool:
    """Whether it is time to write down that the session was seen."""
    return at - found.seen_at >= TOUCH_EVERY


def touch(session: Session, found: Found, *, instance: Instance) -> None:
    """Let the 15 minutes begin anew; a session that has ended meanwhile stays ended."""
    now = instance.clock()
    seen = update(StaffSession).where(
        StaffSession.token_hash == found.token_hash,
        StaffSession.ended_at.is_(None),
        StaffSession.seen_at < now,
    )
    _changed(session, seen.values(seen_at=now))


def end(session: Session, token: str, *, instance: Instance) -> bool:
    """End one session. False when it had ended already or never was."""
    row = StaffSession.token_hash == token_hash(token, instance.keyring)
    ending = update(StaffSession).where(row, StaffSession.ended_at.is_(None))
    return _changed(session, ending.values(ended_at=instance.clock())) > 0


def end_all(session: Session, *, instance: Instance, staff_id: uuid.UUID) -> int:
    """End every session of an account. Returns how many were open."""
    return _end(session, instance, StaffSession.staff_id == staff_id)


def end_others(session: Session, found: Found, *, instance: Instance) -> int:
    """End every session of an account but this one. Returns how many were open."""
    others = StaffSession.staff_id == found.member.id, StaffSession.id != found.id
    return _end(session, instance, *others)


def end_one(session: Session, session_id: uuid.UUID, *, staff_id: uuid.UUID, instance: Instance) -> int:
    """End one session of this account by its name. Returns 0 when it had ended or is not theirs."""
    return _end(session, instance, StaffSession.id == session_id, StaffSession.staff_id == staff_id)


def _end(session: Session, instance: Instance, *which: ColumnElement[bool]) -> int:
    ending = update(StaffSession).where(*which, StaffSession.ended_at.is_(None))
    return _changed(session, ending.values(ended_at=instance.clock()))


def renew(session: Session, found: Found, *, instance: Instance, confirmed: bool = True) -> str:
    """Give the session a new token; the one before opens nothing any more. Returns the new one.

    `confirmed`: the second factor was given just now. The twelve hours go on from where they began.
    Raises NotSignedIn when the session has ended meanwhile, or somebody else has renewed it.
    """
    token, now = crypto.token(), instance.clock()
    row = update(StaffSession).where(
        StaffSession.token_hash == found.token_hash, StaffSession.ended_at.is_(None)
    )
    values = {"token_hash": token_hash(token, instance.keyring), "seen_at": now}
    moments = {"confirmed_at": now} if confirmed else {}
    if not _changed(session, row.values(**values, **moments)):
        raise NotSignedIn
    return token


def open_ones(session: Session, *, staff_id: uuid.UUID, instance: Instance) -> Sequence[StaffSession]:
    """The sessions of an account that stand, newest first."""
    theirs = select(StaffSession).where(StaffSession.staff_id == staff_id, StaffSession.ended_at.is_(None))
    rows = session.scalars(theirs.order_by(StaffSession.began_at.desc(), StaffSession.id)).all()
    return [row for row in rows if _stands(row, instance.clock())]


def last_seen(session: Session, *, instance: Instance) -> dict[uuid.UUID, datetime]:
    """Who is signed in now, and when each was last seen doing something."""
    rows = session.scalars(select(StaffSession).where(StaffSession.ended_at.is_(None)))
    standing = sorted((row for row in rows if _stands(row, instance.clock())), key=lambda row: row.seen_at)
    return {row.staff_id: row.seen_at for row in standing}


def delete_ended(session: Session, *, instance: Instance) -> int:
    """Delete sessions that can never stand again, and answered challenges; for the rounds.

    Returns how many sessions.
    """
    over = instance.clock() - ABSOLUTE
    session.execute(delete(SpentChallenge).where(SpentChallenge.spent_at <= over))
    gone = delete(StaffSession).where(or_(StaffSession.ended_at.is_not(None), StaffSession.began_at <= over))
    return _changed(session, gone)


def _changed(session: Session, statement: Any) -> int:
    statement = statement.execution_options(synchronize_session=False)
    return cast("CursorResult[Any]", session.execute(statement)).rowcount
