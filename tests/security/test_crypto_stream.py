"""The file format: nothing can be read, cut, moved, added or changed without the key."""

import io
import secrets

import pytest

from intake.security.crypto import UnsealError, WrongKey, decrypt_stream, encrypt_stream

KEY = secrets.token_bytes(32)
HEAD, CHUNK = 16 + 8 + 32, 65_536 + 16


def closed(plain: bytes, step: int = 10_000) -> bytes:
    return b"".join(encrypt_stream(KEY, (plain[at : at + step] for at in range(0, len(plain), step))))


def opened(file: bytes, key: bytes = KEY) -> bytes:
    return b"".join(decrypt_stream(key, io.BytesIO(file)))


@pytest.mark.parametrize("length", [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000])
def test_what_was_written_is_read(length: int) -> None:
    plain = secrets.token_bytes(length)
    assert opened(closed(plain)) == plain


def test_no_two_files_are_alike() -> None:
    assert closed(b"the same")[HEAD:] != closed(b"the same")[HEAD:]


def test_another_key_is_refused_as_such() -> None:
    with pytest.raises(WrongKey):
        opened(closed(b"words"), secrets.token_bytes(32))


@pytest.mark.parametrize("at", [0, 17, 30, HEAD, HEAD + CHUNK, -1], ids=str)
def test_a_changed_byte_is_found(at: int) -> None:
    file = bytearray(closed(bytes(200_000)))
    file[at] ^= 1
    with pytest.raises(UnsealError):
        opened(bytes(file))


@pytest.mark.parametrize("keep", [0, 10, HEAD, HEAD + 5, HEAD + CHUNK, HEAD + 3 * CHUNK, -1], ids=str)
def test_a_cut_is_found_also_between_two_chunks(keep: int) -> None:
    with pytest.raises(UnsealError):
        opened(closed(bytes(200_000))[:keep])


def test_swapped_chunks_are_found() -> None:
    file = closed(bytes(200_000))
    first, second = file[HEAD : HEAD + CHUNK], file[HEAD + CHUNK : HEAD + 2 * CHUNK]
    with pytest.raises(UnsealError):
        opened(file[:HEAD] + second + first + file[HEAD + 2 * CHUNK :])


@pytest.mark.parametrize("more", [b"x", bytes(CHUNK)], ids=["byte", "chunk"])
def test_appended_bytes_are_found(more: bytes) -> None:
    with pytest.raises(UnsealError):
        opened(closed(bytes(200_000)) + more)


def test_chunks_of_two_backups_do_not_mix() -> None:
    one, other = closed(bytes(200_000)), closed(bytes(200_000))
    with pytest.raises(UnsealError):
        opened(one[: HEAD + CHUNK] + other[HEAD + CHUNK :])
