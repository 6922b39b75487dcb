"""docs/pages.md and its pictures: each is named, described and small, and none lies there unnamed."""

import re
from pathlib import Path

from bench.screenshots import DESK, PUBLIC

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "pages.md"
SHOWN = re.compile(r"!\[(?P<words>[^\]]*)\]\(screenshots/(?P<name>[^)]+)\)")
FOLDER = ROOT / "docs" / "screenshots"
LARGEST = 150_000
PNG = b"\x89PNG\r\n"


def shown() -> dict[str, str]:
    """Each picture of the document with its words for those who do not see it."""
    return {each["name"]: each["words"] for each in SHOWN.finditer(DOCUMENT.read_text(encoding="utf-8"))}


def test_every_picture_is_shown_and_none_is_missing() -> None:
    assert set(shown()) == {each.name for each in FOLDER.iterdir()}


def test_every_picture_is_described() -> None:
    assert [name for name, words in shown().items() if len(words.split()) < 5] == []


def test_every_picture_is_a_small_png() -> None:
    for each in FOLDER.iterdir():
        content = each.read_bytes()
        assert content.startswith(PNG), each.name
        assert len(content) <= LARGEST, each.name


def test_the_script_takes_these_pictures_and_no_other() -> None:
    assert {f"{name}.png" for name in (*PUBLIC, *DESK)} == set(shown())


def test_the_first_document_leads_to_them() -> None:
    assert "(docs/pages.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
