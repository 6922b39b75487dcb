"""What earlier releases stored stays readable: upgraded, verified, revealed, opened, backed up, restored.

The data stands in `tests/data/releases/`, made by each release itself; see the README there.
"""

import gzip
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from html import unescape
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from intake import audit, backup
from intake.accounts.dev_account import DevAccount
from intake.app import create_app
from intake.audit import chain, export
from intake.audit.models import ChainLink
from intake.audit.service import DIGEST_VERSION
from intake.conf import secrets as conf_secrets
from intake.consent import receipt
from intake.db import migrate
from intake.db.migrate import MigrationState
from intake.instance import Instance
from intake.jobs import schedule
from intake.monitoring import integrity
from intake.privacy import erasure_ledger
from tests.audit.test_chain import tamper
from tests.client import code_on, fill_in, read
from tests.conftest import MovableClock
from tests.db.test_engine import APPEND_ONLY

DATA = Path(__file__).parents[1] / "data" / "releases"
RELEASES = sorted(path.name for path in DATA.iterdir() if (path / "keys.env").is_file())


def holding(name: str) -> list[str]:
    """The releases that could make such a file already."""
    return [each for each in RELEASES if (DATA / each / "sqlite" / name).exists()]


BACKUP_KEY = conf_secrets.new_secret(conf_secrets.BACKUP_KEY)
OURS = {"Sec-Fetch-Site": "same-origin"}
STOPPED = 3
"""Numbers and addresses on the do-not-contact list: two of who was stopped, one of who was erased."""
LEFT = ("call", "text", "email", "spanish", "outcome", "stopped")
"""Everybody of the story who was not erased."""


@dataclass
class Stored:
    """One release's data on one database, upgraded to today's version."""

    folder: Path
    instance: Instance
    story: dict[str, Any]
    before: MigrationState
    empty: Callable[[str], Instance]

    @property
    def web(self) -> FlaskClient:
        """A browser without a screen."""
        return create_app(self.instance).test_client()

    def code(self, name: str) -> str:
        """The private code that somebody of the story was given."""
        return str(self.story["leads"][name]["code"])


@pytest.fixture(params=RELEASES)
def release(request: pytest.FixtureRequest) -> Path:
    """The folder of one release."""
    return DATA / str(request.param)


@pytest.fixture(params=["sqlite", "postgres"])
def stored(
    release: Path,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    clock: MovableClock,
    make_instance: Callable[..., Instance],
    worker_id: str,
) -> Iterator[Stored]:
    """The data of one release, once from its SQLite file and once from its PostgreSQL dump."""
    folder = release / str(request.param)
    written = [line.partition("=") for line in (release / "keys.env").read_text().splitlines()]
    secrets = {name.removeprefix("INTAKE_").lower(): value for name, _, value in written}
    story = json.loads((folder / "story.json").read_text())
    clock.set(datetime.fromisoformat(story["at"]))
    clock.move(minutes=5)
    for kept in folder.glob("*.log"):
        shutil.copyfile(kept, tmp_path / kept.name)
    made: list[tuple[str, Instance]] = []

    def on(name: str) -> Instance:
        data = tmp_path if name == "stored" else tmp_path / name
        data.mkdir(exist_ok=True)
        if request.param == "sqlite":
            url = f"sqlite:///{data / 'intake.sqlite3'}"
        else:
            name = f"release_{worker_id}_{name}"
            server = request.getfixturevalue("postgres")
            server.create(name)
            url = server.url_for(name)
        made.append((name, make_instance(url, data_dir=data, **secrets)))
        return made[-1][1]

    if request.param == "sqlite":
        (tmp_path / "intake.sqlite3").write_bytes(
            gzip.decompress((folder / "intake.sqlite3.gz").read_bytes())
        )
    instance = on("stored")
    if request.param == "postgres":
        load(instance, gzip.decompress((folder / "intake.sql.gz").read_bytes()).decode())
    before = migrate.migration_state(instance.database)
    migrate.upgrade(instance.database)
    yield Stored(folder, instance, story, before, on)
    for name, each in made:
        each.database.close()
        if request.param == "postgres":
            request.getfixturevalue("postgres").drop(name)


def with_key(instance: Instance, key: str) -> Instance:
    """The same with a key for backups, which the oldest release did not have."""
    return replace(instance, settings=replace(instance.settings, backup_key=key))


def unpacked(path: Path) -> bytes:
    """What stands in a compressed file."""
    return gzip.decompress(path.read_bytes())


def load(instance: Instance, statements: bytes) -> None:
    """Run a dump on an empty PostgreSQL database."""
    url = make_url(instance.settings.database_url).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False)) as connection:
        connection.execute(statements)


def problems(instance: Instance) -> tuple[str, ...]:
    """What is wrong with log, chain, consent and anchors; and there is a log."""
    found = integrity.verify(instance)
    assert found.linked > len(LEFT)
    return found.problems


def manage(web: FlaskClient, code: str) -> tuple[int, str]:
    """What a private code opens."""
    answer = web.post("/manage", data={"code": code})
    return answer.status_code, answer.text


def test_there_is_data_of_each_release_that_stored_otherwise() -> None:
    assert {"0.1.0-4261a63", "0.1.0-edea9cd"} <= set(RELEASES)


def test_it_is_upgraded(stored: Stored) -> None:
    assert stored.before is not MigrationState.AHEAD
    assert migrate.migration_state(stored.instance.database) is MigrationState.CURRENT


def test_its_log_its_chain_and_its_consent_verify(stored: Stored) -> None:
    assert problems(stored.instance) == ()
    kept = chain.load_anchors(stored.instance.settings.anchor_path) or []
    assert integrity.verify(stored.instance).anchors == len(kept)
    assert bool(kept) is (stored.folder / "anchors.log").exists()


@pytest.mark.parametrize("release", holding("log.jsonl"), indirect=True)
def test_its_saved_log_verifies(stored: Stored) -> None:
    saved = stored.folder / "log.jsonl"
    lines = saved.read_text().splitlines()
    found = export.verify(lines, keyring=stored.instance.keyring)
    assert (found.problems, found.linked) == ((), len(lines) - 1)


def test_a_number_is_revealed_to_its_own_account(stored: Stored) -> None:
    web, account = stored.web, stored.story["account"]
    uri = f"otpauth://totp/x?secret={account['secret']}"
    first = DevAccount(account["email"], account["password"], uri, ())
    csrf = hidden(web.get("/sign-in").text, "csrf")
    typed = {"email": first.email, "password": first.password, "code": first.code(stored.instance.clock())}
    assert web.post("/sign-in", data={"csrf": csrf, **typed}, headers=OURS).status_code == 303
    desk = web.get("/desk").text
    assert "555-0101" not in desk
    lead = lead_of(desk, "A.")
    answer = web.post(f"{lead}/reveal", data={"csrf": hidden(desk, "csrf"), "channel": "call"}, headers=OURS)
    assert "(305) 555-0101" in unescape(answer.text).replace("\N{NO-BREAK SPACE}", " ")
    assert "Alex" in answer.text
    assert problems(stored.instance) == ()


def lead_of(desk: str, name: str) -> str:
    """The address of the lead in the queue that is shown by this initial."""
    rows = re.findall(r'href="(/desk/leads/[0-9a-f-]{36})[^>]*>(.*?)</a>', desk, re.DOTALL)
    return next(path for path, words in rows if name in re.sub(r"<[^>]+>", " ", words))


def hidden(page: str, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found, f"no field {name} on the page"
    return unescape(found[1])


def test_each_private_code_opens_its_request(stored: Stored) -> None:
    web = stored.web
    for name in LEFT:
        status, page = manage(web, stored.code(name))
        assert status == 200, name
        assert stored.code(name) in page
    assert manage(web, stored.code("erased"))[0] != 200
    assert manage(web, "0" * 16)[0] != 200


def test_its_receipts_are_ours(stored: Stored) -> None:
    secrets = stored.instance.keyring.app_secrets(receipt.PURPOSE)
    for name in ("receipt.txt", "receipt.json"):
        content = (stored.folder / name).read_bytes()
        assert receipt.verify(content, secrets)
        assert not receipt.verify(content.replace(b"Harbor", b"Harbour"), secrets)


def test_a_backup_of_it_is_restored(stored: Stored, tmp_path: Path, clock: MovableClock) -> None:
    key = stored.instance.settings.backup_key or BACKUP_KEY
    taken = backup.take(with_key(stored.instance, key), tmp_path / "it.backup")
    clock.move(minutes=1)
    check_restored(stored, taken.path, key)


@pytest.mark.parametrize("release", holding("intake.backup"), indirect=True)
def test_its_own_backup_is_restored(stored: Stored, clock: MovableClock) -> None:
    path = stored.folder / "intake.backup"
    clock.move(minutes=1)
    check_restored(stored, path, stored.instance.settings.backup_key)


def check_restored(stored: Stored, path: Path, key: str) -> None:
    """All that is not erased is there again, and its proof holds."""
    machine = with_key(stored.empty("machine"), key)
    restored = backup.restore(machine, path)
    assert (restored.leads, restored.faults) == (len(LEFT), [])
    assert problems(machine) == ()
    web = create_app(machine).test_client()
    assert manage(web, stored.code("call"))[0] == 200
    assert manage(web, stored.code("erased"))[0] != 200


def test_new_links_go_on_from_its_chain(stored: Stored, clock: MovableClock) -> None:
    old = len(links(stored.instance))
    web = stored.web
    form = fill_in(web)
    clock.move(minutes=1)
    answer = web.post("/", data=form)
    assert manage(web, code_on(read(answer)))[0] == 200
    assert schedule.link(stored.instance) > 0
    found = links(stored.instance)
    assert found[old:] == [DIGEST_VERSION] * (len(found) - old)
    assert problems(stored.instance) == ()
    assert integrity.verify(stored.instance).unlinked == 0
    assert schedule.anchor(stored.instance) == 1
    assert problems(stored.instance) == ()


def links(instance: Instance) -> list[int | None]:
    """By which formula each link says that it was made."""
    with instance.database.reading() as session:
        return list(session.scalars(select(ChainLink.digest_version).order_by(ChainLink.seq)))


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_its_proof_stays_append_only(stored: Stored, table: str) -> None:
    with pytest.raises(DBAPIError, match="append-only"), stored.instance.database.transaction() as session:
        session.execute(text(f"DELETE FROM {table}"))


def test_a_change_in_its_chain_is_named(stored: Stored) -> None:
    tamper(stored.instance, "DELETE FROM chain_link WHERE seq = 3")
    with stored.instance.database.reading() as session:
        found = audit.verify(session, keyring=stored.instance.keyring)
    assert "links 3 to 3 are missing." in found.problems


def test_its_ledger_is_gone_on_with(stored: Stored) -> None:
    path = erasure_ledger.path_of(stored.instance)
    before = path.read_text()
    erasure_ledger.mirror(stored.instance)
    assert path.read_text().startswith(before)
    lines = erasure_ledger.read(path)
    assert len(lines) == len(set(lines))
    assert len([line for line in lines if line.erased]) == 1
    assert len([line for line in lines if line.stopped]) == STOPPED
