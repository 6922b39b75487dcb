"""Fixtures for the tests of leads."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from sqlalchemy import event

from intake.instance import Instance


@pytest.fixture
def statements() -> Callable[[Instance], AbstractContextManager[list[str]]]:
    """Collects the SQL that a block sends: `with statements(instance) as counted:`."""

    @contextmanager
    def collecting(instance: Instance) -> Iterator[list[str]]:
        sent: list[str] = []

        def collect(connection, cursor, statement, parameters, context, executemany) -> None:
            if not statement.startswith(("BEGIN", "SAVEPOINT", "RELEASE")):
                sent.append(statement)

        event.listen(instance.database.engine, "before_cursor_execute", collect)
        try:
            yield sent
        finally:
            event.remove(instance.database.engine, "before_cursor_execute", collect)

    return collecting
