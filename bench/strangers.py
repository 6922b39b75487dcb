"""Timing of public inputs that must be indistinguishable: each pair is timed against each other.

    .venv/bin/python bench/strangers.py [PAIRS]

Sends PAIRS (300) of each two kinds in turn to the real application over a SQLite file, and prints both
medians, the Mann-Whitney p of their difference (normal approximation with ties) and whether the answers
were the same to the byte. A small p means that a patient stranger could tell the two apart.
"""

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from itertools import count
from math import erf, sqrt
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from flask.testing import FlaskClient

from intake.app import create_app
from intake.db.engine import Database
from intake.db.migrate import upgrade
from intake.instance import Instance
from intake.leads.models import Lead
from tests.conftest import MovableClock, settings_for
from tests.factories import ask

PAIRS = 300
WARM_UP = 20
Answer = tuple[int, bytes]
Send = Callable[[], Answer]


def main(pairs: int) -> None:
    """Time every two kinds, and print a table in Markdown."""
    print("| what is compared | median of the first | median of the second | p | same bytes |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        instance = make(Path(folder))
        for name, first, second in kinds(Clients(instance), instance, pairs + WARM_UP):
            a, b, alike = compare(first, second, pairs)
            print(
                f"| {name} | {ms(a)} | {ms(b)} | {p_of(a, b):.2f} | {'yes' if alike else 'NO'} |", flush=True
            )
        instance.database.close()


def make(folder: Path) -> Instance:
    """A whole instance on a fresh file."""
    url = f"sqlite:///{folder / 'intake.sqlite3'}"
    database = Database(url, lock=folder / "lock")
    upgrade(database)
    database.close()
    return Instance.from_settings(settings_for(folder, url), clock=MovableClock())


class Clients:
    """A browser that comes from another network each time, so that no limit is reached."""

    def __init__(self, instance: Instance) -> None:
        self.web: FlaskClient = create_app(instance).test_client()
        self.networks = count(1)

    def post(self, path: str, **data: str) -> Answer:
        """Send a form, and read the answer to its end."""
        each = next(self.networks)
        place = {"REMOTE_ADDR": f"10.{each >> 8 & 255}.{each & 255}.1"}
        answer = self.web.post(path, data=data, environ_overrides=place)
        return answer.status_code, answer.data


def kinds(web: Clients, instance: Instance, many: int) -> list[tuple[str, Send, Send]]:
    """The pairs of inputs that must look alike."""
    wrong, erased, expired = "0" * 16, ask(instance).code, expired_code(instance)
    web.post("/manage/erase", code=erased)
    there = ask(instance)
    references = iter(
        [ask(instance, phone=number(n), email=f"p{n}@example.org").lead.reference for n in range(many)]
    )
    numbers = iter([number(n) for n in range(many)])

    def code(each: str) -> Send:
        return lambda: web.post("/manage", code=each)

    def stop(reference: str, address: str) -> Send:
        return lambda: web.post("/manage/without-code", reference=reference, address=address)

    def stops() -> Answer:
        return web.post("/manage/without-code", reference=next(references), address=next(numbers))

    miss = stop("ZZZZZZZZ", "+13055550101")
    return [
        ("the same wrong code twice (the noise)", code(wrong), code(wrong)),
        ("a wrong code, an erased one", code(wrong), code(erased)),
        ("a wrong code, an expired one", code(wrong), code(expired)),
        ("a wrong code, nothing at all", code(wrong), code("")),
        ("no such reference, another's number", miss, stop(there.lead.reference, "+13055550102")),
        ("no such reference, a first stop", miss, stops),
    ]


def number(each: int) -> str:
    """A number of its own for each request."""
    return f"+1{201 + each // 100}55501{each % 100:02}"


def expired_code(instance: Instance) -> str:
    """A code whose request is past its time, and that no job has erased yet."""
    asked = ask(instance, phone="+13055550188", email="late@example.org")
    with instance.database.transaction() as session:
        session.get_one(Lead, asked.lead.id).purge_after = instance.clock()
    return asked.code


def compare(first: Send, second: Send, pairs: int) -> tuple[list[float], list[float], bool]:
    """Seconds of both, sent in turn, the order changing; and whether all answers were the same."""
    times: tuple[list[float], list[float]] = ([], [])
    seen: Counter[Answer] = Counter()
    for each in range(pairs + WARM_UP):
        for which in (0, 1) if each % 2 else (1, 0):
            began = time.perf_counter()
            seen[(first, second)[which]()] += 1
            times[which].append(time.perf_counter() - began)
    return times[0][WARM_UP:], times[1][WARM_UP:], len(seen) == 1


def ms(times: list[float]) -> str:
    """The median in milliseconds."""
    return f"{median(times) * 1000:.2f} ms"


def p_of(first: list[float], second: list[float]) -> float:
    """The two-sided p of Mann and Whitney: how likely such a difference is by chance alone."""
    ranked = sorted([(each, 0) for each in first] + [(each, 1) for each in second])
    values = [each for each, _ in ranked]
    ranks: dict[float, float] = {}
    ties = 0
    for value, many in Counter(values).items():
        begins = values.index(value) + 1
        ranks[value] = begins + (many - 1) / 2
        ties += many**3 - many
    n, m = len(first), len(second)
    u = sum(ranks[each] for each in first) - n * (n + 1) / 2
    spread = sqrt(n * m / 12 * (n + m + 1 - ties / ((n + m) * (n + m - 1))))
    z = abs(u - n * m / 2) / spread if spread else 0.0
    return 1 - erf(z / sqrt(2))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS)
