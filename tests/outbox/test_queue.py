"""Messages are enqueued in the transaction of the act, without any data of a person (promise N1)."""

import inspect
import uuid
from contextlib import suppress

import pytest

from intake import outbox
from intake.audit import Actor
from intake.core.errors import NotFound, Refused
from intake.outbox import MessageState, OutboxMessage
from tests.outbox.conftest import ANA, BEN


def test_it_writes_one_message_per_recipient(post) -> None:
    lead_id = uuid.uuid4()
    post.enqueue(ANA, BEN, ANA, lead_id=lead_id)
    rows = post.rows()
    assert sorted(row.recipient for row in rows) == [ANA, BEN]
    assert {row.lead_id for row in rows} == {lead_id}
    assert {row.state for row in rows} == {MessageState.WAITING}
    assert {row.due_at for row in rows} == {post.instance.clock()}


def test_it_lives_and_dies_with_the_act(post) -> None:
    with suppress(ZeroDivisionError), post.instance.database.transaction() as session:
        outbox.enqueue(session, outbox.Mail.NEW_LEAD, clinic_recipients=[ANA], at=post.instance.clock())
        raise ZeroDivisionError
    assert post.rows() == []


def test_its_signature_has_no_place_for_a_person() -> None:
    assert list(inspect.signature(outbox.enqueue).parameters) == [
        "session",
        "mail",
        "clinic_recipients",
        "at",
        "lead_id",
    ]
    kept = set(OutboxMessage.__table__.columns.keys())
    assert not kept & {"name", "phone", "email", "subject", "body", "reference", "language", "region"}


def test_an_empty_outbox_stands_well(post) -> None:
    assert post.status() == outbox.OutboxStatus(0, 0, 0, None)


def test_it_says_what_waits_and_for_how_long(post, clock, recorder) -> None:
    post.enqueue(ANA)
    post.deliver(recorder)
    sent_at = clock()
    clock.move(minutes=5)
    post.enqueue(ANA)
    clock.move(minutes=2)
    post.enqueue(BEN)
    clock.move(seconds=3)
    assert post.status() == outbox.OutboxStatus(2, 123, 0, sent_at)


def test_what_is_being_sent_still_waits(post) -> None:
    post.enqueue(ANA)
    post.change(post.row.id, state=MessageState.SENDING, leased_until=post.instance.clock())
    assert post.status().waiting == 1


def dead_message(post) -> OutboxMessage:
    post.enqueue(ANA)
    post.change(post.row.id, state=MessageState.DEAD, attempts=5, last_error="SMTPRecipientsRefused 550")
    return post.row


def resend(post, session, message_id: uuid.UUID) -> None:
    keyring = post.instance.keyring
    outbox.resend(session, message_id, at=post.instance.clock(), keyring=keyring, actor=Actor.system())


def test_a_dead_message_shows_until_it_is_resent(post, clock, recorder) -> None:
    message = dead_message(post)
    clock.move(days=30)
    assert post.deliver(recorder).total == 0
    assert post.status().dead == 1
    with post.instance.database.reading() as session:
        assert [each.id for each in outbox.dead_letters(session)] == [message.id]
    with post.instance.database.transaction() as session:
        resend(post, session, message.id)
    assert post.deliver(recorder).sent == 1
    assert (post.status().dead, post.row.last_error, post.row.attempts) == (0, None, 1)


def test_only_a_dead_message_is_resent(post, clock) -> None:
    post.enqueue(ANA)
    with pytest.raises(Refused), post.instance.database.transaction() as session:
        resend(post, session, post.row.id)


def test_a_message_that_is_not_there_is_not_found(post, clock) -> None:
    with pytest.raises(NotFound), post.instance.database.transaction() as session:
        resend(post, session, uuid.uuid4())


def test_calling_back_leaves_what_is_on_its_way_and_what_others_wait_for(post) -> None:
    stopped, other = uuid.uuid4(), uuid.uuid4()
    post.enqueue(ANA, BEN, lead_id=stopped)
    post.enqueue(ANA, lead_id=other)
    sending = next(row for row in post.rows() if row.recipient == BEN)
    post.change(sending.id, state=MessageState.SENDING, leased_until=post.instance.clock())
    with post.instance.database.transaction() as session:
        outbox.cancel(session, stopped)
    assert sorted((row.recipient, row.lead_id) for row in post.rows()) == [(ANA, other), (BEN, stopped)]
