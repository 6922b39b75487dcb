"""Staff for tests: accounts with everything their owner was handed, and a quick stand-in for slow hashing."""

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
from intake.accounts.service import Added
from intake.instance import Instance

MARIA = "maria.lopez@example.org"
PASSWORD = "violin kettle meadow tin"
HOME_NETWORK, AWAY = "203.0.113.7", "198.51.100.9"


@dataclass(frozen=True)
class Person:
    """A staff member and what they carry."""

    member: Member
    password: str
    totp: pyotp.TOTP
    recovery_codes: tuple[str, ...]

    @classmethod
    def handed(cls, added: Added) -> "Person":
        return cls(added.member, added.password, pyotp.parse_uri(added.totp_uri), added.recovery_codes)

    def code(self, instance: Instance, *, steps: int = 0) -> str:
        """What their authenticator app shows now, or so many half minutes later."""
        return self.totp.at(instance.clock().timestamp() + 30 * steps)


def hire(
    instance: Instance,
    email: str = MARIA,
    *,
    roles: Collection[Role] = frozenset(Role),
    password: str | None = PASSWORD,
    name: str = "Maria Lopez",
) -> Person:
    """An account with these roles (all of them, if not said otherwise)."""
    with instance.database.transaction() as session:
        added = service.add(
            session, instance=instance, email=email, name=name, roles=roles, password=password
        )
    return Person.handed(added)


def come_in(instance: Instance, person: Person, **changes: str) -> sign_in.SignedIn:
    """Sign in with everything right, except for `changes`."""
    typed = {"email": person.member.email, "password": person.password, "code": person.code(instance)}
    comer = sign_in.LoginAttempt(
        changes.pop("address", HOME_NETWORK), instead_of=changes.pop("instead_of", "")
    )
    return sign_in.sign_in(instance=instance, comer=comer, **{**typed, **changes})


@pytest.fixture
def quick_hashing(monkeypatch: pytest.MonkeyPatch) -> PasswordHasher:
    """Argon2id with the least work it can do: what is tested is what we do with it.

    Second factors are the same at every run, so that no code is by chance `000000` or like its neighbour.
    """
    numbers = itertools.count()
    monkeypatch.setattr(credentials, "new_totp_secret", lambda: _secret_of_number(next(numbers)))
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(credentials, "HASHER", quick)
    monkeypatch.setattr(credentials, "STAND_IN", quick.hash("nobody's password"))
    return quick


def _secret_of_number(number: int) -> bytes:
    return hashlib.sha256(f"second factor {number}".encode()).digest()[: credentials.TOTP_BYTES]
