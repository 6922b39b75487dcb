"""Passwords, one-time codes (TOTP) and recovery codes. Each secret is stored hashed or wrapped."""

import os
import secrets
import threading
import unicodedata
import uuid
from base64 import b32encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from pyotp import TOTP
from pyotp.exceptions import OTPVerificationError
from sqlalchemy import CursorResult, delete, func, select, update
from sqlalchemy.orm import Session

from intake.accounts.models import RecoveryCode, StaffMember
from intake.accounts.password_policy import MAX_LENGTH
from intake.core.errors import TooMany
from intake.security import crypto
from intake.security.crypto import Keyring, Place

HASHER = PasswordHasher(time_cost=2, memory_cost=65_536, parallelism=1)
"""Argon2id with 64 MiB, above the minimum of ASVS 5.0, appendix C (46 MiB, one pass)."""
DUMMY_HASH = (
    "$argon2id$v=19$m=65536,t=2,p=1$c3RhbmQtaW4tc2FsdC0wMQ$Xm1gHw0Gq1yK8zqW1S9o3mYp0cV4bT7uR2nE5xL6dAk"
)
"""Verified against when there is no account, so that the answer takes as long. No password matches it."""
TOTP_BYTES, TOTP_DIGITS, STEP_SECONDS = 20, 6, 30
RECOVERY_CODES, RECOVERY_BYTES, RECOVERY_LENGTH = 10, 10, 16
_MAX_CODE_INPUT = 64
_CONSONANTS, _VOWELS, _WORDS_IN_PASSWORD = "bdfghjklmnprstvz", "aiou", 5

_PARALLEL = max(1, (os.cpu_count() or 2) // 2)
_QUEUED = 3
_OTHER_THREADS = 2
"""Threads of a web process that never wait for hashing: they remain for requests for a call."""
_hashing = threading.BoundedSemaphore(_PARALLEL)
_slots = threading.BoundedSemaphore(_PARALLEL + _QUEUED)


def limit_hashing_slots(threads: int) -> None:
    """Set the number of hashing slots for a web process of `threads` threads; one with three or fewer."""
    global _slots  # noqa: PLW0603  one per process, like the processors
    _slots = threading.BoundedSemaphore(max(1, min(_PARALLEL + _QUEUED, threads - _OTHER_THREADS)))


@contextmanager
def acquire_hashing_slot() -> Iterator[None]:
    """Occupy a hashing slot for the block. Raises TooMany when none is free.

    Hashing is slow on purpose. It uses half of the processors, and only a few threads wait for them, so
    that a flood of sign-in attempts never keeps a person from asking for a call
    (docs/decisions/0006-staff-sign-in.md).
    """
    slots = _slots
    if not slots.acquire(blocking=False):
        raise TooMany(retry_after=5)
    try:
        yield
    finally:
        slots.release()


def hash_password(password: str) -> str:
    """The Argon2id hash of a password that `password_policy.check` has accepted."""
    with _hashing:
        return HASHER.hash(unicodedata.normalize("NFC", password))


def password_matches(password_hash: str, password: str) -> bool:
    """Whether the password matches the hash, in about the same time for any input."""
    composed = unicodedata.normalize("NFC", password[: 4 * MAX_LENGTH])
    typed = composed.encode("utf-8", "surrogatepass")[: 8 * MAX_LENGTH]
    with _hashing:
        try:
            return HASHER.verify(password_hash, typed) and len(composed) <= MAX_LENGTH
        except (VerificationError, InvalidHashError):
            return False


def needs_rehash(password_hash: str) -> bool:
    """Whether the hash was made with other parameters than those in use now."""
    return HASHER.check_needs_rehash(password_hash)


def new_password() -> str:
    """80 random bits as five words that can be pronounced, such as `dubak-fipol-…`."""
    letters = [_VOWELS if place % 2 else _CONSONANTS for place in range(5)]
    return "-".join("".join(map(secrets.choice, letters)) for _ in range(_WORDS_IN_PASSWORD))


def new_totp_secret() -> bytes:
    """160 random bits, as RFC 4226 recommends."""
    return secrets.token_bytes(TOTP_BYTES)


def wrap_secret(secret: bytes, *, keyring: Keyring, staff_id: uuid.UUID) -> bytes:
    """A TOTP secret wrapped by the keyring and bound to the account's row, as it is stored."""
    return keyring.wrap(secret, place=_place(staff_id))


def unwrap_secret(wrapped: bytes, *, keyring: Keyring, staff_id: uuid.UUID) -> bytes:
    """The TOTP secret inside. Raises crypto.UnsealError."""
    return keyring.unwrap(wrapped, place=_place(staff_id))


def _place(staff_id: uuid.UUID) -> Place:
    return Place("staff_member", "totp_secret", staff_id)


def totp(secret: bytes) -> TOTP:
    """The one-time codes of `secret`: six digits, 30 seconds, SHA-1, as authenticator apps expect."""
    return TOTP(b32encode(secret).decode(), digits=TOTP_DIGITS, interval=STEP_SECONDS)


def secret_from_uri(totp_uri: str) -> str:
    """The secret in a provisioning URI, in base32, as it is typed into an app."""
    return parse_qs(urlsplit(totp_uri).query)["secret"][0]


def normalise_code(typed: str) -> str:
    """A typed one-time or recovery code in its canonical form; empty when it can be neither.

    Spaces, hyphens and control characters are ignored, and digits of any script are accepted.
    """
    if len(typed) > _MAX_CODE_INPUT:
        return ""
    plain = ""
    for character in typed:
        if unicodedata.category(character) not in ("Zs", "Pd", "Cf", "Cc"):
            digit = unicodedata.decimal(character, None)
            plain += character if digit is None else str(digit)
    if len(plain) == TOTP_DIGITS and plain.isascii() and plain.isdigit():
        return plain
    code = crypto.normalise_crockford(plain)
    return code if len(code) == RECOVERY_LENGTH == len(plain) else ""


def matching_step(secret: bytes, code: str, *, at: datetime) -> int:
    """The time step (30 seconds since 1970) that `code` belongs to; 0 when it does not match.

    One step before and after `at` is accepted, for clock drift and slow typing (RFC 6238, 5.2).
    """
    try:
        return totp(secret).verify_and_get_timecode(code, for_time=at.timestamp(), valid_window=1)
    except OTPVerificationError:
        return 0


def lock_unchanged(session: Session, staff_id: uuid.UUID, password_hash: str) -> bool:
    """Lock the account's row; True when it is enabled and its password hash is still `password_hash`.

    So a sign-in fails when the account was disabled or reset while the password was checked. Nothing is
    written: a refusal must not take longer because the password was right.
    """
    same = select(StaffMember.id).where(
        StaffMember.id == staff_id,
        StaffMember.disabled_at.is_(None),
        StaffMember.password_hash == password_hash,
    )
    return session.scalar(same.with_for_update()) is not None


def spend_step(session: Session, staff_id: uuid.UUID, *, step: int) -> bool:
    """Use up a time step of an account. False when it or a later one was used before.

    One conditional UPDATE decides: of many concurrent attempts with one code, one succeeds.
    """
    spend = update(StaffMember).where(StaffMember.id == staff_id, StaffMember.totp_step < step)
    return _updated_one(session, spend.values(totp_step=step))


def spend_recovery_code(
    session: Session, staff_id: uuid.UUID, code: str, *, keyring: Keyring, at: datetime
) -> bool:
    """Use up a recovery code of this account. False when it is not one of its codes, or was used."""
    if len(code) != RECOVERY_LENGTH:
        return False
    spend = update(RecoveryCode).where(
        RecoveryCode.code_hash == _code_hash(code, keyring),
        RecoveryCode.staff_id == staff_id,
        RecoveryCode.used_at.is_(None),
    )
    return _updated_one(session, spend.values(used_at=at))


def _updated_one(session: Session, statement: Any) -> bool:
    statement = statement.execution_options(synchronize_session=False)
    return cast("CursorResult[Any]", session.execute(statement)).rowcount == 1


def new_recovery_codes(session: Session, staff_id: uuid.UUID, *, keyring: Keyring) -> tuple[str, ...]:
    """Ten new codes in groups of four characters, replacing earlier ones. Only keyed hashes are stored."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.staff_id == staff_id))
    codes = [crypto.crockford(secrets.token_bytes(RECOVERY_BYTES)) for _ in range(RECOVERY_CODES)]
    session.add_all(RecoveryCode(code_hash=_code_hash(code, keyring), staff_id=staff_id) for code in codes)
    return tuple("-".join(code[start : start + 4] for start in range(0, len(code), 4)) for code in codes)


def recovery_codes_left(session: Session, staff_id: uuid.UUID) -> int:
    """The number of an account's unused recovery codes."""
    unused = select(func.count()).where(RecoveryCode.staff_id == staff_id, RecoveryCode.used_at.is_(None))
    return session.scalar(unused) or 0


def _code_hash(code: str, keyring: Keyring) -> bytes:
    return keyring.blind_index("recovery-code", code)
