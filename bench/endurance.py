"""Endurance test under attack: does the service grow, keep files open, or refuse a real person?

    .venv/bin/python bench/endurance.py [MINUTES]

Attackers flood the form of a real service, guess codes and passwords, stop whom they do not know, send
bytes that are no request, and drip. Beside them, from the same network, a person asks every few seconds.
Memory and open files of all its processes are read each second; a late part of the time is compared with
an early one. Exit code 1 when either grew by a fifth, at any 5xx, or when the person got no reference.
"""

import http.client
import random
import secrets
import socket
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from statistics import median
from typing import Self
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.cli.conftest import Service, free_port, processes_of  # noqa: E402  only from the checkout
from tests.client import OURS, field  # noqa: E402
from tests.drills.asking import TOKEN, ask_once, form_of, sent  # noqa: E402

MINUTES = 5
MAX_GROWTH = 1.2
"""Largest late/early ratio allowed: the caches of the database fill as requests come in."""
PAUSE = 0.05
"""Seconds between two attacks of one attacker: more would only measure these machines."""
DRIPS = 40
CHANCE = random.Random(1)  # noqa: S311  a drill, repeatable
HEAD = (
    "| minutes | attacks | answered 5xx | the person was given a reference | requests kept "
    "| memory, late/early | open files, late/early |\n|---|---|---|---|---|---|---|"
)

Attack = Callable[[int], int]
"""One attack on this port; the status it was answered with, 0 for none."""


def flood(port: int) -> int:
    """A whole form, as a machine fills it."""
    token = TOKEN.search(sent(port, "GET").words)
    return sent(port, "POST", form=form_of(CHANCE.randrange(100), token[1] if token else "")).status


def sends_nonsense(port: int) -> int:
    """A form of ours with nothing right in it."""
    return sent(
        port, "POST", form=urlencode({"preferred_name": "x" * 5_000, "phone": "\x00", "token": "x"})
    ).status


def guesses_codes(port: int) -> int:
    """A private code that nobody was given."""
    return sent(port, "POST", "/manage", form=urlencode({"code": secrets.token_hex(8)})).status


def stops_strangers(port: int) -> int:
    """A reference and a number, both made up."""
    form = {"reference": secrets.token_hex(4), "address": f"305555{CHANCE.randrange(100, 200):04}"}
    return sent(port, "POST", "/manage/without-code", form=urlencode(form)).status


def guesses_passwords(port: int) -> int:
    """A sign-in as a browser sends it, with a wrong password."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with closing(line), suppress(OSError, http.client.HTTPException):
        line.request("GET", "/sign-in")
        page = line.getresponse()
        cookie, form = (
            page.getheader("Set-Cookie", "").partition(";")[0],
            {"csrf": field(page.read().decode(), "csrf")},
        )
        form |= {"email": "maria.lopez@example.org", "password": secrets.token_hex(8), "code": "000000"}
        heads = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie, **OURS}
        line.request("POST", "/sign-in", urlencode(form), heads)
        return line.getresponse().status
    return 0


def sends_bytes(port: int) -> int:
    """What is no request at all."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=30) as line:
        line.sendall(CHANCE.randbytes(400) + b"\r\n\r\n")
        parts = line.recv(64).split()
        return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0
    return 0


def drips(port: int) -> int:
    """Many connections that each send one byte and then stay open."""
    connections = []
    for _ in range(DRIPS):
        with suppress(OSError):
            connections.append(socket.create_connection(("127.0.0.1", port), timeout=30))
            connections[-1].sendall(b"P")
    time.sleep(5)
    for connection in connections:
        connection.close()
    return 0


ATTACKS: tuple[Attack, ...] = (
    flood,
    sends_nonsense,
    guesses_codes,
    stops_strangers,
    guesses_passwords,
    sends_bytes,
    drips,
)


class Attackers:
    """All attacks at once on one service, and one person among them, as long as the block lasts."""

    def __init__(self, service: Service) -> None:
        self.service, self.over = service, threading.Event()
        self.answers: Counter[int] = Counter()
        self.asked = self.confirmed = 0
        work = [lambda attack=each: self._repeat(attack) for each in ATTACKS]
        self.threads = [threading.Thread(target=each) for each in (*work, self._ask)]

    def _repeat(self, attack: Attack) -> None:
        while not self.over.wait(PAUSE):
            self.answers[attack(self.service.port)] += 1

    def _ask(self) -> None:
        while not self.over.wait(2):
            self.asked += 1
            self.confirmed += bool(ask_once(self.service.port, self.asked))

    def __enter__(self) -> Self:
        for each in self.threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for each in self.threads:
            each.join()


def size(service: Service) -> tuple[int, int]:
    """Memory in KiB and open files of every process of it, together."""
    memory = files = 0
    for pid in processes_of(service.folder):
        with suppress(OSError):
            status = Path(f"/proc/{pid}/status").read_text()
            memory += int(status.partition("VmRSS:")[2].split()[0])
            files += len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return memory, files


@contextmanager
def running() -> Iterator[Service]:
    """A service of its own, as `make run` starts it."""
    with tempfile.TemporaryDirectory(prefix="intake-endurance-") as folder:
        service = Service(Path(folder) / "var", free_port(), Path())
        service.start("run")
        try:
            service.wait_until_up()
            yield service
        finally:
            service.end()


def count_leads(service: Service) -> int:
    """Number of leads in its database."""
    with closing(sqlite3.connect(service.folder / "intake.sqlite3")) as database:
        return int(database.execute("SELECT count(*) FROM lead").fetchone()[0])


def run_attacks(minutes: float) -> tuple[Attackers, list[tuple[int, int]], int]:
    """Run all attacks; returns the counters, memory and open files per second, and the number of leads."""
    with running() as service:
        with Attackers(service) as attackers:
            sizes = []
            end = time.monotonic() + minutes * 60
            while time.monotonic() < end:
                time.sleep(1)
                sizes.append(size(service))
        return attackers, sizes, count_leads(service)


def growth(sizes: list[int]) -> float:
    """Median of the last fifth of the samples divided by the median of the second fifth."""
    fifth = len(sizes) // 5
    return median(sizes[-fifth:]) / median(sizes[fifth : 2 * fifth])


def main() -> int:
    """Run it and print a table; 1 when a limit was exceeded."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else MINUTES
    attackers, sizes, requests = run_attacks(minutes)
    memory, files = (growth([each[part] for each in sizes]) for part in (0, 1))
    failed = sum(
        count for status, count in attackers.answers.items() if status >= HTTPStatus.INTERNAL_SERVER_ERROR
    )
    print(HEAD)
    print(
        f"| {minutes:g} | {attackers.answers.total():,} | {failed} "
        f"| {attackers.confirmed} of {attackers.asked} "
        f"| {requests:,} | {memory:.2f} | {files:.2f} |"
    )
    return int(failed > 0 or attackers.confirmed < attackers.asked or max(memory, files) > MAX_GROWTH)


if __name__ == "__main__":
    sys.exit(main())
