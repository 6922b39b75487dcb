"""The standing cast: a clinic, its keys, both databases, a clock that can be moved, a browserless web."""

import gc
import hashlib
import itertools
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from flask import Flask
from hypothesis import settings as properties
from jinja2 import FileSystemBytecodeCache
from sqlalchemy import Engine, event
from werkzeug.routing import Rule

from intake.accounts import credentials
from intake.app import create_app
from intake.conf import secrets
from intake.conf.settings import Mode, Settings
from intake.core import i18n
from intake.core.paths import CONFIG
from intake.db import engine, writer_lock
from intake.db.engine import Database
from intake.db.migrate import upgrade
from intake.instance import Instance
from intake.security import rate_limits

RAM_DISK = Path("/dev/shm")
ROOM = 2 << 30
"""Bytes that the scratch folders of a run may take at most, by far."""


def scratch_in_memory() -> None:
    """Scratch folders in memory where the machine has a disk of it, unless TMPDIR says where they belong.

    Every test writes a database of its own, and its commits would wait for the real disk each time.
    """
    if "TMPDIR" in os.environ or not os.access(RAM_DISK, os.R_OK | os.W_OK | os.X_OK):
        return
    found = os.statvfs(RAM_DISK)
    if found.f_bavail * found.f_frsize >= ROOM and not found.f_flag & os.ST_NOEXEC:
        os.environ["TMPDIR"] = tempfile.tempdir = str(RAM_DISK)


scratch_in_memory()
pytest_plugins = ["tests.offline", "tests.postgres", "tests.browser"]

WEDNESDAY_TEN = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)
"""A Wednesday, 10 am Eastern: the clinic is open, and no holiday is near."""
SECRETS = {name: secrets.new_secret(name) for name in secrets.SECRETS}
writer_lock.TIMEOUT = rate_limits._LOCK_TIMEOUT = 120.0
"""Seconds to wait for a turn at the database and at the counters. A busy machine is no fault of the code,
and a hundred threads at once may need longer on it than anybody at a door would wait."""
LONG = {"drills", "cli"}
"""Folders in which one test takes seconds."""
SHIPPED_HASHING = credentials.HASHER, credentials.DUMMY_HASH
"""Argon2id as it is outside of the tests. In them it does the least work it can: what is tested is what we
do with it."""
credentials.HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
credentials.DUMMY_HASH = credentials.HASHER.hash("nobody's password")
properties.load_profile("ci")
"""Hypothesis as on a build machine, on every machine: no example has a deadline, and the examples are the
same at every run. `--hypothesis-profile=default` goes looking for others."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Twice as many as there are cores: half of the tests wait for a process, a browser or a database."""
    return 2 * (os.cpu_count() or 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long comes first, so that at the end of a run no worker is waited for."""
    items.sort(key=lambda item: not LONG.intersection(item.path.parts))


def pytest_collection_finish() -> None:
    """What is there by now stays to the end: do not look through all of it for garbage again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


class MovableClock:
    """The one fake at the edge of time."""

    def __init__(self, moment: datetime = WEDNESDAY_TEN) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        return self.moment

    def move(self, **by: float) -> datetime:
        """Go on by so many days, hours, minutes, seconds."""
        self.moment += timedelta(**by)
        return self.moment

    def set(self, moment: datetime) -> None:
        """Jump to a moment."""
        self.moment = moment


def settings_for(folder: Path, url: str, **changes: object) -> Settings:
    """Settings as a development instance would have them, with everything in `folder`."""
    values: dict[str, object] = {
        "mode": Mode.DEVELOPMENT,
        "base_url": "http://localhost",
        "data_dir": folder,
        "config_dir": CONFIG,
        "database_url": url,
        "mail_from": "intake@example.org",
        "metrics_token": "a-token-for-tests-only",
        **SECRETS,
        **changes,
    }
    return Settings(**values)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _plain_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine leaks into a test, and every test starts speaking English."""
    for name in list(os.environ):
        if name.startswith("INTAKE_") and not name.startswith("INTAKE_TEST_"):
            monkeypatch.delenv(name)
    i18n.current_language.set(i18n.DEFAULT)


@pytest.fixture(autouse=True)
def _known_second_factors(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same secrets at every run: no code is by chance `000000` or like its neighbour."""
    numbers = itertools.count()

    def numbered() -> bytes:
        return hashlib.sha256(f"second factor {next(numbers)}".encode()).digest()[: credentials.TOTP_BYTES]

    monkeypatch.setattr(credentials, "new_totp_secret", numbered)


@pytest.fixture(scope="session", autouse=True)
def _made_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each test builds an application of its own; what is compiled for all of them alike is kept.

    That is the code of the templates, the code by which each of a hundred routes builds its address, and the
    SQL of every statement, which belongs to an engine's dialect.
    """
    kept = FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))
    Flask.jinja_options = {"bytecode_cache": kept}
    compile_builder, builders = Rule._compile_builder, {}

    def kept_builder(rule: Rule, append_unknown: bool) -> Callable[..., tuple[str, str]]:
        defaults = repr(sorted((rule.defaults or {}).items()))
        key = (rule.rule, tuple(rule._trace), defaults, append_unknown)
        if key not in builders:
            builders[key] = compile_builder(rule, append_unknown)
        return builders[key]

    Rule._compile_builder = kept_builder
    create_engine, speaking = engine.create_engine, {}

    def kept_engine(url: str, **options: object) -> Engine:
        """An engine like any, that shares what was compiled by the first one to have reached its database."""
        made = create_engine(url, query_cache_size=5000, **options)
        first = speaking.get(made.name)
        if first and getattr(first.dialect, "server_version_info", None):
            made.dialect, made._compiled_cache = first.dialect, first._compiled_cache
        else:
            speaking[made.name] = made
        return made

    engine.create_engine = kept_engine


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, made once and copied for each test."""
    folder = tmp_path_factory.mktemp("template")
    path = folder / "intake.sqlite3"
    database = Database(f"sqlite:///{path}", lock=folder / "lock")
    upgrade(database)
    database.close()
    return path


@pytest.fixture(scope="session")
def _postgres_template(postgres, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> str:
    """A migrated PostgreSQL database of this worker, made once and cloned for each test."""
    name = f"template_{worker_id}"
    postgres.create(name)
    database = Database(postgres.url_for(name), lock=tmp_path_factory.mktemp("lock") / "lock")
    upgrade(database)
    database.close()
    return name


@pytest.fixture
def sqlite_url(_sqlite_template: Path, tmp_path: Path) -> str:
    """A fresh, migrated SQLite file."""
    path = tmp_path / "intake.sqlite3"
    shutil.copyfile(_sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgres_url(postgres, _postgres_template: str) -> Iterator[str]:
    """A fresh, migrated PostgreSQL database; dropped afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    postgres.create_from(_postgres_template, name)
    yield postgres.url_for(name)
    postgres.drop(name)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request) -> str:
    """The same test on both databases."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
def clock() -> MovableClock:
    """Wednesday at ten, until a test moves it."""
    return MovableClock()


@pytest.fixture
def make_instance(tmp_path: Path, clock: MovableClock) -> Iterator[Callable[..., Instance]]:
    """Builds instances on a database URL with changed settings; closes them afterwards."""
    made: list[Instance] = []

    def make(url: str, **changes: object) -> Instance:
        instance = Instance.from_settings(settings_for(tmp_path, url, **changes), clock=clock)
        made.append(instance)
        return instance

    yield make
    for instance in made:
        instance.database.close()


@pytest.fixture
def instance(make_instance: Callable[..., Instance], database_url: str) -> Instance:
    """A whole instance, once on SQLite and once on PostgreSQL."""
    return make_instance(database_url)


@pytest.fixture
def sqlite_instance(make_instance: Callable[..., Instance], sqlite_url: str) -> Instance:
    """A whole instance on SQLite alone, for what does not depend on the database."""
    return make_instance(sqlite_url)


@pytest.fixture
def app(sqlite_instance: Instance):
    """The web application on SQLite."""

    return create_app(sqlite_instance)


@pytest.fixture
def web(app):
    """A test browser without a screen."""
    return app.test_client()


@pytest.fixture
def statements() -> Callable[[Instance], AbstractContextManager[list[str]]]:
    """Collects the SQL that a block sends: `with statements(instance) as counted:`."""

    @contextmanager
    def collecting(instance: Instance) -> Iterator[list[str]]:
        sent: list[str] = []

        def collect(connection, cursor, statement, parameters, context, executemany) -> None:
            if not statement.startswith(("BEGIN", "SAVEPOINT", "RELEASE")):
                sent.append(statement)

        event.listen(instance.database.engine, "before_cursor_execute", collect)
        try:
            yield sent
        finally:
            event.remove(instance.database.engine, "before_cursor_execute", collect)

    return collecting
