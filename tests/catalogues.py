"""Every sentence the service shows: as the code has it, and as the Spanish catalogue says it."""

from functools import cache

from babel.messages.catalog import Catalog, Message

from bench.messages import extracted, read
from intake.core.i18n import LOCALES

Sentence = str | tuple[str, ...]


@cache
def in_the_code() -> dict[Sentence, set[str]]:
    """Each message id with the files it stands in."""
    return {each.id: {file for file, _ in each.locations} for each in extracted() if each.id}


@cache
def spanish() -> Catalog:
    """The Spanish catalogue."""
    return read(LOCALES / "es.po")


def messages() -> list[Message]:
    """Its messages without the header."""
    return [each for each in spanish() if each.id]


def forms(sentence: Sentence) -> tuple[str, ...]:
    """A sentence, or each form of one that counts."""
    return (sentence,) if isinstance(sentence, str) else tuple(sentence)
