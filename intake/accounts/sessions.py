"""Server-side staff sessions: an opaque token in a cookie, its keyed hash in a row, expiry enforced here.

There is no session object that is loaded and saved: a request reads one row, and may only update
`seen_at`, where the session has not ended. So a slow request cannot restore a session that a sign-out has
ended meanwhile (docs/decisions/0006-staff-sign-in.md).
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
from intake.act import Act
from intake.core.errors import NotSignedIn
from intake.security import crypto
from intake.security.crypto import Keyring

IDLE = timedelta(minutes=15)
ABSOLUTE = timedelta(hours=12)
RECENT_CONFIRMATION = timedelta(minutes=5)
"""How long after a second factor no other one is asked for."""
TOUCH_EVERY = timedelta(seconds=30)
"""`seen_at` is written at most this often, so a session may expire up to 30 seconds early, never late."""
_SKEW = timedelta(minutes=1)
"""Tolerated difference between the clocks of two machines; a session from further ahead is rejected."""


@dataclass(frozen=True)
class ActiveSession:
    """A session that has not ended, with its account and timestamps."""

    member: Member
    id: uuid.UUID
    browser: Browser
    began_at: datetime
    seen_at: datetime
    confirmed_at: datetime
    token_hash: bytes = field(repr=False)

    def recently_confirmed(self, at: datetime) -> bool:
        """Whether the second factor was given within the last five minutes before `at`."""
        return -_SKEW <= at - self.confirmed_at < RECENT_CONFIRMATION

    def ends_at(self) -> datetime:
        """When the session expires without another request."""
        return min(self.seen_at + IDLE, self.began_at + ABSOLUTE)


def begin(act: Act, *, staff_id: uuid.UUID, browser: Browser = Browser.OTHER) -> str:
    """Begin a session and return its token for the cookie; only a keyed hash is stored."""
    token, now = crypto.token(), act.now
    act.session.add(
        StaffSession(
            token_hash=token_hash(token, act.keyring),
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
    """The keyed hash under which a token is stored and looked up."""
    return keyring.blind_index("session", token)


def find(act: Act, token: str) -> ActiveSession:
    """The active session of a token, with the account's present roles.

    Raises NotSignedIn when there is none, when it has ended, was idle for 15 minutes or is 12 hours old,
    and when the account is disabled.
    """
    hashed, now = token_hash(token, act.keyring), act.now
    rows = act.session.execute(
        select(StaffMember, StaffSession, StaffRole.role)
        .join(StaffSession, StaffSession.staff_id == StaffMember.id)
        .outerjoin(StaffRole, StaffRole.staff_id == StaffMember.id)
        .where(
            StaffSession.token_hash == hashed,
            StaffSession.ended_at.is_(None),
            StaffMember.disabled_at.is_(None),
        )
    ).all()
    if not rows or not _is_active(rows[0][1], now):
        raise NotSignedIn
    account, row, _ = rows[0]
    roles = frozenset(role for _, _, role in rows if role)
    member = Member(id=account.id, email=account.email, name=account.name, roles=roles)
    return ActiveSession(member, row.id, row.browser, row.began_at, row.seen_at, row.confirmed_at, hashed)


def _is_active(row: StaffSession, now: datetime) -> bool:
    idle, age = now - row.seen_at, now - row.began_at
    return -_SKEW <= idle < IDLE and -_SKEW <= age < ABSOLUTE


def needs_touch(active: ActiveSession, *, at: datetime) -> bool:
    """Whether `seen_at` is old enough to be written again."""
    return at - active.seen_at >= TOUCH_EVERY


def touch(act: Act, active: ActiveSession) -> None:
    """Set `seen_at`, from which the idle time counts; a session that has ended meanwhile stays ended."""
    now = act.now
    query = update(StaffSession).where(
        StaffSession.token_hash == active.token_hash,
        StaffSession.ended_at.is_(None),
        StaffSession.seen_at < now,
    )
    _updated_count(act.session, query.values(seen_at=now))


def end(act: Act, token: str) -> bool:
    """End the session of a token. False when it had ended already or is unknown."""
    row = StaffSession.token_hash == token_hash(token, act.keyring)
    query = update(StaffSession).where(row, StaffSession.ended_at.is_(None))
    return _updated_count(act.session, query.values(ended_at=act.now)) > 0


def end_all(act: Act, *, staff_id: uuid.UUID) -> int:
    """End every session of an account. Returns how many were active."""
    return _end(act, StaffSession.staff_id == staff_id)


def end_others(act: Act, active: ActiveSession) -> int:
    """End every session of an account but this one. Returns how many were active."""
    others = StaffSession.staff_id == active.member.id, StaffSession.id != active.id
    return _end(act, *others)


def end_one(act: Act, session_id: uuid.UUID, *, staff_id: uuid.UUID) -> int:
    """End a session of an account by its id. Returns 0 when it had ended or is another account's."""
    return _end(act, StaffSession.id == session_id, StaffSession.staff_id == staff_id)


def _end(act: Act, *which: ColumnElement[bool]) -> int:
    query = update(StaffSession).where(*which, StaffSession.ended_at.is_(None))
    return _updated_count(act.session, query.values(ended_at=act.now))


def renew(act: Act, active: ActiveSession, *, confirmed: bool = True) -> str:
    """Replace the session's token and return the new one; the old one becomes invalid.

    `confirmed`: the second factor was given just now. The session's age of 12 hours is not reset. Raises
    NotSignedIn when the session has ended meanwhile, or a concurrent request has renewed it.
    """
    token, now = crypto.token(), act.now
    row = update(StaffSession).where(
        StaffSession.token_hash == active.token_hash, StaffSession.ended_at.is_(None)
    )
    values = {"token_hash": token_hash(token, act.keyring), "seen_at": now}
    confirmation = {"confirmed_at": now} if confirmed else {}
    if not _updated_count(act.session, row.values(**values, **confirmation)):
        raise NotSignedIn
    return token


def list_active(act: Act, *, staff_id: uuid.UUID) -> Sequence[StaffSession]:
    """The active sessions of an account, newest first."""
    owned = select(StaffSession).where(StaffSession.staff_id == staff_id, StaffSession.ended_at.is_(None))
    rows = act.session.scalars(owned.order_by(StaffSession.began_at.desc(), StaffSession.id)).all()
    return [row for row in rows if _is_active(row, act.now)]


def last_seen(act: Act) -> dict[uuid.UUID, datetime]:
    """When each signed-in account was last active, by account id."""
    rows = act.session.scalars(select(StaffSession).where(StaffSession.ended_at.is_(None)))
    active = sorted((row for row in rows if _is_active(row, act.now)), key=lambda row: row.seen_at)
    return {row.staff_id: row.seen_at for row in active}


def delete_ended(act: Act) -> int:
    """Delete ended and expired sessions, and answered challenges that have expired; a scheduled job.

    Returns the number of deleted sessions.
    """
    expired = act.now - ABSOLUTE
    act.session.execute(delete(SpentChallenge).where(SpentChallenge.spent_at <= expired))
    ended = delete(StaffSession).where(
        or_(StaffSession.ended_at.is_not(None), StaffSession.began_at <= expired)
    )
    return _updated_count(act.session, ended)


def _updated_count(session: Session, statement: Any) -> int:
    statement = statement.execution_options(synchronize_session=False)
    return cast("CursorResult[Any]", session.execute(statement)).rowcount
