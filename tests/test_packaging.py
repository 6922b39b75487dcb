"""The wheel holds what a running service needs, and nothing that git ignores."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from intake import __version__

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without network from a copy that has keys lying about."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "checkout"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(copy)], check=True)
    for name in working_files():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((ROOT / name).read_bytes())
    for stray in ("var/keys/index_key", "intake/__pycache__/x.pyc", "config/index.key"):
        (copy / stray).parent.mkdir(parents=True, exist_ok=True)
        (copy / stray).write_text("not for anybody")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=copy, check=True
    )
    return next(folder.glob("*.whl"))


def working_files() -> list[str]:
    """What git would take: tracked or new, not ignored, still there."""
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    return [name for name in listed if name and (ROOT / name).is_file()]


def test_it_holds_the_code_and_what_the_code_reads(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    wanted = {name for name in working_files() if name.startswith("intake/")}
    wanted |= {
        f"intake/{name}" for name in working_files() if name.startswith(("templates/", "migrations/", "config/"))
    }
    assert wanted <= inside
    assert any(name.endswith("locales/es.po") for name in inside)


def test_it_holds_nothing_that_git_ignores(wheel: Path) -> None:
    inside = zipfile.ZipFile(wheel).namelist()
    assert [name for name in inside if "var/" in name or name.endswith(".pyc") or name.endswith(".key")] == []
    assert not any(b"not for anybody" in zipfile.ZipFile(wheel).read(name) for name in inside)


def test_its_name_card_is_right(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    card = archive.read(next(name for name in archive.namelist() if name.endswith("METADATA"))).decode()
    assert f"Version: {__version__}" in card
    assert "License-Expression: Apache-2.0" in card


def test_an_installed_wheel_finds_its_parts(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    asked = "from intake import resources as r; print(r.TEMPLATES, r.MIGRATIONS, r.CONFIG, r.IN_CHECKOUT)"
    found = subprocess.run(
        [sys.executable, "-c", asked],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert found == [str(tmp_path / "site" / "intake" / name) for name in ("templates", "migrations", "config")] + [
        "False"
    ]
