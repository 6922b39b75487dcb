"""Inviting somebody by a link that works once, and taking an invitation up.

The link is shown to whoever invites, who hands it over. What goes out by mail is a constant text that
says an account is being made ready and never holds the link: whoever reads a mailbox gets nowhere.
"""

import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, delete, select
from sqlalchemy.orm import Session

from intake.accounts import credentials, passkeys, password_policy, service, sessions
from intake.accounts.models import Invitation, RecoveryCode, Role, StaffMember
from intake.accounts.permissions import Member
from intake.audit import Action, Actor
from intake.core.errors import IntakeError, Unprocessable
from intake.core.i18n import N_
from intake.instance import Instance
from intake.outbox import queue as outbox
from intake.outbox.models import Mail
from intake.security import crypto
from intake.security.crypto import Unopenable

OPEN_FOR = timedelta(hours=72)
WRONG_CODE = N_("That code does not fit. Type the six figures that the app shows now.")


class NotInvited(IntakeError):
    """There is no such invitation: never was, was used, was replaced, or its 72 hours are over."""

    status = 404
    sentence = N_(
        "This invitation does not work, or no longer. Ask whoever looks after accounts for a new one."
    )


@dataclass(frozen=True)
class Invited:
    """An account with its new invitation; `token` is shown once and goes nowhere else."""

    member: Member
    expires_at: datetime
    token: str = field(repr=False)


@dataclass(frozen=True)
class Taking:
    """An open invitation as its owner sees it: for whom, and what an authenticator app has to know."""

    member: Member
    totp_uri: str = field(repr=False)


def invite(
    session: Session,
    *,
    instance: Instance,
    email: str,
    name: str,
    roles: Collection[Role],
    actor: Actor | None = None,
) -> Invited:
    """Add an account that nobody can enter yet, with a link for its owner, and send the constant mail.

    Raises Unprocessable on email, name and roles, and AlreadyThere (409).
    """
    added = service.add(session, instance=instance, email=email, name=name, roles=roles, actor=actor)
    return again(session, instance=instance, staff_id=added.member.id, actor=actor)


def again(
    session: Session, *, instance: Instance, staff_id: uuid.UUID, actor: Actor | None = None
) -> Invited:
    """Let the owner of an account choose everything anew.

    Password, second factor, passkeys, recovery codes, sessions and an earlier link end at once. Raises
    NotFound.
    """
    row = service.locked(session, staff_id)
    row.password_hash = credentials.STAND_IN
    secret = credentials.new_totp_secret()
    row.totp_secret = credentials.wrapped_secret(secret, keyring=instance.keyring, staff_id=row.id)
    session.flush()
    passkeys.remove_all(session, staff_id)
    session.execute(delete(RecoveryCode).where(RecoveryCode.staff_id == staff_id))
    sessions.end_all(session, instance=instance, staff_id=staff_id)
    outbox.enqueue(session, Mail.INVITED, clinic_recipients=[row.email], at=instance.clock())
    service.record(session, Action.STAFF_INVITED, staff_id, instance=instance, actor=actor)
    return _with_link(session, row, instance)


def _with_link(session: Session, row: StaffMember, instance: Instance) -> Invited:
    token, ends = crypto.token(), instance.clock() + OPEN_FOR
    session.execute(delete(Invitation).where(Invitation.staff_id == row.id))
    session.add(Invitation(staff_id=row.id, token_hash=_hash(token, instance), expires_at=ends))
    session.flush()
    return Invited(service.member_of(session, row), ends, token)


def _hash(token: str, instance: Instance) -> bytes:
    return instance.keyring.blind_index("invitation", token)


def look(session: Session, token: str, *, instance: Instance) -> Taking:
    """What stands behind an invitation; changes nothing. Raises NotInvited."""
    row = _open(session, token, instance)
    secret = _secret(row, instance)
    uri = credentials.totp(secret).provisioning_uri(name=row.email, issuer_name=instance.clinic.name)
    return Taking(service.member_of(session, row), uri)


def take_up(*, instance: Instance, token: str, password: str, code: str) -> tuple[str, ...]:
    """Give the account the password its owner chose, and return its recovery codes; the link is void.

    The code shows that the authenticator app is set up, and is spent. Raises NotInvited, Unprocessable on
    password and code, and TooMany when too many passwords are being hashed. Opens its own transactions,
    so that none is open while a password is hashed.
    """
    with instance.database.reading() as session:
        taking = look(session, token, instance=instance)
    chosen = password_policy.check(password, context=service.context_of(taking.member, instance))
    with credentials.acquire_hashing_slot():
        hashed = credentials.hash_password(chosen)
    with instance.database.transaction() as session:
        row = service.locked(session, _open(session, token, instance).id)
        _require_code(session, row, code, instance)
        _use(session, token, instance)
        row.password_hash = hashed
        session.flush()
        actor = Actor.staff(row.id)
        service.record(session, Action.STAFF_JOINED, row.id, instance=instance, actor=actor)
        return credentials.new_recovery_codes(session, row.id, keyring=instance.keyring)


def _require_code(session: Session, row: StaffMember, code: str, instance: Instance) -> None:
    read, now = credentials.read_code(code), instance.clock()
    step = credentials.step_of(_secret(row, instance), read, at=now)
    if not step or not credentials.use_step(session, row.id, step=step):
        raise Unprocessable({"code": [WRONG_CODE]})


def _use(session: Session, token: str, instance: Instance) -> None:
    """The link is void from here on. Raises NotInvited when somebody else was quicker."""
    used = delete(Invitation).where(Invitation.token_hash == _hash(token, instance))
    if not cast("CursorResult[Any]", session.execute(used)).rowcount:
        raise NotInvited


def waiting(session: Session) -> dict[uuid.UUID, datetime]:
    """The accounts whose invitation has not been taken up, with when it ends or ended."""
    rows = session.execute(select(Invitation.staff_id, Invitation.expires_at))
    return {row.staff_id: row.expires_at for row in rows}


def _open(session: Session, token: str, instance: Instance) -> StaffMember:
    one = select(Invitation).where(Invitation.token_hash == _hash(token, instance))
    found = session.scalars(one).first()
    if not found or not instance.clock() < found.expires_at <= instance.clock() + OPEN_FOR:
        raise NotInvited
    row = session.get(StaffMember, found.staff_id)
    if not row or row.disabled_at:
        raise NotInvited
    return row


def _secret(row: StaffMember, instance: Instance) -> bytes:
    try:
        return credentials.unwrapped_secret(row.totp_secret, keyring=instance.keyring, staff_id=row.id)
    except Unopenable:
        raise NotInvited from None
