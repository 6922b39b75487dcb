"""Proving who somebody is: password, one-time code, recovery code. Each secret is hashed or wrapped."""

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
from intake.accounts.password_policy import MOST
from intake.core.errors import TooMany
from intake.security import crypto
from intake.security.crypto import Keyring, Place

HASHER = PasswordHasher(time_cost=2, memory_cost=65_536, parallelism=1)
"""Argon2id with 64 MiB, above the least that ASVS 5.0 appendix C asks for (46 MiB, one pass)."""
STAND_IN = "$argon2id$v=19$m=65536,t=2,p=1$c3RhbmQtaW4tc2FsdC0wMQ$Xm1gHw0Gq1yK8zqW1S9o3mYp0cV4bT7uR2nE5xL6dAk"
"""Compared against when there is no account, so that the answer takes as long. Nothing matches it."""
TOTP_BYTES, TOTP_DIGITS, STEP_SECONDS = 20, 6, 30
RECOVERY_CODES, RECOVERY_BYTES, RECOVERY_LETTERS = 10, 10, 16
_LONGEST_CODE = 64
_CONSONANTS, _VOWELS, _WORDS_IN_PASSWORD = "bdfghjklmnprstvz", "aiou", 5

_AT_ONCE = max(1, (os.cpu_count() or 2) // 2)
_WAITING = 3
_OTHERS = 2
"""So many threads of a web process never stand in this line: they are for whoever asks for a call."""
_hashing = threading.BoundedSemaphore(_AT_ONCE)
_line = threading.BoundedSemaphore(_AT_ONCE + _WAITING)


def release_hashing_slot(threads: int) -> None:
    """Make the line short enough for a web process of so many threads; with three or fewer, one at a time."""
    global _line  # noqa: PLW0603  a line is a process's, like the processors it spares
    _line = threading.BoundedSemaphore(max(1, min(_AT_ONCE + _WAITING, threads - _OTHERS)))


@contextmanager
def acquire_hashing_slot() -> Iterator[None]:
    """A place among those whose password is being looked at. Raises TooMany when all are taken.

    Hashing is slow on purpose. Only half of the processors work at it, and only a few threads wait for
    them, so that a storm at this door never stops somebody from asking for a call (reliability.md H7).
    """
    line = _line
    if not line.acquire(blocking=False):
        raise TooMany(retry_after=5)
    try:
        yield
    finally:
        line.release()


def hash_password(password: str) -> str:
    """The Argon2id hash of a password that `blocklist.check` has passed."""
    with _hashing:
        return HASHER.hash(unicodedata.normalize("NFC", password))


def password_matches(password_hash: str, password: str) -> bool:
    """Whether the password belongs to the hash. Takes about as long whatever is typed."""
    composed = unicodedata.normalize("NFC", password[: 4 * MOST])
    typed = composed.encode("utf-8", "surrogatepass")[: 8 * MOST]
    with _hashing:
        try:
            return HASHER.verify(password_hash, typed) and len(composed) <= MOST
        except (VerificationError, InvalidHashError):
            return False


def needs_rehash(password_hash: str) -> bool:
    """Whether the hash was made with other parameters than we use now."""
    return HASHER.check_needs_rehash(password_hash)


def new_password() -> str:
    """80 random bits as five words that can be read aloud: `dubak-fipol-…`."""
    return "-".join(_spoken() for _ in range(_WORDS_IN_PASSWORD))


def _spoken() -> str:
    return "".join(secrets.choice(_VOWELS if place % 2 else _CONSONANTS) for place in range(5))


def new_totp_secret() -> bytes:
    """160 random bits, as RFC 4226 recommends."""
    return secrets.token_bytes(TOTP_BYTES)


def wrapped_secret(secret: bytes, *, keyring: Keyring, staff_id: uuid.UUID) -> bytes:
    """The secret as it is kept: under the keyring and bound to this account's row."""
    return keyring.wrap(secret, place=_place(staff_id))


def unwrapped_secret(wrapped: bytes, *, keyring: Keyring, staff_id: uuid.UUID) -> bytes:
    """The secret itself. Raises crypto.Unopenable."""
    return keyring.unwrap(wrapped, place=_place(staff_id))


def _place(staff_id: uuid.UUID) -> Place:
    return Place("staff_member", "totp_secret", staff_id)


def totp(secret: bytes) -> TOTP:
    """The one-time codes of this secret: six digits, thirty seconds, SHA-1, as every app expects."""
    return TOTP(b32encode(secret).decode(), digits=TOTP_DIGITS, interval=STEP_SECONDS)


def secret_of(totp_uri: str) -> str:
    """The secret in a provisioning address, as it is typed into an app."""
    return parse_qs(urlsplit(totp_uri).query)["secret"][0]


def read_code(typed: str) -> str:
    """What was typed in the code box as we compare it: six digits, or the letters of a recovery code.

    Spaces and hyphens do not count, and digits of any script are digits. Empty when it can be neither.
    """
    if len(typed) > _LONGEST_CODE:
        return ""
    plain = "".join(_plain(letter) for letter in typed)
    if len(plain) == TOTP_DIGITS and plain.isascii() and plain.isdigit():
        return plain
    code = crypto.read_crockford(plain)
    return code if len(code) == RECOVERY_LETTERS == len(plain) else ""


def _plain(letter: str) -> str:
    if unicodedata.category(letter) in ("Zs", "Pd", "Cf", "Cc"):
        return ""
    digit = unicodedata.decimal(letter, None)
    return letter if digit is None else str(digit)


def step_of(secret: bytes, code: str, *, at: datetime) -> int:
    """Which half minute since 1970 a one-time code belongs to, the one before or after included; else 0.

    One step each way (RFC 6238, 5.2): a phone's clock may be off, and typing takes a while.
    """
    try:
        return totp(secret).verify_and_get_timecode(code, for_time=at.timestamp(), valid_window=1)
    except OTPVerificationError:
        return 0


def still_stands(session: Session, staff_id: uuid.UUID, password_hash: str) -> bool:
    """Lock the account and say whether it is as it was when its password was looked at.

    So nobody passes whose account was disabled or reset meanwhile. Nothing is written: a refusal must
    not take longer because the password was right.
    """
    same = select(StaffMember.id).where(
        StaffMember.id == staff_id,
        StaffMember.disabled_at.is_(None),
        StaffMember.password_hash == password_hash,
    )
    return session.scalar(same.with_for_update()) is not None


def use_step(session: Session, staff_id: uuid.UUID, *, step: int) -> bool:
    """Spend one half minute of an account. False when it was spent, or one after it was.

    One conditional UPDATE decides: of many at once with one code, one wins.
    """
    spend = update(StaffMember).where(StaffMember.id == staff_id, StaffMember.totp_step < step)
    return _changed(session, spend.values(totp_step=step))


def use_recovery_code(
    session: Session, staff_id: uuid.UUID, code: str, *, keyring: Keyring, at: datetime
) -> bool:
    """Spend a recovery code of this account. False when it has none like it, or no longer."""
    if len(code) != RECOVERY_LETTERS:
        return False
    spend = update(RecoveryCode).where(
        RecoveryCode.code_hash == _code_hash(code, keyring),
        RecoveryCode.staff_id == staff_id,
        RecoveryCode.used_at.is_(None),
    )
    return _changed(session, spend.values(used_at=at))


def _changed(session: Session, statement: Any) -> bool:
    statement = statement.execution_options(synchronize_session=False)
    return cast("CursorResult[Any]", session.execute(statement)).rowcount == 1


def new_recovery_codes(session: Session, staff_id: uuid.UUID, *, keyring: Keyring) -> tuple[str, ...]:
    """Ten fresh codes, in groups of four letters; earlier ones are gone. Only their hashes are kept."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.staff_id == staff_id))
    codes = [crypto.crockford(secrets.token_bytes(RECOVERY_BYTES)) for _ in range(RECOVERY_CODES)]
    session.add_all(RecoveryCode(code_hash=_code_hash(code, keyring), staff_id=staff_id) for code in codes)
    return tuple("-".join(code[start : start + 4] for start in range(0, len(code), 4)) for code in codes)


def recovery_codes_left(session: Session, staff_id: uuid.UUID) -> int:
    """How many of an account's recovery codes still work."""
    unused = select(func.count()).where(RecoveryCode.staff_id == staff_id, RecoveryCode.used_at.is_(None))
    return session.scalar(unused) or 0


def _code_hash(code: str, keyring: Keyring) -> bytes:
    return keyring.blind_index("recovery-code", code)
