"""Password hashing is quick here, except in tests of its slowness."""

import pytest

from tests.accounts.people import quick_hashing

__all__ = ["quick_hashing"]


@pytest.fixture(autouse=True)
def _quickly(quick_hashing: object) -> None:
    """Every test of this folder."""
