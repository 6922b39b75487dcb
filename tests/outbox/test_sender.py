"""At least once, whatever fails; at most one copy more per failure; a bad message delays no other."""

import dataclasses
import threading
from collections import Counter
from datetime import timedelta

import pytest

from intake.conf.settings import Tls
from intake.leads.models import AskingFor
from intake.outbox import MessageState, sender
from intake.outbox.mailer import FlaskMailer, NotSent
from intake.outbox.sender import DeliveryCounts
from tests.factories import EMAIL, NAME, PHONE, ask
from tests.outbox.conftest import ANA, BEN, Post, Recorder
from tests.smtp import HOST, Fault


def failing(code: str = "TimeoutError", **more) -> Recorder:
    mailer = Recorder()
    mailer.fails = lambda _: NotSent(code, **more)
    return mailer


@pytest.fixture
def over_smtp(make_instance, sqlite_url, mail_server, authority):
    """An instance that talks to a real mail server, and that server."""

    def start(certificate=None, **changes):
        server = mail_server(certificate)
        settings = {
            "smtp_host": HOST,
            "smtp_port": server.port,
            "smtp_tls": Tls.STARTTLS if certificate else Tls.NONE,
            "smtp_ca_file": str(authority.file),
            "smtp_timeout": 60,
        }
        instance = make_instance(sqlite_url, **{**settings, **changes})
        return server, FlaskMailer(instance.settings), instance

    return start


def test_it_sends_what_is_due_and_marks_it(post, recorder, clock) -> None:
    post.enqueue(ANA, BEN)
    assert post.deliver(recorder) == DeliveryCounts(sent=2)
    assert sorted(recorder.recipients) == [ANA, BEN]
    assert {(row.state, row.sent_at, row.leased_until) for row in post.rows()} == {
        (MessageState.SENT, clock(), None)
    }


def test_it_sends_nothing_twice(post, recorder) -> None:
    post.enqueue()
    post.deliver(recorder)
    assert post.deliver(recorder) == DeliveryCounts()


def test_it_sends_no_more_than_it_may(post, recorder) -> None:
    post.enqueue(*(f"staff{n}@example.org" for n in range(5)))
    assert post.deliver(recorder, limit=3).sent == 3
    assert post.status().waiting == 2


def test_the_claim_is_committed_before_the_mail_leaves(post, recorder) -> None:
    post.enqueue()
    seen = []
    recorder.before = lambda _: seen.append((post.row.state, post.row.generation, post.row.attempts))
    post.deliver(recorder)
    assert seen == [(MessageState.SENDING, 1, 1)]


def test_the_lease_is_longer_than_any_sending(post) -> None:
    settings = dataclasses.replace(post.instance.settings, smtp_timeout=120)
    assert sender.lease_seconds(settings) > settings.smtp_timeout * 4


def test_a_failure_that_may_pass_is_tried_for_ever(sqlite_post, clock) -> None:
    sqlite_post.enqueue()
    server_is_down = failing(connection_lost=True)
    for _ in range(50):
        sqlite_post.deliver(server_is_down)
        clock.move(hours=4)
    assert sqlite_post.row.attempts == 50
    assert sqlite_post.row.state is MessageState.WAITING
    assert sqlite_post.row.last_error == "TimeoutError"
    assert sqlite_post.status().oldest_waiting_seconds == 50 * 4 * 3600
    assert sqlite_post.deliver(Recorder()).sent == 1


def test_it_waits_longer_each_time_but_never_long(sqlite_post, clock) -> None:
    sqlite_post.enqueue()
    waits = []
    for _ in range(10):
        sqlite_post.deliver(failing())
        waits.append((sqlite_post.row.due_at - clock()).total_seconds())
        clock.set(sqlite_post.row.due_at)
    whole = [30, 60, 120, 240, 480, 900, 900, 900, 900, 900]
    assert all(0.8 * most <= waited <= most for waited, most in zip(waits, whole, strict=True))


def test_a_queue_does_not_come_back_all_at_once(sqlite_post) -> None:
    sqlite_post.enqueue(*(f"staff{n}@example.org" for n in range(20)))
    sqlite_post.deliver(failing())
    assert len({row.due_at for row in sqlite_post.rows()}) > 10


def test_a_message_is_not_tried_before_it_is_due(post, recorder, clock) -> None:
    post.enqueue()
    post.deliver(failing())
    clock.move(seconds=20)
    assert post.deliver(recorder) == DeliveryCounts()
    clock.move(seconds=10)
    assert post.deliver(recorder) == DeliveryCounts(sent=1)


def test_a_refused_recipient_makes_a_message_dead(post, clock) -> None:
    post.enqueue()
    refusing = failing("SMTPRecipientsRefused 550", refused=True)
    results = []
    for _ in range(6):
        results.append(post.deliver(refusing))
        clock.move(minutes=15)
    assert results == [DeliveryCounts(waiting=1)] * 4 + [DeliveryCounts(dead=1), DeliveryCounts()]
    assert (post.row.state, post.row.last_error) == (MessageState.DEAD, "SMTPRecipientsRefused 550")


def test_a_message_that_cannot_be_rendered_becomes_dead(post, recorder, clock) -> None:
    post.enqueue("nobody at all")
    for _ in range(5):
        post.deliver(recorder)
        clock.move(minutes=15)
    assert (post.row.state, post.row.last_error) == (MessageState.DEAD, "Unwritable ValueError")
    assert recorder.messages == []


def test_when_the_server_cannot_be_talked_to_the_rest_is_left_for_later(post) -> None:
    post.enqueue(*(f"staff{n}@example.org" for n in range(5)))
    assert post.deliver(failing(connection_lost=True)) == DeliveryCounts(waiting=1)
    assert post.deliver(failing(connection_lost=False)) == DeliveryCounts(waiting=4)


def test_a_message_nobody_finished_is_sent_when_the_lease_has_run_out(post, recorder, clock) -> None:
    post.enqueue()

    def die(_):
        raise KeyboardInterrupt

    recorder.before = die
    with pytest.raises(KeyboardInterrupt):
        post.deliver(recorder)
    assert post.row.state is MessageState.SENDING
    recorder.before = lambda _: None
    clock.move(seconds=sender.lease_seconds(post.instance.settings) - 1)
    assert post.deliver(recorder) == DeliveryCounts()
    clock.move(seconds=1)
    assert post.deliver(recorder) == DeliveryCounts(sent=1)


@pytest.mark.parametrize("ending", [None, NotSent("TimeoutError")], ids=["sent", "failed"])
def test_a_relay_that_slept_beyond_its_lease_changes_nothing(ending, post, clock) -> None:
    post.enqueue()
    sleeper, other = Recorder(), Recorder()

    def oversleep(_):
        clock.move(seconds=sender.lease_seconds(post.instance.settings))
        assert post.deliver(other) == DeliveryCounts(sent=1)
        after.append(post.row)

    after = []
    sleeper.before = oversleep
    sleeper.fails = lambda _: ending
    assert post.deliver(sleeper) == DeliveryCounts(lease_lost=1)
    now = post.row
    assert (now.state, now.sent_at, now.generation, now.last_error) == (
        after[0].state,
        after[0].sent_at,
        after[0].generation,
        after[0].last_error,
    )


def test_a_relay_that_wakes_while_another_is_sending_leaves_it_alone(post, clock) -> None:
    post.enqueue()
    sleeper = Recorder()

    def oversleep(_):
        clock.move(seconds=sender.lease_seconds(post.instance.settings))
        assert sender._lease_batch(post.instance.database, post.instance.settings, clock())

    sleeper.before = oversleep
    assert post.deliver(sleeper) == DeliveryCounts(lease_lost=1)
    assert (post.row.state, post.row.generation, post.row.sent_at) == (MessageState.SENDING, 2, None)


def test_it_stops_after_the_mail_in_hand(post, recorder) -> None:
    post.enqueue(*(f"staff{n}@example.org" for n in range(3)))
    stop = threading.Event()
    recorder.before = lambda _: stop.set()
    assert post.deliver(recorder, stop=stop) == DeliveryCounts(sent=1)
    assert post.states.count("waiting") == 2


@pytest.mark.parametrize("jump", [{"days": 400}, {"days": -400}])
def test_a_clock_that_jumped_holds_nothing_up(jump, post, recorder, clock) -> None:
    right = clock()
    post.enqueue(ANA)
    clock.move(**jump)
    post.deliver(failing())
    post.enqueue(BEN)
    recorder.before = lambda _: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        post.deliver(recorder)
    recorder.before = lambda _: None
    clock.set(right + timedelta(minutes=16))
    post.deliver(recorder)
    assert post.states == ["sent", "sent"]


def test_ten_relays_send_each_message_once(post) -> None:
    post.enqueue(*(f"staff{n}@example.org" for n in range(50)), times=10)
    mailers = [Recorder() for _ in range(10)]
    together, sending, two_send = threading.Barrier(10), set(), threading.Event()

    def work(mailer):
        mailer.before = lambda _: hold_until_another_sends(mailer)
        together.wait()
        post.deliver(mailer)

    def hold_until_another_sends(mailer):
        """Were the first to get a turn as quick as it can be, it might send all there is alone."""
        sending.add(mailer)
        if len(sending) > 1:
            two_send.set()
        two_send.wait(120)

    threads = [threading.Thread(target=work, args=(mailer,)) for mailer in mailers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sent = Counter(
        message.raw.partition(b"Message-ID: <")[2][:36] for mailer in mailers for message in mailer.messages
    )
    assert sent == Counter({str(row.id).encode(): 1 for row in post.rows()})
    assert set(post.states) == {"sent"}
    assert sum(bool(mailer.messages) for mailer in mailers) > 1


def test_bad_messages_delay_no_good_one(sqlite_post, clock) -> None:
    post, mailer = sqlite_post, Recorder()
    post.enqueue("cannot be written", "refused@example.org")
    post.enqueue(*(f"staff{n}@example.org" for n in range(200)))
    mailer.fails = lambda message: (
        NotSent("SMTPRecipientsRefused 550", refused=True)
        if message.recipient.startswith("refused")
        else None
    )
    assert post.deliver(mailer) == DeliveryCounts(sent=200, waiting=2)
    for _ in range(4):
        clock.move(minutes=15)
        post.deliver(mailer)
    assert Counter(post.states) == {"sent": 200, "dead": 2}


def test_a_server_that_drops_the_line_at_the_dot_gets_the_same_message_id_again(over_smtp, clock) -> None:
    server, mailer, instance = over_smtp()
    post = Post(instance)
    post.enqueue()
    server.fault = Fault.DROP_AT_DOT
    assert post.deliver(mailer) == DeliveryCounts(waiting=1)
    server.fault = Fault.NONE
    clock.move(seconds=30)
    assert post.deliver(mailer) == DeliveryCounts(sent=1)
    assert [kept.message_id for kept in server.received] == [f"<{post.row.id}@example.org>"] * 2


def test_every_recipient_gets_a_mail_of_their_own(over_smtp) -> None:
    server, mailer, instance = over_smtp()
    post = Post(instance)
    post.enqueue(ANA, BEN)
    post.deliver(mailer)
    assert sorted((kept.recipients, kept.letter["To"]) for kept in server.received) == [
        ([ANA], ANA),
        ([BEN], BEN),
    ]
    assert server.connections == 1


@pytest.mark.parametrize(
    "issue",
    [
        lambda authority: authority.issue(trusted=False),
        lambda authority: authority.issue("mail.example.net"),
        lambda authority: authority.issue(days=-1),
        lambda _: None,
    ],
    ids=["self-signed", "wrong name", "expired", "no TLS"],
)
def test_a_mail_server_that_proves_nothing_gets_nothing_and_it_shows(
    issue, over_smtp, authority, clock
) -> None:
    server, mailer, instance = over_smtp(issue(authority), smtp_tls=Tls.STARTTLS)
    post = Post(instance)
    post.enqueue()
    assert post.deliver(mailer) == DeliveryCounts(waiting=1)
    clock.move(minutes=20)
    assert post.deliver(mailer) == DeliveryCounts(waiting=1)
    assert server.received == []
    assert post.row.last_error in ("SSLCertVerificationError", "SMTPNotSupportedError")
    assert post.status().oldest_waiting_seconds == 20 * 60


@pytest.mark.parametrize(
    "fault", [Fault.RCPT_421, Fault.RCPT_451, Fault.DATA_421, Fault.DATA_451, Fault.DATA_554]
)
def test_a_server_that_is_unwell_for_a_day_costs_no_notice(fault, over_smtp, clock) -> None:
    server, mailer, instance = over_smtp()
    post = Post(instance)
    post.enqueue(ANA, BEN)
    server.fault = fault
    for _ in range(24):
        post.deliver(mailer)
        clock.move(hours=1)
    assert server.received == []
    server.fault = Fault.NONE
    post.deliver(mailer)
    assert sorted(kept.letter["To"] for kept in server.received) == [ANA, BEN]


@pytest.mark.parametrize("fault", [Fault.RCPT_550, Fault.DATA_554, Fault.DATA_421])
def test_neither_row_nor_log_repeats_what_a_server_says(fault, over_smtp, capsys, caplog) -> None:
    server, mailer, instance = over_smtp()
    post = Post(instance)
    post.enqueue(ANA)
    server.fault = fault
    post.deliver(mailer)
    logged = "".join(capsys.readouterr()) + caplog.text
    assert post.row.last_error in logged
    for canary in ("canary", "says the server", "mailbox", ANA):
        assert canary not in logged
        assert canary not in post.row.last_error


def test_nothing_of_a_lead_is_in_the_bytes_that_leave(over_smtp, capsys) -> None:
    server, mailer, instance = over_smtp()
    asked = ask(instance, asking_for=AskingFor.PROFESSIONAL)
    assert Post(instance).deliver(mailer).sent == len(instance.clinic.notices.recipients)
    left = b"".join(kept.raw for kept in server.received) + "".join(capsys.readouterr()).encode()
    named = [*NAME.split(), PHONE, PHONE.removeprefix("+1"), EMAIL, *EMAIL.partition("@")[0].split(".")]
    lead = asked.lead
    ids = [str(lead.id), lead.id.hex, str(lead.use_event_id), lead.reference, asked.code, lead.region]
    canaries = [*named, *ids, "professional", "New_York", "weekday_morning"]
    assert [each for each in canaries if each.encode().lower() in left.lower()] == []


def test_every_notice_has_the_same_words_whoever_asked(over_smtp, clock) -> None:
    server, mailer, instance = over_smtp()
    post = Post(instance)
    for changes in ({}, {"language": "es"}, {"region": "US-CA", "time_zone": None, "preferred_name": "B"}):
        ask(instance, **changes)
        post.deliver(mailer)
        clock.move(hours=1)
    raised = {str(row.id): "an id" for row in post.rows()}
    bare = set()
    for kept in server.received:
        mail = kept.letter
        bare.add((raised[mail["Message-ID"][1:37]], mail["Subject"], mail["From"], mail.get_content()))
    assert len(server.received) == 3 * len(instance.clinic.notices.recipients)
    assert len(bare) == 1
