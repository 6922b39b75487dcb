"""Staff for tests: accounts with their credentials, and quick password hashing."""

import hashlib
import itertools
from collections.abc import Collection
from dataclasses import dataclass

import pyotp
import pytest
from argon2 import PasswordHasher

from intake.accounts import credentials, service, sign_in
from intake.accounts.models import Role
from intake.accounts.permissions import Member
from intake.accounts.service import NewAccount
from intake.act import Act
from intake.instance import Instance

MARIA = "maria.lopez@example.org"
PASSWORD = "violin kettle meadow tin"
HOME_NETWORK, AWAY = "203.0.113.7", "198.51.100.9"


@dataclass(frozen=True)
class Person:
    """A staff member with their credentials."""

    member: Member
    password: str
    totp: pyotp.TOTP
    recovery_codes: tuple[str, ...]

    @classmethod
    def from_new_account(cls, added: NewAccount) -> "Person":
        return cls(added.member, added.password, pyotp.parse_uri(added.totp_uri), added.recovery_codes)

    def code(self, instance: Instance, *, steps: int = 0) -> str:
        """The one-time code now, or `steps` half minutes later."""
        return self.totp.at(instance.clock().timestamp() + 30 * steps)


def hire(
    instance: Instance,
    email: str = MARIA,
    *,
    roles: Collection[Role] = frozenset(Role),
    password: str | None = PASSWORD,
    name: str = "Maria Lopez",
) -> Person:
    """Add an account with these roles, by default all of them."""
    with instance.database.transaction() as session:
        added = service.add(Act(session, instance), email=email, name=name, roles=roles, password=password)
    return Person.from_new_account(added)


def sign_in_as(instance: Instance, person: Person, **changes: str) -> sign_in.SignedIn:
    """Sign in with correct credentials, except for `changes`."""
    typed = {"email": person.member.email, "password": person.password, "code": person.code(instance)}
    attempt = sign_in.LoginAttempt(
        changes.pop("address", HOME_NETWORK), previous_token=changes.pop("previous_token", "")
    )
    return sign_in.sign_in(instance=instance, attempt=attempt, **{**typed, **changes})


@pytest.fixture
def quick_hashing(monkeypatch: pytest.MonkeyPatch) -> PasswordHasher:
    """Second factors are the same at every run: no code is by chance `000000` or like its neighbour."""
    numbers = itertools.count()
    monkeypatch.setattr(credentials, "new_totp_secret", lambda: _secret_of_number(next(numbers)))
    return credentials.HASHER


def _secret_of_number(number: int) -> bytes:
    return hashlib.sha256(f"second factor {number}".encode()).digest()[: credentials.TOTP_BYTES]
