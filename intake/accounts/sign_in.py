"""Sign in and out, and confirm the second factor again before sensitive acts.

Password and code are checked in one step. An unknown account, a wrong password, a wrong code, a disabled
account and too many attempts get the same refusal after the same work, so that nothing can be learned
from it. Password hashing is slow on purpose and happens while no transaction is open. The functions
open their own short transactions: a refusal is recorded as well as raised, and must not be rolled back
(docs/decisions/0006-staff-sign-in.md, docs/decisions/0016-second-factors-and-invitations.md).
"""

import uuid
from dataclasses import dataclass, field
from enum import StrEnum

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
        over_limit = not instance.throttle.hit(rate_limits.SIGN_IN_ACCOUNT, address, network).allowed
        with instance.database.reading() as session:
            row = session.scalars(select(StaffMember).where(StaffMember.email == address)).first()
        # password and code are checked whatever was wrong before, so that all refusals take the same time
        password_hash = row.password_hash if row else credentials.DUMMY_HASH
        secret = _secret(row, instance) if row else credentials.new_totp_secret()
        matches = credentials.password_matches(
            credentials.DUMMY_HASH if over_limit else password_hash, password
        )
        plain_code = credentials.normalise_code(code)
        step = credentials.matching_step(secret, plain_code, at=instance.clock())
        failures = {
            Reason.TOO_MANY: over_limit,
            Reason.NO_ACCOUNT: row is None,
            Reason.DISABLED: bool(row and row.disabled_at),
            Reason.PASSWORD: not matches,
        }
        reason = next((reason for reason, failed in failures.items() if failed), None)
        with instance.database.transaction() as session:
            act, factor = Act(session, instance), None
            staff_id = row.id if row else uuid.uuid4()
            if credentials.lock_unchanged(session, staff_id, password_hash) and not reason:
                if passkey:
                    factor = _spend_passkey(act, staff_id, passkey, attempt.login_nonce)
                else:
                    factor = _spend_code(act, staff_id, plain_code, step)
            if factor:
                signed_in = _begin(act, staff_id, attempt, factor)
            else:
                _record_refusal(act, row.id if row else None, reason or Reason.CODE)
        if not factor:
            raise SignInRefused
        _rehash_if_needed(instance, staff_id, password_hash, password)
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


def _begin(act: Act, staff_id: uuid.UUID, attempt: LoginAttempt, factor: Factor) -> SignedIn:
    if attempt.previous_token:
        sessions.end(act, attempt.previous_token)
    token = sessions.begin(act, staff_id=staff_id, browser=attempt.browser)
    act.session.flush()
    active = sessions.find(act, token)
    act.by(active.member.actor).record(Action.STAFF_SIGNED_IN, about=staff_id, method=factor.value)
    return SignedIn(active, token)


def _spend_passkey(act: Act, staff_id: uuid.UUID, answer: str, bound_to: bytes) -> Factor | None:
    """Use up a browser's answer; None when it is wrong or of another account."""
    assertion = passkeys.verify(act, passkeys.parse_answer(answer), bound_to=bound_to)
    return Factor.PASSKEY if assertion and assertion.staff_id == staff_id else None


def _spend_code(act: Act, staff_id: uuid.UUID, code: str, step: int) -> Factor | None:
    """Use up a one-time code (with its time step) or a recovery code; None when it is wrong or was used.

    Of concurrent attempts with one code, one succeeds.
    """
    if step:
        return Factor.TOTP if credentials.spend_step(act.session, staff_id, step=step) else None
    spent = credentials.spend_recovery_code(act.session, staff_id, code, keyring=act.keyring, at=act.now)
    return Factor.RECOVERY_CODE if spent else None


def _record_refusal(act: Act, about: uuid.UUID | None, reason: Reason) -> None:
    act.by(Actor.person()).record(Action.STAFF_REFUSED, about=about, reason=reason.value)


def _rehash_if_needed(instance: Instance, staff_id: uuid.UUID, password_hash: str, password: str) -> None:
    """Hash the password again when the parameters have changed; only at sign-in is it known."""
    if not credentials.needs_rehash(password_hash):
        return
    unchanged = StaffMember.id == staff_id, StaffMember.password_hash == password_hash
    rehash = update(StaffMember).where(*unchanged).values(password_hash=credentials.hash_password(password))
    with instance.database.transaction() as session:
        session.execute(rehash)


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
    own = active.member.id
    with instance.database.transaction() as session:
        act, factor = Act(session, instance), None
        if passkeys.parse_answer(passkey):
            factor = _spend_passkey(act, own, passkey, active.id.bytes)
        else:
            row = session.get(StaffMember, own, with_for_update=True, populate_existing=True)
            plain_code = credentials.normalise_code(code)
            if row and plain_code:
                step = credentials.matching_step(_secret(row, instance), plain_code, at=act.now)
                factor = _spend_code(act, own, plain_code, step)
        token = sessions.renew(act, active) if factor else ""
        confirmed = act.by(active.member.actor)
        if factor:
            confirmed.record(Action.STAFF_CONFIRMED, about=own, method=factor.value)
        else:
            confirmed.record(Action.STAFF_REFUSED, about=own, reason=Reason.CODE.value)
    if not token:
        raise NotConfirmed
    return token


def _secret(row: StaffMember, instance: Instance) -> bytes:
    try:
        return credentials.unwrap_secret(row.totp_secret, keyring=instance.keyring, staff_id=row.id)
    except UnsealError:
        return credentials.new_totp_secret()  # no one-time code matches; a recovery code still does
