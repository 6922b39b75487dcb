"""What runs by itself runs once, at its time, whoever dies; and nothing ends the relay."""

import threading
import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest
import structlog
from sqlalchemy import delete, func, select

from intake import audit, outbox
from intake.audit import Action, Actor
from intake.core.errors import Unavailable
from intake.instance import Instance
from intake.jobs import schedule, scheduler
from intake.jobs.scheduler import Job, JobStatus
from intake.leads.models import CloseReason, Lead, LeadStatus, Submission
from intake.outbox import Mail, OutboxMessage
from intake.outbox.models import JobLease
from tests.factories import ask
from tests.outbox.conftest import Recorder

MINUTE = timedelta(minutes=1)


class Counting:
    """A job that counts how often it ran."""

    def __init__(self, name: str = "count", every: timedelta = MINUTE) -> None:
        self.made = 0
        self.inside: Callable[[], object] = lambda: None
        self.job = Job(name, every, self)

    def __call__(self, _instance: Instance) -> int:
        self.made += 1
        self.inside()
        return 1


@pytest.fixture
def counting() -> Counting:
    return Counting()


def make(instance: Instance, *each: Counting) -> int:
    return scheduler.run_due(instance, jobs=[one.job for one in each])


def lease(instance: Instance, name: str = "count") -> JobLease:
    with instance.database.reading() as session:
        return session.get_one(JobLease, name)


def job_status(instance: Instance, name: str) -> JobStatus:
    with instance.database.reading() as session:
        return next(each for each in scheduler.status(session) if each.name == name)


def test_a_job_is_made_when_it_is_due(instance, clock, counting) -> None:
    made = []
    for _ in range(5):
        made.append(make(instance, counting))
        clock.move(seconds=20)
    assert made == [1, 0, 0, 1, 0]


def test_what_it_did_is_written_down(instance, clock, counting) -> None:
    counting.inside = lambda: clock.move(seconds=3)
    started = clock()
    make(instance, counting)
    row = lease(instance)
    assert (row.started_at, row.ended_at, row.succeeded_at) == (started, clock(), clock())
    assert (row.due_at, row.leased_until, row.last_error) == (clock() + MINUTE, None, None)


def test_two_relays_do_not_make_it_at_once(instance, counting) -> None:
    counting.inside = lambda: make(instance, counting)
    make(instance, counting)
    assert counting.made == 1


def test_ten_relays_that_start_together_make_it_once(instance, counting) -> None:
    together = threading.Barrier(10)

    def work() -> None:
        together.wait()
        make(instance, counting)

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counting.made == 1


def test_when_a_relay_dies_another_makes_it_after_the_lease(instance, clock, counting) -> None:
    def die() -> None:
        raise KeyboardInterrupt

    counting.inside = die
    with pytest.raises(KeyboardInterrupt):
        make(instance, counting)
    counting.inside = lambda: None
    clock.move(seconds=scheduler.LEASE.total_seconds() - 1)
    assert make(instance, counting) == 0
    clock.move(seconds=1)
    assert make(instance, counting) == 1


def test_a_relay_that_slept_beyond_its_lease_writes_nothing_down(instance, clock, counting) -> None:
    def oversleep() -> None:
        counting.inside = lambda: None
        clock.move(minutes=5)
        make(instance, counting)
        clock.move(minutes=2)

    counting.inside = oversleep
    make(instance, counting)
    assert lease(instance).succeeded_at == clock() - 2 * MINUTE
    assert lease(instance).generation == 2


def test_a_failing_job_says_so_and_stops_no_other(instance, clock, counting) -> None:
    bad = Counting("bad", timedelta(days=1))

    def fail() -> None:
        raise LookupError("jane canary")

    bad.inside = fail
    with structlog.testing.capture_logs() as logged:
        make(instance, bad, counting)
    assert counting.made == 1
    assert lease(instance, "bad").last_error == "LookupError"
    assert lease(instance, "bad").succeeded_at is None
    assert logged == [{"event": "round_failed", "log_level": "error", "name": "bad", "error": "LookupError"}]


def test_a_failed_job_is_tried_again_soon(instance, clock) -> None:
    bad = Counting("bad", timedelta(days=1))
    bad.inside = lambda: 1 / 0
    make(instance, bad)
    bad.inside = lambda: None
    clock.move(minutes=1)
    assert make(instance, bad) == 1
    assert lease(instance, "bad").last_error is None


@pytest.mark.parametrize("jump", [{"days": 400}, {"days": -400}])
def test_a_clock_that_jumped_delays_no_job(jump, instance, clock, counting) -> None:
    right = clock()
    clock.move(**jump)
    make(instance, counting)
    clock.set(right)
    assert make(instance, counting) == 1


def test_a_job_that_never_ran_is_late(instance, clock) -> None:
    with instance.database.reading() as session:
        found = scheduler.status(session)
    assert [each.name for each in found] == ["notices", *(each.name for each in scheduler.JOBS)]
    assert all(each.late(clock()) for each in found)


@pytest.mark.parametrize(
    ("ago", "late"),
    [
        (timedelta(0), False),
        (timedelta(minutes=8), False),
        (timedelta(minutes=8, seconds=1), True),
        (timedelta(days=-1), True),
    ],
)
def test_a_job_is_late_after_three_intervals_and_some_patience(ago, late, clock) -> None:
    status = JobStatus("count", MINUTE, clock() - ago, clock() - ago, None)
    assert status.late(clock()) is late


def record_acts(instance: Instance, count: int) -> None:
    with instance.database.transaction() as session:
        for _ in range(count):
            audit.record(
                session,
                Action.MAIL_TESTED,
                keyring=instance.keyring,
                at=instance.clock(),
                actor=Actor.system(),
            )


def test_linking_leaves_no_tail(instance, monkeypatch) -> None:
    monkeypatch.setattr(schedule, "_LINK_BATCH", 3)
    record_acts(instance, 8)
    assert schedule.link(instance) == 8
    with instance.database.reading() as session:
        found = audit.verify(session, keyring=instance.keyring)
    assert (found.intact, found.linked, found.unlinked) == (True, 8, 0)


def test_used_form_tokens_are_forgotten_in_time(instance, clock) -> None:
    kept = timedelta(days=instance.clinic.retention.submission_days)
    ages = [timedelta(0), kept, kept + timedelta(seconds=1), kept * 2]
    with instance.database.transaction() as session:
        for number, age in enumerate(ages):
            token = bytes([number])
            session.add(Submission(token_hash=token, content_mac=token, received_at=clock() - age))
    assert schedule.forget_submissions(instance) == 2
    with instance.database.reading() as session:
        assert sorted(session.scalars(select(Submission.token_hash))) == [b"\x00", b"\x01"]


def notices_of(instance: Instance, lead_id: uuid.UUID) -> int:
    notices = select(func.count()).where(
        OutboxMessage.lead_id == lead_id, OutboxMessage.mail == Mail.NEW_LEAD
    )
    with instance.database.reading() as session:
        return session.scalar(notices)


def lose_notices(instance: Instance, *lead_ids: uuid.UUID) -> None:
    with instance.database.transaction() as session:
        session.execute(delete(OutboxMessage).where(OutboxMessage.lead_id.in_(lead_ids)))


def test_the_sweeper_finds_rows_that_were_deleted_by_hand(instance) -> None:
    lead_ids = [ask(instance).lead.id for _ in range(20)]
    lose_notices(instance, *lead_ids[:7])
    assert schedule.sweep(instance) == 7
    assert {notices_of(instance, each) for each in lead_ids} == {len(instance.clinic.notices.recipients)}
    assert schedule.sweep(instance) == 0


@pytest.mark.parametrize(
    "status", [(LeadStatus.TRYING, None), (LeadStatus.CLOSED, CloseReason.TALKED)], ids=["trying", "closed"]
)
def test_the_sweeper_lets_be_what_somebody_has_looked_after(status, instance, clock) -> None:
    lead_id = ask(instance).lead.id
    lose_notices(instance, lead_id)
    with instance.database.transaction() as session:
        lead = session.get_one(Lead, lead_id)
        lead.status, lead.close_reason = status
        lead.closed_at = clock() if lead.close_reason else None
    assert schedule.sweep(instance) == 0


class Turns(threading.Event):
    """A stop that comes after so many rests, and remembers how long each was. Nobody waits."""

    def __init__(self, count: int, between: Callable[[int], object] = lambda _: None) -> None:
        super().__init__()
        self.count = count
        self.between = between
        self.rests: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.rests.append(timeout)
        self.between(len(self.rests))
        if len(self.rests) == self.count:
            self.set()
        return self.is_set()


def enqueue(instance: Instance) -> None:
    with instance.database.transaction() as session:
        outbox.enqueue(session, Mail.NEW_LEAD, clinic_recipients=["ana@example.org"], at=instance.clock())


def test_the_relay_delivers_and_runs_its_jobs(instance) -> None:
    enqueue(instance)
    record_acts(instance, 1)
    mailer, stop = Recorder(), Turns(2)
    scheduler.run(instance, stop, mailer=mailer)
    assert mailer.recipients == ["ana@example.org", *instance.clinic.notices.second_contacts]
    assert stop.rests == [scheduler.BUSY_PAUSE, scheduler.BUSY_PAUSE]
    with instance.database.reading() as session:
        assert not any(each.late(instance.clock()) for each in scheduler.status(session))
        assert audit.verify(session, keyring=instance.keyring).unlinked == 0


def test_the_heartbeat_is_written_now_and_then(instance, clock) -> None:
    beats = []

    def listen(_turn: int) -> None:
        beats.append(job_status(instance, "notices").succeeded_at)
        clock.move(seconds=5)

    scheduler.run(instance, Turns(7, listen), mailer=Recorder())
    assert len(set(beats)) == 3


def test_a_mail_server_that_is_down_is_no_trouble_of_the_relays(instance) -> None:
    enqueue(instance)
    mailer = Recorder()
    mailer.fails = lambda _: scheduler.sender.NotSent("TimeoutError", connection_lost=True)
    scheduler.run(instance, Turns(1), mailer=mailer)
    assert job_status(instance, "notices").last_error is None


def test_a_delivery_that_fails_for_no_known_reason_shows_in_the_heartbeat(instance, monkeypatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise LookupError("jane canary")

    monkeypatch.setattr(scheduler.sender, "deliver_due", fail)
    with structlog.testing.capture_logs() as logged:
        scheduler.run(instance, Turns(3), mailer=Recorder())
    beat = job_status(instance, "notices")
    assert (beat.last_error, beat.late(instance.clock())) == ("LookupError", True)
    assert job_status(instance, "link").succeeded_at == instance.clock()
    assert [line["event"] for line in logged] == ["relay_in_trouble"]
    assert "canary" not in str(logged)


def break_database(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    def down() -> None:
        raise Unavailable

    monkeypatch.setattr(instance.database, "reading", down)
    monkeypatch.setattr(instance.database, "transaction", down)


def test_a_broken_database_is_waited_out_and_logged_once(instance, monkeypatch) -> None:
    enqueue(instance)
    mailer, whole = Recorder(), vars(instance.database).copy()

    def mend(turn: int) -> None:
        if turn == 7:
            monkeypatch.undo()
            assert vars(instance.database) == whole

    break_database(instance, monkeypatch)
    stop = Turns(9, mend)
    with structlog.testing.capture_logs() as logged:
        scheduler.run(instance, stop, mailer=mailer)
    assert stop.rests == [2, 4, 8, 16, 30, 30, 30, scheduler.BUSY_PAUSE, scheduler.BUSY_PAUSE]
    assert [(line["event"], line["error"]) for line in logged if line["event"].startswith("relay")] == [
        ("relay_in_trouble", "Unavailable"),
        ("relay_well_again", None),
    ]
    assert len(mailer.messages) == 1 + len(instance.clinic.notices.second_contacts)


def test_without_a_mail_server_the_relay_catches_mail_in_a_folder(sqlite_instance, tmp_path) -> None:
    enqueue(sqlite_instance)
    scheduler.run(sqlite_instance, Turns(1))
    assert len(list((tmp_path / "mail" / "new").iterdir())) == 1
