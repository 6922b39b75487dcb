"""What changed between two wordings, word by word, for people: kept, taken out, put in."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum


class Part(StrEnum):
    """What became of some words."""

    KEPT = "kept"
    OUT = "out"
    IN = "in"


@dataclass(frozen=True)
class Piece:
    """Some words and what became of them; spaces and line ends stay with the word before them."""

    part: Part
    words: str


def differences(before: str, after: str) -> list[Piece]:
    """From one wording to the next. What was put in and kept, joined, is `after`, letter for letter."""
    old, new = _words(before), _words(after)
    return list(_pieces(old, new, SequenceMatcher(None, old, new, autojunk=False)))


def _words(body: str) -> list[str]:
    return re.findall(r"\S+\s*|^\s+", body)


def _pieces(old: list[str], new: list[str], matched: SequenceMatcher[str]) -> Iterator[Piece]:
    for what, from_old, to_old, from_new, to_new in matched.get_opcodes():
        if what == "equal":
            yield Piece(Part.KEPT, "".join(new[from_new:to_new]))
            continue
        if to_old > from_old:
            yield Piece(Part.OUT, "".join(old[from_old:to_old]))
        if to_new > from_new:
            yield Piece(Part.IN, "".join(new[from_new:to_new]))
