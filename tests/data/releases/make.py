"""Make the stored data of one release, by its own commands and pages: see README.md beside this.

    python tests/data/releases/make.py CHECKOUT NAME --postgres postgresql://postgres@127.0.0.1:5432

CHECKOUT is a checkout of the release with its own `.venv`, NAME the folder to make here, like
`0.1.0-edea9cd`. Needs nothing but the standard library, `psql` and `pg_dump`; of the release it uses only
what is promised to stay: commands, settings, public addresses, form fields.
"""

import argparse
import base64
import contextlib
import gzip
import hmac
import http.client
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from urllib.error import HTTPError

HERE = Path(__file__).resolve().parent
PORT = 8765
URL = f"http://localhost:{PORT}"
MINUTE = timedelta(minutes=1)
TEN_EASTERN = 15
READING = 12
"""Seconds between a page and its answer; faster ones are suspected."""
ROUNDS = 45
"""Seconds in which every round that is due is made, and everything gets its place in the chain."""
LATER = 75
"""Minutes that the clock leaps between the two starts, so that the hourly rounds are due once more."""
SHIFT = "INTAKE_TIME_SHIFT"

PEOPLE: Mapping[str, Mapping[str, object]] = {
    "call": {"preferred_name": "Alex", "channels": ["call"], "phone": "305-555-0101"},
    "text": {"preferred_name": "Sam", "channels": ["text"], "phone": "212-555-0102", "region": "US-NY"},
    "email": {"preferred_name": "Robin", "channels": ["email"], "email": "robin@example.org"},
    "spanish": {
        "preferred_name": "Camila",
        "channels": ["call", "email"],
        "phone": "813-555-0103",
        "email": "camila@example.org",
    },
    "outcome": {"preferred_name": "Jordan", "channels": ["call"], "phone": "305-555-0104"},
    "stopped": {
        "preferred_name": "Noel",
        "channels": ["call", "email"],
        "phone": "305-555-0105",
        "email": "noel@example.org",
    },
    "erased": {"preferred_name": "Dana", "channels": ["call"], "phone": "305-555-0106"},
}
COMMON = {
    "website": "",
    "voicemail": "no",
    "windows": ["any"],
    "region": "US-FL",
    "time_zone": "America/New_York",
    "asking_for": "self",
    "adult": "yes",
    "consent_use": "yes",
}


class Release:
    """The commands of a checkout, and its service while it runs."""

    def __init__(self, checkout: Path, folder: Path, keys: Mapping[str, str], database: str) -> None:
        self.command, self.folder, self.shift = checkout / ".venv/bin/intake", folder, _until_wednesday()
        self.environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            "INTAKE_MODE": "development",
            "INTAKE_PORT": str(PORT),
            "INTAKE_BASE_URL": URL,
            "INTAKE_DATA_DIR": str(folder),
            "INTAKE_DATABASE_URL": database,
            "INTAKE_MAIL_FROM": "intake@example.org",
            **keys,
        }
        self.web = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())

    def run(self, *words: str) -> str:
        """What a command prints. Raises CalledProcessError when it fails."""
        environment = {**self.environment, SHIFT: str(self.shift)}
        done = subprocess.run(
            [self.command, *words], env=environment, cwd=self.folder, check=True, stdout=subprocess.PIPE
        )
        return done.stdout.decode()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Web server and relay, until the block ends."""
        environment = {**self.environment, SHIFT: str(self.shift)}
        with (self.folder / "out").open("ab") as out:
            started = subprocess.Popen(
                [self.command, "run"], env=environment, cwd=self.folder, stdout=out, stderr=out
            )
        try:
            self._await(started)
            yield
        finally:
            started.send_signal(signal.SIGINT)
            started.wait(60)

    def _await(self, started: "subprocess.Popen[bytes]") -> None:
        for _ in range(240):
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.get("/readyz")
                return
            if started.poll() is not None:
                break
            time.sleep(0.5)
        raise RuntimeError((self.folder / "out").read_text())

    @property
    def now(self) -> datetime:
        """The moment on the service's clock."""
        return datetime.now(UTC) + self.shift * MINUTE

    def get(self, path: str) -> str:
        """A page."""
        return self._send(urllib.request.Request(URL + path))  # noqa: S310  our own service

    def post(self, path: str, **words: object) -> str:
        """Send a form as a browser does."""
        body = urllib.parse.urlencode(words, doseq=True).encode()
        headers = {"Origin": URL, "Referer": f"{URL}{path}", "Sec-Fetch-Site": "same-origin"}
        return self._send(urllib.request.Request(URL + path, body, headers))  # noqa: S310  our own service

    def _send(self, request: urllib.request.Request) -> str:
        try:
            with self.web.open(request, timeout=30) as answer:
                return str(answer.read().decode())
        except HTTPError as wrong:
            raise RuntimeError(f"{request.full_url}: {wrong.code}\n{wrong.read().decode()}") from None


def main() -> None:
    """Make the folder, for both databases."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    asked.add_argument("checkout", type=Path)
    asked.add_argument("name")
    asked.add_argument("--postgres", required=True, help="server to make a database on, and drop it again")
    given = asked.parse_args()
    checkout, to = given.checkout.resolve(), HERE / given.name
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir()
    keys = _keys(checkout)
    (to / "keys.env").write_text("".join(f"{name}={value}\n" for name, value in keys.items()))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "intake.sqlite3"
        _live(Release(checkout, Path(folder), keys, f"sqlite:///{file}"), to / "sqlite")
        _store(to / "sqlite/intake.sqlite3.gz", _sqlite_file(file))
    name = f"release_{os.getpid()}"
    _psql(given.postgres, f'CREATE DATABASE "{name}"')
    try:
        with tempfile.TemporaryDirectory() as folder:
            address = given.postgres.replace("postgresql://", "postgresql+psycopg://")
            _live(Release(checkout, Path(folder), keys, f"{address}/{name}"), to / "postgres")
            _store(to / "postgres/intake.sql.gz", _postgres_dump(f"{given.postgres}/{name}"))
    finally:
        _psql(given.postgres, f'DROP DATABASE "{name}" WITH (FORCE)')


def _keys(checkout: Path) -> dict[str, str]:
    made = subprocess.run([checkout / ".venv/bin/intake", "keys", "new"], check=True, stdout=subprocess.PIPE)
    lines = [line.partition("=") for line in made.stdout.decode().splitlines()]
    return {name: value for name, _, value in lines if name.startswith("INTAKE_")}


def _until_wednesday() -> int:
    """Minutes until next Wednesday at ten, Eastern standard time."""
    now = datetime.now(UTC)
    ten = now.replace(hour=TEN_EASTERN, minute=0) + timedelta(days=(2 - now.weekday()) % 7)
    return (ten + (timedelta(0) if ten > now else timedelta(days=7)) - now) // MINUTE


def _live(release: Release, to: Path) -> None:
    """Everything that happens in a release's data, and what is kept of it beside the database."""
    to.mkdir()
    with release.running():
        story = _ask_all(release)
        account = _sign_in(release)
        _call_one(release)
        _saved(release, story, to)
        code = {"code": story["stopped"]["code"]}
        release.post("/manage/stop", **code)
        release.post("/manage/erase", code=story["erased"]["code"], sure="yes")
        time.sleep(ROUNDS)
    release.shift += LATER
    with release.running():
        time.sleep(ROUNDS)
    release.run("audit", "verify")
    with contextlib.suppress(subprocess.CalledProcessError):  # the oldest release has no backups
        release.run("backup", "--to", str(to / "intake.backup"))
    for kept in ("erasures.log", "anchors.log"):
        if (release.folder / kept).exists():
            shutil.copyfile(release.folder / kept, to / kept)
    kept_story = {"at": release.now.isoformat(), "account": account, "leads": story}
    (to / "story.json").write_text(json.dumps(kept_story, indent=1) + "\n")


def _ask_all(release: Release) -> dict[str, dict[str, str]]:
    pages = {name: "/es/" if name == "spanish" else "/" for name in PEOPLE}
    tokens = {name: _field(release.get(page), "token") for name, page in pages.items()}
    time.sleep(READING)
    story = {}
    for name, page in pages.items():
        answer = release.post(page, **{**COMMON, **PEOPLE[name], "token": tokens[name]})
        reference, code = (_letters(each) for each in re.findall(r"<output.*?</output>", answer, re.DOTALL))
        story[name] = {"reference": reference, "code": code}
    return story


def _letters(element: str) -> str:
    return re.sub(r"<[^>]+>|\s", "", element)


def _sign_in(release: Release) -> dict[str, str]:
    lines = (release.folder / "first-account.txt").read_text().splitlines()
    kept = dict(line.partition(": ")[::2] for line in lines)
    account = {name: kept[name] for name in ("email", "password", "secret")}
    page = release.get("/sign-in")
    release.post(
        "/sign-in",
        csrf=_field(page, "csrf"),
        email=account["email"],
        password=account["password"],
        code=_totp(account["secret"], release.now),
    )
    return account


def _totp(secret: str, at: datetime) -> str:
    """RFC 6238: six digits of thirty seconds."""
    step = int(at.timestamp()) // 30
    raw = hmac.digest(base64.b32decode(secret), step.to_bytes(8), "sha1")
    start = raw[-1] & 15
    return f"{(int.from_bytes(raw[start : start + 4]) & 0x7FFFFFFF) % 10**6:06}"


def _call_one(release: Release) -> None:
    """Claim a lead, show its number, and note that nobody answered; then claim another."""
    for name in ("outcome", "text"):
        desk, initial = release.get("/desk"), str(PEOPLE[name]["preferred_name"])[0]
        rows = re.findall(r'href="(/desk/leads/[0-9a-f-]{36})[^>]*>(.*?)</a>', desk, re.DOTALL)
        lead = next(path for path, words in rows if f"{initial}." in re.sub(r"<[^>]+>", " ", words))
        csrf = _field(desk, "csrf")
        release.post(f"{lead}/claim", csrf=csrf, version=_field(release.get(lead), "version"))
        if name == "outcome":
            release.post(f"{lead}/reveal", csrf=csrf, channel="call")
            page = release.get(lead)
            fields = {field: _field(page, field) for field in ("attempt", "version")}
            release.post(f"{lead}/outcome", csrf=csrf, channel="call", outcome="no_answer", **fields)


def _saved(release: Release, story: Mapping[str, Mapping[str, str]], to: Path) -> None:
    """Two receipts, and the audit log where a release saves it to a file."""
    for form, suffix in (("text", "txt"), ("json", "json")):
        receipt = release.post("/receipt", code=story["spanish"]["code"], **{"as": form})
        (to / f"receipt.{suffix}").write_text(receipt)
    desk = release.get("/desk/log")
    if "/desk/log/save" in desk:
        time.sleep(READING)  # for the linker: only what has its place is saved
        (to / "log.jsonl").write_text(release.post("/desk/log/save", csrf=_field(desk, "csrf")))


def _field(page: str, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    if not found:
        raise RuntimeError(f"no field {name} on the page:\n{page}")
    return unescape(found[1])


def _sqlite_file(file: Path) -> bytes:
    """The one file, with everything that stood in its journal."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return file.read_bytes()


def _postgres_dump(url: str) -> bytes:
    """Plain statements, without what only `psql` understands."""
    options = ("--inserts", "--no-owner", "--no-privileges", "--no-comments")
    done = subprocess.run(["pg_dump", *options, url], check=True, stdout=subprocess.PIPE)
    lines = done.stdout.decode().splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(("\\", "--"))).encode()


def _psql(server: str, statement: str) -> None:
    subprocess.run(["psql", "-q", "-c", statement, f"{server}/postgres"], check=True)


def _store(path: Path, content: bytes) -> None:
    path.write_bytes(gzip.compress(content, mtime=0))
    sys.stdout.write(f"{path}: {path.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
