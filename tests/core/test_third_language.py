"""A third language is a catalogue, the statements and the clinic's own sentences in it; no line of code."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.messages import TEMPLATE, read, write
from intake.consent.models import Kind

ROOT = Path(__file__).resolve().parents[2]
CODE = "eo"
MARK = "°"
"""What every sentence of the made-up translation begins with."""
SERVED = """
import json, sys
from pathlib import Path

from sqlalchemy import select

from intake.app import create_app
from intake.core.i18n import catalogue
from intake.db.migrate import upgrade
from intake.instance import Instance
from intake.leads.models import Lead
from tests.conftest import MovableClock, settings_for
from tests.client import fill_in

folder = Path(sys.argv[1])
settings = settings_for(folder, f"sqlite:///{folder / 'intake.sqlite3'}")
instance = Instance.from_settings(settings, clock=MovableClock())
upgrade(instance.database)
web = create_app(instance).test_client()
english, form = web.get("/").text, web.get("/eo/").text
confirmed = web.post("/eo/", data=fill_in(web, "/eo/"))
with instance.database.reading() as session:
    lead = session.scalars(select(Lead)).one()
print(json.dumps({
    "english": english,
    "form": form,
    "confirmed": confirmed.text,
    "language": lead.language,
    "statements": sorted({each.language for each in instance.statements.every if each.body[0] == "°"}),
    "missing": web.get("/eo/nothing").text,
    "address": web.get("/eo").status_code,
    "unknown": web.get("/fr/").status_code,
}))
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the service with the three parts of the made-up language added."""
    folder = tmp_path_factory.mktemp("house")
    for name in ("intake", "config"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("templates", "migrations", "tests", "bench"):
        (folder / name).symlink_to(ROOT / name)
    add_catalogue(folder / "intake" / "locales" / f"{CODE}.po")
    add_statements(folder / "config" / "consent")
    add_sentences(folder / "config" / "clinic.toml")
    return folder


def add_catalogue(path: Path) -> None:
    catalogue = read(TEMPLATE)
    for each in catalogue:
        if each.id:
            each.string = (
                tuple(f"{MARK}{one}" for one in each.id) if each.pluralizable else f"{MARK}{each.id}"
            )
    header = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n'
    write(catalogue, path, f'{header}"Plural-Forms: nplurals=2; plural=(n != 1);\\n"\n\n')


def add_statements(folder: Path) -> None:
    for kind in Kind:
        words = (folder / f"{kind}.1.en.txt").read_text(encoding="utf-8").replace(" Yes. ", f" {MARK}Yes. ")
        (folder / f"{kind}.1.{CODE}.txt").write_text(f"{MARK}{words}", encoding="utf-8")


def add_sentences(path: Path) -> None:
    words = path.read_text(encoding="utf-8")
    words = re.sub(r'^es = "(.*)"$', rf'\g<0>\n{CODE} = "{MARK}\1"', words, flags=re.MULTILINE)
    review = "[texts_reviewed.translations.es]\n"
    path.write_text(words.replace(review, f"{review}\n{review.replace('es]', f'{CODE}]')}"), encoding="utf-8")


def start(house: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("INTAKE_")}
    return subprocess.run(
        (sys.executable, *arguments),
        cwd=house,
        env=plain | {"INTAKE_MODE": "development"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def served(house: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a browser is shown, and what was kept."""
    finished = start(house, "-c", SERVED, tmp_path_factory.mktemp("data"))
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def test_the_form_is_served_under_its_prefix(served: dict[str, str]) -> None:
    assert f'<html lang="{CODE}">' in served["form"]
    assert f"{MARK}Ask us to call you" in served["form"]
    assert 'action="/eo/"' in served["form"]
    assert served["statements"] == [CODE]
    assert (served["address"], served["unknown"]) == (200, 404)
    assert f"{MARK}There is no such page here" in served["missing"]


def test_every_page_offers_the_other_languages(served: dict[str, str]) -> None:
    offered = {
        language: re.findall(r'formaction="([^"]+)"[^>]* lang="(\w+)">(\w+)<', served[language])
        for language in ("english", "form")
    }
    spanish, english = ("/es/", "es", "Español"), ("/", "en", "English")
    assert offered["english"] == [("/eo/", "eo", "Esperanto"), spanish] * 2
    assert offered["form"] == [english, spanish] * 2


def test_a_request_is_kept_in_that_language(served: dict[str, str]) -> None:
    assert served["language"] == CODE
    assert f"{MARK}A person will be in touch with you" in served["confirmed"]


@pytest.mark.parametrize(
    ("part", "named"),
    [
        (f"intake/locales/{CODE}.po", [f"licence.{CODE}: is not a key", "has a catalogue in intake/locales"]),
        ("config/consent", [f"consent/{kind}.1.{CODE}.txt: is missing" for kind in Kind]),
        (
            "config/clinic.toml",
            [f"{key}.{CODE}: is missing" for key in ("licence", "texts_reviewed.translations")],
        ),
    ],
)
def test_without_one_of_the_three_parts_it_does_not_start(
    house: Path, tmp_path: Path, part: str, named: list[str]
) -> None:
    copy = tmp_path / "house"
    shutil.copytree(house, copy, symlinks=True)
    if (ROOT / part).exists():
        if (copy / part).is_dir():
            shutil.rmtree(copy / part)
            shutil.copytree(ROOT / part, copy / part)
        else:
            shutil.copyfile(ROOT / part, copy / part)
    else:
        (copy / part).unlink()
    finished = start(copy, "-m", "intake", "consent", "show")
    assert finished.returncode != 0
    assert [each for each in named if each not in " ".join(finished.stderr.split())] == []
