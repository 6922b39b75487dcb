"""The drills of the suite, many times as often: far more inputs, kills and restarts.

    .venv/bin/python bench/long_drills.py

Prints one line for each; exit code 1 when one of them found something. About twenty minutes on two cores.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DRILLS = (
    ("hostile input", "INTAKE_TEST_EXAMPLES", 2_000, "tests/drills/test_hostile_input.py"),
    ("kills of everything", "INTAKE_TEST_ROUNDS", 40, "tests/drills/test_kill.py"),
    ("restarts of PostgreSQL", "INTAKE_TEST_ROUNDS", 25, "tests/drills/test_postgres_restart.py -k outlives"),
)
"""Name, environment variable that sets the repetitions, repetitions, and tests."""
NEW_EXAMPLES = "--hypothesis-profile=default"
"""The suite tries the same examples at every run; a drill looks for others."""


def run_tests(variable: str, times: int, chosen: str) -> tuple[bool, str]:
    """Whether all of it was green, and pytest's last line."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", NEW_EXAMPLES, *chosen.split()]
    environment = os.environ | {variable: str(times)}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if run.returncode:
        print(run.stdout[-5_000:], file=sys.stderr)
    return run.returncode == 0, re.sub(r" in [0-9.]+s.*", "", run.stdout.strip().rpartition("\n")[2])


def main() -> int:
    """Run each drill to its end; 1 when one found something."""
    found = 0
    print("| drill | how often | tests |\n|---|---|---|")
    for name, variable, times, chosen in DRILLS:
        green, summary = run_tests(variable, times, chosen)
        found += not green
        print(f"| {name} | {times:,} for each test | {summary} |", flush=True)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
