"""English and Spanish say the same things, string for string (P7)."""

import re
from datetime import time
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog

from bench.messages import HEADER, TEMPLATE, header_of, read, untranslated, update, write
from intake.calling.regions import REGIONS
from intake.core import i18n
from intake.core.i18n import catalogue, gettext, hour_phrase, ngettext, translate, using_language
from tests.catalogues import forms, in_the_code, messages, spanish

PLACE = re.compile(r"%\((\w+)\)s")
ALIKE = {
    "No", "%(days)s d", "%(minutes)s min", "%(time)s",
    "(Alaska)", "(Arizona)", "Chamorro", "Samoa", "(Samoa)",
}  # fmt: skip
"""Words that are the same in both languages."""
TU = re.compile(
    r"\b(tú|tu|tus|ti|contigo|puedes|quieres|tienes|eres|estás|haz|llámanos)\b",
    re.IGNORECASE,
)


def test_every_sentence_is_translated_to_spanish() -> None:
    there = {each.id for each in messages()}
    missing = {sentence: places for sentence, places in in_the_code().items() if sentence not in there}
    assert missing == {}


def test_no_translation_is_left_over() -> None:
    assert {each.id for each in messages()} - set(in_the_code()) == set()
    assert dict(spanish().obsolete) == {}


def test_none_is_empty_or_a_guess() -> None:
    assert [each.id for each in messages() if each.fuzzy] == []
    assert [each.id for each in messages() if not all(forms(each.string))] == []


def test_both_have_the_same_places_to_fill() -> None:
    wrong = [
        each.id
        for each in messages()
        if {frozenset(PLACE.findall(form)) for form in forms(each.string)}
        != {frozenset(PLACE.findall(form)) for form in forms(each.id)}
    ]
    assert wrong == []


def test_spanish_is_not_english() -> None:
    same = {each.id for each in messages() if each.id == each.string}
    assert same - ALIKE - {each.name for each in REGIONS.values()} == set()


def test_both_forms_of_what_is_counted_are_there() -> None:
    counted = [each for each in messages() if isinstance(each.id, tuple)]
    assert counted
    assert [each.id for each in counted if len(each.string) != 2] == []


def test_people_are_called_usted() -> None:
    familiar = {each.string for each in messages() for form in forms(each.string) if TU.search(form)}
    assert familiar == set()


def test_sentences_end_alike() -> None:
    """A full stop, a colon or a question mark lost on the way is a different sentence.

    Where Spanish ends with a time of day, that brings its own full stop: `9:30 a. m.`, as `EE. UU.` does,
    and as `Jr.` does.
    """
    ends = re.compile(r"[.:!?…”]*$")
    with_a_stop = (")s", "EE. UU.", " Jr.")
    wrong = [
        each.id
        for each in messages()
        for ours, theirs in zip(forms(each.id), forms(each.string), strict=False)
        if ends.search(ours)[0][-1:] != ends.search(theirs)[0][-1:] and not theirs.endswith(with_a_stop)
    ]
    assert wrong == []


def test_the_language_in_use_is_what_speaks() -> None:
    assert gettext("Morning") == "Morning"
    with using_language("es"):
        assert gettext("Morning") == "Mañana"
        with using_language("en"):
            assert gettext("Morning") == "Morning"
        assert translate("Morning") == "Mañana"
        assert translate("Morning", "en") == "Morning"
    assert i18n.current_language.get() == "en"


def test_singular_and_plural_differ() -> None:
    one, many = "Please look at %(num)s thing", "Please look at %(num)s things"
    assert [ngettext(one, many, n) for n in (1, 2)] == [one, many]
    with using_language("es"):
        assert [ngettext(one, many, n) for n in (1, 2)] == [
            "Por favor, revise %(num)s cosa",
            "Por favor, revise %(num)s cosas",
        ]


def test_words_are_filled_in_after_translation() -> None:
    assert translate("Open now until %(time)s", "es", time="las 6") == "Abierto ahora, hasta las 6"


def test_nothing_stays_nothing() -> None:
    """The empty id is the catalogue's header, which no page may show."""
    with using_language("es"):
        assert (gettext(""), translate("")) == ("", "")


def test_a_language_we_do_not_speak_is_an_error() -> None:
    with pytest.raises(KeyError):
        catalogue("fr")


@pytest.mark.parametrize(
    ("at", "english", "spanish_words"),
    [
        (time(0), "12 am", "12 de la mañana"),
        (time(9), "9 am", "9 de la mañana"),
        (time(12), "12 noon", "12 del mediodía"),
        (time(12, 30), "12:30 pm", "12:30 de la tarde"),
        (time(17, 5), "5:05 pm", "5:05 de la tarde"),
        (time(20), "8 pm", "8 de la noche"),
    ],
)
def test_hours_are_phrased_as_people_speak(at: time, english: str, spanish_words: str) -> None:
    assert (hour_phrase(at, "en"), hour_phrase(at, "es")) == (english, spanish_words)


def test_the_template_for_translators_is_current() -> None:
    """`./dev messages` writes it."""
    assert {
        each.id: {file for file, _ in each.locations} for each in read(TEMPLATE) if each.id
    } == in_the_code()


def test_a_catalogue_keeps_its_order_and_translations_when_it_is_updated(tmp_path: Path) -> None:
    path = tmp_path / "es.po"
    path.write_text(
        f'{HEADER}msgid "B"\nmsgstr "Be"\n\nmsgid "Gone"\nmsgstr "Ido"\n\nmsgid "A"\nmsgstr "A"\n'
    )
    template = Catalog()
    for sentence in ("A", "New", "B"):
        template.add(sentence, locations=[("intake/app.py", 1)])
    catalogue = read(path)
    update(catalogue, template)
    write(catalogue, path, header_of(path))
    assert path.read_text().startswith(HEADER)
    assert [(each.id, each.string) for each in read(path) if each.id] == [
        ("B", "Be"),
        ("A", "A"),
        ("New", ""),
    ]
    assert untranslated(read(path)) == ["New"]
