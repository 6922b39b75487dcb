"""The secret keys: parsed, checked, generated and stored."""

import base64
import multiprocessing
import stat
from pathlib import Path

import pytest

from intake.conf import secrets
from intake.conf.secrets import SECRETS, check_secrets, development_secret, new_secret


def fresh() -> dict[str, str]:
    return {name: new_secret(name) for name in SECRETS}


def test_fresh_secrets_pass_their_own_check() -> None:
    assert check_secrets(fresh()) == []


def test_no_two_fresh_secrets_are_alike() -> None:
    made = [new_secret(name) for name in SECRETS for _ in range(50)]
    assert len(set(made)) == len(made)


def test_a_key_may_be_written_in_either_alphabet_of_base64() -> None:
    raw = bytes(range(224, 256))
    assert secrets.parse_key(base64.b64encode(raw).decode()) == raw
    assert secrets.parse_key(base64.urlsafe_b64encode(raw).decode()) == raw


@pytest.mark.parametrize("written", ["", "canary!", "kéy", "YWJj", base64.b64encode(b"x" * 33).decode()])
def test_it_refuses_what_is_not_a_key_without_quoting_it(written: str) -> None:
    with pytest.raises(ValueError) as caught:
        secrets.parse_key(written)
    assert not written or written not in str(caught.value)


@pytest.mark.parametrize("byte", [b"\x00", b"a", b"\xff"])
def test_it_refuses_a_placeholder_of_the_right_length(byte: bytes) -> None:
    with pytest.raises(ValueError, match="placeholder"):
        secrets.parse_key(base64.b64encode(byte * 32).decode())


def test_it_refuses_a_word_repeated_to_the_right_length() -> None:
    with pytest.raises(ValueError, match="placeholder"):
        secrets.parse_key(base64.b64encode(b"changeme" * 4).decode())


def test_sealing_keys_keep_the_order_written() -> None:
    written = ",".join(new_secret("sealing_keys", key_id=key_id) for key_id in ("k3", "k1", "k2"))
    assert list(secrets.parse_sealing_keys(written)) == ["k3", "k1", "k2"]


def test_app_keys_keep_the_order_written() -> None:
    one, two = new_secret("app_keys"), new_secret("app_keys")
    assert secrets.parse_app_keys(f"{one}, {two}") == [secrets.parse_key(one), secrets.parse_key(two)]


@pytest.mark.parametrize("key_id", ["", "K1", "k_1", "k" * 17, "k 1", "ключ"])
def test_a_key_id_is_small_letters_figures_and_hyphens(key_id: str) -> None:
    with pytest.raises(ValueError, match="id"):
        secrets.parse_sealing_keys(new_secret("sealing_keys", key_id=key_id))


def test_one_id_may_not_name_two_keys() -> None:
    with pytest.raises(ValueError, match="twice"):
        secrets.parse_sealing_keys(f"{new_secret('sealing_keys')},{new_secret('sealing_keys')}")


def test_a_repeated_key_is_reported_with_both_names_and_not_shown() -> None:
    written = fresh()
    written["chain_key"] = written["index_key"]
    problems = check_secrets(written)
    assert problems == ["INTAKE_CHAIN_KEY: repeats a key that INTAKE_INDEX_KEY holds."]


def test_one_key_in_two_alphabets_is_still_one_key() -> None:
    raw = bytes(range(224, 256))
    written = fresh() | {
        "index_key": base64.b64encode(raw).decode(),
        "chain_key": base64.urlsafe_b64encode(raw).decode(),
    }
    assert len(check_secrets(written)) == 1


def test_a_development_secret_is_made_once(tmp_path: Path) -> None:
    assert development_secret(tmp_path / "keys", "index_key") == development_secret(
        tmp_path / "keys", "index_key"
    )


def test_a_development_secret_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    development_secret(tmp_path / "keys", "index_key")
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "keys" / "index_key").stat().st_mode) == 0o600


def test_no_draft_of_a_development_secret_stays_behind(tmp_path: Path) -> None:
    for name in SECRETS:
        development_secret(tmp_path, name)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(SECRETS)


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        got = pool.starmap(development_secret, [(tmp_path / "keys", "index_key")] * 16)
    assert len(set(got)) == 1
