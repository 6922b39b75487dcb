"""What tests of reports share."""

from tests.leads.conftest import statements

__all__ = ["statements"]
