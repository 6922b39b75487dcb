"""Invite a staff member by a link that works once, and accept an invitation.

The link is shown to the admin who invites and hands it over. The mail to the staff member is a constant
text without the link, so that reading a mailbox gives no access
(docs/decisions/0016-second-factors-and-invitations.md).
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
from intake.act import Act
from intake.audit import Action, Actor
from intake.core.errors import IntakeError, Unprocessable
from intake.core.i18n import N_
from intake.instance import Instance
from intake.outbox import queue as outbox
from intake.outbox.models import Mail
from intake.security import crypto
from intake.security.crypto import UnsealError

OPEN_FOR = timedelta(hours=72)
WRONG_CODE = N_("That code does not fit. Type the six figures that the app shows now.")


class InvalidInvitation(IntakeError):
    """No open invitation has this token: it is unknown, used, replaced, or older than 72 hours."""

    status = 404
    sentence = N_(
        "This invitation does not work, or no longer. Ask whoever looks after accounts for a new one."
    )


@dataclass(frozen=True)
class NewInvitation:
    """An account with its new invitation; `token` is shown once and only its keyed hash is stored."""

    member: Member
    expires_at: datetime
    token: str = field(repr=False)


@dataclass(frozen=True)
class OpenInvitation:
    """An open invitation: its account, and the provisioning URI for an authenticator app."""

    member: Member
    totp_uri: str = field(repr=False)


def invite(act: Act, *, email: str, name: str, roles: Collection[Role]) -> NewInvitation:
    """Add an account without usable credentials, create its invitation and enqueue the constant mail.

    Raises Unprocessable on email, name and roles, and AccountExists (409).
    """
    added = service.add(act, email=email, name=name, roles=roles)
    return reinvite(act, staff_id=added.member.id)


def reinvite(act: Act, *, staff_id: uuid.UUID) -> NewInvitation:
    """Invite an existing account again, with new credentials.

    Its password, second factor, passkeys, recovery codes, sessions and earlier invitation end at once.
    Raises NotFound.
    """
    row = service.lock_account(act.session, staff_id)
    row.password_hash = credentials.DUMMY_HASH
    secret = credentials.new_totp_secret()
    row.totp_secret = credentials.wrap_secret(secret, keyring=act.keyring, staff_id=row.id)
    act.session.flush()
    passkeys.remove_all(act.session, staff_id)
    act.session.execute(delete(RecoveryCode).where(RecoveryCode.staff_id == staff_id))
    sessions.end_all(act, staff_id=staff_id)
    outbox.enqueue(act.session, Mail.INVITED, clinic_recipients=[row.email], at=act.now)
    act.record(Action.STAFF_INVITED, about=staff_id)
    token, expires_at = crypto.token(), act.now + OPEN_FOR
    act.session.execute(delete(Invitation).where(Invitation.staff_id == staff_id))
    act.session.add(
        Invitation(staff_id=staff_id, token_hash=_token_hash(token, act.instance), expires_at=expires_at)
    )
    act.session.flush()
    return NewInvitation(service.load_member(act.session, row), expires_at, token)


def _token_hash(token: str, instance: Instance) -> bytes:
    return instance.keyring.blind_index("invitation", token)


def find_open(act: Act, token: str) -> OpenInvitation:
    """The open invitation of a token; changes nothing. Raises InvalidInvitation."""
    row = _load_open(act, token)
    secret = _secret(row, act.instance)
    uri = credentials.totp(secret).provisioning_uri(name=row.email, issuer_name=act.clinic.name)
    return OpenInvitation(service.load_member(act.session, row), uri)


def accept(*, instance: Instance, token: str, password: str, code: str) -> tuple[str, ...]:
    """Accept an invitation: set the password, use up the link, and return the new recovery codes.

    The one-time code proves that the authenticator app is set up, and is used up. Raises
    InvalidInvitation, Unprocessable on password and code, and TooMany when too many passwords are being
    hashed. Opens its own transactions, so that none is open while the password is hashed.
    """
    with instance.database.reading() as session:
        invitation = find_open(Act(session, instance), token)
    accepted = password_policy.check(password, context=service.password_context(invitation.member, instance))
    with credentials.acquire_hashing_slot():
        hashed = credentials.hash_password(accepted)
    with instance.database.transaction() as session:
        act = Act(session, instance)
        row = service.lock_account(session, _load_open(act, token).id)
        plain_code = credentials.normalise_code(code)
        step = credentials.matching_step(_secret(row, instance), plain_code, at=act.now)
        if not step or not credentials.spend_step(session, row.id, step=step):
            raise Unprocessable({"code": [WRONG_CODE]})
        used_up = delete(Invitation).where(Invitation.token_hash == _token_hash(token, instance))
        if not cast("CursorResult[Any]", session.execute(used_up)).rowcount:
            raise InvalidInvitation  # a concurrent request was first
        row.password_hash = hashed
        session.flush()
        act.by(Actor.staff(row.id)).record(Action.STAFF_JOINED, about=row.id)
        return credentials.new_recovery_codes(session, row.id, keyring=instance.keyring)


def pending(session: Session) -> dict[uuid.UUID, datetime]:
    """When each invitation that was not accepted expires or has expired, by account id."""
    rows = session.execute(select(Invitation.staff_id, Invitation.expires_at))
    return {row.staff_id: row.expires_at for row in rows}


def _load_open(act: Act, token: str) -> StaffMember:
    by_token = select(Invitation).where(Invitation.token_hash == _token_hash(token, act.instance))
    invitation, now = act.session.scalars(by_token).first(), act.now
    if not invitation or not now < invitation.expires_at <= now + OPEN_FOR:
        raise InvalidInvitation
    row = act.session.get(StaffMember, invitation.staff_id)
    if not row or row.disabled_at:
        raise InvalidInvitation
    return row


def _secret(row: StaffMember, instance: Instance) -> bytes:
    try:
        return credentials.unwrap_secret(row.totp_secret, keyring=instance.keyring, staff_id=row.id)
    except UnsealError:
        raise InvalidInvitation from None
