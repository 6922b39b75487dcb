"""What the operator's tests share: a command in this process, and real processes with real ends."""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import structlog
from click.testing import CliRunner, Result
from sqlalchemy import Select, select

from intake.cli import intake
from intake.conf.settings import load
from intake.core.clock import now
from intake.core.paths import CONFIG
from intake.db.engine import Database
from intake.instance import Instance
from intake.outbox.models import JobLease
from intake.server.supervisor import SIGNALS
from tests.conftest import SECRETS

WORKERS = 8
"""As many as ./dev test starts at most."""
PORTS = [*range(20_000 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % WORKERS, 32_000, WORKERS)]
"""Those of this worker that were not given yet."""
PATIENCE = 90.0
"""Seconds until a test gives up on something that a busy machine does slowly. Never a measure."""


@pytest.fixture(autouse=True)
def _signals_as_usual() -> Iterator[None]:
    """Also where the tests themselves were started with `nohup`, which every child would inherit.

    A command in this process may take the signals for itself; afterwards they end the run of tests again.
    """
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sqlite_url: str) -> Path:
    """A development instance on a migrated database; its data folder."""
    monkeypatch.setenv("INTAKE_MODE", "development")
    monkeypatch.setenv("INTAKE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("INTAKE_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.fixture
def command(surroundings: Path) -> Iterator[Callable[..., Result]]:
    """Runs one command in this process."""

    def run(*arguments: str, typed: str = "") -> Result:
        result = CliRunner().invoke(intake, arguments, input=typed)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    yield run
    structlog.reset_defaults()


@pytest.fixture
def opened(surroundings: Path) -> Iterator[Instance]:
    """The instance that the commands work on."""
    instance = Instance.from_settings(load())
    yield instance
    instance.database.close()


@pytest.fixture
def in_production(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Turns the surroundings into a complete production environment."""

    def turn() -> None:
        settings = {
            "MODE": "production",
            "BASE_URL": "https://intake.example.org",
            "SMTP_HOST": "mail.example.org",
            "MAIL_FROM": "intake@example.org",
            **{name.upper(): value for name, value in SECRETS.items()},
        }
        for name, value in settings.items():
            monkeypatch.setenv(f"INTAKE_{name}", value)

    return turn


def config_of_today(folder: Path) -> Path:
    """The configuration as shipped, with crisis lines that were checked today: months later that is red."""
    copied = shutil.copytree(CONFIG, folder / "config_of_today")
    written = (copied / "clinic.toml").read_text(encoding="utf-8")
    changed, times = re.subn(
        r"^verified_on = .*$", f"verified_on = {now().date()}", written, flags=re.MULTILINE
    )
    assert times == 1
    (copied / "clinic.toml").write_text(changed, encoding="utf-8")
    return copied


def until(happened: Callable[[], object], what: str, words: Callable[[], str] = str) -> object:
    """Wait until something is so; fail when it never is, with the last `words`."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := happened():
            return found
        time.sleep(0.05)
    raise AssertionError(f"it never happened that {what}. {words()}")


def free_port() -> int:
    """A port of the loopback that nobody uses, below those that outgoing connections are given.

    Each worker has ports of its own, and gives each of them once: nobody else binds one that is told to be
    free, neither before its service does nor while that one starts anew.
    """
    while True:
        port = secrets.choice(PORTS)
        PORTS.remove(port)
        if can_bind(port):
            return port


def can_bind(port: int) -> bool:
    """Whether the port is free again."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            probe.bind(("127.0.0.1", port))
            probe.listen()
            return True
    return False


def processes_of(folder: Path) -> dict[int, str]:
    """Every living process whose environment names this data folder, with its command line."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state = re.search(r"^State:\s+(\w)", (entry / "status").read_text(), re.MULTILINE)
            named = f"INTAKE_DATA_DIR={folder}".encode() in (entry / "environ").read_bytes().split(b"\0")
            if named and state and state[1] != "Z":
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


def _hears_hangups() -> None:
    """Whatever runs the tests may have been told to outlive its terminal; what they start was not."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Service:
    """One real `intake` process, its surroundings and what it says."""

    def __init__(self, folder: Path, port: int, template: Path, **settings: str) -> None:
        self.folder = folder
        self.template = template
        self.port = port
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("INTAKE_")},
            "INTAKE_MODE": "development",
            "INTAKE_DATA_DIR": str(folder),
            "INTAKE_PORT": str(port),
            **{name: value for name, value in settings.items() if value is not None},
        }
        self.output_file = folder.parent / f"{folder.name}-{port}.output"
        self.started: list[subprocess.Popen[bytes]] = []

    def migrate(self) -> "Service":
        """Give it a database of this version, faster than a command would."""
        self.folder.mkdir(mode=0o700)
        shutil.copyfile(self.template, self.folder / "intake.sqlite3")
        return self

    def start(self, *arguments: str, through: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        """Start a command, perhaps `through` another program; everything it says goes to one file."""
        line = [*through, sys.executable, "-m", "intake", *arguments]
        with self.output_file.open("ab") as output:
            process = subprocess.Popen(
                line,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,
                preexec_fn=_hears_hangups,  # noqa: PLW1509  it only sets a signal
            )
        self.started.append(process)
        return process

    def run(self, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "intake", *arguments],
            env=self.environment,
            input=typed,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def open_database(self) -> Database:
        """Its database, whether it runs or not; to be closed again."""
        sqlite = f"sqlite:///{self.folder / 'intake.sqlite3'}"
        return Database(self.environment.get("INTAKE_DATABASE_URL", sqlite), lock=self.folder / "lock")

    def rows(self, statement: Select[tuple[object]]) -> list[object]:
        """What stands in its database, without a command to start for it."""
        with closing(self.open_database()) as database, database.reading() as session:
            return list(session.scalars(statement))

    @property
    def words(self) -> str:
        """Everything said so far."""
        return self.output_file.read_text() if self.output_file.exists() else ""

    def get(self, path: str) -> tuple[int, str]:
        """Ask the web server; (0, "") when nobody answers."""
        with (
            suppress(URLError, OSError, HTTPException),  # it may be killed in the middle of a word
            urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer,
        ):
            return answer.status, answer.read().decode()
        return 0, ""

    def wait_for(self, words: str) -> str:
        """Wait until it has said `words`; gives all it said."""

        def found() -> str:
            if any(process.poll() for process in self.started):
                raise AssertionError(f"it ended: {self.words}")
            return self.words if words in self.words else ""

        return str(until(found, f"it said {words!r}"))

    def wait_until_up(self) -> None:
        """Wait until the web server answers."""
        until(lambda: self.get("/healthz") == (200, "ok"), "the web server answered", lambda: self.words)

    def wait_for_relay(self) -> None:
        """Wait until the relay has done something."""
        worked = select(JobLease.name).where(JobLease.ended_at.is_not(None))
        until(lambda: self.rows(worked), "the relay was at work", lambda: self.words)

    def wait_until_gone(self) -> None:
        """Wait until no process of this instance lives and its port is free."""
        until(lambda: not processes_of(self.folder), "every process ended")
        until(lambda: can_bind(self.port), "the port was free")

    def end(self) -> None:
        """Leave nothing behind, whatever the test did."""
        for process in self.started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for pid in processes_of(self.folder):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def make_service(tmp_path: Path, _sqlite_template: Path) -> Iterator[Callable[..., Service]]:
    """Makes services with a data folder of their own; ends whatever still lives of them."""
    made: list[Service] = []

    def make(name: str = "var", **settings: str) -> Service:
        made.append(Service(tmp_path / name, free_port(), _sqlite_template, **settings))
        return made[-1]

    yield make
    for service in made:
        service.end()


@pytest.fixture(scope="module")
def shared_service(tmp_path_factory: pytest.TempPathFactory, _sqlite_template: Path) -> Iterator[Service]:
    """A web server that the tests of one file share, which only ask it something."""
    folder = tmp_path_factory.mktemp("shared") / "var"
    service = Service(folder, free_port(), _sqlite_template).migrate()
    service.start("serve")
    service.wait_until_up()
    yield service
    service.end()


@pytest.fixture
def service(make_service: Callable[..., Service]) -> Service:
    """One development service on SQLite."""
    return make_service()
