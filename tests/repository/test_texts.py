"""What we never say, in either language, and how plainly we say the rest."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from intake.conf import toml_schema
from intake.conf.clinic import Clinic
from intake.consent import statements
from intake.consent.statements import Statement
from intake.core.paths import CONFIG, TEMPLATES
from tests.catalogues import forms, in_the_code, messages
from tests.client import read

CLAIMS = {
    "not addictive": r"\b(non|not)[- ]addictive\b|\bno (es )?adictiv[oa]s?\b|\bno (causa|produce) adicción",
    "cure": r"\bcur(e|es|ed)\b|\bcura[rn]?\b|\bcurarán?\b",
    "guarantee": r"\bguarantee[ds]?\b|\bgarantiz\w+|\bgarantía",
    "miracle": r"\bmirac(le|ulous)|\bmilagro",
    "no risk": r"\brisk[- ]free\b|\b(without|no) risks?\b|\bsin riesgos?\b",
    "safe and effective": r"\bsafe and effective\b|\bsegur[oa]s? y (eficaz|efectiv)",
    "approved": r"(?<!not )\bapproved\b.{0,60}ketamin|ketamin.{0,60}(FDA[- ]approved|aprobad[oa])"
    r"|FDA[- ]approved.{0,60}ketamin|(?<!no ha )aprobado.{0,60}ketamin",
    "100 %": r"\b100 ?%",
    "HIPAA": r"\bHIPAA[- ](compliant|certified|approved)"
    r"|\bcumpl\w+ con (la )?(ley )?HIPAA|\bcertificad\w+ .{0,10}HIPAA",
    "anonymous": r"\banonym|\banónim",
    "stigma": r"\b(addict|junkie)s?\b|\b(drog)?adict[oa]s?\b|\bcommitted suicide\b|\bepidemi(c|a)\b",
}
WORDS = {
    "submit": r"\bsubmit",
    "invalid": r"\binvalid|\binválid|\bno válid",
    "error occurred": r"\berror (has )?occurred|\b(ocurrió|hubo) un error|^error\b",
    "click here": r"\bclick\b|\bhaga clic",
    "people": r"\b(user|client|patient|customer)s?\b|\b(usuari[oa]|cliente|paciente)s?\b",
}
SAMPLES = {
    "not addictive": ["It is non-addictive.", "Ketamine is not addictive", "No es adictiva."],
    "cure": ["It cures depression.", "Puede curar."],
    "guarantee": ["Relief guaranteed", "Se garantiza alivio"],
    "miracle": ["A miracle", "un milagro"],
    "no risk": ["a risk-free call", "sin riesgo"],
    "safe and effective": ["Safe and effective.", "seguro y eficaz"],
    "approved": ["FDA-approved ketamine", "ketamine is FDA-approved", "La FDA ha aprobado la ketamina"],
    "100 %": ["100% confidential", "100 % seguro"],
    "HIPAA": ["HIPAA compliant", "HIPAA-certified", "Cumplimos con HIPAA"],
    "anonymous": ["You stay anonymous", "Es anónimo"],
    "stigma": ["addicts", "los adictos", "committed suicide"],
    "submit": ["Submit the form"],
    "invalid": ["Invalid number", "Número inválido"],
    "error occurred": ["An error occurred", "Error: look", "Ocurrió un error"],
    "click here": ["Click here", "Haga clic aquí"],
    "people": ["our patients", "El usuario"],
}
FINE = [
    "The FDA has not approved ketamine for any mental health condition.",
    "La FDA no ha aprobado la ketamina para ningún problema de salud mental.",
    "Ketamine can be misused, and some people become addicted.",
    "La ketamina se puede usar mal y algunas personas desarrollan una adicción.",
    "Marque solo lo que sea seguro para usted.",
]
OWN_WORDS = set("En español oprima el envíe la palabra".split()) | {"top", "ask"}
"""The Spanish line of the crisis help, which stands on English pages too, and two anchors."""
PLAIN_GRADE, PLAIN_LABEL, PLAIN_INFLESZ, LONG_ENOUGH = 8.0, 6.0, 65.0, 12
ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
BLOCKS = {"p", "li", "dd", "label", "legend", "h1", "h2", "h3"}
READ = {".html", ".txt", ".toml", ".md"}
QUOTED = re.compile(r"`[^`]*`")
"""What a document quotes as code: a name of ours, or a word that it says we never use."""
VOWELS = re.compile(r"[aeiouy]+")
SPANISH_VOWELS = re.compile(r"[aeoáéíóú]([iuy](?![aeoáéíóúiu]))?|[iuüy]+(?![aeoáéíóúiuy])")


def rules(which: dict[str, str]) -> list[tuple[str, re.Pattern[str]]]:
    return [(name, re.compile(pattern, re.IGNORECASE)) for name, pattern in which.items()]


def shown() -> Iterator[str]:
    """Every sentence that somebody may see: both languages, statements and the clinic's own words."""
    for sentence in in_the_code():
        yield from forms(sentence)
    for message in messages():
        yield from forms(message.string)
    clinic = toml_schema.load(CONFIG / "clinic.toml", Clinic)
    for statement in statements.load(CONFIG / "consent", clinic).every:
        yield statement.body
    for article in clinic.articles:
        yield from article.summary.texts.values()


@pytest.mark.parametrize(("name", "rule"), rules({**CLAIMS, **WORDS}))
def test_we_never_say(name: str, rule: re.Pattern[str]) -> None:
    assert [sentence for sentence in shown() if rule.search(sentence)] == []


@pytest.mark.parametrize(("name", "rule"), rules(CLAIMS))
def test_no_file_that_people_read_says_it_either(name: str, rule: re.Pattern[str]) -> None:
    files = [path for folder in (TEMPLATES, CONFIG, DOCS) for path in sorted(folder.rglob("*.*"))]
    files += sorted(ROOT.glob("*.md"))
    assert [path.name for path in files if path.suffix in READ and rule.search(unquoted(path))] == []


def unquoted(path: Path) -> str:
    return QUOTED.sub("", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("name", "rule"), rules({**CLAIMS, **WORDS}))
def test_the_rules_see_what_they_are_for(name: str, rule: re.Pattern[str]) -> None:
    assert [sample for sample in SAMPLES[name] if not rule.search(sample)] == []
    assert [sentence for sentence in FINE if rule.search(sentence)] == []


def public_templates() -> list[Path]:
    return [*sorted(TEMPLATES.glob("*.html")), *sorted((TEMPLATES / "public").glob("*.html"))]


@pytest.mark.parametrize("path", public_templates(), ids=lambda path: path.name)
def test_no_word_escapes_the_catalogue(path: Path) -> None:
    """Words outside `_()` exist in one language only; the few that mean to are OWN_WORDS."""
    text = path.read_text(encoding="utf-8")
    for no_word in (r"\{#.*?#\}|\{\{.*?\}\}", r"\{%.*?%\}", r"<[^>]*>", r'[a-z-]+="[^"]*"'):
        text = re.sub(no_word, " ", text, flags=re.DOTALL)
    assert set(re.findall(r"\w{2,}", text)) - OWN_WORDS == set()


def long_ones(sentences: Iterator[str]) -> list[str]:
    return [each for each in sentences if len(words_of(each)) >= LONG_ENOUGH]


def words_of(sentence: str) -> list[str]:
    return re.findall(r"[\w’'-]+", re.sub(r"%\(\w+\)s", "this", sentence))


def sentences_in(text: str) -> int:
    return max(1, len(re.findall(r"[.:!?](\s|$)", text)))


def grade(text: str) -> float:
    """Flesch-Kincaid, with the usual rough count of syllables."""
    words = words_of(text)
    syllables = sum(
        max(1, len(VOWELS.findall(re.sub(r"(?<=[^aeioul])e[sd]?$", "", word.lower())))) for word in words
    )
    return 0.39 * len(words) / sentences_in(text) + 11.8 * syllables / len(words) - 15.59


def inflesz(text: str) -> float:
    """Szigriszt-Pazos, the scale behind INFLESZ."""
    words = words_of(text)
    syllables = sum(max(1, len(SPANISH_VOWELS.findall(word.lower()))) for word in words)
    return 206.835 - 62.3 * syllables / len(words) - len(words) / sentences_in(text)


def public_sentences() -> Iterator[str]:
    for sentence, places in in_the_code().items():
        if any(place.startswith(("templates/public", "templates/_")) for place in places):
            yield from forms(sentence)


def test_the_public_pages_are_plain_english() -> None:
    assert {
        text: round(grade(text), 1) for text in long_ones(public_sentences()) if grade(text) > PLAIN_GRADE
    } == {}


def test_the_public_pages_are_plain_spanish() -> None:
    said = {
        form: text
        for each in messages()
        for form, text in zip(forms(each.id), forms(each.string), strict=False)
    }
    texts = long_ones(said[each] for each in public_sentences() if each in said)
    assert {text: round(inflesz(text)) for text in texts if inflesz(text) < PLAIN_INFLESZ} == {}


def statements_in_force(language: str) -> list[Statement]:
    """As somebody reads them, with the clinic's name and hours in them."""
    clinic = toml_schema.load(CONFIG / "clinic.toml", Clinic)
    return list(statements.load(CONFIG / "consent", clinic).in_force(language).values())


def test_the_statements_are_plain() -> None:
    english, spanish = (statements_in_force(language) for language in ("en", "es"))
    assert {each.body: grade(each.body) for each in english if grade(each.body) > PLAIN_GRADE} == {}
    assert {each.body: inflesz(each.body) for each in spanish if inflesz(each.body) < PLAIN_INFLESZ} == {}


def test_what_stands_beside_a_tick_is_plainer_still() -> None:
    """Nobody agrees to what they cannot read in one go."""
    english, spanish = ([each.label for each in statements_in_force(spoken)] for spoken in ("en", "es"))
    assert {label: grade(label) for label in english if grade(label) > PLAIN_LABEL} == {}
    assert {label: inflesz(label) for label in spanish if inflesz(label) < PLAIN_INFLESZ} == {}


def rendered(web: FlaskClient, prefix: str) -> Iterator[tuple[str, str]]:
    """Each block of the public pages with the clinic's values in it, but for addresses and hours."""
    for path in ("/", "/privacy", "/safety", "/card", "/under-18", "/manage", "/nothing-here"):
        for each in read(web.get(prefix + path)).elements:
            if each.tag in BLOCKS and not re.search("LLC|@", each.words):
                yield path, re.sub(r"\([^)]*\)", "", each.words)


def test_the_pages_are_plain_as_they_are_read(web: FlaskClient) -> None:
    """Whole blocks: a name or a list of hours put into a plain sentence can make it a hard one."""
    english, spanish = (
        {words: path for path, words in rendered(web, prefix) if long_ones(iter([words]))}
        for prefix in ("", "/es")
    )
    assert {words: round(grade(words), 1) for words in english if grade(words) > PLAIN_GRADE} == {}
    assert {words: round(inflesz(words)) for words in spanish if inflesz(words) < PLAIN_INFLESZ} == {}


def test_the_measures_tell_plain_from_hard() -> None:
    assert grade("We call you. You can say no.") < 3
    assert (
        grade(
            "Notwithstanding applicable regulatory considerations, administration necessitates authorization."
        )
        > 15
    )
    assert inflesz("Le llamamos. Puede decir que no.") > 80
    assert (
        inflesz("La administración institucional necesita autorizaciones reglamentarias correspondientes.")
        < 40
    )
