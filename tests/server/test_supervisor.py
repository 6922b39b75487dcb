"""Child processes: kept running, stopped when the parent ends, and never left behind."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

from intake.server import supervisor
from intake.server.supervisor import Child, keep_running, stop_on_signals
from tests.cli.conftest import until

SLEEPER = "import sys; print('up', flush=True); sys.stdin.read()"
STUBBORN = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('up', flush=True); time.sleep(600)"
)


@pytest.fixture
def make_child(tmp_path: Path):
    """Children that run a line of Python instead of an `intake` command."""
    made: list[Child] = []

    def make(program: str) -> Child:
        child = Child("test", log=tmp_path / "logs" / f"{len(made)}.log")
        child._command = [sys.executable, "-c", program]
        made.append(child)
        return child

    yield make
    for child in made:
        child.finish(time.monotonic())


def started(child: Child) -> Child:
    child.start()
    until(lambda: "up" in child.new_lines(), "the child was up")
    return child


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_child_runs_in_a_group_of_its_own(make_child) -> None:
    child = started(make_child(SLEEPER))
    assert os.getpgid(child._process.pid) == child._process.pid != os.getpgrp()


def test_a_child_sees_the_end_of_its_parent_on_standard_input(make_child) -> None:
    child = started(make_child(SLEEPER))
    child._process.stdin.close()  # what the kernel does when the parent is killed
    until(lambda: not child.running, "the child ended")
    assert child._process.returncode == 0


def test_a_child_that_does_not_listen_is_killed(make_child) -> None:
    child = started(make_child(STUBBORN))
    pid = child._process.pid
    child.ask_to_stop()
    child.finish(time.monotonic() + 0.2)
    assert not alive(pid)
    assert not child.running


def test_a_child_that_dies_is_started_again_each_time_later(make_child, monkeypatch) -> None:
    moment = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: moment[0])
    child, reports = make_child("pass"), []
    child.restart_if_ended(reports.append)
    waits = []
    for _ in range(7):
        child._process.wait()
        child.restart_if_ended(reports.append)
        waits.append(child._delay)
        assert not child.running
        moment[0] += child._delay
        child.restart_if_ended(reports.append)
    assert waits == [1, 2, 4, 8, 16, 30, 30]
    assert len(reports) == 7
    assert "starts again in 16 s" in reports[4]


def test_a_long_life_is_forgiven(make_child, monkeypatch) -> None:
    moment = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: moment[0])
    child = make_child("pass")
    for life in (1, 1, 61):
        child.start()
        child._process.wait()
        moment[0] += life
        child.restart_if_ended(lambda _: None)
    assert child._delay == 1


def test_a_log_is_private_and_read_line_by_line(make_child) -> None:
    child = make_child("import sys; sys.stderr.write('one\\ntwo\\nhalf')")
    child.start()
    child._process.wait()
    assert child.new_lines() == ["one", "two"]
    assert child.new_lines() == []
    assert child.log.stat().st_mode & 0o077 == 0


def test_a_large_log_is_begun_anew(make_child, monkeypatch) -> None:
    monkeypatch.setattr(supervisor, "_MAX_LOG_BYTES", 10)
    child = make_child("print('up')")
    child.log.parent.mkdir()
    child.log.write_text("x" * 11)
    child.start()
    child._process.wait()
    assert child.log.read_text() == "up\n"
    assert child.log.with_suffix(".log.1").read_text() == "x" * 11
    assert child.new_lines() == ["up"]


def test_only_new_lines_are_reported_after_a_second_start(make_child) -> None:
    child = make_child("print('up')")
    for _ in range(2):
        child.start()
        child._process.wait()
        assert child.new_lines() == ["up"]


def test_keep_running_ends_every_child(make_child) -> None:
    kept = [make_child(SLEEPER), make_child(SLEEPER)]
    stop = Event()
    keeper = Thread(target=keep_running, args=(kept, stop, print))
    keeper.start()
    until(lambda: all(child.running for child in kept), "both ran")
    pids = [child._process.pid for child in kept]
    stop.set()
    keeper.join(60)
    assert not keeper.is_alive()
    assert not any(map(alive, pids))


def test_children_end_when_the_watch_fails(make_child) -> None:
    child = make_child(SLEEPER)
    seen: list[int] = []

    def watch() -> None:
        if child.running:
            seen.append(child._process.pid)
            raise KeyError

    with pytest.raises(KeyError):
        keep_running([child], Event(), print, watch)
    assert not alive(seen[0])


def test_a_stopped_child_is_not_asked_twice(make_child) -> None:
    child = started(make_child(SLEEPER))
    os.kill(child._process.pid, signal.SIGKILL)
    until(lambda: not child.running, "the child died")
    child.ask_to_stop()
    child.finish(time.monotonic())
    assert not child.running


@pytest.fixture
def _signals_afterwards_as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in supervisor.SIGNALS}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # also where the tests were started with `nohup`
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_signals_afterwards_as_before")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_of_three_signals_asks_to_stop(number: int) -> None:
    stop = stop_on_signals()
    assert not stop.is_set()
    signal.raise_signal(number)
    assert stop.is_set()
