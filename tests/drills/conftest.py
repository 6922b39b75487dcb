"""Real processes for the drills."""

from tests.cli.conftest import make_service, service

__all__ = ["make_service", "service"]
