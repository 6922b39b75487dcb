"""A thousand requests in a minute make few mails, and every request is announced."""

from intake.outbox import Mail, sender
from intake.outbox.mailer import NotSent
from intake.outbox.sender import DeliveryCounts
from tests.outbox.conftest import ANA, BEN


def deliver_one_by_one(post, recorder, clock, count: int, mail: Mail = Mail.NEW_LEAD) -> None:
    for _ in range(count):
        clock.move(seconds=1)
        post.enqueue(ANA, mail=mail)
        post.deliver(recorder)


def test_the_first_ten_leave_at_once(post, recorder, clock) -> None:
    deliver_one_by_one(post, recorder, clock, 10)
    assert len(recorder.messages) == 10


def test_the_eleventh_waits_for_quiet(post, recorder, clock) -> None:
    deliver_one_by_one(post, recorder, clock, 11)
    assert len(recorder.messages) == 10
    assert post.status().waiting == 1
    clock.move(minutes=10)
    assert post.deliver(recorder) == DeliveryCounts(sent=1)


def test_a_flood_makes_few_mails_and_covers_every_request(post, recorder, clock) -> None:
    for _ in range(20):
        post.enqueue(ANA, times=50)
        post.deliver(recorder, limit=1)
        clock.move(seconds=1)
    clock.move(minutes=10)
    post.deliver(recorder)
    assert len(recorder.messages) <= 20
    assert post.states == ["sent"] * 1000


def test_a_backlog_is_announced_in_one_mail(post, recorder) -> None:
    post.enqueue(ANA, times=30)
    assert post.deliver(recorder) == DeliveryCounts(sent=30)
    assert recorder.recipients == [ANA]


def test_the_others_still_get_theirs(post, recorder) -> None:
    post.enqueue(ANA, times=30)
    post.enqueue(BEN)
    post.deliver(recorder)
    assert sorted(recorder.recipients) == [ANA, BEN]


def test_only_what_was_there_before_the_mail_is_covered_by_it(post, recorder) -> None:
    post.enqueue(ANA, times=30)
    recorder.before = lambda _: post.enqueue(ANA) if len(post.rows()) == 30 else None
    post.deliver(recorder, limit=1)
    assert sorted(post.states) == ["sent"] * 30 + ["waiting"]


def test_a_covering_mail_that_fails_covers_nothing(post, recorder, clock) -> None:
    post.enqueue(ANA, times=30)
    recorder.fails = lambda _: NotSent("TimeoutError", connection_lost=True)
    assert post.deliver(recorder) == DeliveryCounts(waiting=30)
    assert post.states == ["waiting"] * 30
    recorder.fails = lambda _: None
    clock.move(seconds=30)
    assert post.deliver(recorder) == DeliveryCounts(sent=30)
    assert len(recorder.messages) == 1


def test_a_relay_that_dies_with_a_covering_mail_sends_it_again_under_the_same_message_id(
    post, recorder, clock
) -> None:
    post.enqueue(ANA, times=30)
    tried = []

    def die(message):
        tried.append(message_id(message))
        raise KeyboardInterrupt

    recorder.before = die
    try:
        post.deliver(recorder)
    except KeyboardInterrupt:
        clock.move(minutes=5)
    recorder.before = lambda _: None
    post.deliver(recorder)
    assert [message_id(message) for message in recorder.messages] == tried
    assert post.states == ["sent"] * 30


def message_id(message) -> bytes:
    return message.raw.partition(b"Message-ID: ")[2].partition(b"\r\n")[0]


def test_after_a_backlog_the_next_request_is_announced_at_once(post, recorder, clock) -> None:
    post.enqueue(ANA, times=30)
    post.deliver(recorder)
    deliver_one_by_one(post, recorder, clock, 1)
    assert len(recorder.messages) == 2


def test_a_test_mail_is_never_held_back(post, recorder, clock) -> None:
    deliver_one_by_one(post, recorder, clock, sender.BATCH_THRESHOLD * 2, Mail.TEST)
    assert len(recorder.messages) == sender.BATCH_THRESHOLD * 2


def test_a_clock_that_was_ahead_holds_nothing_back(post, recorder, clock) -> None:
    clock.move(days=400)
    deliver_one_by_one(post, recorder, clock, 10)
    clock.move(days=-400)
    post.enqueue(ANA)
    assert post.deliver(recorder) == DeliveryCounts(sent=1)
