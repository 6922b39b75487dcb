"""The first account of a development instance, created at its first start and written to a file.

Production has none: there an operator adds accounts, whose credentials are shown once.
"""

import os
from dataclasses import dataclass
from datetime import datetime

import pyotp

from intake.accounts import service
from intake.accounts.models import Role
from intake.act import Act
from intake.conf.settings import Settings

EMAIL, NAME = "desk@example.org", "First account"
FILE = "first-account.txt"
_ABOUT = (
    "The first account of this development instance, made at its first start.",
    "Delete this file once there are accounts of your own.",
)


@dataclass(frozen=True, repr=False)
class DevAccount:
    """The credentials of the first account."""

    email: str
    password: str
    totp_uri: str
    recovery_codes: tuple[str, ...]

    @property
    def secret(self) -> str:
        """The TOTP secret in base32, as it is typed into an authenticator app."""
        return pyotp.parse_uri(self.totp_uri).secret

    def code(self, at: datetime) -> str:
        """The one-time code at `at`."""
        return str(pyotp.TOTP(self.secret).at(at))


def ensure_dev_account(act: Act) -> DevAccount | None:
    """Add the first account when there is none, in the caller's transaction; else read it from its file.

    The file is written in one step and readable by its owner only. None in production, and when the file
    was deleted.
    """
    if not act.settings.development:
        return None
    if service.list_accounts(act.session):
        return read_dev_account(act.settings)
    added = service.add(act, email=EMAIL, name=NAME, roles=frozenset(Role))
    account = DevAccount(EMAIL, added.password, added.totp_uri, added.recovery_codes)
    lines = [
        *_ABOUT,
        "",
        f"email: {account.email}",
        f"password: {account.password}",
        f"secret: {account.secret}",
        f"for an app: {account.totp_uri}",
        *(f"recovery code: {code}" for code in account.recovery_codes),
    ]
    path = act.settings.data_dir / FILE
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    draft.replace(path)
    return account


def read_dev_account(settings: Settings) -> DevAccount | None:
    """The first account as its file has it; None when there is no file, or in production."""
    path = settings.data_dir / FILE
    if not settings.development or not path.is_file():
        return None
    pairs = [line.partition(": ")[::2] for line in path.read_text(encoding="utf-8").splitlines()]
    values = dict(pairs)
    try:
        codes = tuple(value for name, value in pairs if name == "recovery code")
        return DevAccount(values["email"], values["password"], values["for an app"], codes)
    except KeyError:
        return None
