"""A disk without room: an honest refusal, a way out for whoever wants out, recovery by itself."""

import re
import resource
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from intake.core.errors import Unavailable
from intake.db.engine import RESERVE_FILE, Database
from intake.db.writer_lock import RESERVE_SIZE, RESERVE_THRESHOLD, DiskReserve
from intake.leads.models import Lead
from tests.cli.conftest import Service, processes_of, until
from tests.drills.asking import TOKEN, ask_once, form_of, sent
from tests.drills.checking import check, references_in

UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
PHONE, CRISIS = "(305) 555-0142", "988"


@contextmanager
def mounted(folder: Path) -> Iterator[Path]:
    """A disk of 24 MB at `folder`. Raises CalledProcessError where this account may not mount one."""
    folder.mkdir(exist_ok=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "none", folder], check=True, capture_output=True
    )
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def small_disks() -> list[str]:
    """The one way there is to have a small disk, where we may use it; each process looks for itself."""
    with (
        tempfile.TemporaryDirectory() as folder,
        suppress(OSError, subprocess.CalledProcessError),
        mounted(Path(folder) / "disk"),
    ):
        return ["tmpfs"]
    return []


SMALL_DISKS = small_disks()


def fill(folder: Path) -> Path:
    """Write until nothing more goes in."""
    filling = folder / "filling"
    with suppress(OSError), filling.open("wb", buffering=0) as file:
        while file.write(b"\0" * 4096):
            continue
    return filling


def limit(service: Service, most: tuple[int, int]) -> None:
    """From now on no process of this service writes a file larger than so many bytes."""
    for pid in processes_of(service.folder):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, most)


def refused_honestly(service: Service, person: int) -> None:
    """503, the phone and the crisis line on the page, and every word that was typed."""
    token = TOKEN.search(sent(service.port, "GET").words)
    answer = sent(service.port, "POST", form=form_of(person, token[1]))
    assert answer.status == 503
    assert PHONE in answer.words
    assert CRISIS in answer.words
    assert f'value="Person {person}"' in answer.words
    assert 'aria-labelledby="ref"' not in answer.words


def taken_again(service: Service, person: int) -> str:
    """The reference that somebody gets as soon as there is room, with nobody starting anything."""
    return str(until(lambda: ask_once(service.port, person), "a request was taken again"))


@pytest.fixture
def running(make_service: Callable[..., Service]) -> Service:
    service = make_service()
    service.start("run")
    service.wait_until_up()
    return service


def test_what_cannot_be_written_is_refused_and_then_taken_again(running: Service) -> None:
    """Nothing may be written at all: no journal, no log, no counter."""
    given = [ask_once(running.port, person) for person in range(3)]
    limit(running, (0, resource.RLIM_INFINITY))
    for person in range(3, 6):
        refused_honestly(running, person)
    assert sent(running.port, "GET", "/privacy").status == 200
    limit(running, UNLIMITED)
    given.append(taken_again(running, 6))
    running.end()
    check(running, given)


@pytest.mark.parametrize("_way", SMALL_DISKS)
def test_on_a_full_disk_whoever_wants_out_gets_out(_way: str, make_service, tmp_path: Path) -> None:
    """Nobody is taken in, and stopping and erasing go on, also after the web server was killed."""
    with mounted(tmp_path / "disk") as disk:
        service: Service = make_service("disk/var")
        service.output_file = tmp_path / "output"  # there is room for what it says
        service.start("run")
        service.wait_until_up()
        codes = [ask_once(service.port, person, wanted="code-words") for person in range(4)]
        until(lambda: DiskReserve(service.folder / RESERVE_FILE).size, "room was held for this day")
        filling = fill(disk)
        refused_honestly(service, 4)
        assert "All contact has stopped" in act(service, "stop", codes[0])
        assert act(service, "erase", codes[1])
        refused_honestly(service, 5)
        web = next(pid for pid, line in processes_of(service.folder).items() if " serve " in line)
        subprocess.run(["kill", "-9", str(web)], check=True)
        until(lambda: "starts again" in service.words, "it was told that the web server ended")
        service.wait_until_up()
        refused_honestly(service, 6)
        assert act(service, "erase", codes[2])
        filling.unlink()
        taken_again(service, 7)
        service.end()
        check(service, references_in(service), erased=2)


@pytest.mark.parametrize("_way", SMALL_DISKS)
def test_where_nothing_may_be_written_the_pages_are_served(_way: str, make_service, tmp_path: Path) -> None:
    """As after a machine came up with its disk read-only: somebody still needs the phone."""
    with mounted(tmp_path / "disk") as disk:
        service: Service = make_service("disk/var")
        service.output_file = tmp_path / "output"
        given = [upgraded_and_asked(service)]
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        service.start("serve")
        service.wait_until_up()
        refused_honestly(service, 2)
        assert CRISIS in sent(service.port, "GET", "/privacy").words
        assert "can only be read" in service.run("doctor").stdout
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        service.end()
        service.start("serve")
        service.wait_until_up()
        given.append(taken_again(service, 3))
        service.end()
        check(service, given)


def upgraded_and_asked(service: Service) -> str:
    """The reference of a first person, from a service that has ended since."""
    service.migrate()
    service.start("serve")
    service.wait_until_up()
    given = ask_once(service.port, 1)
    service.end()
    return given


def act(service: Service, what: str, code: str) -> str:
    answer = sent(service.port, "POST", f"/manage/{what}", form=f"code={code}")
    assert answer.status == 200, answer.words
    return re.sub(r"<[^>]+>", " ", answer.words)


# --- the room that is held ----------------------------------------------------------------------------


def test_it_holds_room_and_lends_it_only_when_there_is_none(tmp_path: Path, monkeypatch) -> None:
    reserve, free = DiskReserve(tmp_path / RESERVE_FILE), [10 * RESERVE_SIZE]
    monkeypatch.setattr(DiskReserve, "_free", lambda _: free[0])
    reserve.refill()
    assert reserve.size == RESERVE_SIZE
    with reserve.release_during():
        assert reserve.size == RESERVE_SIZE
    free[0] = RESERVE_THRESHOLD - 1
    with reserve.release_during():
        assert reserve.size == 0
        free[0] += RESERVE_SIZE
    assert reserve.size == RESERVE_SIZE


def test_on_a_small_disk_it_is_not_us_who_fill_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(DiskReserve, "_free", lambda _: 1_000_000)
    reserve = DiskReserve(tmp_path / RESERVE_FILE)
    reserve.refill()
    assert reserve.size == 250_000


def test_what_is_taken_in_gets_none_of_it(sqlite_instance, monkeypatch) -> None:
    released = []
    lend = contextmanager(lambda _: (released.append(1), (yield)))
    monkeypatch.setattr(DiskReserve, "release_during", lend)
    with sqlite_instance.database.transaction(use_reserve=False) as session:
        session.get(Lead, "00000000-0000-4000-8000-00000000dead")
    assert released == []
    with sqlite_instance.database.transaction():
        pass
    assert released == [1]


# --- what may only be read -----------------------------------------------------------------------------


def test_a_folder_where_nothing_can_be_opened_is_an_expected_failure(tmp_path: Path, sqlite_url: str) -> None:
    database = Database(sqlite_url, lock=tmp_path / "nowhere" / "lock")
    with pytest.raises(Unavailable), database.transaction():
        pass
    with pytest.raises(Unavailable), database.pause_writers():
        pass
