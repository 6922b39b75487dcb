"""Changes to one's own account. Each change of credentials ends every other session at once."""

import hmac
import uuid
from dataclasses import dataclass, field
from secrets import token_urlsafe

from sqlalchemy import update

from intake.accounts import credentials, passkeys, password_policy, service, sessions
from intake.accounts.models import StaffMember
from intake.accounts.sessions import ActiveSession
from intake.act import Act
from intake.audit import Action
from intake.core.errors import NotFound, Unprocessable
from intake.core.i18n import N_
from intake.instance import Instance

NOT_ALIKE = N_("The two are not the same. Type the new password twice.")
WRONG_CODE = N_("That code does not fit. Type the six figures that the new app shows now.")
_NONCE = 18


@dataclass(frozen=True)
class ProposedFactor:
    """A second factor that is not in use yet; `nonce` is a hidden field of the form that identifies it."""

    nonce: str
    totp_uri: str = field(repr=False)


def change_password(*, instance: Instance, active: ActiveSession, password: str, repeated: str) -> str:
    """Set a new password, end the other sessions, and return the new token of this one.

    Raises Unprocessable on password and repeated, TooMany and NotSignedIn. Opens its own transaction, so
    that none is open while the password is hashed.
    """
    if password != repeated:
        raise Unprocessable({"repeated": [NOT_ALIKE]})
    accepted = password_policy.check(password, context=service.password_context(active.member, instance))
    with credentials.acquire_hashing_slot():
        hashed = credentials.hash_password(accepted)
    with instance.database.transaction() as session:
        own = update(StaffMember).where(StaffMember.id == active.member.id)
        session.execute(own.values(password_hash=hashed))
        return finish_change(Act(session, instance), active, Action.STAFF_PASSWORD_CHANGED)


def renew_recovery_codes(act: Act, active: ActiveSession) -> tuple[str, tuple[str, ...]]:
    """Replace the recovery codes. Returns the new token of this session, and the ten codes."""
    codes = credentials.new_recovery_codes(act.session, active.member.id, keyring=act.keyring)
    return finish_change(act, active, Action.STAFF_CODES_RENEWED), codes


def propose_factor(active: ActiveSession, *, instance: Instance, nonce: str = "") -> ProposedFactor:
    """A second factor to set up in an app; nothing is stored until `change_factor` has a matching code."""
    nonce = nonce or token_urlsafe(_NONCE)
    made = credentials.totp(_proposed_secret(active, nonce, instance.keyring.app_secrets("factor")[-1]))
    uri = made.provisioning_uri(name=active.member.email, issuer_name=instance.clinic.name)
    return ProposedFactor(nonce, uri)


def _proposed_secret(active: ActiveSession, nonce: str, key: bytes) -> bytes:
    """Derived from the app key, the session and the nonce, so that a form shown again has the same factor."""
    bound = active.id.bytes + nonce.encode("utf-8", "replace")
    return hmac.digest(key, bound, "sha256")[: credentials.TOTP_BYTES]


def change_factor(act: Act, active: ActiveSession, *, nonce: str, code: str) -> str:
    """Replace the second factor by a proposed one, and return the new token of this session.

    Raises Unprocessable on new_code.
    """
    secret = _proposed_secret(active, nonce, act.keyring.app_secrets("factor")[-1])
    step = credentials.matching_step(secret, credentials.normalise_code(code), at=act.now)
    if not step or not nonce:
        raise Unprocessable({"new_code": [WRONG_CODE]})
    wrapped = credentials.wrap_secret(secret, keyring=act.keyring, staff_id=active.member.id)
    own = update(StaffMember).where(StaffMember.id == active.member.id)
    act.session.execute(own.values(totp_secret=wrapped, totp_step=step))
    return finish_change(act, active, Action.STAFF_FACTOR_CHANGED)


def add_passkey(act: Act, active: ActiveSession, answer: str) -> str:
    """Add a passkey; returns the new token of this session. Raises InvalidPasskey and TooManyPasskeys."""
    own, bound_to = active.member.id, active.id.bytes
    passkeys.add(act, answer, staff_id=own, bound_to=bound_to, browser=active.browser)
    return finish_change(act, active, Action.STAFF_PASSKEY_ADDED)


def remove_passkey(act: Act, active: ActiveSession, passkey_id: uuid.UUID) -> str:
    """Delete a passkey; returns the new token of this session. Raises NotFound."""
    passkeys.remove(act.session, passkey_id, staff_id=active.member.id)
    return finish_change(act, active, Action.STAFF_PASSKEY_REMOVED)


def end_session(act: Act, active: ActiveSession, session_id: uuid.UUID) -> None:
    """End a session of the account. Raises NotFound when it belongs to another account or has ended."""
    if not sessions.end_one(act, session_id, staff_id=active.member.id):
        raise NotFound
    act.by(active.member.actor).record(Action.STAFF_SESSIONS_ENDED, about=active.member.id, count=1)


def end_others(act: Act, active: ActiveSession) -> int:
    """End all sessions of the account but this one. Returns how many were active."""
    count = sessions.end_others(act, active)
    if count:
        act.by(active.member.actor).record(Action.STAFF_SESSIONS_ENDED, about=active.member.id, count=count)
    return count


def finish_change(act: Act, active: ActiveSession, action: Action) -> str:
    """End the other sessions, record the change, and return this session's new token."""
    sessions.end_others(act, active)
    token = sessions.renew(act, active, confirmed=False)
    act.by(active.member.actor).record(action, about=active.member.id)
    return token
