"""Every sentence the service shows: as the code has it, and as the Spanish catalogue says it."""

from functools import cache
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from intake.core import errors
from intake.core.errors import IntakeError
from intake.core.paths import LOCALES

ROOT = Path(__file__).resolve().parent.parent
JINJA = {"trimmed": "true", "silent": "false", "newstyle_gettext": "true"}
Sentence = str | tuple[str, ...]


@cache
def in_the_code() -> dict[Sentence, set[str]]:
    """Each message id with the files it stands in."""
    found: dict[Sentence, set[str]] = {}
    for folder, reader in (("intake", "python"), ("templates", "jinja2")):
        extracted = extract_from_dir(
            str(ROOT / folder),
            method_map=[("**.py", reader), ("**.html", reader), ("**.txt", reader)],
            options_map={"**.html": JINJA, "**.txt": JINJA} if reader == "jinja2" else {},
            keywords={
                "_": None,
                "N_": None,
                "gettext": None,
                "ngettext": (1, 2),
                "translate": None,
                "setting": (2,),
            },
        )
        for name, _, sentence, *_ in extracted:
            found.setdefault(sentence, set()).add(f"{folder}/{name}")
    for sentence in of_failures():
        found.setdefault(sentence, set()).add("intake/core/errors.py")
    return found


def of_failures() -> set[str]:
    """The sentences of the expected failures: below the floor of languages they cannot mark themselves."""
    kinds = [each for each in vars(errors).values() if isinstance(each, type)]
    return {each.sentence for each in kinds if issubclass(each, IntakeError)}


@cache
def spanish() -> Catalog:
    """The Spanish catalogue."""
    with (LOCALES / "es.po").open("rb") as source:
        return read_po(source, locale="es", abort_invalid=True)


def messages() -> list[Message]:
    """Its messages without the header."""
    return [each for each in spanish() if each.id]


def forms(sentence: Sentence) -> tuple[str, ...]:
    """A sentence, or each form of one that counts."""
    return (sentence,) if isinstance(sentence, str) else tuple(sentence)
