"""Hashing is quick here, except where its slowness is what is tested."""

import pytest

from tests.staff.people import quick_hashing

__all__ = ["quick_hashing"]


@pytest.fixture(autouse=True)
def _quickly(quick_hashing: object) -> None:
    """Every test of this folder."""
