"""The wheel holds what a service needs and nothing that git ignores; the locks hold what is asked for."""

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from intake import __version__

ROOT = Path(__file__).resolve().parents[2]
MOVED = ("templates/", "migrations/", "config/")
"""Folders of the checkout that stand inside the package in a wheel."""
CANARY = b"not for anybody"
STRAY = ("var/keys/index_key", "intake/sealing.key", "config/index.key", "intake/__pycache__/x.pyc")

pytestmark = pytest.mark.xdist_group("wheel")


def kept_files() -> list[str]:
    """What git would take: tracked or new, not ignored, still there."""
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    return [name for name in listed if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built without network from a copy of the checkout that has secrets lying about."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "checkout"
    subprocess.run(["git", "init", "-q", copy], check=True)
    for name in kept_files():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((ROOT / name).read_bytes())
    for name in STRAY:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes(CANARY)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    subprocess.run(build, cwd=copy, check=True, capture_output=True)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


@pytest.fixture
def site(wheel: zipfile.ZipFile, tmp_path: Path) -> Path:
    """A folder in which nothing but the wheel is installed."""
    wheel.extractall(tmp_path / "site")
    return tmp_path / "site"


def run(site: Path, *arguments: str, **settings: str) -> str:
    """What Python prints when it runs `arguments` on the installed wheel, far from any checkout."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=site.parent,
        env=os.environ | {"PYTHONPATH": str(site), **settings},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def card(wheel: zipfile.ZipFile, name: str) -> str:
    """One of the files that describe the wheel."""
    return wheel.read(f"intake-{__version__}.dist-info/{name}").decode()


def test_it_holds_the_code_and_what_the_code_reads(wheel: zipfile.ZipFile) -> None:
    wanted = {name for name in kept_files() if name.startswith("intake/")}
    wanted |= {f"intake/{name}" for name in kept_files() if name.startswith(MOVED)}
    packed = {name for name in wheel.namelist() if not name.startswith(f"intake-{__version__}.dist-info/")}
    assert packed == wanted


@pytest.mark.parametrize("part", ["templates", "migrations/versions", "config/consent", "locales", "static"])
def test_each_part_is_in_the_package(wheel: zipfile.ZipFile, part: str) -> None:
    assert any(name.startswith(f"intake/{part}/") for name in wheel.namelist())


def test_it_holds_nothing_that_git_ignores(wheel: zipfile.ZipFile) -> None:
    assert [name for name in wheel.namelist() if CANARY in wheel.read(name)] == []


def test_it_says_its_version_licence_and_command(wheel: zipfile.ZipFile) -> None:
    assert f"Version: {__version__}\n" in card(wheel, "METADATA")
    assert "License-Expression: Apache-2.0\n" in card(wheel, "METADATA")
    assert card(wheel, "licenses/LICENSE") == (ROOT / "LICENSE").read_text()
    assert "intake = intake.__main__:main" in card(wheel, "entry_points.txt")


def test_an_installed_wheel_finds_its_parts(site: Path) -> None:
    asked = "from intake.core import paths as r; print(r.TEMPLATES, r.MIGRATIONS, r.CONFIG, r.IN_CHECKOUT)"
    parts = [str(site / "intake" / name) for name in ("templates", "migrations", "config")]
    assert run(site, "-c", asked).split() == [*parts, "False"]


def test_an_installed_wheel_makes_its_database(site: Path, tmp_path: Path) -> None:
    here = {"INTAKE_MODE": "development", "INTAKE_DATA_DIR": str(tmp_path / "var")}
    assert run(site, "-m", "intake", "db", "upgrade", **here) == "The database is up to date.\n"
    assert run(site, "-m", "intake", "db", "upgrade", **here) == "Nothing to do.\n"


def lock_text(name: str) -> str:
    return (ROOT / f"requirements/{name}.lock").read_text()


def pins(text: str) -> list[Requirement]:
    """Every entry of a lock, without its hashes."""
    entries = re.findall(r"^[a-z0-9].*?(?= \\$)", text, re.MULTILINE)
    return [Requirement(each) for each in entries]


def locked(name: str) -> dict[str, str]:
    """Name and version of everything in a lock."""
    return {each.name: str(each.specifier).removeprefix("==") for each in pins(lock_text(name))}


def asked_for(*extras: str) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = [project["dependencies"], *(project["optional-dependencies"][extra] for extra in extras)]
    return [Requirement(each) for wanted in lists for each in wanted]


@pytest.mark.parametrize(("lock", "extras"), [("run", []), ("test", ["test"])])
def test_the_locks_hold_what_is_asked_for(lock: str, extras: list[str]) -> None:
    versions = locked(lock)
    wrong = [str(each) for each in asked_for(*extras) if versions.get(each.name, "") not in each.specifier]
    assert wrong == []


def test_tests_run_on_the_versions_that_serve() -> None:
    assert locked("run").items() <= locked("test").items()


def unpinned_extras(text: str, extras: list[str]) -> list[str]:
    """Requirements with an extra that the lock `text` does not pin with that extra.

    pip up to 23.2 refuses such a lock. Asked are pyproject.toml and the installed metadata of what is locked.
    """
    here = {pin.name: pin for pin in pins(text) if not pin.marker or pin.marker.evaluate()}
    pinned = {(name, extra) for name, pin in here.items() for extra in pin.extras}
    wanted = asked_for(*extras)
    for pin in here.values():
        for line in importlib.metadata.requires(pin.name) or ():
            each = Requirement(line)
            if not each.marker or any(each.marker.evaluate({"extra": extra}) for extra in ("", *pin.extras)):
                wanted.append(each)
    return [
        str(each)
        for each in wanted
        for extra in each.extras
        if (canonicalize_name(each.name), extra) not in pinned
    ]


@pytest.mark.parametrize(("lock", "extras"), [("run", []), ("test", ["test"])])
def test_each_extra_that_is_asked_for_is_pinned(lock: str, extras: list[str]) -> None:
    assert unpinned_extras(lock_text(lock), extras) == []


def test_a_lock_without_its_extras_is_noticed() -> None:
    """The form that `uv pip compile` writes of itself: newer pips install it, older ones do not."""
    stripped = re.sub(r"^([a-z0-9.-]+)\[[a-z,]+\]", r"\1", lock_text("test"), flags=re.MULTILINE)
    missed = [Requirement(each).name for each in unpinned_extras(stripped, ["test"])]
    assert missed == ["psycopg", "coverage"]


def test_every_locked_file_is_known_by_its_hash() -> None:
    for path in (ROOT / "requirements").glob("*.lock"):
        entries = path.read_text().replace("\\\n", "").splitlines()
        assert entries
        assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
