"""Nobody is forgotten (N2): reminders, the heartbeat, the daily mail, and the alarm by a second way."""

import json
import uuid
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from intake import monitoring, outbox
from intake.accounts import sessions
from intake.act import Act
from intake.conf.clinic import Channel
from intake.conf.settings import Tls
from intake.core.errors import Unavailable
from intake.db.types import Base
from intake.instance import Instance
from intake.jobs import alerts, canary
from intake.jobs.schedule import JOBS
from intake.jobs.scheduler import run_due
from intake.leads import reminders
from intake.leads.models import Lead
from intake.monitoring import State
from intake.outbox import Mail, MessageState, OutboxMessage
from intake.outbox.mailer import NotSent, open_mailer
from intake.outbox.messages import render
from tests.factories import ask, hire
from tests.smtp import HOST, Fault, mail_server

__all__ = ["mail_server"]


def sent(instance: Instance, mail: Mail) -> list[str]:
    """Who was written to, oldest first."""
    with instance.database.reading() as session:
        rows = select(OutboxMessage.recipient).where(OutboxMessage.mail == mail)
        return list(session.scalars(rows.order_by(OutboxMessage.created_at)))


def waiting(instance: Instance) -> int:
    with instance.database.reading() as session:
        return reminders.count_unopened(Act(session, instance))


def state(instance: Instance, name: str) -> State:
    return next(each.state for each in monitoring.run_checks(instance) if each.name == name)


# --- reminders ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("minutes", "late"), [(59, 0), (60, 1)])
def test_a_request_is_late_when_the_clinics_minutes_have_passed(minutes, late, instance, clock) -> None:
    ask(instance)
    clock.move(minutes=minutes)
    assert waiting(instance) == late
    assert state(instance, "unopened requests") is (State.RED if late else State.GREEN)


def test_the_night_does_not_count(instance, clock) -> None:
    clock.move(hours=11)  # nine in the evening, long closed
    ask(instance)
    clock.move(hours=11)  # eight in the morning
    assert waiting(instance) == 0
    assert reminders.remind(instance) == 0
    clock.move(hours=2, minutes=30)
    assert waiting(instance) == 1


def test_what_somebody_opened_or_ended_is_not_late(instance, clock) -> None:
    opened, stays = ask(instance).lead.id, ask(instance, phone="+13055550177").lead.id
    with instance.database.transaction() as session:
        session.execute(update(Lead).where(Lead.id == opened).values(opened_at=clock()))
    clock.move(hours=2)
    assert waiting(instance) == 1
    with instance.database.transaction() as session:
        session.execute(update(Lead).where(Lead.id == stays).values(opened_at=clock()))
    assert waiting(instance) == 0


def test_reminders_go_to_the_second_contacts_once_an_hour_until_it_is_opened(instance, clock) -> None:
    lead_id = ask(instance).lead.id
    clock.move(hours=1)
    for _ in range(3):
        reminders.remind(instance)
        clock.move(minutes=20)
    assert sent(instance, Mail.UNOPENED) == list(instance.clinic.notices.second_contacts)
    reminders.remind(instance)
    assert len(sent(instance, Mail.UNOPENED)) == 2
    with instance.database.transaction() as session:
        session.execute(update(Lead).where(Lead.id == lead_id).values(opened_at=clock()))
    clock.move(hours=1)
    assert reminders.remind(instance) == 0
    assert len(sent(instance, Mail.UNOPENED)) == 2


def test_nobody_is_reminded_while_the_clinic_is_closed(instance, clock) -> None:
    ask(instance)
    clock.move(hours=12)
    assert reminders.remind(instance) == 1
    assert sent(instance, Mail.UNOPENED) == []


def test_a_request_that_nobody_may_call_any_more_is_late_by_its_promise(instance, clock) -> None:
    """Its windows never open again in two weeks: the promise that was given still stands."""
    lead_id = ask(instance, channels=frozenset({Channel.CALL}), email=None).lead.id
    with instance.database.transaction() as session:
        lead = session.get_one(Lead, lead_id)
        lead.windows, promise = "", lead.promise_at
    clock.set(promise)
    assert waiting(instance) == 1


@pytest.mark.parametrize(("idle", "expected"), [(59, False), (61, True)])
def test_the_desk_is_unattended_when_requests_wait_and_nobody_was_there(
    idle, expected, instance, clock
) -> None:
    ask(instance)
    clock.move(hours=2, minutes=-idle)
    member = hire(instance)
    with instance.database.transaction() as session:
        sessions.begin(Act(session, instance), staff_id=member.id)
    clock.move(minutes=idle)
    with instance.database.reading() as session:
        assert reminders.is_unattended(Act(session, instance)) is expected


# --- the heartbeat -------------------------------------------------------------------------------------


def test_the_heartbeat_goes_the_whole_way_and_leaves_nothing(instance) -> None:
    before = counted(instance)
    assert canary.canary_submission(instance) == 2
    assert counted(instance) == before


def counted(instance: Instance) -> dict[str, int]:
    with instance.database.reading() as session:
        return {
            name: session.scalar(select(func.count()).select_from(table)) or 0
            for name, table in Base.metadata.tables.items()
        }


def test_a_door_that_does_not_open_turns_health_red_with_the_next_run(instance, monkeypatch) -> None:
    jobs = [each for each in JOBS if each.name == canary.JOB]
    run_due(instance, jobs=jobs)
    assert state(instance, "heartbeat") is State.GREEN

    def refuse(*_: object, **__: object) -> None:
        raise LookupError("jane canary")

    monkeypatch.setattr(canary, "submit", refuse)
    instance.clock.move(minutes=5)
    run_due(instance, jobs=jobs)
    assert state(instance, "heartbeat") is State.RED


# --- the daily mail --------------------------------------------------------------------------------------


def test_one_daily_mail_is_written_a_day(instance, clock) -> None:
    for _ in range(26):
        canary.daily_mail(instance)
        clock.move(hours=1)
    assert len(sent(instance, Mail.DAILY)) == 2 * len(instance.clinic.notices.second_contacts)


@pytest.mark.parametrize(("hours", "expected"), [(26, State.GREEN), (27, State.RED)])
def test_a_day_without_an_accepted_mail_turns_health_red(hours, expected, instance, clock) -> None:
    canary.daily_mail(instance)
    with instance.database.transaction() as session:
        values = {"state": MessageState.SENT, "sent_at": clock()}
        session.execute(update(OutboxMessage).values(**values))
    clock.move(hours=24)
    canary.daily_mail(instance)  # written, never accepted
    clock.move(hours=hours - 24)
    assert state(instance, "daily mail") is expected


@pytest.mark.parametrize("mail", Mail)
def test_every_mail_can_be_written_and_holds_no_figure(mail, sqlite_instance) -> None:
    message = OutboxMessage(id=uuid.UUID(int=7), mail=mail, recipient="ana@example.org")
    how = {
        "clinic": sqlite_instance.clinic,
        "settings": sqlite_instance.settings,
        "at": sqlite_instance.clock(),
    }
    assert render(message, **how).raw == render(message, **how).raw
    assert b"nobody" in render(message, **how).raw.lower().replace(b"anybody", b"nobody")


# --- the alarm -------------------------------------------------------------------------------------------


class Box:
    """A mailer that keeps what it gets, or fails."""

    def __init__(self) -> None:
        self.subjects: list[str] = []
        self.fails = False

    @contextmanager
    def batch(self):
        yield self._take

    def _take(self, message) -> None:
        if self.fails:
            raise NotSent("ConnectionRefusedError", connection_lost=True)
        self.subjects += [line for line in message.raw.decode().splitlines() if line.startswith("Subject")]


@pytest.fixture
def watched(sqlite_instance, monkeypatch):
    """An instance whose health is whatever the test says, watched for the minutes it says."""

    class Watched:
        well, box, instance = True, Box(), sqlite_instance

        def watch(self, minutes: int, **how: bool) -> int:
            for name, value in how.items():
                setattr(self, name, value)
            before = len(self.box.subjects)
            for _ in range(minutes):
                sqlite_instance.clock.move(minutes=1)
                alerts.check_once(sqlite_instance, self.box)
            return len(self.box.subjects) - before

    found = Watched()
    monkeypatch.setattr(alerts, "_is_well", lambda _: found.well)
    return found


def test_the_second_contact_hears_of_trouble_that_lasts_and_of_its_end(watched) -> None:
    assert watched.watch(60, well=True) == 0
    assert watched.watch(5, well=False) == 0
    assert watched.watch(1) == 1
    assert watched.watch(4 * 60 - 1) == 0
    assert watched.watch(1) == 1
    assert watched.watch(10, well=True) == 1
    assert "well again" in watched.box.subjects[-1]


def test_trouble_that_passes_is_not_reported(watched) -> None:
    assert watched.watch(4, well=False) == 0
    assert watched.watch(10, well=True) == 0
    assert watched.watch(5, well=False) == 0


def test_an_alarm_that_was_not_accepted_is_sent_until_it_is(watched) -> None:
    watched.box.fails = True
    assert watched.watch(30, well=False) == 0
    watched.box.fails = False
    assert watched.watch(10) == 1
    watched.box.fails = True
    assert watched.watch(5, well=True) == 0
    watched.box.fails = False
    assert watched.watch(5) == 1


def test_many_processes_of_one_machine_look_once(watched) -> None:
    watched.watch(6, well=False)
    for _ in range(20):
        alerts.check_once(watched.instance, watched.box)
    assert len(watched.box.subjects) == 1


@pytest.mark.parametrize("written", ["", "{", "[]", '{"looked_at": 7}', '{"x": 1}', '{"red_since": null}'])
def test_a_damaged_memory_is_begun_anew(written, watched) -> None:
    (watched.instance.settings.data_dir / alerts.FILE).write_text(written)
    assert watched.watch(6, well=False) == 1


@pytest.mark.parametrize("act", ["touch", "open"])
def test_a_disk_that_keeps_nothing_is_reported_once(act, sqlite_instance, monkeypatch) -> None:
    """A full disk, and a folder that may only be read: the file forgets, the process does not."""
    monkeypatch.setattr(alerts, "_is_well", lambda _: False)
    monkeypatch.setattr(Path, act, lambda *_, **__: (_ for _ in ()).throw(OSError))
    box, state = Box(), alerts.WatchState()
    for _ in range(20):
        sqlite_instance.clock.move(minutes=1)
        state = alerts.check_once(sqlite_instance, box, state)
    assert len(box.subjects) == 1


def test_the_stored_state_holds_nothing_but_timestamps(watched) -> None:
    watched.watch(7, well=False)
    kept = json.loads((watched.instance.settings.data_dir / alerts.FILE).read_text())
    assert set(kept) == {"looked_at", "red_since", "told_at"}


def test_a_database_that_is_gone_is_reported(make_instance, tmp_path, clock) -> None:
    instance, box = make_instance(f"sqlite:///{tmp_path}/nowhere/intake.sqlite3"), Box()
    for _ in range(7):
        clock.move(minutes=1)
        alerts.check_once(instance, box)
    assert len(box.subjects) == 1


def test_a_dead_relay_is_reported_within_a_quarter_of_an_hour(instance, clock) -> None:
    run_due(instance)
    box = Box()
    for _ in range(15):
        clock.move(minutes=1)
        alerts.check_once(instance, box)
    assert len(box.subjects) == 1


def test_the_alarm_leaves_by_the_second_mail_server(make_instance, sqlite_url, mail_server, clock) -> None:
    broken, second = mail_server(fault=Fault.DATA_451), mail_server()
    instance = make_instance(
        sqlite_url,
        smtp_host=HOST,
        smtp_port=broken.port,
        smtp_tls=Tls.NONE,
        alarm_smtp_host=HOST,
        alarm_smtp_port=second.port,
        alarm_smtp_tls=Tls.NONE,
    )
    mailer = open_mailer(alerts.second_mail_server(instance.settings))
    for _ in range(7):
        clock.move(minutes=1)
        alerts.check_once(instance, mailer)
    assert [each.recipients for each in second.received] == [
        [to] for to in instance.clinic.notices.second_contacts
    ]


def test_without_a_second_mail_server_the_first_is_used(sqlite_instance) -> None:
    chosen = replace(sqlite_instance.settings, smtp_host="mail.example.org")
    assert alerts.second_mail_server(chosen) is chosen


def test_a_look_that_fails_does_not_end_the_watch(watched, monkeypatch) -> None:
    monkeypatch.setattr(alerts, "_write", lambda *_: (_ for _ in ()).throw(OSError))
    assert watched.watch(3, well=False) == 0


def test_a_broken_database_is_not_well(sqlite_instance, monkeypatch) -> None:
    def down(_: Instance) -> None:
        raise Unavailable

    monkeypatch.setattr(alerts.monitoring, "run_checks", down)
    assert alerts._is_well(sqlite_instance) is False
    assert outbox.Mail.ALARM is Mail.ALARM
