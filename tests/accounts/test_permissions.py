"""W1: four roles, one table; an admin alone sees no request."""

import itertools
import uuid

import pytest

from intake.accounts.models import Role
from intake.accounts.permissions import ROLE_PERMISSIONS, Member, Permission, may, permissions_of, require
from intake.core.errors import NotAllowed

ABOUT_PEOPLE = {
    Permission.LIST_LEADS,
    Permission.VIEW_LEAD,
    Permission.CLAIM_LEAD,
    Permission.SHARE_LEADS,
    Permission.REVEAL,
    Permission.LOG_OUTCOME,
    Permission.CLOSE_LEAD,
    Permission.FIND_LEAD,
    Permission.TAKE_REQUEST,
    Permission.STOP_ANYONE,
    Permission.LIFT_ANY,
    Permission.READ_AUDIT,
    Permission.HOLD_LEAD,
    Permission.SEE_NUMBERS,
}


def member(*roles: Role) -> Member:
    return Member(id=uuid.uuid4(), email="maria@example.org", name="Maria", roles=frozenset(roles))


def test_an_admin_alone_sees_nothing_about_anybody() -> None:
    assert not permissions_of([Role.ADMIN]) & ABOUT_PEOPLE


def test_a_privacy_officer_reads_the_log_and_never_a_number() -> None:
    officer = permissions_of([Role.PRIVACY_OFFICER])
    assert Permission.READ_AUDIT in officer
    assert not officer & {Permission.REVEAL, Permission.LOG_OUTCOME, Permission.CLAIM_LEAD}


def test_whoever_calls_does_not_read_the_log_about_themselves() -> None:
    assert Permission.READ_AUDIT not in permissions_of([Role.COORDINATOR, Role.SUPERVISOR])


def test_only_a_supervisor_lifts_what_nobody_took_back_themselves() -> None:
    assert {role for role in Role if Permission.LIFT_ANY in ROLE_PERMISSIONS[role]} == {Role.SUPERVISOR}


def test_only_an_admin_looks_after_accounts() -> None:
    able = {role for role in Role if Permission.MANAGE_ACCOUNTS in ROLE_PERMISSIONS[role]}
    assert able == {Role.ADMIN}


def test_every_permission_is_somebodys() -> None:
    assert permissions_of(list(Role)) == frozenset(Permission)


def test_no_role_allows_nothing() -> None:
    assert permissions_of([]) == frozenset()


@pytest.mark.parametrize("pair", list(itertools.combinations(Role, 2)))
def test_two_roles_allow_what_each_of_them_allows(pair: tuple[Role, Role]) -> None:
    assert permissions_of(pair) == ROLE_PERMISSIONS[pair[0]] | ROLE_PERMISSIONS[pair[1]]


@pytest.mark.parametrize("permission", Permission)
@pytest.mark.parametrize("role", Role)
def test_it_lets_pass_exactly_what_the_table_says(role: Role, permission: Permission) -> None:
    if permission in ROLE_PERMISSIONS[role]:
        require(member(role), permission)
        assert may(member(role), permission)
    else:
        assert not may(member(role), permission)
        with pytest.raises(NotAllowed):
            require(member(role), permission)


@pytest.mark.parametrize("permission", Permission)
def test_every_permission_has_a_sentence(permission: Permission) -> None:
    assert permission.sentence
