"""Answers that must take equally long, whatever was found: what was done shows in no stopwatch."""

from time import monotonic, sleep

STEP = 0.25
"""Seconds. An answer leaves at the next whole step after it began; all that can happen fits into one."""


def begin() -> float:
    """The moment to count from."""
    return monotonic()


def wait(began: float) -> None:
    """Wait for the next whole step since `began`. Call it when nothing is locked any more."""
    sleep(STEP - (monotonic() - began) % STEP)
