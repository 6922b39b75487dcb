"""A new sealing key while people ask; new app keys that cost nobody a word."""

import re
import threading
import time

import pytest
from sqlalchemy import select

from intake import monitoring
from intake.act import Act
from intake.app import create_app
from intake.audit import Action, Actor, AuditEvent
from intake.conf import secrets
from intake.conf.settings import load
from intake.core.errors import Refused
from intake.instance import Instance
from intake.leads import key_rotation, reveal
from intake.leads.models import ErasureReason, Lead, LeadKey
from intake.monitoring import State
from intake.privacy.retention import erase
from intake.security.crypto import Keyring
from tests import client, factories
from tests.cli.conftest import Service
from tests.conftest import SECRETS
from tests.drills.asking import ask_once
from tests.factories import PHONE, ask, every, hire

OLD, NEW = SECRETS["sealing_keys"], secrets.new_secret("sealing_keys", key_id="k2")
BOTH = f"{NEW},{OLD}"


def rows_by_key(instance: Instance) -> dict[str, int]:
    with instance.database.reading() as session:
        return dict(key_rotation.count_rows_by_key(session, instance.keyring))


def unopenable(instance: Instance, keyring: Keyring) -> tuple[int, int]:
    with instance.database.reading() as session:
        return key_rotation.count_undecryptable(session, keyring)


def with_keys(instance: Instance, make_instance, written: str) -> Instance:
    return make_instance(instance.settings.database_url, sealing_keys=written)


# --- moving -------------------------------------------------------------------------------------------


@pytest.fixture
def filled(instance: Instance) -> Instance:
    """Seven requests and one account, under the old key."""
    for _ in range(7):
        ask(instance)
    hire(instance)
    return instance


def test_everything_moves_and_the_old_key_is_then_useless(filled: Instance, make_instance) -> None:
    both = with_keys(filled, make_instance, BOTH)
    seen: list[tuple[int, int]] = []
    rotated = key_rotation.rotate(both, batch=3, on_progress=lambda done, of: seen.append((done, of)))
    assert (rotated.rewrapped, rotated.undecryptable, rotated.unused) == (8, 0, ("k1",))
    assert seen == [(1, 8), (4, 8), (7, 8), (8, 8)]
    assert rows_by_key(both) == {"k2": 8, "k1": 0}
    new = with_keys(filled, make_instance, NEW)
    assert unopenable(new, new.keyring) == (0, 8)
    assert unopenable(filled, filled.keyring) == (8, 8)
    with new.database.reading() as session:
        shown = [reveal.mask_lead(Act(session, new), lead).phone for lead in session.scalars(select(Lead))]
    assert len(set(shown)) == 1
    assert shown[0].endswith(PHONE[-2:])


def test_who_enters_with_a_second_factor_still_does(make_instance, database_url) -> None:
    person = factories.add_account(make_instance(database_url))
    key_rotation.rotate(make_instance(database_url, sealing_keys=BOTH))
    new = make_instance(database_url, sealing_keys=NEW)
    assert factories.sign_in_as(new, person)


@pytest.mark.parametrize("row", range(8))
def test_killed_at_any_row_it_goes_on_where_it_was(row: int, filled, make_instance, monkeypatch) -> None:
    both = with_keys(filled, make_instance, BOTH)
    real, moved = key_rotation._rewrap, []

    def dying(*arguments: object) -> object:
        if len(moved) == row:
            raise KeyboardInterrupt
        moved.append(arguments)
        return real(*arguments)

    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(key_rotation, "_rewrap", dying)
        key_rotation.rotate(both, batch=2)
    assert unopenable(both, both.keyring) == (0, 8)
    assert rows_by_key(both)["k2"] == (1 + (row - 1) // 2 * 2 if row else 0)  # the account, then two by two
    assert key_rotation.rotate(both, batch=2).unused == ("k1",)
    assert unopenable(both, with_keys(filled, make_instance, NEW).keyring) == (0, 8)


def test_what_is_erased_or_asked_meanwhile_stays_so(filled: Instance, make_instance, monkeypatch) -> None:
    """A row that somebody changes between its reading and its writing is theirs."""
    both = with_keys(filled, make_instance, BOTH)
    gone = every(filled, Lead)[0]
    real = Keyring.rewrap

    def slowly(keyring: Keyring, wrapped: bytes, **place: object) -> bytes:
        if "place" in place and place["place"].row == gone.id and not both.settings.sqlite:
            with filled.database.transaction() as session:
                there = session.get_one(Lead, gone.id)
                erase(Act(session, filled, Actor.system()), there, reason=ErasureReason.DUE)
        return real(keyring, wrapped, **place)

    monkeypatch.setattr(Keyring, "rewrap", slowly)
    late = ask(both).lead
    key_rotation.rotate(both)
    left = {each.lead_id for each in every(both, LeadKey)}
    assert late.id in left
    assert (gone.id in left) is both.settings.sqlite  # there its writers wait for the batch
    assert unopenable(both, both.keyring)[0] == 0


def test_the_log_knows_of_it(filled: Instance, make_instance) -> None:
    key_rotation.rotate(with_keys(filled, make_instance, BOTH))
    found = {each.action: each.details for each in every(filled, AuditEvent)}
    assert found[Action.KEYS_ROTATION_BEGUN] == '{"from":["k1"],"to":"k2"}'
    assert found[Action.KEYS_ROTATED] == '{"count":8,"to":"k2"}'


# --- a wrong order -------------------------------------------------------------------------------------


WRONG = {
    "behind": (f"{OLD},{NEW}", "in front of INTAKE_SEALING_KEYS, not behind"),
    "alone": (OLD, "k1 is the only key"),
    "gone": (NEW, "8 rows stand on k1, which INTAKE_SEALING_KEYS does not hold"),
}


@pytest.mark.parametrize("which", WRONG)
def test_a_wrong_order_is_refused_and_nothing_is_moved(which: str, filled: Instance, make_instance) -> None:
    written, message = WRONG[which]
    before = [each.wrapped for each in every(filled, LeadKey)]
    with pytest.raises(Refused, match=message):
        key_rotation.rotate(with_keys(filled, make_instance, written))
    assert [each.wrapped for each in every(filled, LeadKey)] == before


def test_there_is_no_way_back_to_a_key_that_was_left(filled: Instance, make_instance) -> None:
    key_rotation.rotate(with_keys(filled, make_instance, BOTH))
    with pytest.raises(Refused, match="k1 was rotated away from before"):
        key_rotation.rotate(with_keys(filled, make_instance, f"{OLD},{NEW}"))
    third = secrets.new_secret("sealing_keys", key_id="k3")
    assert key_rotation.rotate(with_keys(filled, make_instance, f"{third},{BOTH}")).unused == ("k2", "k1")


def test_a_second_run_finds_nothing_to_do(filled: Instance, make_instance) -> None:
    both = with_keys(filled, make_instance, BOTH)
    key_rotation.rotate(both)
    again = key_rotation.rotate(both)
    assert (again.rewrapped, again.unused) == (0, ("k1",))


def test_a_row_that_does_not_open_stops_no_other(filled: Instance, make_instance) -> None:
    with filled.database.transaction() as session:
        broken = session.scalars(select(LeadKey)).first()
        broken.wrapped = broken.wrapped[:-1] + bytes([broken.wrapped[-1] ^ 1])
    rotated = key_rotation.rotate(with_keys(filled, make_instance, BOTH), batch=2)
    assert (rotated.rewrapped, rotated.undecryptable, rotated.unused) == (7, 1, ())


def test_health_tells_that_a_key_was_taken_out_too_early(filled: Instance, make_instance) -> None:
    new = with_keys(filled, make_instance, NEW)
    check = next(each for each in monitoring.run_checks(new) if each.name == "keys")
    assert check.state is State.RED
    assert "k1" in check.sentence


# --- while people ask ----------------------------------------------------------------------------------


def test_people_go_on_asking_while_it_is_killed_again_and_again(make_service) -> None:
    """A real service with both keys, real rotations, SIGKILL at any moment; nobody is refused."""
    service: Service = make_service(INTAKE_SEALING_KEYS=OLD).migrate()
    service.start("serve")
    service.wait_until_up()
    assert all(asked(service, number) for number in range(20))
    first = service.started.pop()
    first.kill()
    first.wait()
    service.wait_until_gone()
    service.environment["INTAKE_SEALING_KEYS"] = BOTH
    service.start("serve")
    service.wait_until_up()
    done, refused = threading.Event(), []

    def asking() -> None:
        number = 20
        while not done.is_set():
            number += 1
            if not asked(service, number):
                refused.append(number)

    person = threading.Thread(target=asking)
    person.start()
    try:
        for moment in (0.9, 1.2, 1.5):
            process = service.start("keys", "rotate", "--batch", "1")
            time.sleep(moment)
            process.kill()
            process.wait()
            service.started.remove(process)
        ended = service.run("keys", "rotate")
    finally:
        done.set()
        person.join()
    assert refused == []
    assert ended.returncode == 0, ended.stderr
    assert "Nothing stands on k1 any more: it may now be removed" in ended.stdout
    service.environment["INTAKE_SEALING_KEYS"] = NEW
    checked = service.run("keys", "rotate", "--check")
    assert re.fullmatch(r"k2: \d+ rows \(new ones are wrapped with it\)\n", checked.stdout)


def asked(service: Service, number: int) -> bool:
    return bool(ask_once(service.port, number))


def test_the_command_says_how_many_rows_stand_where(command, monkeypatch) -> None:
    monkeypatch.setenv("INTAKE_SEALING_KEYS", OLD)
    before = Instance.from_settings(load())
    ask(before)
    before.database.close()
    monkeypatch.setenv("INTAKE_SEALING_KEYS", BOTH)
    result = command("keys", "rotate", "--check")
    assert result.output == "k2: 0 rows (new ones are wrapped with it)\nk1: 1 row\n"
    monkeypatch.setenv("INTAKE_SEALING_KEYS", NEW)
    result = command("keys", "rotate", "--check")
    assert "k1: 1 row, but INTAKE_SEALING_KEYS does not hold this key" in result.output
    assert command("keys", "rotate").exit_code == 1


def test_one_fresh_key_can_be_printed_alone(command) -> None:
    written = command("keys", "new", "--only", "sealing_keys", "--id", "k2").output.strip()
    assert list(secrets.parse_sealing_keys(written)) == ["k2"]
    assert secrets.parse_key(command("keys", "new", "--only", "backup_key").output)


# --- the app keys ---------------------------------------------------------------------------------------


def test_a_form_that_was_open_goes_through_after_new_app_keys_and_a_restart(
    make_instance, database_url, clock
) -> None:
    old, new = SECRETS["app_keys"], secrets.new_secret("app_keys")
    form = client.fill_in(create_app(make_instance(database_url)).test_client())
    clock.move(minutes=1)
    restarted = create_app(make_instance(database_url, app_keys=f"{new},{old}")).test_client()
    assert client.read(restarted.post("/", data=form)).one("output", id="code-words")


def test_without_the_old_key_it_comes_back_with_every_word(make_instance, database_url, clock) -> None:
    form = client.fill_in(create_app(make_instance(database_url)).test_client())
    clock.move(minutes=1)
    restarted = create_app(make_instance(database_url, app_keys=secrets.new_secret("app_keys"))).test_client()
    answer = restarted.post("/", data=form)
    page = client.read(answer)
    assert answer.status_code < 500
    typed = {name: page.typed(name) for name in ("preferred_name", "phone", "email")}
    assert typed == {name: form[name] for name in typed}
    for name, value in form.items():
        for each in value if isinstance(value, list) else [value]:
            assert name in ("token", "website", *typed) or f'value="{each}"' in answer.text, name
    again = {**form, "token": page.typed("token")}
    assert page.typed("token") != form["token"]
    assert client.read(restarted.post("/", data=again)).one("output", id="code-words")


def test_a_signed_in_member_stays_signed_in_while_the_old_key_is_there(make_instance, database_url) -> None:
    old, new = SECRETS["app_keys"], secrets.new_secret("app_keys")
    before = client.Desk(make_instance(database_url), hire(make_instance(database_url)))
    csrf = before.csrf()
    cookie = before.web.get_cookie("intake").value
    for app_keys, left in ((f"{new},{old}", 303), (new, 403)):
        after = create_app(make_instance(database_url, app_keys=app_keys)).test_client()
        after.set_cookie("intake", cookie, path="/", samesite="Strict", httponly=True)
        assert after.get("/desk/").status_code == 200
        form = {"csrf": csrf, "contact": "+13055550199", "kind": "phone"}
        sent = after.post("/desk/stop", data=form, headers=client.OURS)
        assert (sent.status_code == 403) is (left == 403), sent.status_code
