"""Accounts: one per person, never without an admin, credentials shown once."""

import json
import threading

import pyotp
import pytest
from sqlalchemy import select, text

from intake.accounts import credentials, service, sessions
from intake.accounts.models import Role, StaffMember
from intake.accounts.service import AccountExists, LastAdmin
from intake.act import Act
from intake.audit import Action, Actor, AuditEvent
from intake.core.errors import NotFound, Unprocessable
from intake.instance import Instance
from tests.factories import MARIA, PASSWORD, Person, add_account


@pytest.fixture
def maria(instance: Instance) -> Person:
    return add_account(instance)


def happened(instance: Instance, action: Action) -> list[AuditEvent]:
    with instance.database.reading() as session:
        return list(session.scalars(select(AuditEvent).where(AuditEvent.action == action)))


def test_an_account_is_kept_with_what_it_needs_and_no_more(instance: Instance, maria: Person) -> None:
    with instance.database.reading() as session:
        row = session.get_one(StaffMember, maria.member.id)
        assert service.by_email(session, MARIA) == maria.member
    assert row.password_hash.startswith("$argon2id$")
    assert PASSWORD not in row.password_hash
    assert (row.created_at, row.disabled_at) == (instance.clock(), None)


def test_adding_is_one_event_with_the_roles_and_no_address(instance: Instance) -> None:
    person = add_account(instance, roles={Role.COORDINATOR, Role.ADMIN})
    (added,) = happened(instance, Action.STAFF_ADDED)
    assert added.about == person.member.id
    assert json.loads(added.details) == {"role": ["admin", "coordinator"]}


def test_the_log_says_which_colleague_added_an_account(instance: Instance, maria: Person) -> None:
    with instance.database.transaction() as session:
        service.add(
            Act(session, instance, Actor.staff(maria.member.id)),
            email="joe@example.org",
            name="Joe",
            roles={Role.COORDINATOR},
        )
    by = {each.actor_id for each in happened(instance, Action.STAFF_ADDED)}
    assert by == {None, maria.member.id}


def test_a_password_is_made_when_none_is_given(instance: Instance) -> None:
    one, other = (
        add_account(instance, password=None),
        add_account(instance, "joe@example.org", name="Joe", password=None),
    )
    assert one.password != other.password
    assert len(one.password) == 29
    with instance.database.reading() as session:
        kept = session.get_one(StaffMember, one.member.id).password_hash
    assert credentials.password_matches(kept, one.password)


def test_the_address_for_the_app_names_clinic_and_account(instance: Instance, maria: Person) -> None:
    assert isinstance(maria.totp, pyotp.TOTP)
    assert maria.totp.name == MARIA
    assert maria.totp.issuer == instance.clinic.name


def test_what_is_handed_over_is_not_printed(instance: Instance) -> None:
    with instance.database.transaction() as session:
        added = service.add(Act(session, instance), email=MARIA, name="Maria", roles={Role.ADMIN})
    shown = repr(added)
    secret = pyotp.parse_uri(added.totp_uri).secret
    assert not [each for each in (added.password, secret, *added.recovery_codes) if each in shown]


@pytest.mark.parametrize("email", [MARIA, "MARIA.LOPEZ@example.org", " maria.lopez@EXAMPLE.ORG "])
def test_one_address_has_one_account_however_it_is_spelled(
    instance: Instance, maria: Person, email: str
) -> None:
    with pytest.raises(AccountExists):
        add_account(instance, email)
    with instance.database.reading() as session:
        assert session.scalar(text("SELECT count(*) FROM staff_member")) == 1
    assert len(happened(instance, Action.STAFF_ADDED)) == 1


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"email": ""}, "email"),
        ({"email": "maria"}, "email"),
        ({"email": "maria@localhost"}, "email"),
        ({"email": "a@b@example.org"}, "email"),
        ({"email": "maria\r\nBcc: all@example.org"}, "email"),
        ({"email": "\ud800@example.org"}, "email"),
        ({"email": "m" * 10_000 + "@example.org"}, "email"),
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"name": "Maria\x00"}, "name"),
        ({"name": "Maria\u202egnp.exe"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"roles": frozenset()}, "roles"),
        ({"password": "short"}, "password"),
        ({"password": "correct horse battery staple"}, "password"),
        ({"password": "maria lopez maria lopez"}, "password"),
    ],
)
def test_it_says_what_to_put_right(instance: Instance, given: dict[str, str], field: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        add_account(instance, **{"email": MARIA, **given})  # type: ignore[arg-type]
    assert set(refused.value.problems) == {field}
    with instance.database.reading() as session:
        assert session.scalar(text("SELECT count(*) FROM staff_member")) == 0


@pytest.mark.parametrize("name", ["O'Brien", "Nguyễn Văn A", "李", "Zoë-Marie ʻOkina", "<b>Bo</b>", "=1+1"])
def test_names_are_kept_as_they_are(instance: Instance, name: str) -> None:
    assert add_account(instance, name=name).member.name == name


def test_a_reset_ends_everything_that_was(instance: Instance, maria: Person) -> None:
    with instance.database.transaction() as session:
        token = sessions.begin(Act(session, instance), staff_id=maria.member.id)
    with instance.database.transaction() as session:
        anew = Person.from_new_account(service.reset(Act(session, instance), staff_id=maria.member.id))
    assert anew.member == maria.member
    assert anew.password != maria.password
    assert anew.totp.secret != maria.totp.secret
    assert not set(anew.recovery_codes) & set(maria.recovery_codes)
    with instance.database.reading() as session:
        row = session.get_one(StaffMember, maria.member.id)
        assert not credentials.password_matches(row.password_hash, maria.password)
        assert credentials.password_matches(row.password_hash, anew.password)
        assert credentials.recovery_codes_left(session, maria.member.id) == 10
        assert session.scalar(text("SELECT count(*) FROM staff_session WHERE ended_at IS NULL")) == 0
    assert token
    assert len(happened(instance, Action.STAFF_RESET)) == 1


def test_a_reset_does_not_open_a_disabled_account(instance: Instance, maria: Person) -> None:
    joe = add_account(instance, "joe@example.org", name="Joe")
    with instance.database.transaction() as session:
        service.disable(Act(session, instance), staff_id=joe.member.id)
        service.reset(Act(session, instance), staff_id=joe.member.id)
    with instance.database.reading() as session:
        assert session.get_one(StaffMember, joe.member.id).disabled_at


def test_disabling_twice_is_one_event_and_enabling_opens_again(instance: Instance, maria: Person) -> None:
    joe = add_account(instance, "joe@example.org", name="Joe")
    for _ in range(2):
        with instance.database.transaction() as session:
            service.disable(Act(session, instance), staff_id=joe.member.id)
    for _ in range(2):
        with instance.database.transaction() as session:
            service.enable(Act(session, instance), staff_id=joe.member.id)
    assert len(happened(instance, Action.STAFF_DISABLED)) == 1
    assert len(happened(instance, Action.STAFF_ENABLED)) == 1
    with instance.database.reading() as session:
        assert session.get_one(StaffMember, joe.member.id).disabled_at is None


def test_the_last_admin_stays(instance: Instance, maria: Person) -> None:
    add_account(instance, "joe@example.org", name="Joe", roles={Role.COORDINATOR, Role.SUPERVISOR})
    with pytest.raises(LastAdmin), instance.database.transaction() as session:
        service.disable(Act(session, instance), staff_id=maria.member.id)


def test_two_admins_who_disable_each_other_at_once_leave_one(instance: Instance, maria: Person) -> None:
    joe = add_account(instance, "joe@example.org", name="Joe")
    start = threading.Barrier(2)
    refused: list[LastAdmin] = []

    def disable(person: Person) -> None:
        start.wait()
        try:
            with instance.database.transaction() as session:
                service.disable(Act(session, instance), staff_id=person.member.id)
        except LastAdmin as last:
            refused.append(last)

    threads = [threading.Thread(target=disable, args=(person,)) for person in (maria, joe)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1


def test_an_account_that_is_not_there_is_not_found(instance: Instance, maria: Person) -> None:
    nobody = add_account(instance, "joe@example.org", name="Joe").member.id.__class__(int=1)
    with instance.database.transaction() as session:
        for act in (service.disable, service.enable, service.reset):
            with pytest.raises(NotFound):
                act(Act(session, instance), staff_id=nobody)
        with pytest.raises(NotFound):
            service.by_email(session, "nobody@example.org")


def test_everybody_is_listed_with_how_they_stand(instance: Instance, maria: Person) -> None:
    joe = add_account(instance, "joe@example.org", name="Joe", roles={Role.COORDINATOR})
    with instance.database.transaction() as session:
        service.disable(Act(session, instance), staff_id=joe.member.id)
    with instance.database.reading() as session:
        listed = {each.member.email: each for each in service.list_accounts(session)}
    assert listed[MARIA].disabled_at is None
    assert listed["joe@example.org"].disabled_at == instance.clock()
    assert listed["joe@example.org"].member.roles == {Role.COORDINATOR}
    assert listed[MARIA].recovery_codes_left == 10


@pytest.mark.parametrize(
    ("typed", "spelled"),
    [
        ("Maria.Lopez@Example.ORG", "maria.lopez@example.org"),
        ("  maria@example.org\n", "maria@example.org"),
        ("ｍａｒｉａ@example.org", "maria@example.org"),
        ("maria@xn--clnica-4va.example.org", "maria@clínica.example.org"),
        ("maria@CLÍNICA.example.org", "maria@clínica.example.org"),
        ("maria", ""),
        ("", ""),
        ("maria@example.org, joe@example.org", ""),
        ("\x00maria@example.org", ""),
    ],
)
def test_an_address_has_one_spelling(typed: str, spelled: str) -> None:
    assert service.normalised_email(typed) == spelled
