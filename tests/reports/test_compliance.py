"""The evidence report: every figure with its date, its meaning and its source; nothing unknown looks good."""

import json
import re
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text, update

from intake import audit, backup, monitoring, outbox
from intake.accounts import invitations, service
from intake.accounts.models import Role, StaffMember
from intake.act import Act
from intake.audit import Action, Actor
from intake.backup import BackupAct
from intake.backup.models import recording
from intake.conf import secrets
from intake.core.i18n import using_language
from intake.instance import Instance, load_keyring
from intake.jobs import schedule
from intake.leads.models import Lead
from intake.monitoring import State, checks, integrity
from intake.outbox import Mail, MessageState
from intake.reports import compliance
from intake.reports.compliance import ComplianceReport, Figure, FigureState, foreign_origins
from intake.web.headers import POLICIES
from tests.factories import EMAIL, NAME, PHONE, add_account, ask, details_of, hire, relay_turn


def made(instance: Instance) -> ComplianceReport:
    return compliance.gather(instance, policies=POLICIES)


def figure(instance: Instance, name: str, item: str = "") -> Figure:
    return next(each for each in made(instance).figures() if (each.name, each.item) == (name, item))


@pytest.fixture
def living(instance: Instance) -> Instance:
    """An instance with somebody who can sign in, a relay, and one request."""
    hire(instance, "Ana Ruiz", *Role)
    ask(instance)
    relay_turn(instance)
    relay_turn(instance)
    return instance


# --- the whole report -------------------------------------------------------------------------------------


def test_on_a_fresh_install_what_is_not_known_says_so(instance: Instance) -> None:
    """Nobody can sign in, nothing ever ran: no figure about the past may look good."""
    report = made(instance)
    unknown = {each.name for each in report.not_known}
    assert unknown >= {
        "access.with_second_factor",
        "audit.verified",
        "audit.anchored",
        "audit.began",
        "erasing.last_purge",
        "erasing.ledger_copied",
        "backups.last_taken",
        "backups.last_tested",
        "keys.in_use_since",
        "mail.last_test",
        "mail.daily_accepted",
        "mail.last_accepted",
        "doctor.not_looked_at",
    }
    assert {each.value for each in report.not_known} == {None}
    assert report.findings[0].state is State.RED


def test_every_figure_says_when_what_and_whence(living: Instance) -> None:
    for language in ("en", "es"):
        with using_language(language):
            for each in made(living).figures():
                assert each.label, each
                assert re.search(r"[.:]|policy", each.means), each
                assert each.source, each
                assert each.at or each.state is FigureState.NOT_KNOWN or each.detail, each
                assert each.value is not None or each.detail or each.state is FigureState.NOT_KNOWN, each


def test_names_tell_figures_apart(living: Instance) -> None:
    places = [(each.name, each.item) for each in made(living).figures() if each.name != "keys.in_use_since"]
    assert len(set(places)) == len(places)
    assert all(re.fullmatch(r"[a-z]+\.[a-z_]+", name) for name, _ in places)


def test_open_findings_are_the_doctors_and_our_own_the_worst_first(living: Instance, clock) -> None:
    with living.database.transaction() as session:
        session.execute(update(Lead).values(purge_after=clock() - timedelta(days=2)))
    report = made(living)
    found = report.findings
    states = [each.state for each in found]
    assert states == sorted(states, key=[State.RED, State.AMBER].index)
    [overdue] = [each for each in found if report.source_of(each) == "intake evidence"]
    assert overdue.name == "erasing.overdue"
    assert overdue.sentence.endswith(": <11")
    doctors = [each for each in monitoring.run_checks(living) if each.state is not State.GREEN]
    assert "texts" in {each.name for each in doctors}
    assert sorted(map(str, doctors)) == sorted(map(str, (each for each in found if each != overdue)))


def test_nothing_in_it_is_about_anybody(living: Instance) -> None:
    with living.database.reading() as session:
        [row] = session.execute(text("SELECT reference FROM lead")).all()
    page = compliance.as_json(made(living))
    hidden = (NAME, *NAME.split(), PHONE, PHONE[2:], EMAIL, row[0], "Ana", "Ruiz", "ana@", "@example.org")
    assert [each for each in hidden if each in page] == []
    secret = [str(getattr(living.settings, each.name)) for each in fields(living.settings) if not each.repr]
    parts = {part for value in filter(None, secret) for part in re.split("[,:]", value) if len(part) > 8}
    assert [part for part in parts if part in page] == []


def counted(value: object) -> Iterator[object]:
    """Everything in a parsed JSON that is a number."""
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from counted(each)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield value


def test_small_counts_of_requests_do_not_leave_the_building(living: Instance, clock) -> None:
    with living.database.transaction() as session:
        session.execute(update(Lead).values(purge_after=clock() - timedelta(days=2)))
        [message] = outbox.enqueue(session, Mail.NEW_LEAD, clinic_recipients=["x@example.org"], at=clock())
        message.state = MessageState.DEAD
    assert figure(living, "erasing.overdue").value == "<11"
    assert figure(living, "mail.refused").value == "<11"
    numbers = {each["name"]: each["value"] for each in plain(living) if list(counted(each["value"]))}
    assert {name.partition(".")[0] for name in numbers} == {"access", "doctor", "pages"}


def plain(instance: Instance) -> list[dict[str, object]]:
    return [
        each
        for part in json.loads(compliance.as_json(made(instance)))["sections"]
        for each in part["figures"]
    ]


def test_the_json_is_the_same_report(living: Instance) -> None:
    report = made(living)
    shown = json.loads(compliance.as_json(report))
    assert shown["format"] == compliance.FORMAT
    assert datetime.fromisoformat(shown["made_at"]) == report.at
    assert [each["name"] for each in plain(living)] == [each.name for each in report.figures()]
    names = {each.name for each in fields(Figure)} - {"state"} | {"standing"}  # the name of it in the format
    assert {key for each in plain(living) for key in each} == names
    assert len(shown["findings"]) == len(report.findings)


# --- who can sign in ----------------------------------------------------------------------------------------


def test_second_factors_are_counted_among_those_who_can_sign_in(instance: Instance, clock) -> None:

    stays = add_account(instance, "one@example.org")
    gone = add_account(instance, "two@example.org")
    with instance.database.transaction() as session:
        service.disable(Act(session, instance), staff_id=gone.member.id)
        invitations.invite(Act(session, instance), email="new@example.org", name="New", roles=[Role.ADMIN])
    names = (
        "accounts",
        "with_second_factor",
        "with_passkey",
        "without_recovery_codes",
        "invitations",
        "closed",
    )
    assert [figure(instance, f"access.{name}").value for name in names] == [1, 1, 0, 0, 1, 1]
    assert figure(instance, "access.with_second_factor").state is FigureState.GOOD
    with instance.database.transaction() as session:
        session.get_one(StaffMember, stays.member.id).totp_secret = b"k1:broken"
    broken = figure(instance, "access.with_second_factor")
    assert (broken.value, broken.detail, broken.state) == (0, "0 of 1", FigureState.OPEN)
    assert "access.with_second_factor" in {each.name for each in made(instance).findings}


# --- the log ------------------------------------------------------------------------------------------------


def test_a_verification_is_shown_with_its_date_and_its_end(sqlite_instance: Instance, clock) -> None:
    living, when = sqlite_instance, clock()
    ask(living)
    relay_turn(living)
    clock.move(hours=5)
    held = figure(living, "audit.verified")
    assert (held.value, held.at, held.state) == (True, when, FigureState.GOOD)
    with living.database.engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER audit_event_no_update")
        connection.exec_driver_sql("UPDATE audit_event SET details = '{}' WHERE action = 'lead.submitted'")
    assert not integrity.verify_and_note(living, actor=Actor.system()).intact
    broken = figure(living, "audit.verified")
    assert (broken.value, broken.at, broken.state) == (False, clock(), FigureState.OPEN)
    assert [each.state for each in made(living).findings if each.name == integrity.VERIFICATION] == [
        State.RED
    ]


def test_a_verification_that_somebody_put_in_counts_for_nothing(instance: Instance) -> None:
    with instance.database.transaction() as session:
        event = audit.record(
            session,
            Action.AUDIT_VERIFIED,
            keyring=instance.keyring,
            at=instance.clock(),
            actor=Actor.system(),
            details={"hit": True, "count": 9},
        )
        event.mac = b"\x00" * 32
    assert figure(instance, "audit.verified").value is None


def test_an_old_verification_is_not_as_it_should_be(living: Instance, clock) -> None:
    clock.move(days=3, hours=1)
    old = figure(living, "audit.verified")
    assert (old.value, old.state) == (True, FigureState.OPEN)


def test_the_job_verifies_once_a_day_and_what_it_does_does_not_disturb_the_log(
    living: Instance, clock
) -> None:
    assert schedule.verify(living) == 1
    assert len(details_of(living, "audit.verified")) == 2
    schedule.link(living)
    assert integrity.verify(living).problems == ()


# --- keeping ------------------------------------------------------------------------------------------------


def test_a_backup_that_failed_is_open_and_keeps_its_last_good_date(make_instance, sqlite_url, clock) -> None:
    living = make_instance(sqlite_url, backup_key=secrets.new_secret("backup_key"))
    with recording(living, BackupAct.TAKEN):
        good = clock()
    clock.move(hours=1)
    with pytest.raises(LookupError), recording(living, BackupAct.TAKEN):
        raise LookupError
    shown = figure(living, "backups.last_taken")
    assert (shown.value, shown.detail, shown.state) == (good, "The last try failed.", FigureState.OPEN)
    with living.database.reading() as session:
        assert backup.last_result(session, BackupAct.TAKEN).tried_at == clock()


def test_a_backup_that_is_too_old_is_not_as_it_should_be(make_instance, sqlite_url, clock) -> None:
    instance = make_instance(sqlite_url, backup_key=secrets.new_secret("backup_key"))
    with recording(instance, BackupAct.TAKEN):
        pass
    assert figure(instance, "backups.last_taken").state is FigureState.GOOD
    clock.move(days=4)
    assert figure(instance, "backups.last_taken").state is FigureState.OPEN


@pytest.mark.parametrize(("hours", "state"), [(2, FigureState.GOOD), (4, FigureState.OPEN)])
def test_a_purge_that_is_late_is_open(living: Instance, clock, hours: int, state: FigureState) -> None:
    clock.move(hours=hours)
    assert figure(living, "erasing.last_purge").state is state


# --- keys ---------------------------------------------------------------------------------------------------


def test_a_key_is_as_old_as_its_first_day_in_use(living: Instance, clock) -> None:
    first = clock()
    clock.move(days=40)
    newer = secrets.new_secret("sealing_keys", key_id="k2")
    settings = replace(
        living.settings,
        sealing_keys=f"{newer},{living.settings.sealing_keys}",
        backup_key=secrets.new_secret("backup_key"),
    )
    changed = replace(living, settings=settings, keyring=load_keyring(settings))
    assert figure(changed, "keys.in_use_since", "INTAKE_SEALING_KEYS k2").state is FigureState.NOT_KNOWN
    assert checks.note_new_keys(changed) == 2
    assert checks.note_new_keys(changed) == 0
    since = {each.item: each.value for each in made(changed).figures() if each.name == "keys.in_use_since"}
    assert since == {
        "INTAKE_SEALING_KEYS k2": clock(),
        "INTAKE_SEALING_KEYS k1": first,
        "INTAKE_INDEX_KEY": first,
        "INTAKE_CHAIN_KEY": first,
        "INTAKE_APP_KEYS": first,
        "INTAKE_BACKUP_KEY": clock(),
    }
    pending = figure(changed, "keys.on_older_sealing_keys")
    assert (pending.value, pending.state) == ("<11", FigureState.OPEN)


def test_the_log_of_keys_holds_no_key(living: Instance) -> None:
    written = "".join(details_of(living, "keys.first_seen"))
    assert len(details_of(living, "keys.first_seen")) == 4
    for name in secrets.SECRETS:
        assert str(getattr(living.settings, name)).rpartition(":")[2][:12] not in written


# --- mail, pages, statements --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("details", "state"),
    [
        ({"count": 2, "hit": True}, FigureState.GOOD),
        ({"count": 2, "hit": False}, FigureState.OPEN),
        ({"count": 2}, FigureState.NOT_KNOWN),
    ],
)
def test_a_mail_test_is_as_good_as_it_ended(instance: Instance, details, state: FigureState) -> None:
    with instance.database.transaction() as session:
        audit.record(
            session,
            Action.MAIL_TESTED,
            keyring=instance.keyring,
            at=instance.clock(),
            actor=Actor.system(),
            details=details,
        )
    assert figure(instance, "mail.last_test").state is state


def test_a_policy_that_names_somebody_else_is_open(instance: Instance) -> None:
    assert {each.value for each in made(instance).figures() if each.name == "pages.foreign_origins"} == {0}
    loose = {**POLICIES, "public": "default-src 'none'; script-src 'self' https://stats.example.org"}
    report = compliance.gather(instance, policies=loose)
    [shown] = [
        each for each in report.figures() if (each.name, each.item) == ("pages.foreign_origins", "public")
    ]
    assert (shown.value, shown.detail, shown.state) == (1, "https://stats.example.org", FigureState.OPEN)
    assert foreign_origins("img-src * data:; style-src 'unsafe-inline'") == ["'unsafe-inline'", "*"]


def test_statements_are_listed_by_version_digest_and_first_answer(living: Instance, clock) -> None:
    found = [each for each in made(living).figures() if each.name == "statements.in_force"]
    assert len(found) == sum(len(living.statements.in_force(language)) for language in ("en", "es"))
    call = living.statements.in_force("en")
    by_item = {each.item: each for each in found}
    for kind, statement in call.items():
        assert by_item[f"{kind} en v{statement.version}"].value == f"sha256:{statement.digest}"
    assert {each.at for each in found} == {None, clock()}
