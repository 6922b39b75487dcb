"""The list of planted faults does not rot: each has its place, its test, and its line in the table."""

from pathlib import Path

import pytest

from bench.planted_faults import FAULTS, ROOT, Fault

TABLE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_it_can_still_be_planted(fault: Fault) -> None:
    assert (ROOT / fault.file).read_text(encoding="utf-8").count(fault.before) == 1
    assert fault.before != fault.after
    files, _, _ = fault.test.partition(" -k ")
    assert all((ROOT / Path(each)).exists() for each in files.split())
    assert f"| {fault.name} | `{fault.test}` | red |" in TABLE


def test_the_table_counts_them() -> None:
    assert f"{len(FAULTS)} of {len(FAULTS)} were noticed." in TABLE
