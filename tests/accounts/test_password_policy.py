"""Password policy (NIST SP 800-63B): long, any characters, not easy to guess; checked offline."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.accounts import credentials, password_policy
from intake.core.errors import Unprocessable

CONTEXT = ("Harbor Lane Clinic", "Maria Lopez", "maria.lopez@example.org")


def refused_because(password: str) -> str:
    with pytest.raises(Unprocessable) as refused:
        password_policy.check(password, context=CONTEXT)
    return refused.value.problems["password"][0]


@pytest.mark.parametrize(
    "password",
    [
        "violin kettle meadow tin",
        "83920174658291047365",
        "zapato ventana cuchillo",
        "Nguyễn thích ăn bánh mì",
        "正しい馬の電池ホチキスと青い鯨と山と川と空",
        "xkcd-style four random",
        "  leading and trailing stay  ",
        "🐙🦑🦐🦞🦀🐡🐠🐟🐬🐳🐋🦈🐊🐅🐆 kettle meadow",
        "q" * 3 + "mzpwtkvbhgdn",
    ],
)
def test_it_takes_any_signs_when_there_are_enough_of_them(password: str) -> None:
    assert password_policy.check(password, context=CONTEXT)


@pytest.mark.parametrize(
    "password",
    [
        "passwordpassword",
        "P@ssw0rdP@ssw0rd!",
        "correct horse battery staple",
        "CorrectHorseBatteryStaple2026",
        "aaaaaaaaaaaaaaaaaaaa",
        "abababababababab",
        "tkqtkqtkqtkqtkqtkq",
        "123456789012345",
        "9876543210987654",
        "abcdefghijklmnop",
        "qwertyuiop1234567890",
        "1qaz2wsx3edc4rfv5tgb",
        "poiuytrewqlkjhgfdsa",
        "HarborLaneClinic2026!",
        "harbor-lane-clinic-desk",
        "maria.lopez@example.org",
        "MariaLopezMariaLopez",
        "welcome to the clinic 2026",
        "Welcome2026Welcome2026",
        "ilovekétamine2026",
        "contraseñacontraseña",
        "May the force be with you!",
        "NovemberNovember1999",
    ],
)
def test_it_refuses_what_anybody_would_try_first(password: str) -> None:
    assert refused_because(password) == password_policy.TOO_COMMON


def test_the_length_is_counted_in_letters_after_composing_them() -> None:
    fourteen = "ñandú kiwi zbr"
    assert len(fourteen) == 14
    assert refused_because("n\u0303andu\u0301 kiwi zbr") == password_policy.TOO_SHORT
    assert password_policy.check(fourteen + "q", context=CONTEXT)


def test_256_letters_are_taken_and_257_are_not() -> None:
    longest = "violin kettle meadow " * 12 + "tin!"
    assert len(longest) == 256
    assert password_policy.check(longest, context=CONTEXT) == longest
    assert refused_because(longest + "x") == password_policy.TOO_LONG


def test_both_ways_to_write_an_accent_are_one_password() -> None:
    composed, apart = "canción kettle meadow", "cancio\u0301n kettle meadow"
    assert password_policy.check(apart) == password_policy.check(composed)


def test_half_a_character_is_refused_and_does_not_break_anything() -> None:
    assert refused_because("violin kettle meadow \ud800") == password_policy.TOO_LONG


def test_a_made_password_always_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same two hundred at every run: one in many millions is made of common words alone."""
    dice = random.Random(20261118)  # noqa: S311  dice, not a secret
    monkeypatch.setattr(credentials.secrets, "choice", dice.choice)
    for _ in range(200):
        assert password_policy.check(credentials.new_password(), context=CONTEXT)


def test_the_list_is_ours_and_has_something_on_it() -> None:
    assert len(password_policy._common_words()) > 500


@given(st.text(max_size=300))
def test_it_never_breaks_on_what_is_typed(password: str) -> None:
    try:
        length = len(password_policy.check(password, context=CONTEXT))
    except Unprocessable:
        length = 15
    assert 15 <= length <= 256
