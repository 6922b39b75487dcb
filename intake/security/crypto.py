"""Encryption, blind indexes, MACs and derived keys. The only importer of `cryptography`.

Every lead has a key of its own. Its personal fields are sealed with AES-256-GCM under that key and bound
to their place (table, column, row): a value moved to another cell cannot be opened. The lead's key is in
turn wrapped by the keyring, which is kept outside the database. Deleting the wrapped key makes an
erasure final, also in backups and other copies (docs/decisions/0003-a-key-per-lead.md).

Sealed value: one version byte, 12 bytes of nonce, the ciphertext. A wrapped key has the id of its
wrapping key in front, so that wrapping keys can be rotated. Text is padded to a multiple of 64 bytes
before sealing, so that the length of a name does not show.
"""

import base64
import hashlib
import hmac
import secrets
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from intake.conf.secrets import LENGTH

_VERSION = b"\x01"
_NONCE = 12
_STEP = 64
UNREADABLE = "?"
_MAGIC = b"intake backup 1\n"
_HINT = 8
_CHUNK, _TAG = 65_536, 16
_CODE_BYTES = 10  # 80 bits: 16 characters, short enough to write on paper
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class UnsealError(Exception):
    """A sealed value cannot be opened: another key, another place, or changed bytes."""


class WrongKey(UnsealError):
    """A file was encrypted with another key."""


class Place(NamedTuple):
    """The database cell that a sealed value is bound to."""

    table: str
    column: str
    row: uuid.UUID

    def bound(self, *more: str) -> bytes:
        """The associated data (AEAD) of a sealed value in this place."""
        return "\x1f".join(("intake", self.table, self.column, str(self.row), *more)).encode()


@dataclass(slots=True, eq=False, repr=False)
class Sealed:
    """An encrypted value: it prints as `<sealed>` and is opened by `unseal` only."""

    box: bytes

    def __repr__(self) -> str:
        return "<sealed>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "<sealed>"


class KeyFingerprint(NamedTuple):
    """Identifies a key without disclosing it: its setting, the id of a sealing key, and a fingerprint."""

    setting: str
    key_id: str
    fingerprint: str


def key_fingerprint(key: bytes) -> str:
    """A fingerprint of a 32-byte random key, 16 hex digits; the key cannot be derived from it."""
    return hmac.digest(key, b"intake-key-mark", "sha256")[:8].hex()


class Keyring:
    """The four secrets of one instance, each used for its own purpose only."""

    def __init__(
        self, *, sealing: dict[str, bytes], index: bytes, chain: bytes, app: Sequence[bytes]
    ) -> None:
        self._sealing = sealing
        self._newest = next(iter(sealing))
        self._index = index
        self._chain = chain
        self._app = tuple(app)

    def __repr__(self) -> str:
        return f"<Keyring {', '.join(self._sealing)}>"

    def wrap(self, secret: bytes, *, place: Place) -> bytes:
        """`secret` sealed under the newest wrapping key and bound to `place`."""
        nonce = secrets.token_bytes(_NONCE)
        sealed = AESGCM(self._sealing[self._newest]).encrypt(nonce, secret, place.bound(self._newest))
        return wrapped_prefix(self._newest) + nonce + sealed

    def unwrap(self, wrapped: bytes, *, place: Place) -> bytes:
        """The secret inside. Raises UnsealError, without a reason."""
        try:
            key_id, rest = _split(wrapped)
            return AESGCM(self._sealing[key_id]).decrypt(rest[:_NONCE], rest[_NONCE:], place.bound(key_id))
        except (InvalidTag, KeyError, IndexError, ValueError):
            raise UnsealError from None

    @property
    def sealing_ids(self) -> tuple[str, ...]:
        """The ids of the wrapping keys as configured: the first one wraps, all of them unwrap."""
        return tuple(self._sealing)

    def rewrap(self, wrapped: bytes, *, place: Place) -> bytes:
        """The same secret under the newest wrapping key. Raises UnsealError."""
        return self.wrap(self.unwrap(wrapped, place=place), place=place)

    def blind_index(self, kind: str, value: str) -> bytes:
        """A keyed hash of a normalised phone number (E.164), address or code, for look-ups; 32 bytes.

        With the key guesses can be tested, so the index is personal data and is protected as such.
        """
        return hmac.digest(self._index, f"index:v1:{kind}:{value}".encode(), "sha256")

    def mac(self, purpose: str, message: bytes) -> bytes:
        """The MAC of `message` under the chain key, for audit events and consent events; 32 bytes."""
        return hmac.digest(self._chain, purpose.encode() + b"\x00" + message, "sha256")

    def app_secrets(self, purpose: str) -> list[bytes]:
        """One derived key per app key for `purpose`, oldest first, since itsdangerous signs with the last."""
        return [_derive(key, purpose) for key in reversed(self._app)]

    def fingerprints(self) -> list[KeyFingerprint]:
        """The fingerprint of each key, in the order of the settings."""
        found = [
            KeyFingerprint("sealing_keys", key_id, key_fingerprint(key))
            for key_id, key in self._sealing.items()
        ]
        found += [
            KeyFingerprint("index_key", "", key_fingerprint(self._index)),
            KeyFingerprint("chain_key", "", key_fingerprint(self._chain)),
        ]
        return found + [KeyFingerprint("app_keys", "", key_fingerprint(key)) for key in self._app]

    def code_for(self, nonce: str) -> str:
        """The private code of the form token with `nonce`: 16 characters of Crockford's base 32.

        It is derived and not stored, so that a form sent twice shows the same code; from the index key,
        which never rotates, so that this holds across a change of the app keys.
        """
        return crockford(hmac.digest(self._index, f"code:v1:{nonce}".encode(), "sha256")[:_CODE_BYTES])


def wrapped_prefix(key_id: str) -> bytes:
    """The first bytes of everything wrapped by the key `key_id`."""
    return _VERSION + bytes([len(key_id)]) + key_id.encode()


def wrapping_id(wrapped: bytes) -> str:
    """The id of the wrapping key of `wrapped`; UNREADABLE when the bytes are malformed."""
    try:
        return _split(wrapped)[0]
    except (IndexError, ValueError):
        return UNREADABLE


def _split(wrapped: bytes) -> tuple[str, bytes]:
    if wrapped[:1] != _VERSION:
        raise ValueError
    length = wrapped[1]
    return wrapped[2 : 2 + length].decode(), wrapped[2 + length :]


def _derive(key: bytes, purpose: str, *, salt: bytes | None = None) -> bytes:
    return HKDF(algorithm=SHA256(), length=LENGTH, salt=salt, info=f"intake:{purpose}".encode()).derive(key)


def new_key() -> bytes:
    """A new random key for one lead."""
    return secrets.token_bytes(LENGTH)


def seal(key: bytes, text: str, *, place: Place) -> Sealed:
    """`text` padded, encrypted under a lead's key and bound to `place`."""
    nonce, encoded = secrets.token_bytes(_NONCE), text.encode()
    framed = len(encoded).to_bytes(2) + encoded
    padded = framed + b"\x00" * (-len(framed) % _STEP)
    return Sealed(_VERSION + nonce + AESGCM(key).encrypt(nonce, padded, place.bound()))


def unseal(key: bytes, sealed: Sealed, *, place: Place) -> str:
    """The text inside. Raises UnsealError, without a reason. The caller records an audit event first."""
    box = sealed.box
    if box[:1] != _VERSION:
        raise UnsealError
    try:
        padded = AESGCM(key).decrypt(box[1 : 1 + _NONCE], box[1 + _NONCE :], place.bound())
    except (InvalidTag, ValueError):
        raise UnsealError from None
    return padded[2 : 2 + int.from_bytes(padded[:2])].decode()


def encrypt_stream(key: bytes, plain: Iterable[bytes]) -> Iterator[bytes]:
    """`plain` encrypted under `key`, chunk by chunk; a chunk cut, moved or added is detected.

    A header (magic bytes, a hint at the key, a salt), then AES-256-GCM in chunks of 64 KiB under a key
    derived for this file alone. The nonce counts the chunks and marks the last one, and each chunk is bound
    to the header: the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizar (CRYPTO 2015).
    """
    salt = secrets.token_bytes(LENGTH)
    head = _MAGIC + _key_hint(key) + salt
    cipher, buffer, number = AESGCM(_derive(key, "backup", salt=salt)), bytearray(), 0
    yield head
    for piece in plain:
        buffer += piece
        while len(buffer) > _CHUNK:
            yield cipher.encrypt(_chunk_nonce(number, last=False), bytes(buffer[:_CHUNK]), head)
            del buffer[:_CHUNK]
            number += 1
    yield cipher.encrypt(_chunk_nonce(number, last=True), bytes(buffer), head)


def decrypt_stream(key: bytes, file: IO[bytes]) -> Iterator[bytes]:
    """Decrypt what `encrypt_stream` wrote. Raises WrongKey, and UnsealError for a damaged or truncated file.

    Each chunk is authentic when it is yielded; that none is missing is known only at the end.
    """
    head = file.read(len(_MAGIC) + _HINT + LENGTH)
    if head[: len(_MAGIC)] != _MAGIC or len(head) != len(_MAGIC) + _HINT + LENGTH:
        raise UnsealError
    if head[len(_MAGIC) : -LENGTH] != _key_hint(key):
        raise WrongKey
    cipher, number = AESGCM(_derive(key, "backup", salt=head[-LENGTH:])), 0
    chunk = file.read(_CHUNK + _TAG)
    while True:
        following = file.read(_CHUNK + _TAG)
        try:
            yield cipher.decrypt(_chunk_nonce(number, last=not following), chunk, head)
        except (InvalidTag, ValueError):
            raise UnsealError from None
        if not following:
            return
        chunk, number = following, number + 1


def _key_hint(key: bytes) -> bytes:
    return _derive(key, "backup-hint")[:_HINT]


def _chunk_nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(_NONCE - 1) + bytes([last])


def crockford(raw: bytes) -> str:
    """`raw` in Crockford's base 32, which has no letters that look alike; 5 bits a character."""
    number = int.from_bytes(raw)
    return "".join(CROCKFORD[(number >> shift) & 31] for shift in range(len(raw) * 8 - 5, -1, -5))


def normalise_crockford(typed: str) -> str:
    """A typed code or reference without separators, in capitals; O is read as 0, I and L as 1."""
    alphanumeric = "".join(char for char in typed.upper() if char.isascii() and char.isalnum())
    return alphanumeric.translate(str.maketrans("OIL", "011"))


def constant_time_equal(one: bytes, other: bytes) -> bool:
    """Compare two secrets in constant time."""
    return hmac.compare_digest(one, other)


def digest(content: str | bytes) -> str:
    """SHA-256 in hex, for content that is not secret (statement texts, files)."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def token() -> str:
    """256 random bits for a cookie or a nonce, as base64url without padding."""
    return base64.urlsafe_b64encode(secrets.token_bytes(LENGTH)).decode().rstrip("=")
