"""K1: a sealed value opens in its own place with its own key, and nowhere else."""

import itertools
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.conf import secrets
from intake.security import crypto
from intake.security.crypto import Keyring, Place, Sealed, UnsealError

ROW = uuid.UUID("00000000-0000-4000-8000-000000000001")
NAME = Place("lead", "name", ROW)


def keyring(**changes: str) -> Keyring:
    made = {name: secrets.new_secret(name) for name in secrets.SECRETS} | changes
    return Keyring(
        sealing=secrets.parse_sealing_keys(made["sealing_keys"]),
        index=secrets.parse_key(made["index_key"]),
        chain=secrets.parse_key(made["chain_key"]),
        app=secrets.parse_app_keys(made["app_keys"]),
    )


@given(st.text(max_size=300))
def test_it_opens_what_it_sealed(words: str) -> None:
    words = words.encode("utf-8", "ignore").decode()
    key = crypto.new_key()
    assert crypto.unseal(key, crypto.seal(key, words, place=NAME), place=NAME) == words


@pytest.mark.parametrize(
    "elsewhere",
    [Place("lead", "phone", ROW), Place("staff", "name", ROW), Place("lead", "name", uuid.uuid4())],
)
def test_it_does_not_open_in_another_cell(elsewhere: Place) -> None:
    key = crypto.new_key()
    box = crypto.seal(key, "Sam", place=NAME)
    with pytest.raises(UnsealError):
        crypto.unseal(key, box, place=elsewhere)


def test_it_does_not_open_with_any_bit_changed() -> None:
    key = crypto.new_key()
    box = crypto.seal(key, "Sam", place=NAME).box
    for position in range(len(box) * 8):
        changed = bytearray(box)
        changed[position // 8] ^= 1 << position % 8
        with pytest.raises(UnsealError):
            crypto.unseal(key, Sealed(bytes(changed)), place=NAME)


@pytest.mark.parametrize("box", [b"", b"\x01", b"\x01" + bytes(12), b"\x02" + bytes(60)])
def test_it_does_not_open_a_stump(box: bytes) -> None:
    with pytest.raises(UnsealError):
        crypto.unseal(crypto.new_key(), Sealed(box), place=NAME)


def test_names_of_different_length_look_the_same_size() -> None:
    key = crypto.new_key()
    sizes = {len(crypto.seal(key, "x" * n, place=NAME).box) for n in range(1, 60)}
    assert len(sizes) == 1


def test_the_same_words_never_look_the_same() -> None:
    key = crypto.new_key()
    assert crypto.seal(key, "Sam", place=NAME).box != crypto.seal(key, "Sam", place=NAME).box


def test_a_box_never_shows_its_bytes() -> None:
    box = Sealed(b"secret bytes")
    assert {str(box), repr(box), f"{box}", f"{box:>20}"} == {"<sealed>"}


def test_a_wrapped_key_opens_only_in_its_row_and_with_its_keyring() -> None:
    ring, place = keyring(), Place("lead_key", "wrapped", ROW)
    wrapped = ring.wrap(b"k" * 32, place=place)
    assert ring.unwrap(wrapped, place=place) == b"k" * 32
    for other_ring, other_place in [(keyring(), place), (ring, place._replace(row=uuid.uuid4()))]:
        with pytest.raises(UnsealError):
            other_ring.unwrap(wrapped, place=other_place)


@pytest.mark.parametrize("stump", [b"", b"\x01", b"\x01\x02k1", b"\x01\xff", b"\x01\x02k1" + bytes(11)])
def test_a_damaged_wrapping_is_refused_calmly(stump: bytes) -> None:
    with pytest.raises(UnsealError):
        keyring().unwrap(stump, place=NAME)


def test_an_older_sealing_key_still_opens_after_a_rotation() -> None:
    old = secrets.new_secret("sealing_keys", key_id="k1")
    new = secrets.new_secret("sealing_keys", key_id="k2")
    before, after = keyring(sealing_keys=old), keyring(sealing_keys=f"{new},{old}")
    wrapped = before.wrap(b"k" * 32, place=NAME)
    assert after.unwrap(wrapped, place=NAME) == b"k" * 32
    with pytest.raises(UnsealError):
        before.unwrap(after.wrap(b"k" * 32, place=NAME), place=NAME)


def test_purposes_do_not_share_a_look_up_value() -> None:
    ring = keyring()
    values = [ring.blind_index(kind, "same") for kind in ("phone", "email", "code")]
    assert all(one != other for one, other in itertools.combinations(values, 2))


def test_app_secrets_come_oldest_first_and_differ_by_purpose() -> None:
    one, two = secrets.new_secret("app_keys"), secrets.new_secret("app_keys")
    rotated, before = keyring(app_keys=f"{two},{one}"), keyring(app_keys=one)
    assert rotated.app_secrets("form")[0] == before.app_secrets("form")[0]
    assert rotated.app_secrets("form")[-1] not in before.app_secrets("form")
    assert not set(rotated.app_secrets("form")) & set(rotated.app_secrets("csrf"))


def test_a_code_is_sixteen_characters_that_cannot_be_confused() -> None:
    ring = keyring()
    code = ring.code_for("a nonce")
    assert len(code) == 16
    assert set(code) <= set(crypto.CROCKFORD)
    assert code == ring.code_for("a nonce") != ring.code_for("another nonce")


@pytest.mark.parametrize("typed", ["o1l-i", " O1 L I ", "0111", "O.1.l.I", "“o1li”"])
def test_a_typed_code_is_read_kindly(typed: str) -> None:
    assert crypto.normalise_crockford(typed) == "0111"


def test_the_keyring_shows_ids_and_no_keys() -> None:
    assert repr(keyring()) == "<Keyring k1>"
