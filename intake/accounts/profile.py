"""What everybody does with their own account. Each change ends every other session at once (E6)."""

import hmac
import uuid
from dataclasses import dataclass, field
from secrets import token_urlsafe

from sqlalchemy import update
from sqlalchemy.orm import Session

from intake.accounts import credentials, passkeys, password_policy, service, sessions
from intake.accounts.models import StaffMember
from intake.accounts.sessions import Found
from intake.audit import Action
from intake.core.errors import NotFound, Unprocessable
from intake.core.i18n import N_
from intake.instance import Instance

NOT_ALIKE = N_("The two are not the same. Type the new password twice.")
WRONG_CODE = N_("That code does not fit. Type the six figures that the new app shows now.")
_NONCE = 18


@dataclass(frozen=True)
class Proposed:
    """A second factor that is not in use yet. `nonce` goes along in the form and says which one it is."""

    nonce: str
    totp_uri: str = field(repr=False)


def change_password(*, instance: Instance, found: Found, password: str, repeated: str) -> str:
    """Take a new password; returns the new token of this session, the only one left.

    Raises Unprocessable on password and repeated, TooMany and NotSignedIn. Opens its own transaction, so
    that none is open while the password is hashed.
    """
    if password != repeated:
        raise Unprocessable({"repeated": [NOT_ALIKE]})
    chosen = password_policy.check(password, context=service.context_of(found.member, instance))
    with credentials.acquire_hashing_slot():
        hashed = credentials.hash_password(chosen)
    with instance.database.transaction() as session:
        theirs = update(StaffMember).where(StaffMember.id == found.member.id)
        session.execute(theirs.values(password_hash=hashed))
        return changed(session, found, Action.STAFF_PASSWORD_CHANGED, instance=instance)


def new_codes(session: Session, found: Found, *, instance: Instance) -> tuple[str, tuple[str, ...]]:
    """Ten new recovery codes in place of the old ones; with the new token of this session."""
    codes = credentials.new_recovery_codes(session, found.member.id, keyring=instance.keyring)
    return changed(session, found, Action.STAFF_CODES_RENEWED, instance=instance), codes


def propose_factor(found: Found, *, instance: Instance, nonce: str = "") -> Proposed:
    """A second factor to set up in an app; nothing is kept until it has shown a code that fits."""
    nonce = nonce or token_urlsafe(_NONCE)
    made = credentials.totp(_proposed_secret(found, nonce, instance.keyring.app_secrets("factor")[-1]))
    uri = made.provisioning_uri(name=found.member.email, issuer_name=instance.clinic.name)
    return Proposed(nonce, uri)


def _proposed_secret(found: Found, nonce: str, key: bytes) -> bytes:
    """From our key, this session and the form: so a form that is left open keeps its factor."""
    bound = found.id.bytes + nonce.encode("utf-8", "replace")
    return hmac.digest(key, bound, "sha256")[: credentials.TOTP_BYTES]


def change_factor(session: Session, found: Found, *, nonce: str, code: str, instance: Instance) -> str:
    """Use a proposed second factor from now on; returns the new token of this session.

    Raises Unprocessable on code.
    """
    secret = _proposed_secret(found, nonce, instance.keyring.app_secrets("factor")[-1])
    step = credentials.step_of(secret, credentials.read_code(code), at=instance.clock())
    if not step or not nonce:
        raise Unprocessable({"new_code": [WRONG_CODE]})
    wrapped = credentials.wrapped_secret(secret, keyring=instance.keyring, staff_id=found.member.id)
    theirs = update(StaffMember).where(StaffMember.id == found.member.id)
    session.execute(theirs.values(totp_secret=wrapped, totp_step=step))
    return changed(session, found, Action.STAFF_FACTOR_CHANGED, instance=instance)


def add_passkey(session: Session, found: Found, answer: str, *, instance: Instance) -> str:
    """Keep a passkey; returns the new token of this session. Raises NoPasskey and EnoughPasskeys."""
    passkeys.add(
        session, found.member, answer, bound_to=found.id.bytes, browser=found.browser, instance=instance
    )
    return changed(session, found, Action.STAFF_PASSKEY_ADDED, instance=instance)


def remove_passkey(session: Session, found: Found, passkey_id: uuid.UUID, *, instance: Instance) -> str:
    """Take a passkey away; returns the new token of this session. Raises NotFound."""
    passkeys.remove(session, passkey_id, staff_id=found.member.id)
    return changed(session, found, Action.STAFF_PASSKEY_REMOVED, instance=instance)


def end_session(session: Session, found: Found, session_id: uuid.UUID, *, instance: Instance) -> None:
    """End one of one's own sessions. Raises NotFound for what is not one's own, or has ended."""
    if not sessions.end_one(session, session_id, staff_id=found.member.id, instance=instance):
        raise NotFound
    _record_ended(session, found, 1, instance)


def end_others(session: Session, found: Found, *, instance: Instance) -> int:
    """End every session of one's own but this one. Returns how many were open."""
    count = sessions.end_others(session, found, instance=instance)
    if count:
        _record_ended(session, found, count, instance)
    return count


def _record_ended(session: Session, found: Found, count: int, instance: Instance) -> None:
    service.record(
        session,
        Action.STAFF_SESSIONS_ENDED,
        found.member.id,
        instance=instance,
        actor=found.member.actor,
        details={"count": count},
    )


def changed(session: Session, found: Found, action: Action, *, instance: Instance) -> str:
    """End every other session, renew this one's token, and keep what was changed."""
    sessions.end_others(session, found, instance=instance)
    token = sessions.renew(session, found, instance=instance, confirmed=False)
    member = found.member
    service.record(session, action, member.id, instance=instance, actor=member.actor)
    return token
