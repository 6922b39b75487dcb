"""Timing of refused sign-ins, with and without an account: 300 tries each, alternating.

    .venv/bin/python bench/refusals.py

Half of the tries name an account that is there with a wrong password, half one that is not. Prints the
medians and the p of a two-sided Mann-Whitney test: a small p would mean that the times differ.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from math import erfc, sqrt
from pathlib import Path

from intake.accounts import service, sign_in
from intake.accounts.models import Role
from intake.accounts.sign_in import LoginAttempt, SignInRefused
from intake.act import Act
from intake.conf import secrets
from intake.conf.settings import Mode, Settings
from intake.core.paths import CONFIG
from intake.db.engine import Database
from intake.db.migrate import upgrade
from intake.instance import Instance
from intake.security.rate_limits import RateLimiter, Verdict

KNOWN, UNKNOWN = "known@example.org", "unknown@example.org"
WARM_UP = 10


class Unlimited(RateLimiter):
    """Never limits: the sign-in is measured, not the rate limit in front of it."""

    def hit(self, *_who: object) -> Verdict:
        """Always allowed."""
        return Verdict(allowed=True)


def make_instance(folder: Path) -> Instance:
    """A service with one account, on SQLite in `folder`."""
    settings = Settings(
        mode=Mode.DEVELOPMENT,
        base_url="http://localhost",
        data_dir=folder,
        config_dir=CONFIG,
        database_url=f"sqlite:///{folder}/intake.sqlite3",
        mail_from="intake@example.org",
        **{name: secrets.new_secret(name) for name in secrets.SECRETS},
    )
    database = Database(settings.database_url, lock=folder / "database.lock")
    upgrade(database)
    database.close()
    instance = Instance.from_settings(settings)
    unlimited = Unlimited(folder / "throttle.sqlite3", keyring=instance.keyring, clock=instance.clock)
    instance = replace(instance, throttle=unlimited)
    with instance.database.transaction() as session:
        service.add(Act(session, instance), email=KNOWN, name="Known", roles=frozenset(Role))
    return instance


def time_refusal(instance: Instance, email: str) -> float:
    """Milliseconds until one try is refused. Ends the program when it is not."""
    started = time.perf_counter()
    try:
        sign_in.sign_in(
            instance=instance,
            email=email,
            password="bramble oxide lantern sofa",
            code="123456",
            attempt=LoginAttempt("203.0.113.7"),
        )
    except SignInRefused:
        return (time.perf_counter() - started) * 1000
    raise SystemExit("that should have been refused")


def mann_whitney(one: list[float], other: list[float]) -> float:
    """The two-sided p by the normal approximation, good from some twenty values on each side."""
    ranked = sorted([(value, 0) for value in one] + [(value, 1) for value in other])
    ranks = sum(place for place, (_, side) in enumerate(ranked, 1) if side == 0)
    n, m = len(one), len(other)
    u = ranks - n * (n + 1) / 2
    z = (u - n * m / 2) / sqrt(n * m * (n + m + 1) / 12)
    return erfc(abs(z) / sqrt(2))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tries", type=int, default=300, help="of each kind (default 300)")
    tries = parser.parse_args().tries
    with tempfile.TemporaryDirectory() as folder:
        instance = make_instance(Path(folder))
        for _ in range(WARM_UP):
            time_refusal(instance, KNOWN), time_refusal(instance, UNKNOWN)
        pairs = [
            (time_refusal(instance, KNOWN), time_refusal(instance, UNKNOWN))
            if turn % 2
            else (time_refusal(instance, UNKNOWN), time_refusal(instance, KNOWN))[::-1]
            for turn in range(tries)
        ]
        instance.database.close()
    known, unknown = (list(side) for side in zip(*pairs, strict=True))
    medians = statistics.median(known), statistics.median(unknown)
    print(f"{tries} + {tries} refusals, taken in turns")
    print(f"median with an account {medians[0]:.1f} ms, without {medians[1]:.1f} ms")
    print(f"difference {abs(medians[0] - medians[1]) / medians[1]:.1%}")
    print(f"Mann-Whitney p = {mann_whitney(known, unknown):.3f}")


if __name__ == "__main__":
    main()
