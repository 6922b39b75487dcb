"""Signing in and out: password and code in one step, one answer for everything that is not right.

Who has no account, a wrong password, a wrong code, a disabled account or too many tries gets the same
refusal after the same work, so that nothing can be learned at this door. Looking at a password is slow
on purpose and happens while no transaction is open; what it decides is kept in one that is short. So
this act opens its own transaction: a refusal must be kept too, and a refusal is raised.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from intake import audit
from intake.accounts import credentials, passkeys, service, sessions
from intake.accounts.models import Browser, StaffMember
from intake.accounts.permissions import Member
from intake.accounts.sessions import Found
from intake.audit import Action, Actor
from intake.core.errors import IntakeError, NotSignedIn, TooMany
from intake.core.i18n import N_
from intake.instance import Instance
from intake.security import rate_limits
from intake.security.crypto import Unopenable


class Reason(StrEnum):
    """Why a sign-in was refused, for the audit log alone."""

    TOO_MANY = "too_many"
    NO_ACCOUNT = "no_account"
    DISABLED = "disabled"
    PASSWORD = "password"  # noqa: S105  a reason, not a password
    CODE = "code"


class Means(StrEnum):
    """What the second factor was."""

    PASSKEY = "passkey"
    TOTP = "totp"
    RECOVERY_CODE = "recovery_code"


class SignInRefused(IntakeError):
    """Something was not right; never what."""

    status = 422
    sentence = N_("That did not fit together. Check the email and the password, and type a fresh code.")


@dataclass(frozen=True)
class SignedIn:
    """A session that has just begun. `token` goes into the cookie and nowhere else."""

    member: Member
    token: str = field(repr=False)


@dataclass(frozen=True)
class _Account:
    """What a sign-in is held against; without an id it stands in for an account that is not there."""

    id: uuid.UUID | None
    password_hash: str = field(repr=False)
    secret: bytes = field(repr=False)
    disabled: bool = False


@dataclass(frozen=True)
class _Lookup:
    """What looking at password and code has shown, before anything is decided."""

    account: _Account
    code: str = field(repr=False)
    step: int
    reason: Reason | None


@dataclass(frozen=True)
class LoginAttempt:
    """The browser somebody signs in with.

    `address` is the network address the request came from; `instead_of` the token of the session that
    this browser had before, which ends; `door` what the sign-in page's passkey challenge is bound to.
    """

    address: str | None = None
    browser: Browser = Browser.OTHER
    instead_of: str = field(default="", repr=False)
    door: bytes = field(default=b"", repr=False)


def sign_in(
    *, instance: Instance, email: str, password: str, code: str, comer: LoginAttempt, passkey: str = ""
) -> SignedIn:
    """Begin a session for whoever knows the password and has the second factor, a code or a passkey.

    Exactly one audit event is kept for each try that was looked at.
    Raises SignInRefused (422, always the same) and TooMany (429) when a whole network or this machine
    has too many at once, which says nothing about any account.
    """
    network = rate_limits.network(comer.address)
    _require_calm(instance, network)
    with credentials.acquire_hashing_slot():
        spelled = service.normalised_email(email)
        verdict = instance.throttle.hit(rate_limits.SIGN_IN_ACCOUNT, spelled, network)
        looked = _look(instance, spelled, password, code, counted_out=not verdict.allowed)
        signed_in = _decide(instance, looked, comer, passkey)
        if not signed_in:
            raise SignInRefused
        _renew_hash(instance, looked.account, password)
    return signed_in


def sign_in_with_passkey(*, instance: Instance, passkey: str, comer: LoginAttempt) -> SignedIn:
    """Begin a session for whoever has a passkey whose device knew that it was its owner.

    That is two factors: the device, and a finger, a face or a PIN on it. One audit event for each try.
    Raises SignInRefused (422, always the same) and TooMany (429).
    """
    _require_calm(instance, rate_limits.network(comer.address))
    with instance.database.transaction() as session:
        answer = passkeys.read(passkey)
        used = passkeys.use(session, answer, bound_to=comer.door, instance=instance)
        row = session.get(StaffMember, used.staff_id, with_for_update=True) if used else None
        disabled = bool(row and row.disabled_at)
        if not used or not used.verified or not row or disabled:
            reason = Reason.DISABLED if disabled else Reason.CODE
            _refused(session, instance, row.id if row else None, reason)
            signed_in = None
        else:
            signed_in = _begin(session, instance, row.id, comer, Means.PASSKEY)
    if not signed_in:
        raise SignInRefused
    return signed_in


def _require_calm(instance: Instance, network: str) -> None:
    """Raises TooMany; the first time too many is kept, the rest of a storm must not fill the log."""
    verdict = instance.throttle.hit(rate_limits.SIGN_IN_NETWORK, network)
    if verdict.allowed:
        return
    if verdict.first:
        with instance.database.transaction() as session:
            _refused(session, instance, None, Reason.TOO_MANY)
    raise TooMany(verdict.retry_after)


def _look(instance: Instance, email: str, password: str, code: str, *, counted_out: bool) -> _Lookup:
    """Compare everything, whatever was wrong already: the time must not tell."""
    account = _account(instance, email)
    known = credentials.STAND_IN if counted_out else account.password_hash
    right = credentials.password_matches(known, password)
    read = credentials.read_code(code)
    step = credentials.step_of(account.secret, read, at=instance.clock())
    wrong = {
        Reason.TOO_MANY: counted_out,
        Reason.NO_ACCOUNT: account.id is None,
        Reason.DISABLED: account.disabled,
        Reason.PASSWORD: not right,
    }
    return _Lookup(account, read, step, next((reason for reason, found in wrong.items() if found), None))


def _account(instance: Instance, email: str) -> _Account:
    with instance.database.reading() as session:
        row = session.scalars(select(StaffMember).where(StaffMember.email == email)).first()
    if not row:
        return _Account(None, credentials.STAND_IN, credentials.new_totp_secret())
    try:
        secret = credentials.unwrapped_secret(row.totp_secret, keyring=instance.keyring, staff_id=row.id)
    except Unopenable:
        secret = credentials.new_totp_secret()  # no code fits; a recovery code still does
    return _Account(row.id, row.password_hash, secret, disabled=row.disabled_at is not None)


def _decide(instance: Instance, looked: _Lookup, comer: LoginAttempt, passkey: str) -> SignedIn | None:
    """Spend the second factor and begin the session, or keep the refusal; either way one audit event."""
    with instance.database.transaction() as session:
        means = _spend(session, instance, looked, passkey, comer)
        if not means or not looked.account.id:
            _refused(session, instance, looked.account.id, looked.reason or Reason.CODE)
            return None
        return _begin(session, instance, looked.account.id, comer, means)


def _begin(
    session: Session, instance: Instance, staff_id: uuid.UUID, comer: LoginAttempt, means: Means
) -> SignedIn:
    if comer.instead_of:
        sessions.end(session, comer.instead_of, instance=instance)
    token = sessions.begin(session, instance=instance, staff_id=staff_id, browser=comer.browser)
    session.flush()
    found = sessions.find(session, token, instance=instance)
    details = {"method": means.value}
    _record(session, Action.STAFF_SIGNED_IN, instance, found.member.actor, about=staff_id, details=details)
    return SignedIn(found.member, token)


def _spend(
    session: Session, instance: Instance, looked: _Lookup, passkey: str, comer: LoginAttempt
) -> Means | None:
    """Use up the second factor; of many at once with one code, one passes. None when none fits."""
    whom = looked.account.id or uuid.uuid4()
    stands = credentials.still_stands(session, whom, looked.account.password_hash)
    if looked.reason or not stands:
        return None
    if passkey:
        answer = passkeys.read(passkey)
        used = passkeys.use(session, answer, bound_to=comer.door, instance=instance)
        return Means.PASSKEY if used and used.staff_id == whom else None
    if looked.step:
        return Means.TOTP if credentials.use_step(session, whom, step=looked.step) else None
    keyring, now = instance.keyring, instance.clock()
    spent = credentials.use_recovery_code(session, whom, looked.code, keyring=keyring, at=now)
    return Means.RECOVERY_CODE if spent else None


def _refused(session: Session, instance: Instance, about: uuid.UUID | None, reason: Reason) -> None:
    details = {"reason": reason.value}
    _record(session, Action.STAFF_REFUSED, instance, Actor.person(), about=about, details=details)


def _record(
    session: Session,
    action: Action,
    instance: Instance,
    actor: Actor,
    *,
    about: uuid.UUID | None,
    details: dict[str, str] | None = None,
) -> None:
    audit.record(
        session,
        action,
        keyring=instance.keyring,
        at=instance.clock(),
        actor=actor,
        about=about,
        details=details,
    )


def _renew_hash(instance: Instance, account: _Account, password: str) -> None:
    """Hash the password again when we hash otherwise by now; only here do we hold it."""
    if not credentials.needs_rehash(account.password_hash):
        return
    renewed = credentials.hash_password(password)
    theirs = StaffMember.id == account.id, StaffMember.password_hash == account.password_hash
    with instance.database.transaction() as session:
        session.execute(update(StaffMember).where(*theirs).values(password_hash=renewed))


def sign_out(session: Session, token: str, *, instance: Instance) -> None:
    """End the session of this token, and say so in the log. Nothing happens when it has ended already."""
    try:
        found = sessions.find(session, token, instance=instance)
    except NotSignedIn:
        return
    if sessions.end(session, token, instance=instance):
        _record(session, Action.STAFF_SIGNED_OUT, instance, found.member.actor, about=found.member.id)


# --- The second factor once more, from somebody who is signed in: before an act that asks for it (E9).


class NotConfirmed(IntakeError):
    """The second factor was not right, or was used already."""

    status = 422
    sentence = N_("That code did not fit, or was used already. Wait for the next one and type it.")


class TooManyCodes(IntakeError):
    """Too many wrong codes from somebody who is signed in."""

    status = 429
    sentence = N_("Those were too many codes. Wait five minutes, then type a fresh one.")


def confirm_second_factor(*, instance: Instance, found: Found, code: str = "", passkey: str = "") -> str:
    """Spend a second factor for this session and return its new token; the one before is void.

    `code` is a one-time or a recovery code, `passkey` a browser's answer to this session's challenge.
    Opens its own transaction, because a refusal is kept too. Raises NotConfirmed (422, whatever was
    wrong), TooManyCodes (429) and NotSignedIn.
    """
    if not instance.throttle.hit(rate_limits.SECOND_FACTOR, str(found.member.id)).allowed:
        raise TooManyCodes
    answer = passkeys.read(passkey)
    with instance.database.transaction() as session:
        means = _spend_factor(session, instance, found, code, answer)
        token = sessions.renew(session, found, instance=instance) if means else ""
        _record_confirmation(session, instance, found, means)
    if not token:
        raise NotConfirmed
    return token


def _spend_factor(
    session: Session, instance: Instance, found: Found, code: str, answer: Mapping[str, Any]
) -> Means | None:
    if answer:
        used = passkeys.use(session, answer, bound_to=found.id.bytes, instance=instance)
        return Means.PASSKEY if used and used.staff_id == found.member.id else None
    return spend_code(session, instance, found, code)


def spend_code(session: Session, instance: Instance, found: Found, code: str) -> Means | None:
    """Use up a one-time or recovery code of whoever is signed in; None when it is none, or was used."""
    row = session.get(StaffMember, found.member.id, with_for_update=True, populate_existing=True)
    read = credentials.read_code(code)
    if not row or not read:
        return None
    step = credentials.step_of(_secret(row, instance), read, at=instance.clock())
    if step:
        return Means.TOTP if credentials.use_step(session, row.id, step=step) else None
    spent = credentials.use_recovery_code(
        session, row.id, read, keyring=instance.keyring, at=instance.clock()
    )
    return Means.RECOVERY_CODE if spent else None


def _secret(row: StaffMember, instance: Instance) -> bytes:
    try:
        return credentials.unwrapped_secret(row.totp_secret, keyring=instance.keyring, staff_id=row.id)
    except Unopenable:
        return credentials.new_totp_secret()  # no code fits; a recovery code still does


def _record_confirmation(session: Session, instance: Instance, found: Found, means: Means | None) -> None:
    audit.record(
        session,
        Action.STAFF_CONFIRMED if means else Action.STAFF_REFUSED,
        keyring=instance.keyring,
        at=instance.clock(),
        actor=found.member.actor,
        about=found.member.id,
        details={"method": means.value} if means else {"reason": Reason.CODE.value},
    )
