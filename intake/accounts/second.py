"""The second factor once more, from somebody who is signed in: before an act that asks for it (E9)."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from intake import audit
from intake.accounts import credentials, passkeys, sessions
from intake.accounts.models import StaffMember
from intake.accounts.sessions import Found
from intake.accounts.sign_in import Means, Reason
from intake.audit import Action
from intake.core.errors import IntakeError
from intake.core.i18n import N_
from intake.instance import Instance
from intake.security import rate_limits
from intake.security.crypto import Unopenable


class NotConfirmed(IntakeError):
    """The second factor was not right, or was used already."""

    status = 422
    sentence = N_("That code did not fit, or was used already. Wait for the next one and type it.")


class TooManyCodes(IntakeError):
    """Too many wrong codes from somebody who is signed in."""

    status = 429
    sentence = N_("Those were too many codes. Wait five minutes, then type a fresh one.")


def confirm(*, instance: Instance, found: Found, code: str = "", passkey: str = "") -> str:
    """Spend a second factor for this session and return its new token; the one before is void.

    `code` is a one-time or a recovery code, `passkey` a browser's answer to this session's challenge.
    Opens its own transaction, because a refusal is kept too. Raises NotConfirmed (422, whatever was
    wrong), TooManyCodes (429) and NotSignedIn.
    """
    if not instance.throttle.hit(rate_limits.SECOND_FACTOR, str(found.member.id)).allowed:
        raise TooManyCodes
    answer = passkeys.read(passkey)
    with instance.database.transaction() as session:
        means = _spend(session, instance, found, code, answer)
        token = sessions.renew(session, found, instance=instance) if means else ""
        _record(session, instance, found, means)
    if not token:
        raise NotConfirmed
    return token


def _spend(
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


def _record(session: Session, instance: Instance, found: Found, means: Means | None) -> None:
    audit.record(
        session,
        Action.STAFF_CONFIRMED if means else Action.STAFF_REFUSED,
        keyring=instance.keyring,
        at=instance.clock(),
        actor=found.member.actor,
        about=found.member.id,
        details={"method": means.value} if means else {"reason": Reason.CODE.value},
    )
