"""Promise C1: published statements never change, and the stored text is the one shown."""

import hashlib
from pathlib import Path

import pytest

from intake.consent import statements
from intake.consent.models import Kind
from intake.core.errors import SettingsError
from intake.core.i18n import LANGUAGES
from intake.core.paths import CONFIG
from intake.instance import Instance

PUBLISHED = {
    "adult.1.en.txt": "0fcb08a564649d74",
    "adult.1.es.txt": "d163caca3d4a963b",
    "article.1.en.txt": "c2eb7b50b2fcf464",
    "article.1.es.txt": "0c87fbc181b1adef",
    "article.2.es.txt": "5ecac1f10c18f08c",
    "call.1.en.txt": "3dd394f7db184635",
    "call.2.en.txt": "a93dfd9352386de6",
    "call.1.es.txt": "fa21ccd726e0b4fb",
    "call.2.es.txt": "1fd48773f3d786ee",
    "email.1.en.txt": "bbb8d1a739bfe3d9",
    "email.2.en.txt": "f91176f069b83f98",
    "email.1.es.txt": "92ff60ae2019e601",
    "email.2.es.txt": "c9b88ac68b68ba42",
    "text.1.en.txt": "7bf4b8fb468c0cd6",
    "text.2.en.txt": "9a4f0e0ebd11f063",
    "text.1.es.txt": "10bcc39ffca63e4b",
    "text.2.es.txt": "07ac1359996e224d",
    "use.1.en.txt": "beb1f7da08c86fea",
    "use.2.en.txt": "02b019a9997a712c",
    "use.1.es.txt": "ba2b271ff792f81a",
    "use.2.es.txt": "c24732d4ed07060f",
    "voicemail.1.en.txt": "8612f8b2f15e410e",
    "voicemail.1.es.txt": "19bc3814251306c8",
}
"""The first half of each file's SHA-256. A new wording is a new file with the next version, never an edit."""


def test_published_statements_never_change() -> None:
    there = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        for path in (CONFIG / "consent").iterdir()
    }
    assert there == PUBLISHED


def test_every_kind_is_there_in_both_languages(sqlite_instance: Instance) -> None:
    for language in LANGUAGES:
        assert set(sqlite_instance.statements.in_force(language)) == set(Kind)


def test_the_words_hold_the_clinics_values_and_no_braces(sqlite_instance: Instance) -> None:
    for statement in sqlite_instance.statements.every:
        assert "{" not in statement.body
    call = sqlite_instance.statements.in_force("en")[Kind.CALL]
    assert "Harbor Lane Clinic" in call.label
    assert "between 9 am and 8 pm your time" in call.help
    assert "de 9 de la mañana a 8 de la noche" in sqlite_instance.statements.in_force("es")[Kind.CALL].help


def folder_with(tmp_path: Path, **files: str) -> Path:
    for path in (CONFIG / "consent").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    for name, words in files.items():
        (tmp_path / name.replace("__", ".")).write_text(words)
    return tmp_path


def test_a_newer_version_is_the_one_in_force(sqlite_instance: Instance, tmp_path: Path) -> None:
    folder = folder_with(tmp_path, use__99__en__txt="Yes, {clinic} may call me.\n")
    found = statements.load(folder, sqlite_instance.clinic)
    assert found.in_force("en")[Kind.USE].body == "Yes, Harbor Lane Clinic may call me."
    assert found.in_force("es")[Kind.USE] == sqlite_instance.statements.in_force("es")[Kind.USE]
    assert found.page_digest("en") != sqlite_instance.statements.page_digest("en")


def test_how_a_file_is_wrapped_does_not_change_its_digest(sqlite_instance: Instance, tmp_path: Path) -> None:
    words = (CONFIG / "consent" / "call.2.en.txt").read_text().replace(". ", ".\n")
    found = statements.load(folder_with(tmp_path, call__2__en__txt=words), sqlite_instance.clinic)
    assert found.in_force("en") == sqlite_instance.statements.in_force("en")
    assert found.page_digest("en") == sqlite_instance.statements.page_digest("en")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("use__en__txt", "no version"),
        ("hope__1__en__txt", "unknown kind"),
        ("use__1__fr__txt", "unknown language"),
        ("use__2__en__txt", "names {nobody}"),
        ("use__2__en__txt", "broken {"),
    ],
)
def test_a_wrong_file_is_named(sqlite_instance: Instance, tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(SettingsError) as refused:
        statements.load(folder_with(tmp_path, **{name: words}), sqlite_instance.clinic)
    assert len(refused.value.problems) == 1
    assert name.replace("__", ".") in refused.value.problems[0]


def test_a_missing_statement_is_named(sqlite_instance: Instance, tmp_path: Path) -> None:
    for path in folder_with(tmp_path).glob("text.*.es.txt"):
        path.unlink()
    with pytest.raises(SettingsError, match=r"consent/text.1.es.txt: is missing"):
        statements.load(tmp_path, sqlite_instance.clinic)
