"""Fixtures of the outbox tests: the outbox of an instance, a recording mailer, and real mail servers."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
from sqlalchemy import select

from intake import outbox
from intake.instance import Instance
from intake.outbox import Mail, OutboxMessage, sender
from intake.outbox.mailer import NotSent, Send
from intake.outbox.messages import RenderedMessage
from intake.outbox.sender import DeliveryCounts
from tests.smtp import authority, dripping_server, mail_server

__all__ = ["authority", "dripping_server", "mail_server"]

ANA, BEN = "ana@example.org", "ben@example.org"


class Recorder:
    """A mailer that records messages, and fails where `fails` returns an error."""

    def __init__(self) -> None:
        self.messages: list[RenderedMessage] = []
        self.fails: Callable[[RenderedMessage], NotSent | None] = lambda _: None
        self.before: Callable[[RenderedMessage], None] = lambda _: None

    @contextmanager
    def batch(self) -> Iterator[Send]:
        yield self._take

    def _take(self, message: RenderedMessage) -> None:
        self.before(message)
        if failure := self.fails(message):
            raise failure
        self.messages.append(message)

    @property
    def recipients(self) -> list[str]:
        return [message.recipient for message in self.messages]


class Post:
    """The outbox of one instance."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance

    def enqueue(self, *recipients: str, mail: Mail = Mail.NEW_LEAD, times: int = 1, lead_id=None) -> None:
        """Enqueue `times` messages for each recipient (by default Ana), in one transaction."""
        with self.instance.database.transaction() as session:
            for _ in range(times):
                outbox.enqueue(
                    session,
                    mail,
                    clinic_recipients=recipients or (ANA,),
                    at=self.instance.clock(),
                    lead_id=lead_id,
                )

    def deliver(self, mailer, *, limit: int = 10_000, **more) -> DeliveryCounts:
        return sender.deliver_due(
            self.instance.database,
            mailer,
            clinic=self.instance.clinic,
            settings=self.instance.settings,
            clock=self.instance.clock,
            limit=limit,
            **more,
        )

    def rows(self) -> Sequence[OutboxMessage]:
        with self.instance.database.reading() as session:
            wanted = select(OutboxMessage).order_by(OutboxMessage.created_at, OutboxMessage.id)
            return session.scalars(wanted).all()

    @property
    def row(self) -> OutboxMessage:
        (only,) = self.rows()
        return only

    @property
    def states(self) -> list[str]:
        return [row.state.value for row in self.rows()]

    def status(self) -> outbox.OutboxStatus:
        with self.instance.database.reading() as session:
            return outbox.status(session, at=self.instance.clock())

    def change(self, message_id: uuid.UUID, **values: object) -> None:
        """Change a row directly in the database."""
        with self.instance.database.transaction() as session:
            row = session.get_one(OutboxMessage, message_id)
            for name, value in values.items():
                setattr(row, name, value)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def post(instance: Instance) -> Post:
    """On both databases."""
    return Post(instance)


@pytest.fixture
def sqlite_post(sqlite_instance: Instance) -> Post:
    """On SQLite alone, for what does not depend on the database."""
    return Post(sqlite_instance)
