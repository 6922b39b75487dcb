"""Passkeys: WebAuthn with Yubico's library, which verifies; what is kept and when it counts is decided here.

A challenge is signed and dated, so that showing a page writes nothing; an answered one is kept for as
long as it could be answered, so that an answer counts once. A sign count that does not grow says that
somebody has a copy of the key: that passkey is taken away (WebAuthn Level 3, 6.1.1).
"""

import hmac
import json
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import structlog
from fido2.server import Fido2Server
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticationResponse,
    PublicKeyCredentialRpEntity,
    UserVerificationRequirement,
)
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from intake import audit
from intake.accounts.models import Browser, Passkey, SpentChallenge
from intake.accounts.permissions import Member
from intake.audit import Action
from intake.core.errors import NotFound, Refused
from intake.core.i18n import N_
from intake.instance import Instance
from intake.security import crypto

# --- What a passkey signs: a challenge that we made for one page, within two hours, answered once.

CHALLENGE_VALID_FOR = timedelta(hours=2)
"""So long a page with a challenge on it may stand open."""
_SKEW = timedelta(minutes=1)
_NONCE, _MOMENT, _SEAL = 16, 8, 32


def new_challenge(bound_to: bytes, *, instance: Instance) -> str:
    """A fresh challenge for a page of this session; base64url."""
    return _signed_challenge(
        secrets.token_bytes(_NONCE), int(instance.clock().timestamp()), bound_to, instance
    )


def login_challenge(bound_to: bytes, *, instance: Instance) -> str:
    """The challenge of a sign-in page: the same all hour long for one nonce of one browser.

    So that a refusal has the same bytes whatever was wrong. The nonce is random, and gone once it let
    somebody in.
    """
    hour = int(instance.clock().timestamp()) // 3600 * 3600
    nonce = hmac.digest(instance.keyring.app_secrets("door-challenge")[-1], bound_to, "sha256")[:_NONCE]
    return _signed_challenge(nonce, hour, bound_to, instance)


def _signed_challenge(nonce: bytes, moment: int, bound_to: bytes, instance: Instance) -> str:
    core = nonce + moment.to_bytes(_MOMENT, "big")
    return websafe_encode(core + _challenge_mac(core, bound_to, instance.keyring.app_secrets("passkey")[-1]))


def _challenge_mac(core: bytes, bound_to: bytes, key: bytes) -> bytes:
    return hmac.digest(key, bound_to + core, "sha256")


def is_our_challenge(raw: bytes, bound_to: bytes, instance: Instance) -> bool:
    """Whether we made this challenge for this page, within the last two hours."""
    core, seal = raw[: _NONCE + _MOMENT], raw[_NONCE + _MOMENT :]
    keys = instance.keyring.app_secrets("passkey")
    if len(seal) != _SEAL or not any(crypto.same(seal, _challenge_mac(core, bound_to, key)) for key in keys):
        return False
    age = instance.clock().timestamp() - int.from_bytes(core[_NONCE:], "big")
    return -_SKEW.total_seconds() <= age <= CHALLENGE_VALID_FOR.total_seconds()


def spend_challenge(session: Session, raw: bytes, instance: Instance) -> bool:
    """Keep that it was answered. False when it had been: of many at once one wins."""
    row = {"challenge_hash": instance.keyring.blind_index("challenge", raw.hex())}
    try:
        with session.begin_nested():
            session.execute(insert(SpentChallenge).values(**row, spent_at=instance.clock()))
    except IntegrityError:
        return False
    return True


MOST = 10
"""More passkeys than one person has devices."""
_TROUBLES = (ValueError, KeyError, TypeError, AttributeError, IndexError, AssertionError, OverflowError)
"""What the library raises for an answer that is none."""

log = structlog.get_logger()


class NoPasskey(Refused):
    """What the browser answered is no new passkey."""

    status = 422
    sentence = N_("That did not become a passkey. Open the page again and repeat it.")


class EnoughPasskeys(Refused):
    """Ten are enough."""

    sentence = N_("There are ten passkeys already. Remove one that is not used any more.")


@dataclass(frozen=True)
class Used:
    """A passkey that has just answered. `verified`: its device knew that it was its owner."""

    staff_id: uuid.UUID
    verified: bool


def relying_party_id(instance: Instance) -> str:
    """The domain our passkeys belong to; empty where there is none: on an address of numbers."""
    host = urlsplit(instance.settings.base_url).hostname or ""
    try:
        ip_address(host)
    except ValueError:
        return host
    return ""


@cache
def _server(domain: str, origin: str) -> Fido2Server:
    entity = PublicKeyCredentialRpEntity(id=domain, name=domain)
    return Fido2Server(entity, verify_origin=lambda stated: stated == origin)


def _verifier(instance: Instance) -> Fido2Server:
    parts = urlsplit(instance.settings.base_url)
    return _server(relying_party_id(instance), f"{parts.scheme}://{parts.netloc}")


# --- adding, listing, removing ---------------------------------------------------------------------------


def creation_options(session: Session, member: Member, *, bound_to: bytes, instance: Instance) -> str:
    """What a browser has to know to make a passkey, as JSON for `parseCreationOptionsFromJSON`."""
    known = [{"type": "public-key", "id": websafe_encode(each)} for each in _handles(session, member.id)]
    return json.dumps(
        {
            "challenge": new_challenge(bound_to, instance=instance),
            "rp": {"id": relying_party_id(instance), "name": instance.clinic.name},
            "user": {"id": websafe_encode(member.id.bytes), "name": member.email, "displayName": member.name},
            "pubKeyCredParams": [{"type": "public-key", "alg": each} for each in _algorithms()],
            "authenticatorSelection": {"residentKey": "required", "userVerification": "required"},
            "excludeCredentials": known,
            "attestation": "none",
        }
    )


def _algorithms() -> list[int]:
    """Ed25519, ECDSA on P-256, RSA: what devices make."""
    return [-8, -7, -257]


def request_options(bound_to: bytes, *, instance: Instance, at_door: bool = False) -> str:
    """What a browser has to know to use a passkey, as JSON; it names none, so it tells nothing."""
    make = login_challenge if at_door else new_challenge
    return json.dumps(
        {
            "challenge": make(bound_to, instance=instance),
            "rpId": relying_party_id(instance),
            "userVerification": "required",
        }
    )


def add(
    session: Session, member: Member, answer: str, *, bound_to: bytes, browser: Browser, instance: Instance
) -> None:
    """Keep a passkey that a browser has just made. Raises NoPasskey (422) and EnoughPasskeys (409)."""
    count = session.scalar(select(func.count()).where(Passkey.staff_id == member.id)) or 0
    if count >= MOST:
        raise EnoughPasskeys
    made, raw, sign_count = _made(answer, bound_to, instance)
    if not spend_challenge(session, raw, instance):
        raise NoPasskey
    row = Passkey(
        id=uuid.uuid4(),
        staff_id=member.id,
        handle_hash=_handle_hash(made.credential_id, instance),
        credential=bytes(made),
        sign_count=sign_count,
        browser=browser,
        added_at=instance.clock(),
    )
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        raise NoPasskey from None


def _made(answer: str, bound_to: bytes, instance: Instance) -> tuple[AttestedCredentialData, bytes, int]:
    try:
        read = json.loads(answer)
        raw = _challenge_in(read)
        if not is_our_challenge(raw, bound_to, instance):
            raise NoPasskey
        state = {
            "challenge": websafe_encode(raw),
            "user_verification": UserVerificationRequirement.REQUIRED,
        }
        made = _verifier(instance).register_complete(state, read)
    except _TROUBLES:
        raise NoPasskey from None
    if made.credential_data is None:
        raise NoPasskey
    return made.credential_data, raw, made.counter


def _challenge_in(answer: Mapping[str, Any]) -> bytes:
    stated = json.loads(websafe_decode(answer["response"]["clientDataJSON"]))
    return websafe_decode(stated["challenge"])


def passkeys_of(session: Session, staff_id: uuid.UUID) -> Sequence[Passkey]:
    """The passkeys of an account, oldest first."""
    theirs = select(Passkey).where(Passkey.staff_id == staff_id)
    return session.scalars(theirs.order_by(Passkey.added_at, Passkey.id)).all()


def _handles(session: Session, staff_id: uuid.UUID) -> list[bytes]:
    return [AttestedCredentialData(each.credential).credential_id for each in passkeys_of(session, staff_id)]


def remove(session: Session, passkey_id: uuid.UUID, *, staff_id: uuid.UUID) -> None:
    """Take a passkey away; the authenticator app stays, so it is never the last factor. Raises NotFound."""
    row = session.get(Passkey, passkey_id, with_for_update=True)
    if not row or row.staff_id != staff_id:
        raise NotFound
    session.delete(row)
    session.flush()


def remove_all(session: Session, staff_id: uuid.UUID) -> None:
    """Take every passkey of an account away."""
    session.execute(delete(Passkey).where(Passkey.staff_id == staff_id))


# --- using ----------------------------------------------------------------------------------------------


def read(answer: str) -> Mapping[str, Any]:
    """What a browser answered; empty when it is no answer at all."""
    try:
        found = json.loads(answer) if answer else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def use(session: Session, answer: Mapping[str, Any], *, bound_to: bytes, instance: Instance) -> Used | None:
    """Whose passkey has answered our challenge; None when none of ours did, or the answer was used."""
    try:
        raw, handle = _challenge_in(answer), websafe_decode(answer["rawId"])
        row = _found(session, handle, instance)
        if not row or not is_our_challenge(raw, bound_to, instance):
            return None
        counter, verified = _verified(row, raw, answer, instance)
    except _TROUBLES:
        return None
    if not spend_challenge(session, raw, instance) or _copied(session, row, counter, instance):
        return None
    return Used(row.staff_id, verified)


def _found(session: Session, handle: bytes, instance: Instance) -> Passkey | None:
    one = select(Passkey).where(Passkey.handle_hash == _handle_hash(handle, instance))
    return session.scalars(one.with_for_update()).first()


def _verified(row: Passkey, raw: bytes, answer: Mapping[str, Any], instance: Instance) -> tuple[int, bool]:
    """The new sign count, and whether the device knew its owner. Raises what the library raises."""
    state = {"challenge": websafe_encode(raw), "user_verification": None}
    _verifier(instance).authenticate_complete(state, [AttestedCredentialData(row.credential)], answer)
    seen = AuthenticationResponse.from_dict(answer).response.authenticator_data
    return seen.counter, seen.is_user_verified()


def _copied(session: Session, row: Passkey, counter: int, instance: Instance) -> bool:
    """Write the new count down. When it did not grow, there are two of this key: it goes."""
    if counter <= row.sign_count and (counter or row.sign_count):
        log.warning("passkey_copied", about=str(row.staff_id))
        audit.record(
            session,
            Action.STAFF_PASSKEY_REMOVED,
            keyring=instance.keyring,
            at=instance.clock(),
            actor=audit.Actor.system(),
            about=row.staff_id,
            details={"reason": "copied"},
        )
        session.delete(row)
        return True
    session.execute(
        update(Passkey).where(Passkey.id == row.id).values(sign_count=counter, used_at=instance.clock())
    )
    return False


def _handle_hash(handle: bytes, instance: Instance) -> bytes:
    return instance.keyring.blind_index("passkey", handle.hex())
