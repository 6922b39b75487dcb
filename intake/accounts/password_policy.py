"""Which passwords are accepted: long enough and not easy to guess (NIST SP 800-63B-4, ASVS 5.0).

No capitals, digits or signs are demanded. Whatever a guesser tries first is removed from the password
(common words and phrases, the names of this clinic and this account, keyboard rows, counting, years,
repetition), and what is left must be long enough. No outside service is asked.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from intake.core.errors import Unprocessable
from intake.core.i18n import N_

MIN_LENGTH, MAX_LENGTH = 15, 256
"""Length in characters after NFC."""
MIN_UNGUESSABLE = 8
"""Characters that must be left after the guessable parts are removed."""
_MIN_WORD_LENGTH = 3
_MIN_CONTEXT_LENGTH = 4
_SEQUENCES = (
    "abcdefghijklmnopqrstuvwxyz" * 2,
    "01234567890123456789",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "1q2w3e4r5t6y7u8i9o0p",
    "qawsedrftgyhujikolp",
)
_LONGEST_SEQUENCE = max(map(len, _SEQUENCES))
_BOTH_DIRECTIONS = tuple(text for sequence in _SEQUENCES for text in (sequence, sequence[::-1]))
_DIGITS_FOR_LETTERS = str.maketrans("013457@$!", "oleastasi")
_YEAR = re.compile(r"(19|20)\d\d")

TOO_SHORT = N_("Use at least 15 characters. A few words that have nothing to do with each other work well.")
TOO_LONG = N_("Use at most 256 characters.")
TOO_COMMON = N_(
    "That is easy to guess. Use a few words that have nothing to do with each other, with you or the clinic."
)


def check(password: str, *, context: Iterable[str] = ()) -> str:
    """The accepted password in NFC, as it is hashed. `context`: names and addresses a guesser may know.

    Raises Unprocessable on `password` with what to do instead.
    """
    composed = unicodedata.normalize("NFC", password)
    if len(composed) < MIN_LENGTH:
        raise Unprocessable({"password": [TOO_SHORT]})
    lone_surrogate = any(unicodedata.category(character) == "Cs" for character in composed)
    if len(composed) > MAX_LENGTH or lone_surrogate:
        raise Unprocessable({"password": [TOO_LONG]})
    if len(unguessable_part(composed, context=context)) < MIN_UNGUESSABLE:
        raise Unprocessable({"password": [TOO_COMMON]})
    return composed


def unguessable_part(password: str, *, context: Iterable[str] = ()) -> str:
    """What is left of a password after the guessable parts are removed."""
    words = _common_words() | {word for text in context for word in _context_words(text)}
    plain = unicodedata.normalize("NFKC", password).casefold()
    readings = (_alphanumeric(plain), _alphanumeric(plain.translate(_DIGITS_FOR_LETTERS)))
    return min((_without_common(reading, words) for reading in readings), key=len)


def _without_common(text: str, words: frozenset[str] | set[str]) -> str:
    longest = max(map(len, words))
    own, at = [], 0
    while at < len(text):
        year = 4 if _YEAR.match(text, at) else 0
        step = max(_word_at(text, at, words, longest), _sequence_at(text, at), year)
        if not step:
            own.append(text[at])
        at += step or 1
    return _without_repetition("".join(own))


def _word_at(text: str, at: int, words: frozenset[str] | set[str], longest: int) -> int:
    """Length of the longest common word at position `at`; 0 when there is none."""
    sizes = range(min(longest, len(text) - at), _MIN_WORD_LENGTH - 1, -1)
    return next((size for size in sizes if text[at : at + size] in words), 0)


def _sequence_at(text: str, at: int) -> int:
    """Length of the longest run at `at` of counting, an alphabet, a keyboard row or one character; else 0."""
    sizes = range(min(_LONGEST_SEQUENCE, len(text) - at), _MIN_WORD_LENGTH - 1, -1)
    for size in sizes:
        chunk = text[at : at + size]
        if len(set(chunk)) == 1 or any(chunk in sequence for sequence in _BOTH_DIRECTIONS):
            return size
    return 0


def _without_repetition(text: str) -> str:
    """The repeated part once: `tkqtkqtk` becomes `tkq`."""
    sizes = range(1, len(text) + 1)
    return next((text[:size] for size in sizes if (text[:size] * len(text)).startswith(text)), "")


@cache
def _common_words() -> frozenset[str]:
    lines = files(__package__).joinpath("common_passwords.txt").read_text("utf-8").splitlines()
    return frozenset(_alphanumeric(line.casefold()) for line in lines if not line.startswith("#"))


def _context_words(text: str) -> set[str]:
    """The words of a name or an address, and all of them joined."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = {*re.split(r"[\W_]+", folded), _alphanumeric(folded)}
    return {_alphanumeric(word) for word in words if len(word) >= _MIN_CONTEXT_LENGTH}


def _alphanumeric(text: str) -> str:
    """Letters and digits without accents, as words are compared."""
    return "".join(char for char in unicodedata.normalize("NFKD", text) if char.isalnum())
