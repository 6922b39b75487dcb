"""Signed-in browsers: opaque tokens, rows in SQL, ends that are enforced here and not by the browser.

There is no session object that is loaded and saved: a request reads one row, and the only thing it may
change is `seen_at`, where the session has not ended. So a slow request cannot bring back to life what
a sign-out has ended meanwhile.
"""

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, delete, or_, select, update
from sqlalchemy.orm import Session

from intake import crypto
from intake.crypto import Keyring
from intake.errors import NotSignedIn
from intake.instance import Instance
from intake.staff.models import StaffMember, StaffRole, StaffSession
from intake.staff.permissions import Member

IDLE = timedelta(minutes=15)
ABSOLUTE = timedelta(hours=12)
TOUCH_EVERY = timedelta(seconds=30)
"""`seen_at` is written no more often than this, so a session may end up to so much early, never late."""
_SKEW = timedelta(minutes=1)
"""So far may the clocks of two machines be apart; a session from further ahead is not believed."""


@dataclass(frozen=True)
class Found:
    """A session that stands: whose it is, and when its row was last touched."""

    member: Member
    seen_at: datetime
    token_hash: bytes = field(repr=False)


def begin(session: Session, *, instance: Instance, staff_id: uuid.UUID) -> str:
    """Begin a session and return its token for the cookie; only its keyed hash is kept."""
    token, now = crypto.token(), instance.clock()
    row = StaffSession(
        token_hash=token_hash(token, instance.keyring), staff_id=staff_id, began_at=now, seen_at=now
    )
    session.add(row)
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
    return Found(member, row.seen_at, hashed)


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
    theirs = StaffSession.staff_id == staff_id
    ending = update(StaffSession).where(theirs, StaffSession.ended_at.is_(None))
    return _changed(session, ending.values(ended_at=instance.clock()))


def forget_ended(session: Session, *, instance: Instance) -> int:
    """Delete sessions that can never stand again; for the rounds. Returns how many."""
    over = instance.clock() - ABSOLUTE
    gone = delete(StaffSession).where(or_(StaffSession.ended_at.is_not(None), StaffSession.began_at <= over))
    return _changed(session, gone)


def _changed(session: Session, statement: Any) -> int:
    statement = statement.execution_options(synchronize_session=False)
    return cast("CursorResult[Any]", session.execute(statement)).rowcount
