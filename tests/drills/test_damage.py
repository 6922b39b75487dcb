"""A file with wrong bytes, and a PostgreSQL that only follows another: closed, honest, and red."""

from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import pytest
from sqlalchemy import text

from intake import monitoring
from intake.app import create_app
from intake.core.errors import Unavailable
from intake.db.engine import Damaged, Database
from intake.instance import Instance
from intake.monitoring import State
from tests.client import fill_in, read
from tests.factories import NAME, ask

PAGE = 4096


def spoil(file: Path, *, header: bool) -> None:
    """Write over the beginning of the file, or over something on every second page."""
    size = file.stat().st_size
    with file.open("r+b") as bytes_:
        for page in [0] if header else range(3, size // PAGE, 2):
            bytes_.seek(page * PAGE)
            bytes_.write(b"\xa5" * 100)  # by chance, random ones would look like a page now and then


@pytest.fixture(params=[True, False], ids=["header", "pages"])
def damaged(request: pytest.FixtureRequest, make_instance, sqlite_url: str, tmp_path: Path) -> Instance:
    instance = make_instance(sqlite_url)
    ask(instance)
    instance.database.close()
    spoil(tmp_path / "intake.sqlite3", header=request.param)
    return make_instance(sqlite_url)


def test_a_damaged_file_is_met_as_a_database_that_is_away(damaged: Instance) -> None:
    web = create_app(damaged).test_client()
    given = fill_in(web)
    answer = web.post("/", data=given)
    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert read(answer).typed("preferred_name") == NAME
    assert "(305) 555-0142" in answer.text
    assert web.get("/").status_code == HTTPStatus.OK


def test_health_names_the_damage(damaged: Instance) -> None:
    red = {each.sentence for each in monitoring.run_checks(damaged) if each.state is State.RED}
    assert "The database is damaged." in red


@pytest.mark.parametrize("failure", [Damaged, Unavailable])
def test_what_can_be_reached_but_not_read_is_red(sqlite_instance: Instance, monkeypatch, failure) -> None:
    def fail(*_: object) -> None:
        raise failure

    assert monitoring.is_well(monitoring.ready(sqlite_instance))
    monkeypatch.setattr(monitoring, "_DATABASE_CHECKS", (fail,))
    assert "database" in {
        each.name for each in monitoring.run_checks(sqlite_instance) if each.state is State.RED
    }


def test_it_is_distinguished_from_what_is_only_away(tmp_path: Path) -> None:
    (tmp_path / "no.sqlite3").write_bytes(b"no database at all" * 400)
    database = Database(f"sqlite:///{tmp_path / 'no.sqlite3'}", lock=tmp_path / "lock")
    with pytest.raises(Damaged), database.reading() as session:
        session.execute(text("SELECT 1 FROM lead"))


def test_a_postgres_that_only_follows_is_an_expected_failure(
    make_instance: Callable[..., Instance], postgres_url: str
) -> None:
    instance = make_instance(f"{postgres_url}&options=-c%20default_transaction_read_only%3Don")
    with pytest.raises(Unavailable):
        ask(instance)
    web = create_app(instance).test_client()
    assert web.post("/", data=fill_in(web)).status_code == HTTPStatus.SERVICE_UNAVAILABLE
