"""Which passwords may be chosen: long enough, and not what anybody would try first (AC-15).

No rule asks for capitals, figures or signs. What counts is what is left of a password when all that
a guesser starts with is taken away: common words and phrases, the words of this clinic and this
account, keyboard rows, counting, years, and repetition. Nothing is asked of any service outside.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from intake.core.errors import Unprocessable
from intake.core.i18n import N_

LEAST, MOST = 15, 256
"""Length in characters after NFC."""
LEAST_OWN = 8
"""So many characters must be left that are nobody's first guess."""
_LEAST_WORD = 3
_LEAST_CONTEXT = 4
_WALKS = (
    "abcdefghijklmnopqrstuvwxyz" * 2,
    "01234567890123456789",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "1q2w3e4r5t6y7u8i9o0p",
    "qawsedrftgyhujikolp",
)
_LONGEST_WALK = max(map(len, _WALKS))
_BOTH_WAYS = tuple(walk for one in _WALKS for walk in (one, one[::-1]))
_FIGURES_FOR_LETTERS = str.maketrans("013457@$!", "oleastasi")
_YEAR = re.compile(r"(19|20)\d\d")

TOO_SHORT = N_("Use at least 15 characters. A few words that have nothing to do with each other work well.")
TOO_LONG = N_("Use at most 256 characters.")
TOO_COMMON = N_(
    "That is easy to guess. Use a few words that have nothing to do with each other, with you or the clinic."
)


def check(password: str, *, context: Iterable[str] = ()) -> str:
    """`password` in NFC, as it will be hashed. `context`: names and addresses a guesser would know.

    Raises Unprocessable on `password` with what to do instead.
    """
    composed = unicodedata.normalize("NFC", password)
    if len(composed) < LEAST:
        raise Unprocessable({"password": [TOO_SHORT]})
    if len(composed) > MOST or not _writable(composed):
        raise Unprocessable({"password": [TOO_LONG]})
    if len(own_part(composed, context=context)) < LEAST_OWN:
        raise Unprocessable({"password": [TOO_COMMON]})
    return composed


def _writable(text: str) -> bool:
    """False for half of a character (a lone surrogate), which no keyboard makes."""
    return not any(unicodedata.category(letter) == "Cs" for letter in text)


def own_part(password: str, *, context: Iterable[str] = ()) -> str:
    """What is left when everything that anybody would try first is taken away."""
    words = _common() | {word for text in context for word in _context_words(text)}
    plain = unicodedata.normalize("NFKC", password).casefold()
    readings = (_letters(plain), _letters(plain.translate(_FIGURES_FOR_LETTERS)))
    return min((_taken_away(reading, words) for reading in readings), key=len)


def _taken_away(text: str, words: frozenset[str] | set[str]) -> str:
    longest = max(map(len, words))
    own, at = [], 0
    while at < len(text):
        step = max(_word_at(text, at, words, longest), _walk_at(text, at), _year_at(text, at))
        if not step:
            own.append(text[at])
        at += step or 1
    return _once("".join(own))


def _word_at(text: str, at: int, words: frozenset[str] | set[str], longest: int) -> int:
    """How long the longest known word is that starts here; 0 when none does."""
    sizes = range(min(longest, len(text) - at), _LEAST_WORD - 1, -1)
    return next((size for size in sizes if text[at : at + size] in words), 0)


def _walk_at(text: str, at: int) -> int:
    """How far the text from here on is counting, an alphabet, a keyboard row, or one key held down."""
    sizes = range(min(_LONGEST_WALK, len(text) - at), _LEAST_WORD - 1, -1)
    return next((size for size in sizes if _walk(text[at : at + size])), 0)


def _walk(chunk: str) -> bool:
    return len(set(chunk)) == 1 or any(chunk in walk for walk in _BOTH_WAYS)


def _year_at(text: str, at: int) -> int:
    return 4 if _YEAR.match(text, at) else 0


def _once(text: str) -> str:
    """The part that repeats, once: `tkqtkqtk` is `tkq`."""
    sizes = range(1, len(text) + 1)
    return next((text[:size] for size in sizes if (text[:size] * len(text)).startswith(text)), "")


@cache
def _common() -> frozenset[str]:
    lines = files(__package__).joinpath("common_passwords.txt").read_text("utf-8").splitlines()
    return frozenset(_letters(line.casefold()) for line in lines if not line.startswith("#"))


def _context_words(text: str) -> set[str]:
    """The words in a name or an address, and all of them written together."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = {*re.split(r"[\W_]+", folded), _letters(folded)}
    return {_letters(word) for word in words if len(word) >= _LEAST_CONTEXT}


def _letters(text: str) -> str:
    """Letters and figures alone, without accents: how words are compared."""
    return "".join(letter for letter in unicodedata.normalize("NFKD", text) if letter.isalnum())
