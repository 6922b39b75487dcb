"""Sign in and out, and confirm the second factor again before sensitive acts.

Password and code are checked in one step. An unknown account, a wrong password, a wrong code, a disabled
account and too many attempts get the same refusal after the same work, so that nothing can be learned
from it. Password hashing is slow on purpose and happens while no transaction is open. The functions
open their own short transactions: a refusal is recorded as well as raised, and must not be rolled back
(docs/decisions/0006-staff-sign-in.md, docs/decisions/0016-second-factors-and-invitations.md).
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import select, update

from intake.accounts import credentials, passkeys, service, sessions
from intake.accounts.models import Browser, StaffMember
from intake.accounts.sessions import ActiveSession
from intake.act import Act
from intake.audit import Action, Actor
from intake.core.errors import IntakeError, NotSignedIn, TooMany
from intake.core.i18n import N_
from intake.instance import Instance
from intake.security import rate_limits
from intake.security.crypto import UnsealError


class Reason(StrEnum):
    """Why a sign-in was refused; only the audit log has it."""

    TOO_MANY = "too_many"
    NO_ACCOUNT = "no_account"
    DISABLED = "disabled"
    PASSWORD = "password"  # noqa: S105  a reason, not a password
    CODE = "code"


class Factor(StrEnum):
    """A kind of second factor."""

    PASSKEY = "passkey"
    TOTP = "totp"
    RECOVERY_CODE = "recovery_code"


class SignInRefused(IntakeError):
    """The sign-in was refused, for whatever reason."""

    status = 422
    sentence = N_("That did not fit together. Check the email and the password, and type a fresh code.")


@dataclass(frozen=True)
class SignedIn:
    """A session that has just begun; `token` is the value of its cookie."""

    active: ActiveSession
    token: str = field(repr=False)


@dataclass(frozen=True)
class _Account:
    """The stored credentials of an account, or (without an id) dummy ones for an unknown address."""

    id: uuid.UUID | None
    password_hash: str = field(repr=False)
    secret: bytes = field(repr=False)
    disabled: bool = False


@dataclass(frozen=True)
class _Comparison:
    """The result of checking password and code, before the second factor is used up."""

    account: _Account
    code: str = field(repr=False)
    step: int
    reason: Reason | None


@dataclass(frozen=True)
class LoginAttempt:
    """The browser of a sign-in.

    `address` is its IP address; `previous_token` the token of its earlier session, which ends;
    `login_nonce` the nonce that the sign-in page's passkey challenge is bound to.
    """

    address: str | None = None
    browser: Browser = Browser.OTHER
    previous_token: str = field(default="", repr=False)
    login_nonce: bytes = field(default=b"", repr=False)


def sign_in(
    *, instance: Instance, email: str, password: str, code: str, attempt: LoginAttempt, passkey: str = ""
) -> SignedIn:
    """Begin a session with a password and a second factor, which is a code or a passkey.

    Each attempt that is checked is recorded as one audit event. Raises SignInRefused (422, always the
    same), and TooMany (429) when a whole network or this machine has too many attempts, which says
    nothing about any account.
    """
    network = rate_limits.network(attempt.address)
    _require_network_limit(instance, network)
    with credentials.acquire_hashing_slot():
        address = service.normalised_email(email)
        verdict = instance.throttle.hit(rate_limits.SIGN_IN_ACCOUNT, address, network)
        comparison = _compare(instance, address, password, code, over_limit=not verdict.allowed)
        signed_in = _decide(instance, comparison, attempt, passkey)
        if not signed_in:
            raise SignInRefused
        _rehash_if_needed(instance, comparison.account, password)
    return signed_in


def sign_in_with_passkey(*, instance: Instance, passkey: str, attempt: LoginAttempt) -> SignedIn:
    """Begin a session with a passkey whose authenticator verified its user.

    That is two factors: the device, and biometrics or a PIN. Each attempt is recorded as one audit event.
    Raises SignInRefused (422, always the same) and TooMany (429).
    """
    _require_network_limit(instance, rate_limits.network(attempt.address))
    with instance.database.transaction() as session:
        act = Act(session, instance)
        answer = passkeys.parse_answer(passkey)
        assertion = passkeys.verify(act, answer, bound_to=attempt.login_nonce)
        row = session.get(StaffMember, assertion.staff_id, with_for_update=True) if assertion else None
        disabled = bool(row and row.disabled_at)
        if not assertion or not assertion.verified or not row or disabled:
            reason = Reason.DISABLED if disabled else Reason.CODE
            _record_refusal(act, row.id if row else None, reason)
            signed_in = None
        else:
            signed_in = _begin(act, row.id, attempt, Factor.PASSKEY)
    if not signed_in:
        raise SignInRefused
    return signed_in


def _require_network_limit(instance: Instance, network: str) -> None:
    """Raises TooMany. Of each window the first refusal alone is recorded, so that no flood fills the log."""
    verdict = instance.throttle.hit(rate_limits.SIGN_IN_NETWORK, network)
    if verdict.allowed:
        return
    if verdict.first:
        with instance.database.transaction() as session:
            _record_refusal(Act(session, instance), None, Reason.TOO_MANY)
    raise TooMany(verdict.retry_after)


def _compare(instance: Instance, email: str, password: str, code: str, *, over_limit: bool) -> _Comparison:
    """Check password and code, whatever was wrong before, so that all refusals take the same time."""
    account = _load_account(instance, email)
    password_hash = credentials.DUMMY_HASH if over_limit else account.password_hash
    matches = credentials.password_matches(password_hash, password)
    normalised = credentials.normalise_code(code)
    step = credentials.matching_step(account.secret, normalised, at=instance.clock())
    failures = {
        Reason.TOO_MANY: over_limit,
        Reason.NO_ACCOUNT: account.id is None,
        Reason.DISABLED: account.disabled,
        Reason.PASSWORD: not matches,
    }
    reason = next((reason for reason, failed in failures.items() if failed), None)
    return _Comparison(account, normalised, step, reason)


def _load_account(instance: Instance, email: str) -> _Account:
    with instance.database.reading() as session:
        row = session.scalars(select(StaffMember).where(StaffMember.email == email)).first()
    if not row:
        return _Account(None, credentials.DUMMY_HASH, credentials.new_totp_secret())
    try:
        secret = credentials.unwrap_secret(row.totp_secret, keyring=instance.keyring, staff_id=row.id)
    except UnsealError:
        secret = credentials.new_totp_secret()  # no one-time code matches; a recovery code still does
    return _Account(row.id, row.password_hash, secret, disabled=row.disabled_at is not None)


def _decide(
    instance: Instance, comparison: _Comparison, attempt: LoginAttempt, passkey: str
) -> SignedIn | None:
    """Use up the second factor and begin the session, or record the refusal."""
    with instance.database.transaction() as session:
        act = Act(session, instance)
        factor = _spend_second_factor(act, comparison, passkey, attempt)
        if not factor or not comparison.account.id:
            _record_refusal(act, comparison.account.id, comparison.reason or Reason.CODE)
            return None
        return _begin(act, comparison.account.id, attempt, factor)


def _begin(act: Act, staff_id: uuid.UUID, attempt: LoginAttempt, factor: Factor) -> SignedIn:
    if attempt.previous_token:
        sessions.end(act, attempt.previous_token)
    token = sessions.begin(act, staff_id=staff_id, browser=attempt.browser)
    act.session.flush()
    active = sessions.find(act, token)
    details = {"method": factor.value}
    act.by(active.member.actor).record(Action.STAFF_SIGNED_IN, about=staff_id, **details)
    return SignedIn(active, token)


def _spend_second_factor(
    act: Act, comparison: _Comparison, passkey: str, attempt: LoginAttempt
) -> Factor | None:
    """Use up the second factor; None when it is wrong. Of concurrent attempts with one code, one succeeds."""
    staff_id = comparison.account.id or uuid.uuid4()
    unchanged = credentials.lock_unchanged(act.session, staff_id, comparison.account.password_hash)
    if comparison.reason or not unchanged:
        return None
    if passkey:
        answer = passkeys.parse_answer(passkey)
        assertion = passkeys.verify(act, answer, bound_to=attempt.login_nonce)
        return Factor.PASSKEY if assertion and assertion.staff_id == staff_id else None
    if comparison.step:
        return Factor.TOTP if credentials.spend_step(act.session, staff_id, step=comparison.step) else None
    keyring, now = act.keyring, act.now
    spent = credentials.spend_recovery_code(act.session, staff_id, comparison.code, keyring=keyring, at=now)
    return Factor.RECOVERY_CODE if spent else None


def _record_refusal(act: Act, about: uuid.UUID | None, reason: Reason) -> None:
    details = {"reason": reason.value}
    act.by(Actor.person()).record(Action.STAFF_REFUSED, about=about, **details)


def _rehash_if_needed(instance: Instance, account: _Account, password: str) -> None:
    """Hash the password again when the parameters have changed; only at sign-in is it known."""
    if not credentials.needs_rehash(account.password_hash):
        return
    password_hash = credentials.hash_password(password)
    unchanged = StaffMember.id == account.id, StaffMember.password_hash == account.password_hash
    with instance.database.transaction() as session:
        session.execute(update(StaffMember).where(*unchanged).values(password_hash=password_hash))


def sign_out(act: Act, token: str) -> None:
    """End the session of a token and record it; does nothing when it has ended already."""
    try:
        active = sessions.find(act, token)
    except NotSignedIn:
        return
    if sessions.end(act, token):
        act.by(active.member.actor).record(Action.STAFF_SIGNED_OUT, about=active.member.id)


class NotConfirmed(IntakeError):
    """The second factor was wrong, or was used already."""

    status = 422
    sentence = N_("That code did not fit, or was used already. Wait for the next one and type it.")


class TooManyConfirmations(IntakeError):
    """Too many second factors were tried in one session."""

    status = 429
    sentence = N_("Those were too many codes. Wait five minutes, then type a fresh one.")


def confirm_second_factor(
    *, instance: Instance, active: ActiveSession, code: str = "", passkey: str = ""
) -> str:
    """Use up a second factor for this session, and return the session's new token.

    `code` is a one-time or a recovery code, `passkey` a browser's answer to this session's challenge.
    Opens its own transaction, because a refusal is recorded too. Raises NotConfirmed (422, whatever was
    wrong), TooManyConfirmations (429) and NotSignedIn.
    """
    if not instance.throttle.hit(rate_limits.SECOND_FACTOR, str(active.member.id)).allowed:
        raise TooManyConfirmations
    answer = passkeys.parse_answer(passkey)
    with instance.database.transaction() as session:
        act = Act(session, instance)
        factor = _spend_factor(act, active, code, answer)
        token = sessions.renew(act, active) if factor else ""
        _record_confirmation(act, active, factor)
    if not token:
        raise NotConfirmed
    return token


def _spend_factor(act: Act, active: ActiveSession, code: str, answer: Mapping[str, Any]) -> Factor | None:
    if answer:
        assertion = passkeys.verify(act, answer, bound_to=active.id.bytes)
        return Factor.PASSKEY if assertion and assertion.staff_id == active.member.id else None
    return spend_code(act, active, code)


def spend_code(act: Act, active: ActiveSession, code: str) -> Factor | None:
    """Use up a one-time or recovery code of the session's account; None when it is wrong or was used."""
    row = act.session.get(StaffMember, active.member.id, with_for_update=True, populate_existing=True)
    normalised = credentials.normalise_code(code)
    if not row or not normalised:
        return None
    step = credentials.matching_step(_secret(row, act.instance), normalised, at=act.now)
    if step:
        return Factor.TOTP if credentials.spend_step(act.session, row.id, step=step) else None
    spent = credentials.spend_recovery_code(act.session, row.id, normalised, keyring=act.keyring, at=act.now)
    return Factor.RECOVERY_CODE if spent else None


def _secret(row: StaffMember, instance: Instance) -> bytes:
    try:
        return credentials.unwrap_secret(row.totp_secret, keyring=instance.keyring, staff_id=row.id)
    except UnsealError:
        return credentials.new_totp_secret()  # no one-time code matches; a recovery code still does


def _record_confirmation(act: Act, active: ActiveSession, factor: Factor | None) -> None:
    act.by(active.member.actor).record(
        Action.STAFF_CONFIRMED if factor else Action.STAFF_REFUSED,
        about=active.member.id,
        **({"method": factor.value} if factor else {"reason": Reason.CODE.value}),
    )
