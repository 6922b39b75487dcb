"""Health: what turns amber and red, what the banner shows, and the three addresses for machines."""

import json
import os
import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event, text, update

from intake import audit, monitoring, outbox
from intake.accounts import service
from intake.accounts.models import Role
from intake.act import Act
from intake.app import create_app
from intake.audit import Action, Actor, AuditEvent
from intake.conf import secrets as conf_secrets
from intake.conf.clinic import Review, TextsReviewed
from intake.core.errors import Refused
from intake.instance import Instance, load_keyring
from intake.monitoring import State, checks
from intake.outbox import Mail, MessageState
from intake.outbox.models import JobLease
from tests.factories import EMAIL, NAME, PHONE, ask, relay_turn

TOKEN = "a-token-for-tests-only"
LIMITS_OF_AGE = [(90, State.GREEN), (91, State.AMBER), (180, State.AMBER), (181, State.RED)]
LIMITS_OF_TAIL = [(15, State.GREEN), (16, State.AMBER), (24 * 60, State.AMBER), (24 * 60 + 1, State.RED)]


def found(instance: Instance) -> dict[str, monitoring.Check]:
    return {check.name: check for check in monitoring.run_checks(instance)}


def states(instance: Instance) -> dict[str, State]:
    return {name: check.state for name, check in found(instance).items()}


def one(instance: Instance, look) -> monitoring.Check:
    with instance.database.reading() as session:
        return look(Act(session, instance))


@pytest.fixture
def living(instance: Instance) -> Instance:
    """An instance with an account and a relay that was here a moment ago."""
    with instance.database.transaction() as session:
        service.add(Act(session, instance), email="ada@example.org", name="Ada", roles=frozenset(Role))
    relay_turn(instance)
    relay_turn(instance)  # the first one wrote the daily mail
    return instance


def test_a_living_instance_has_nothing_red(living: Instance) -> None:
    assert State.RED not in states(living).values()
    assert monitoring.is_well(monitoring.run_checks(living))


def test_every_check_says_something_and_what_to_do_unless_it_is_green(instance: Instance) -> None:
    for check in monitoring.run_checks(instance):
        assert check.sentence.endswith("."), check
        assert bool(check.what_to_do) == (check.state is not State.GREEN), check


def test_no_check_tells_a_value_or_a_person(instance: Instance) -> None:
    ask(instance)
    text = " ".join(f"{check.sentence} {check.what_to_do}" for check in monitoring.run_checks(instance))
    secrets = [getattr(instance.settings, name) for name in conf_secrets.SECRETS]
    for canary in (NAME, PHONE, EMAIL, instance.settings.database_url, *secrets):
        assert canary not in text


# --- the database -----------------------------------------------------------------------------


def test_a_database_that_is_gone_is_red_and_asks_nothing_of_the_tables(make_instance, tmp_path) -> None:
    instance = make_instance(f"sqlite:///{tmp_path}/nowhere/intake.sqlite3")
    assert states(instance)["database"] is State.RED
    assert "staff" not in states(instance)
    with pytest.raises(Refused, match="cannot be reached"):
        monitoring.require_ready(instance)


def test_an_empty_database_is_behind(make_instance, tmp_path) -> None:
    instance = make_instance(f"sqlite:///{tmp_path}/empty.sqlite3")
    assert found(instance)["migrations"].state is State.RED
    with pytest.raises(Refused, match="intake db upgrade"):
        monitoring.require_ready(instance)


def test_a_newer_database_is_refused(instance: Instance) -> None:
    with instance.database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert found(instance)["migrations"].state is State.RED
    with pytest.raises(Refused, match="newer version"):
        monitoring.require_ready(instance)


def test_the_database_names_its_version_and_modes(sqlite_instance: Instance) -> None:
    sentence = found(sqlite_instance)["database"].sentence
    assert "SQLite 3." in sentence
    for mode in ("truncate", "full", "secure_delete"):
        assert mode in sentence


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "delete"), ("synchronous", "normal"), ("secure_delete", 0), ("foreign_keys", 0)],
)
def test_a_connection_that_would_lose_something_stops_the_start(
    sqlite_instance: Instance, pragma: str, value: object
) -> None:
    event.listen(
        sqlite_instance.database.engine,
        "connect",
        lambda connection, _: connection.execute(f"PRAGMA {pragma}={value}"),
    )
    sqlite_instance.database.engine.dispose()
    check = found(sqlite_instance)["database"]
    assert check.state is State.RED
    assert pragma in check.sentence
    with pytest.raises(Refused, match=pragma):
        monitoring.require_ready(sqlite_instance)


def test_every_pooled_connection_has_the_pragmas(sqlite_instance: Instance) -> None:
    sessions = [sqlite_instance.database.reading() for _ in range(12)]
    opened = [session.__enter__() for session in sessions]
    wrong = [checks.wrong_pragmas(session) for session in opened]
    for session in sessions:
        session.__exit__(None, None, None)
    assert wrong == [[]] * 12


# --- what surrounds it -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("free", "state"),
    [(99_999_999, State.RED), (100_000_000, State.AMBER), (999_999_999, State.AMBER), (10**9, State.GREEN)],
)
def test_the_disk(sqlite_instance: Instance, monkeypatch, free: int, state: State) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    assert checks.disk(sqlite_instance).state is state


def test_a_data_folder_that_can_only_be_read_is_red(sqlite_instance: Instance, monkeypatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert checks.disk(sqlite_instance).state is State.RED


@pytest.mark.parametrize(("days", "state"), LIMITS_OF_AGE)
def test_the_age_of_the_crisis_lines(sqlite_instance: Instance, days: int, state: State) -> None:
    verified = (sqlite_instance.clock() - timedelta(days=days)).date()
    clinic = replace(
        sqlite_instance.clinic, crisis=replace(sqlite_instance.clinic.crisis, verified_on=verified)
    )
    assert checks.crisis_lines(replace(sqlite_instance, clinic=clinic)).state is state


def test_texts_without_a_reader_are_named(sqlite_instance: Instance) -> None:
    check = checks.texts(sqlite_instance)
    assert check.state is State.AMBER
    assert "texts_reviewed.translations.es" in check.what_to_do


def test_texts_that_were_read_are_well(sqlite_instance: Instance) -> None:
    review = Review(by="A reader", on=sqlite_instance.clock().date())
    reviewed = TextsReviewed(translations={"es": review}, crisis=review, ketamine=review)
    clinic = replace(sqlite_instance.clinic, texts_reviewed=reviewed)
    assert checks.texts(replace(sqlite_instance, clinic=clinic)).state is State.GREEN


def test_production_without_a_mail_server_is_red(sqlite_instance: Instance) -> None:
    production = replace(sqlite_instance.settings, mode="production")
    assert checks.mail(replace(sqlite_instance, settings=production)).state is State.RED


# --- what stands in the tables -----------------------------------------------------------------


def test_a_relay_that_never_ran_is_red(instance: Instance) -> None:
    assert one(instance, checks.relay).state is State.RED


def test_a_relay_that_died_is_noticed(living: Instance, clock) -> None:
    clock.move(minutes=5)
    assert one(living, checks.relay).state is State.GREEN
    clock.move(seconds=1)
    assert one(living, checks.relay).state is State.RED
    relay_turn(living)
    assert one(living, checks.relay).state is State.GREEN


def test_a_notice_that_waits_for_a_quarter_of_an_hour_is_red(instance: Instance, clock) -> None:
    ask(instance)
    clock.move(minutes=15)
    assert one(instance, checks.notices).state is State.GREEN
    clock.move(seconds=1)
    check = one(instance, checks.notices)
    assert check.state is State.RED
    assert "15 minutes" in check.sentence


def test_a_refused_message_is_red_until_it_is_sent_again(instance: Instance) -> None:
    with instance.database.transaction() as session:
        (message,) = outbox.enqueue(
            session, Mail.TEST, clinic_recipients=["ada@example.org"], at=instance.clock()
        )
        message.state = MessageState.DEAD
    assert one(instance, checks.dead_letters).state is State.RED
    with instance.database.transaction() as session:
        outbox.resend(
            session, message.id, at=instance.clock(), keyring=instance.keyring, actor=Actor.system()
        )
    assert one(instance, checks.dead_letters).state is State.GREEN


def test_an_overdue_round_is_red_and_named(living: Instance, clock) -> None:
    clock.move(hours=2, minutes=5)
    check = one(living, checks.jobs)
    assert check.state is State.RED
    assert "forget_submissions" in check.sentence


def test_a_round_that_failed_is_amber_and_named(living: Instance) -> None:
    with living.database.transaction() as session:
        session.execute(update(JobLease).where(JobLease.name == "sweep").values(last_error="KeyError"))
    check = one(living, checks.jobs)
    assert check.state is State.AMBER
    assert "sweep" in check.sentence


def record(instance: Instance, at: datetime) -> AuditEvent:
    with instance.database.transaction() as session:
        return audit.record(
            session, Action.MAIL_TESTED, keyring=instance.keyring, at=at, actor=Actor.system()
        )


@pytest.mark.parametrize(
    ("minutes", "state"),
    LIMITS_OF_TAIL,
)
def test_the_tail_that_the_linker_has_not_reached(
    instance: Instance, clock, minutes: int, state: State
) -> None:
    record(instance, instance.clock())
    clock.move(minutes=minutes)
    assert one(instance, checks.linking).state is state


def test_a_clock_that_was_set_back_is_red(instance: Instance, clock) -> None:
    record(instance, instance.clock())
    clock.move(minutes=-5)
    assert one(instance, checks.clock).state is State.GREEN
    clock.move(seconds=-1)
    assert one(instance, checks.clock).state is State.RED


def with_other_keys(instance: Instance, *names: str) -> Instance:
    """The same instance with fresh keys for `names`."""
    changed = replace(instance.settings, **{name: conf_secrets.new_secret(name) for name in names})
    return replace(instance, keyring=load_keyring(changed))


def test_keys_of_another_instance_are_noticed(instance: Instance) -> None:
    ask(instance)
    assert one(instance, checks.keys).state is State.GREEN
    sealing = one(with_other_keys(instance, "sealing_keys"), checks.keys)
    assert (sealing.state, "INTAKE_SEALING_KEYS" in sealing.what_to_do) == (State.RED, True)
    chain = one(with_other_keys(instance, "chain_key"), checks.keys)
    assert (chain.state, "INTAKE_CHAIN_KEY" in chain.what_to_do) == (State.RED, True)


def test_nobody_who_can_sign_in_is_red(instance: Instance) -> None:
    assert one(instance, checks.staff).state is State.RED


# --- the desk's banner ---------------------------------------------------------------------------


def test_the_banner_shows_only_checks_that_may_forget_a_person(living: Instance, clock) -> None:
    with living.database.reading() as session:
        assert monitoring.banner(Act(session, living)) == []
    ask(living)
    clock.move(minutes=20)
    with living.database.reading() as session:
        shown = monitoring.banner(Act(session, living))
    assert [check.name for check in shown] == ["relay", "notices"]


# --- for machines ----------------------------------------------------------------------------------


@pytest.fixture
def broken_web(make_instance, tmp_path):
    """A web application whose database is not there."""
    return create_app(make_instance(f"sqlite:///{tmp_path}/nowhere/intake.sqlite3")).test_client()


def test_healthz_asks_nothing(broken_web) -> None:
    answer = broken_web.get("/healthz")
    assert (answer.status_code, answer.text) == (200, "ok")
    assert answer.headers["Cache-Control"] == "no-store"


def test_readyz_is_ready(web) -> None:
    answer = web.get("/readyz")
    assert answer.status_code == 200
    assert answer.json == {"ready": True, "checks": {"database": "green", "migrations": "green"}}


def test_readyz_is_not_ready_without_a_database(broken_web) -> None:
    answer = broken_web.get("/readyz")
    assert answer.status_code == 503
    assert answer.json == {"ready": False, "checks": {"database": "red", "migrations": "red"}}


def test_readyz_tells_no_version_and_no_sentence(web) -> None:
    text = json.dumps(web.get("/readyz").json)
    assert "SQLite" not in text
    assert "3." not in text


def metrics(web, token: str = TOKEN):
    return web.get("/metrics", headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize("header", [{}, {"Authorization": ""}, {"Authorization": TOKEN}])
def test_metrics_are_closed_without_the_token(web, header: dict[str, str]) -> None:
    assert web.get("/metrics", headers=header).status_code == 401


@pytest.mark.parametrize("token", ["", TOKEN.upper(), f"{TOKEN} x", TOKEN[:-1], "ä"])
def test_metrics_are_closed_with_a_wrong_token(web, token: str) -> None:
    assert metrics(web, token).status_code == 401


def test_metrics_do_not_exist_when_no_token_is_set(make_instance, sqlite_url: str) -> None:
    closed = create_app(make_instance(sqlite_url, metrics_token="")).test_client()
    assert metrics(closed, "").status_code == 404


def gauges(web) -> dict[tuple[str, str], float]:
    families = text_string_to_metric_families(metrics(web).text)
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in families
        for sample in family.samples
    }


def test_metrics_count_what_stands_in_the_database(web, sqlite_instance: Instance, clock) -> None:
    ask(sqlite_instance)
    clock.move(seconds=90)
    values = gauges(web)
    assert values["intake_leads", "new"] == 1
    assert values["intake_leads", "closed"] == 0
    assert values["intake_outbox_waiting", ""] == len(sqlite_instance.clinic.notices.recipients)
    assert values["intake_outbox_oldest_waiting_seconds", ""] == 90
    assert values["intake_outbox_dead", ""] == 0
    assert values["intake_check_state", "relay"] == 2
    relay_turn(sqlite_instance)
    relay_turn(sqlite_instance)  # the first one wrote the daily mail
    clock.move(seconds=7)
    values = gauges(web)
    assert values["intake_outbox_waiting", ""] == 0
    assert values["intake_round_age_seconds", "link"] == 7


def test_metrics_tell_nothing_about_anybody(web, sqlite_instance: Instance) -> None:
    reference = ask(sqlite_instance).lead.reference
    text = metrics(web).text
    for canary in (NAME, PHONE, EMAIL, reference, "example.org", "US-FL"):
        assert canary not in text


def test_a_scrape_that_fails_answers_unavailable(broken_web) -> None:
    assert metrics(broken_web).status_code == 503
