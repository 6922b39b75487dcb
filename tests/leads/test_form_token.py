"""Form tokens: signed, bound to the statements and to a time, without a cookie."""

from datetime import UTC, datetime, timedelta

import pytest

from intake.instance import Instance
from intake.leads import form_token
from intake.leads.form_token import ExpiredToken, FormToken, InvalidToken, StatementsChanged
from intake.security.crypto import Keyring
from tests.conftest import MovableClock


@pytest.fixture
def fresh(sqlite_instance: Instance) -> FormToken:
    return form_token.new_token(
        language="en", statements=sqlite_instance.statements, now=sqlite_instance.clock(), article="2"
    )


def read(written: str, instance: Instance, language: str = "en") -> FormToken:
    return form_token.validate(
        written,
        language=language,
        statements=instance.statements,
        keyring=instance.keyring,
        retention=instance.clinic.retention,
        now=instance.clock(),
    )


def test_it_comes_back_as_it_went(sqlite_instance: Instance, fresh: FormToken) -> None:
    redisplayed = fresh.for_redisplay(follows="ab" * 32)
    assert read(form_token.sign(redisplayed, keyring=sqlite_instance.keyring), sqlite_instance) == redisplayed
    assert read(form_token.sign(fresh, keyring=sqlite_instance.keyring), sqlite_instance) == fresh


def test_two_pages_have_two_tokens(sqlite_instance: Instance, fresh: FormToken) -> None:
    other = form_token.new_token(language="en", statements=sqlite_instance.statements, now=fresh.issued_at)
    assert other.nonce != fresh.nonce
    assert len(fresh.nonce) >= 43  # 256 bits


def test_every_changed_character_is_seen(sqlite_instance: Instance, fresh: FormToken) -> None:
    written = form_token.sign(fresh, keyring=sqlite_instance.keyring)
    for place in range(0, len(written) - 1, 7):
        changed = written[:place] + ("A" if written[place] != "A" else "B") + written[place + 1 :]
        with pytest.raises(InvalidToken):
            read(changed, sqlite_instance)


@pytest.mark.parametrize("written", ["", ".", "x", "e30.x", "\x00", "é", "." * 50, "x" * 100_000])
def test_nonsense_is_not_ours(sqlite_instance: Instance, written: str) -> None:
    with pytest.raises(InvalidToken):
        read(written, sqlite_instance)


def test_another_house_has_other_keys(sqlite_instance: Instance, fresh: FormToken) -> None:
    stranger = Keyring(sealing={"k": b"k" * 32}, index=b"i" * 32, chain=b"c" * 32, app=[b"a" * 32])
    with pytest.raises(InvalidToken):
        read(form_token.sign(fresh, keyring=stranger), sqlite_instance)


def test_a_key_that_was_rotated_still_opens_the_page_it_signed(fresh: FormToken) -> None:
    old = Keyring(sealing={"k": b"k" * 32}, index=b"i" * 32, chain=b"c" * 32, app=[b"a" * 32])
    new = Keyring(sealing={"k": b"k" * 32}, index=b"i" * 32, chain=b"c" * 32, app=[b"b" * 32, b"a" * 32])
    assert form_token.unsign(form_token.sign(fresh, keyring=old), keyring=new) == fresh
    with pytest.raises(InvalidToken):
        form_token.unsign(form_token.sign(fresh, keyring=new), keyring=old)


def test_it_lives_as_long_as_we_remember_what_was_sent(
    sqlite_instance: Instance, fresh: FormToken, clock: MovableClock
) -> None:
    written = form_token.sign(fresh, keyring=sqlite_instance.keyring)
    clock.move(days=7)
    assert read(written, sqlite_instance) == fresh
    clock.move(seconds=1)
    with pytest.raises(ExpiredToken) as stale:
        read(written, sqlite_instance)
    assert stale.value.token == fresh


def test_one_from_the_future_is_not_taken(
    sqlite_instance: Instance, clock: MovableClock, fresh: FormToken
) -> None:
    written = form_token.sign(fresh, keyring=sqlite_instance.keyring)
    clock.move(minutes=-6)
    with pytest.raises(ExpiredToken):
        read(written, sqlite_instance)


def test_other_words_are_seen(sqlite_instance: Instance, fresh: FormToken) -> None:
    written = form_token.sign(fresh, keyring=sqlite_instance.keyring)
    with pytest.raises(StatementsChanged) as changed:
        read(written, sqlite_instance, language="es")
    assert changed.value.token == fresh
    shown = fresh.with_statements("es", sqlite_instance.statements)
    assert (
        read(form_token.sign(shown, keyring=sqlite_instance.keyring), sqlite_instance, language="es") == shown
    )
    assert shown.nonce == fresh.nonce


def test_the_digest_is_of_every_statement(sqlite_instance: Instance) -> None:
    spoken = {sqlite_instance.statements.page_digest(language) for language in ("en", "es")}
    assert len(spoken) == 2
    assert all(len(each) == 16 for each in spoken)


def test_how_fast_counts_only_for_a_page_nobody_has_seen() -> None:
    at = datetime(2026, 11, 18, tzinfo=UTC)
    token = FormToken("n", at, "en", "s")
    assert token.too_fast(at + timedelta(seconds=2))
    assert not token.too_fast(at + timedelta(seconds=3))
    assert not token.for_redisplay().too_fast(at)
