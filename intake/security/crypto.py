"""Sealing, looking up and authenticating. The only importer of `cryptography`.

Every lead has a key of its own. Its words are sealed under that key with AES-256-GCM and bound to
their place (table, column, row): a value moved to another cell does not open. The lead's key is in
turn wrapped by the keyring, which lives outside the database. Destroying the wrapped key is what
makes an erasure final, also in copies that we cannot reach.

A sealed value: one version byte, 12 bytes of nonce, the ciphertext. A wrapped one carries the id of
its wrapping key in front, so that keys can rotate. Words are padded to steps of 64 bytes before
sealing: the length of a name must not show.
"""

import base64
import hashlib
import hmac
import secrets
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, NamedTuple, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from intake.conf.secrets import LENGTH, parse_app_keys, parse_key, parse_sealing_keys
from intake.conf.settings import Settings

_VERSION = b"\x01"
_NONCE = 12
_STEP = 64
UNREADABLE = "?"
_MAGIC = b"intake backup 1\n"
_HINT = 8
_CHUNK, _TAG = 65_536, 16
_CODE_BYTES = 10  # 80 bits: 16 letters and figures, short enough to write on paper
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class Unopenable(Exception):
    """A sealed value does not open here: another key, another place, or changed bytes."""


class OtherKey(Unopenable):
    """A file was made with another key than this one."""


class Place(NamedTuple):
    """The cell a sealed value belongs to."""

    table: str
    column: str
    row: uuid.UUID

    def bound(self, *more: str) -> bytes:
        """The associated data of a sealed value in this place."""
        return "\x1f".join(("intake", self.table, self.column, str(self.row), *more)).encode()


class Sealed:
    """A boxed value (law 3): holding it reveals nothing, opening it is an explicit act."""

    __slots__ = ("box",)

    def __init__(self, box: bytes) -> None:
        self.box = box

    def __repr__(self) -> str:
        return "<sealed>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "<sealed>"


class KeyMark(NamedTuple):
    """A key without the key: the setting that holds it, a sealing key's id, and a mark that is its alone."""

    setting: str
    key_id: str
    mark: str


def mark_of(key: bytes) -> str:
    """16 letters and figures by which a key of 32 random bytes is known again, and cannot be found."""
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

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The keyring that `settings` describe; they were checked when they were loaded."""
        return cls(
            sealing=parse_sealing_keys(settings.sealing_keys),
            index=parse_key(settings.index_key),
            chain=parse_key(settings.chain_key),
            app=parse_app_keys(settings.app_keys),
        )

    def __repr__(self) -> str:
        return f"<Keyring {', '.join(self._sealing)}>"

    def wrap(self, secret: bytes, *, place: Place) -> bytes:
        """`secret` sealed under the newest wrapping key and bound to `place`."""
        nonce = secrets.token_bytes(_NONCE)
        sealed = AESGCM(self._sealing[self._newest]).encrypt(nonce, secret, place.bound(self._newest))
        return wrapped_start(self._newest) + nonce + sealed

    def unwrap(self, wrapped: bytes, *, place: Place) -> bytes:
        """The secret inside. Raises Unopenable; never says why."""
        try:
            key_id, rest = _split(wrapped)
            return AESGCM(self._sealing[key_id]).decrypt(rest[:_NONCE], rest[_NONCE:], place.bound(key_id))
        except (InvalidTag, KeyError, IndexError, ValueError):
            raise Unopenable from None

    @property
    def sealing_ids(self) -> tuple[str, ...]:
        """The ids of the wrapping keys in the order written: the first one wraps, all of them unwrap."""
        return tuple(self._sealing)

    def rewrapped(self, wrapped: bytes, *, place: Place) -> bytes:
        """The same secret under the newest wrapping key. Raises Unopenable."""
        return self.wrap(self.unwrap(wrapped, place=place), place=place)

    def blind_index(self, kind: str, value: str) -> bytes:
        """A keyed, one-way look-up value of a normalised phone (E.164), email or code; 32 bytes.

        Whoever holds the key can test guesses, so it is personal data that we protect (WR-13).
        """
        return hmac.digest(self._index, f"index:v1:{kind}:{value}".encode(), "sha256")

    def mac(self, purpose: str, message: bytes) -> bytes:
        """The 32 bytes that authenticate `message` in the audit log or as consent proof."""
        return hmac.digest(self._chain, purpose.encode() + b"\x00" + message, "sha256")

    def app_secrets(self, purpose: str) -> list[bytes]:
        """One derived key per app key for `purpose`, oldest first: itsdangerous signs with the last."""
        return [_derived(key, purpose) for key in reversed(self._app)]

    def marks(self) -> list["KeyMark"]:
        """By which each key is known again, by setting, in the order written."""
        found = [KeyMark("sealing_keys", key_id, mark_of(key)) for key_id, key in self._sealing.items()]
        found += [
            KeyMark("index_key", "", mark_of(self._index)),
            KeyMark("chain_key", "", mark_of(self._chain)),
        ]
        return found + [KeyMark("app_keys", "", mark_of(key)) for key in self._app]

    def code_for(self, nonce: str) -> str:
        """The private code of the form that carried `nonce`: 16 letters and figures.

        Derived, so that a page sent again shows the same code although none is stored; from the
        index key, which never rotates, so that this holds across a change of the app keys.
        """
        return crockford(hmac.digest(self._index, f"code:v1:{nonce}".encode(), "sha256")[:_CODE_BYTES])


def wrapped_start(key_id: str) -> bytes:
    """The bytes with which everything begins that the wrapping key `key_id` has wrapped."""
    return _VERSION + bytes([len(key_id)]) + key_id.encode()


def wrapping_id(wrapped: bytes) -> str:
    """The id of the key that wrapped it, UNREADABLE when that cannot be told."""
    try:
        return _split(wrapped)[0]
    except (IndexError, ValueError):
        return UNREADABLE


def _split(wrapped: bytes) -> tuple[str, bytes]:
    if wrapped[:1] != _VERSION:
        raise ValueError
    length = wrapped[1]
    return wrapped[2 : 2 + length].decode(), wrapped[2 + length :]


def _derived(key: bytes, purpose: str, *, salt: bytes | None = None) -> bytes:
    return HKDF(algorithm=SHA256(), length=LENGTH, salt=salt, info=f"intake:{purpose}".encode()).derive(key)


def new_key() -> bytes:
    """A fresh key for one lead."""
    return secrets.token_bytes(LENGTH)


def seal(key: bytes, words: str, *, place: Place) -> Sealed:
    """`words` padded, sealed under a lead's key and bound to `place`."""
    nonce = secrets.token_bytes(_NONCE)
    return Sealed(_VERSION + nonce + AESGCM(key).encrypt(nonce, _padded(words.encode()), place.bound()))


def open_sealed(key: bytes, sealed: Sealed, *, place: Place) -> str:
    """The words inside. Raises Unopenable; never says why. Whoever calls this audits first."""
    box = sealed.box
    if box[:1] != _VERSION:
        raise Unopenable
    try:
        padded = AESGCM(key).decrypt(box[1 : 1 + _NONCE], box[1 + _NONCE :], place.bound())
    except (InvalidTag, ValueError):
        raise Unopenable from None
    return padded[2 : 2 + int.from_bytes(padded[:2])].decode()


def _padded(words: bytes) -> bytes:
    framed = len(words).to_bytes(2) + words
    return framed + b"\x00" * (-len(framed) % _STEP)


def encrypted(key: bytes, plain: Iterable[bytes]) -> Iterator[bytes]:
    """A file of any length under `key`, piece by piece, of which nothing can be cut, moved or added.

    A header (a mark, a hint at the key, a salt), then AES-256-GCM in chunks of 64 KiB under a key
    derived for this file alone. The nonce counts the chunks and marks the last one, the header is bound
    to each: the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizar (CRYPTO 2015).
    """
    salt = secrets.token_bytes(LENGTH)
    head = _MAGIC + _hint(key) + salt
    sealer, waiting, number = AESGCM(_derived(key, "backup", salt=salt)), bytearray(), 0
    yield head
    for piece in plain:
        waiting += piece
        while len(waiting) > _CHUNK:
            yield sealer.encrypt(_numbered(number, last=False), bytes(waiting[:_CHUNK]), head)
            del waiting[:_CHUNK]
            number += 1
    yield sealer.encrypt(_numbered(number, last=True), bytes(waiting), head)


def decrypted(key: bytes, file: IO[bytes]) -> Iterator[bytes]:
    """What `encrypted` was given. Raises OtherKey, and Unopenable for a file that is not whole.

    Each piece is authentic when it is yielded; that none is missing is known only at the end.
    """
    head = file.read(len(_MAGIC) + _HINT + LENGTH)
    if head[: len(_MAGIC)] != _MAGIC or len(head) != len(_MAGIC) + _HINT + LENGTH:
        raise Unopenable
    if head[len(_MAGIC) : -LENGTH] != _hint(key):
        raise OtherKey
    opener, number = AESGCM(_derived(key, "backup", salt=head[-LENGTH:])), 0
    chunk = file.read(_CHUNK + _TAG)
    while True:
        after = file.read(_CHUNK + _TAG)
        try:
            yield opener.decrypt(_numbered(number, last=not after), chunk, head)
        except (InvalidTag, ValueError):
            raise Unopenable from None
        if not after:
            return
        chunk, number = after, number + 1


def _hint(key: bytes) -> bytes:
    return _derived(key, "backup-hint")[:_HINT]


def _numbered(number: int, *, last: bool) -> bytes:
    return number.to_bytes(_NONCE - 1) + bytes([last])


def crockford(raw: bytes) -> str:
    """`raw` in Crockford's base 32: no letter that can be taken for another; 5 bits a character."""
    number = int.from_bytes(raw)
    return "".join(CROCKFORD[(number >> shift) & 31] for shift in range(len(raw) * 8 - 5, -1, -5))


def read_crockford(typed: str) -> str:
    """What somebody typed for a code or reference, as we write it: O is 0, I and L are 1."""
    kept = "".join(letter for letter in typed.upper() if letter.isascii() and letter.isalnum())
    return kept.translate(str.maketrans("OIL", "011"))


def same(one: bytes, other: bytes) -> bool:
    """Whether two secrets are equal, in a time that tells nothing."""
    return hmac.compare_digest(one, other)


def digest(words: str | bytes) -> str:
    """SHA-256 in hex, for things that are not secret (statement texts, file contents)."""
    return hashlib.sha256(words.encode() if isinstance(words, str) else words).hexdigest()


def token() -> str:
    """256 random bits for a cookie or a nonce, safe in a URL."""
    return base64.urlsafe_b64encode(secrets.token_bytes(LENGTH)).decode().rstrip("=")
