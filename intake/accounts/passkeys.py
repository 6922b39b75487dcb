"""Passkeys: WebAuthn registration and authentication with Yubico's fido2.

A challenge is signed, dated and bound to a session or a sign-in page, so that showing a page writes
nothing. An answered one is stored for as long as it would be valid, so that it is accepted once. A sign
count that does not grow means that the authenticator was cloned: that passkey is deleted (WebAuthn
Level 3, 6.1.1). See docs/decisions/0016-second-factors-and-invitations.md.

The library is imported where an answer is verified, because it takes long to load and most processes and
pages never need it.
"""

import hmac
import json
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog
from fido2.utils import websafe_decode, websafe_encode
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

if TYPE_CHECKING:
    from fido2.server import Fido2Server

CHALLENGE_VALID_FOR = timedelta(hours=2)
"""How long a page may be open before its challenge expires."""
_SKEW = timedelta(minutes=1)
_NONCE, _TIMESTAMP = 16, 8
"""Bytes of the first two parts of a challenge; the third is a MAC."""
MAX_PASSKEYS = 10
"""For each account; more than one person has devices."""
_LIBRARY_ERRORS = (ValueError, KeyError, TypeError, AttributeError, IndexError, AssertionError, OverflowError)
"""What fido2 raises for a malformed answer."""

log = structlog.get_logger()


def new_challenge(bound_to: bytes, *, instance: Instance, for_login: bool = False) -> str:
    """A new challenge in base64url, bound to `bound_to`: the id of a session, or the nonce of a sign-in page.

    Of a sign-in page it is the same throughout a clock hour, so that a refused sign-in has the same bytes
    whatever was wrong. That page's nonce is random, and is replaced after a successful sign-in.
    """
    keyring = instance.keyring
    nonce, timestamp = secrets.token_bytes(_NONCE), int(instance.clock().timestamp())
    if for_login:
        nonce = hmac.digest(keyring.app_secrets("door-challenge")[-1], bound_to, "sha256")[:_NONCE]
        timestamp -= timestamp % 3600
    content = nonce + timestamp.to_bytes(_TIMESTAMP, "big")
    return websafe_encode(content + _challenge_mac(content, bound_to, keyring.app_secrets("passkey")[-1]))


def _challenge_mac(content: bytes, bound_to: bytes, key: bytes) -> bytes:
    return hmac.digest(key, bound_to + content, "sha256")


def is_valid_challenge(raw: bytes, bound_to: bytes, instance: Instance) -> bool:
    """Whether a challenge was issued here for `bound_to`, within the last two hours."""
    content, mac = raw[: _NONCE + _TIMESTAMP], raw[_NONCE + _TIMESTAMP :]
    keys = instance.keyring.app_secrets("passkey")
    if not any(crypto.constant_time_equal(mac, _challenge_mac(content, bound_to, key)) for key in keys):
        return False
    age = instance.clock().timestamp() - int.from_bytes(content[_NONCE:], "big")
    return -_SKEW.total_seconds() <= age <= CHALLENGE_VALID_FOR.total_seconds()


def spend_challenge(act: Act, raw: bytes) -> bool:
    """Record that a challenge was answered. False when it had been; of concurrent answers one succeeds."""
    challenge_hash = act.keyring.blind_index("challenge", raw.hex())
    try:
        with act.session.begin_nested():
            act.session.execute(
                insert(SpentChallenge).values(challenge_hash=challenge_hash, spent_at=act.now)
            )
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


def _verifier(instance: Instance) -> "Fido2Server":
    from fido2.server import Fido2Server  # noqa: PLC0415
    from fido2.webauthn import PublicKeyCredentialRpEntity  # noqa: PLC0415

    parts, domain = urlsplit(instance.settings.base_url), relying_party_id(instance)
    origin = f"{parts.scheme}://{parts.netloc}"
    entity = PublicKeyCredentialRpEntity(id=domain, name=domain)
    return Fido2Server(entity, verify_origin=lambda claimed: claimed == origin)


def creation_options(act: StaffAct, *, bound_to: bytes) -> str:
    """The options for creating a passkey, as JSON for `parseCreationOptionsFromJSON`."""
    from fido2.webauthn import AttestedCredentialData  # noqa: PLC0415

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
    return json.dumps(
        {
            "challenge": new_challenge(bound_to, instance=instance, for_login=for_login),
            "rpId": relying_party_id(instance),
            "userVerification": "required",
        }
    )


def add(act: Act, answer: str, *, staff_id: uuid.UUID, bound_to: bytes, browser: Browser) -> None:
    """Store a new passkey of an account. Raises InvalidPasskey (422) and TooManyPasskeys (409)."""
    from fido2.webauthn import UserVerificationRequirement  # noqa: PLC0415

    count = act.session.scalar(select(func.count()).where(Passkey.staff_id == staff_id)) or 0
    if count >= MAX_PASSKEYS:
        raise TooManyPasskeys
    try:
        parsed = json.loads(answer)
        raw = _challenge_in(parsed)
        if not is_valid_challenge(raw, bound_to, act.instance):
            raise InvalidPasskey
        verification = UserVerificationRequirement.REQUIRED
        state = {"challenge": websafe_encode(raw), "user_verification": verification}
        registered = _verifier(act.instance).register_complete(state, parsed)
    except _LIBRARY_ERRORS:
        raise InvalidPasskey from None
    credential = registered.credential_data
    if credential is None or not spend_challenge(act, raw):
        raise InvalidPasskey
    row = Passkey(
        id=uuid.uuid4(),
        staff_id=staff_id,
        handle_hash=_handle_hash(credential.credential_id, act.instance),
        credential=bytes(credential),
        sign_count=registered.counter,
        browser=browser,
        added_at=act.now,
    )
    try:
        with act.session.begin_nested():
            act.session.add(row)
    except IntegrityError:
        raise InvalidPasskey from None


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
    """Verify an assertion and use up its challenge; None when it is invalid or was used before.

    The new sign count is stored; when it did not grow, the passkey is deleted.
    """
    from fido2.webauthn import AttestedCredentialData, AuthenticationResponse  # noqa: PLC0415

    try:
        raw, handle_hash = _challenge_in(answer), _handle_hash(websafe_decode(answer["rawId"]), act.instance)
        by_handle = select(Passkey).where(Passkey.handle_hash == handle_hash).with_for_update()
        row = act.session.scalars(by_handle).first()
        if not row or not is_valid_challenge(raw, bound_to, act.instance):
            return None
        state = {"challenge": websafe_encode(raw), "user_verification": None}
        credentials = [AttestedCredentialData(row.credential)]
        _verifier(act.instance).authenticate_complete(state, credentials, answer)
        authenticator = AuthenticationResponse.from_dict(answer).response.authenticator_data
    except _LIBRARY_ERRORS:
        return None
    if not spend_challenge(act, raw):
        return None
    count = authenticator.counter
    if count <= row.sign_count and (count or row.sign_count):
        log.warning("passkey_copied", about=str(row.staff_id))
        act.by(audit.Actor.system()).record(Action.STAFF_PASSKEY_REMOVED, about=row.staff_id, reason="copied")
        act.session.delete(row)
        return None
    act.session.execute(update(Passkey).where(Passkey.id == row.id).values(sign_count=count, used_at=act.now))
    return PasskeyAssertion(row.staff_id, authenticator.is_user_verified())


def _handle_hash(credential_id: bytes, instance: Instance) -> bytes:
    return instance.keyring.blind_index("passkey", credential_id.hex())
