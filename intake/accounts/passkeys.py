"""Passkeys: WebAuthn registration and authentication with Yubico's fido2.

A challenge is signed, dated and bound to a session or a sign-in page, so that showing a page writes
nothing. An answered one is stored for as long as it would be valid, so that it is accepted once. A sign
count that does not grow means that the authenticator was cloned: that passkey is deleted (WebAuthn
Level 3, 6.1.1). See docs/decisions/0016-second-factors-and-invitations.md.
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
from intake.accounts.permissions import StaffAct
from intake.act import Act
from intake.audit import Action
from intake.core.errors import NotFound, Refused
from intake.core.i18n import N_
from intake.instance import Instance
from intake.security import crypto

CHALLENGE_VALID_FOR = timedelta(hours=2)
"""How long a page may be open before its challenge expires."""
_SKEW = timedelta(minutes=1)
_NONCE, _TIMESTAMP, _MAC = 16, 8, 32
"""Bytes of the three parts of a challenge."""
MAX_PASSKEYS = 10
"""For each account; more than one person has devices."""
_LIBRARY_ERRORS = (ValueError, KeyError, TypeError, AttributeError, IndexError, AssertionError, OverflowError)
"""What fido2 raises for a malformed answer."""

log = structlog.get_logger()


def new_challenge(bound_to: bytes, *, instance: Instance) -> str:
    """A new challenge, bound to `bound_to` (the id of a session), in base64url."""
    return _signed_challenge(
        secrets.token_bytes(_NONCE), int(instance.clock().timestamp()), bound_to, instance
    )


def login_challenge(bound_to: bytes, *, instance: Instance) -> str:
    """The challenge of a sign-in page, bound to its nonce: the same throughout a clock hour.

    So a refused sign-in has the same bytes whatever was wrong. The nonce is random, and is replaced after
    a successful sign-in.
    """
    hour = int(instance.clock().timestamp()) // 3600 * 3600
    nonce = hmac.digest(instance.keyring.app_secrets("door-challenge")[-1], bound_to, "sha256")[:_NONCE]
    return _signed_challenge(nonce, hour, bound_to, instance)


def _signed_challenge(nonce: bytes, timestamp: int, bound_to: bytes, instance: Instance) -> str:
    content = nonce + timestamp.to_bytes(_TIMESTAMP, "big")
    return websafe_encode(
        content + _challenge_mac(content, bound_to, instance.keyring.app_secrets("passkey")[-1])
    )


def _challenge_mac(content: bytes, bound_to: bytes, key: bytes) -> bytes:
    return hmac.digest(key, bound_to + content, "sha256")


def is_valid_challenge(raw: bytes, bound_to: bytes, instance: Instance) -> bool:
    """Whether a challenge was issued here for `bound_to`, within the last two hours."""
    content, mac = raw[: _NONCE + _TIMESTAMP], raw[_NONCE + _TIMESTAMP :]
    keys = instance.keyring.app_secrets("passkey")
    if len(mac) != _MAC or not any(
        crypto.constant_time_equal(mac, _challenge_mac(content, bound_to, key)) for key in keys
    ):
        return False
    age = instance.clock().timestamp() - int.from_bytes(content[_NONCE:], "big")
    return -_SKEW.total_seconds() <= age <= CHALLENGE_VALID_FOR.total_seconds()


def spend_challenge(act: Act, raw: bytes) -> bool:
    """Record that a challenge was answered. False when it had been; of concurrent answers one succeeds."""
    row = {"challenge_hash": act.keyring.blind_index("challenge", raw.hex())}
    try:
        with act.session.begin_nested():
            act.session.execute(insert(SpentChallenge).values(**row, spent_at=act.now))
    except IntegrityError:
        return False
    return True


class InvalidPasskey(Refused):
    """The browser's answer is not a valid new passkey."""

    status = 422
    sentence = N_("That did not become a passkey. Open the page again and repeat it.")


class TooManyPasskeys(Refused):
    """The account has MAX_PASSKEYS passkeys already."""

    sentence = N_("There are ten passkeys already. Remove one that is not used any more.")


@dataclass(frozen=True)
class PasskeyAssertion:
    """A verified assertion. `verified`: the authenticator verified its user (biometrics or PIN)."""

    staff_id: uuid.UUID
    verified: bool


def relying_party_id(instance: Instance) -> str:
    """The WebAuthn relying party id, the host of the base URL; empty when that is an IP address."""
    host = urlsplit(instance.settings.base_url).hostname or ""
    try:
        ip_address(host)
    except ValueError:
        return host
    return ""


@cache
def _server(domain: str, origin: str) -> Fido2Server:
    entity = PublicKeyCredentialRpEntity(id=domain, name=domain)
    return Fido2Server(entity, verify_origin=lambda claimed: claimed == origin)


def _verifier(instance: Instance) -> Fido2Server:
    parts = urlsplit(instance.settings.base_url)
    return _server(relying_party_id(instance), f"{parts.scheme}://{parts.netloc}")


def creation_options(act: StaffAct, *, bound_to: bytes) -> str:
    """The options for creating a passkey, as JSON for `parseCreationOptionsFromJSON`."""
    registered = [
        AttestedCredentialData(row.credential).credential_id
        for row in list_passkeys(act.session, act.member.id)
    ]
    return json.dumps(
        {
            "challenge": new_challenge(bound_to, instance=act.instance),
            "rp": {"id": relying_party_id(act.instance), "name": act.clinic.name},
            "user": {
                "id": websafe_encode(act.member.id.bytes),
                "name": act.member.email,
                "displayName": act.member.name,
            },
            "pubKeyCredParams": [{"type": "public-key", "alg": each} for each in (-8, -7, -257)],
            "authenticatorSelection": {"residentKey": "required", "userVerification": "required"},
            "excludeCredentials": [{"type": "public-key", "id": websafe_encode(each)} for each in registered],
            "attestation": "none",
        }
    )


def request_options(bound_to: bytes, *, instance: Instance, for_login: bool = False) -> str:
    """The options for using a passkey, as JSON; they name no credential, so they disclose nothing."""
    challenge = login_challenge if for_login else new_challenge
    return json.dumps(
        {
            "challenge": challenge(bound_to, instance=instance),
            "rpId": relying_party_id(instance),
            "userVerification": "required",
        }
    )


def add(act: StaffAct, answer: str, *, bound_to: bytes, browser: Browser) -> None:
    """Store a new passkey of `member`. Raises InvalidPasskey (422) and TooManyPasskeys (409)."""
    count = act.session.scalar(select(func.count()).where(Passkey.staff_id == act.member.id)) or 0
    if count >= MAX_PASSKEYS:
        raise TooManyPasskeys
    credential, raw, sign_count = _verify_registration(answer, bound_to, act.instance)
    if not spend_challenge(act, raw):
        raise InvalidPasskey
    row = Passkey(
        id=uuid.uuid4(),
        staff_id=act.member.id,
        handle_hash=_handle_hash(credential.credential_id, act.instance),
        credential=bytes(credential),
        sign_count=sign_count,
        browser=browser,
        added_at=act.now,
    )
    try:
        with act.session.begin_nested():
            act.session.add(row)
    except IntegrityError:
        raise InvalidPasskey from None


def _verify_registration(
    answer: str, bound_to: bytes, instance: Instance
) -> tuple[AttestedCredentialData, bytes, int]:
    try:
        parsed = json.loads(answer)
        raw = _challenge_in(parsed)
        if not is_valid_challenge(raw, bound_to, instance):
            raise InvalidPasskey
        state = {
            "challenge": websafe_encode(raw),
            "user_verification": UserVerificationRequirement.REQUIRED,
        }
        registered = _verifier(instance).register_complete(state, parsed)
    except _LIBRARY_ERRORS:
        raise InvalidPasskey from None
    if registered.credential_data is None:
        raise InvalidPasskey
    return registered.credential_data, raw, registered.counter


def _challenge_in(answer: Mapping[str, Any]) -> bytes:
    client_data = json.loads(websafe_decode(answer["response"]["clientDataJSON"]))
    return websafe_decode(client_data["challenge"])


def list_passkeys(session: Session, staff_id: uuid.UUID) -> Sequence[Passkey]:
    """The passkeys of an account, oldest first."""
    owned = select(Passkey).where(Passkey.staff_id == staff_id)
    return session.scalars(owned.order_by(Passkey.added_at, Passkey.id)).all()


def remove(session: Session, passkey_id: uuid.UUID, *, staff_id: uuid.UUID) -> None:
    """Delete a passkey; the authenticator app remains as a second factor. Raises NotFound."""
    row = session.get(Passkey, passkey_id, with_for_update=True)
    if not row or row.staff_id != staff_id:
        raise NotFound
    session.delete(row)
    session.flush()


def remove_all(session: Session, staff_id: uuid.UUID) -> None:
    """Delete every passkey of an account."""
    session.execute(delete(Passkey).where(Passkey.staff_id == staff_id))


def parse_answer(answer: str) -> Mapping[str, Any]:
    """A browser's answer, parsed from JSON; empty when it is malformed or absent."""
    try:
        found = json.loads(answer) if answer else {}
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def verify(act: Act, answer: Mapping[str, Any], *, bound_to: bytes) -> PasskeyAssertion | None:
    """Verify an assertion and use up its challenge; None when it is invalid or was used before."""
    try:
        raw, credential_id = _challenge_in(answer), websafe_decode(answer["rawId"])
        row = _load_passkey(act, credential_id)
        if not row or not is_valid_challenge(raw, bound_to, act.instance):
            return None
        sign_count, user_verified = _verify_assertion(row, raw, answer, act.instance)
    except _LIBRARY_ERRORS:
        return None
    if not spend_challenge(act, raw) or _is_cloned(act, row, sign_count):
        return None
    return PasskeyAssertion(row.staff_id, user_verified)


def _load_passkey(act: Act, credential_id: bytes) -> Passkey | None:
    by_id = select(Passkey).where(Passkey.handle_hash == _handle_hash(credential_id, act.instance))
    return act.session.scalars(by_id.with_for_update()).first()


def _verify_assertion(
    row: Passkey, raw: bytes, answer: Mapping[str, Any], instance: Instance
) -> tuple[int, bool]:
    """The new sign count, and whether the user was verified. Raises one of _LIBRARY_ERRORS."""
    state = {"challenge": websafe_encode(raw), "user_verification": None}
    _verifier(instance).authenticate_complete(state, [AttestedCredentialData(row.credential)], answer)
    authenticator = AuthenticationResponse.from_dict(answer).response.authenticator_data
    return authenticator.counter, authenticator.is_user_verified()


def _is_cloned(act: Act, row: Passkey, sign_count: int) -> bool:
    """Store the new sign count; when it did not grow, delete the passkey and return True."""
    if sign_count <= row.sign_count and (sign_count or row.sign_count):
        log.warning("passkey_copied", about=str(row.staff_id))
        act.by(audit.Actor.system()).record(Action.STAFF_PASSKEY_REMOVED, about=row.staff_id, reason="copied")
        act.session.delete(row)
        return True
    act.session.execute(
        update(Passkey).where(Passkey.id == row.id).values(sign_count=sign_count, used_at=act.now)
    )
    return False


def _handle_hash(credential_id: bytes, instance: Instance) -> bytes:
    return instance.keyring.blind_index("passkey", credential_id.hex())
