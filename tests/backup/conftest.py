"""An instance that takes backups, and empty machines to bring them back to."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from intake.conf import secrets
from intake.db.engine import Database
from intake.instance import Instance

BACKUP_KEY = secrets.new_secret(secrets.BACKUP_KEY)


@dataclass(frozen=True)
class Machines:
    """Makes instances with the same keys, each with a data folder of its own."""

    make: Callable[..., Instance]
    folder: Path
    url_of: Callable[[str], str]

    def new(self, name: str, **changes: object) -> Instance:
        """One on an empty database, without a single table."""
        data = self.folder / name
        data.mkdir()
        changes = {"backup_key": BACKUP_KEY, "data_dir": data, **changes}
        return self.make(self.url_of(name), **changes)


def _databases(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    if kind == "sqlite":
        yield lambda name: f"sqlite:///{tmp_path / name}.sqlite3"
        return
    server, worker = request.getfixturevalue("postgres"), request.getfixturevalue("worker_id")
    made: list[str] = []

    def url_of(name: str) -> str:
        made.append(f"machine_{worker}_{name}")
        server.create(made[-1])
        return server.url_for(made[-1])

    yield url_of
    for name in made:
        server.drop(name)


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request, tmp_path) -> Iterator[Callable[[str], str]]:
    """The address of a database with nothing in it, on both."""
    yield from _databases(request.param, request, tmp_path)


@pytest.fixture
def machines(make_instance, tmp_path, empty_url) -> Iterator[Machines]:
    """Empty machines; their connections are given back before their databases are dropped."""
    made: list[Database] = []

    def make(url: str, **changes: object) -> Instance:
        instance = make_instance(url, **changes)
        made.append(instance.database)
        return instance

    yield Machines(make, tmp_path, empty_url)
    for database in made:
        database.close()


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    """A folder for backups."""
    folder = tmp_path / "backups"
    folder.mkdir()
    return folder


@pytest.fixture
def living(make_instance, database_url, backups) -> Instance:
    """A migrated instance that takes backups."""
    return make_instance(database_url, backup_key=BACKUP_KEY, backup_dir=str(backups))
