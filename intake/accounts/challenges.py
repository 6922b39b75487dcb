"""What a passkey signs: a challenge that we made for one page, within two hours, answered once."""

import hmac
import secrets
from datetime import timedelta

from fido2.utils import websafe_encode
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from intake.accounts.models import SpentChallenge
from intake.instance import Instance
from intake.security import crypto

OPEN_FOR = timedelta(hours=2)
"""So long a page with a challenge on it may stand open."""
_SKEW = timedelta(minutes=1)
_NONCE, _MOMENT, _SEAL = 16, 8, 32


def made(bound_to: bytes, *, instance: Instance) -> str:
    """A fresh challenge for a page of this session; base64url."""
    return _sealed(secrets.token_bytes(_NONCE), int(instance.clock().timestamp()), bound_to, instance)


def made_for_door(bound_to: bytes, *, instance: Instance) -> str:
    """The challenge of a sign-in page: the same all hour long for one nonce of one browser.

    So that a refusal has the same bytes whatever was wrong. The nonce is random, and gone once it let
    somebody in.
    """
    hour = int(instance.clock().timestamp()) // 3600 * 3600
    nonce = hmac.digest(instance.keyring.app_secrets("door-challenge")[-1], bound_to, "sha256")[:_NONCE]
    return _sealed(nonce, hour, bound_to, instance)


def _sealed(nonce: bytes, moment: int, bound_to: bytes, instance: Instance) -> str:
    core = nonce + moment.to_bytes(_MOMENT, "big")
    return websafe_encode(core + _seal(core, bound_to, instance.keyring.app_secrets("passkey")[-1]))


def _seal(core: bytes, bound_to: bytes, key: bytes) -> bytes:
    return hmac.digest(key, bound_to + core, "sha256")


def ours(raw: bytes, bound_to: bytes, instance: Instance) -> bool:
    """Whether we made this challenge for this page, within the last two hours."""
    core, seal = raw[: _NONCE + _MOMENT], raw[_NONCE + _MOMENT :]
    keys = instance.keyring.app_secrets("passkey")
    if len(seal) != _SEAL or not any(crypto.same(seal, _seal(core, bound_to, key)) for key in keys):
        return False
    age = instance.clock().timestamp() - int.from_bytes(core[_NONCE:], "big")
    return -_SKEW.total_seconds() <= age <= OPEN_FOR.total_seconds()


def spend(session: Session, raw: bytes, instance: Instance) -> bool:
    """Keep that it was answered. False when it had been: of many at once one wins."""
    row = {"challenge_hash": instance.keyring.blind_index("challenge", raw.hex())}
    try:
        with session.begin_nested():
            session.execute(insert(SpentChallenge).values(**row, spent_at=instance.clock()))
    except IntegrityError:
        return False
    return True
