"""Staff accounts: add, reset, disable, enable, change roles, list. Signing in is in `sign_in`."""

import unicodedata
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from intake.accounts import credentials, passkeys, password_policy, sessions
from intake.accounts.models import Invitation, Role, StaffMember, StaffRole
from intake.accounts.permissions import Member
from intake.act import Act
from intake.audit import Action
from intake.core.errors import NotFound, Refused, Unprocessable
from intake.core.i18n import N_
from intake.instance import Instance

LONGEST_ADDRESS, LONGEST_NAME = 254, 80
PRODUCT = ("intake", "desk", "call back request")
"""Names of this product, which may not make up a password."""

NOT_AN_ADDRESS = N_("Type an email address, like name@example.org.")
NOT_A_NAME = N_("Type the name of one person, with at most 80 letters.")
NO_ACCOUNT = N_("There is no account with this address.")
NO_ROLE = N_("Choose at least one role.")


@dataclass(frozen=True)
class NewAccount:
    """A new or reset account with its credentials in plain text, which are shown once and not stored."""

    member: Member
    password: str = field(repr=False)
    totp_uri: str = field(repr=False)
    recovery_codes: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class AccountState:
    """An account with the facts that lists show."""

    member: Member
    created_at: datetime
    disabled_at: datetime | None
    recovery_codes_left: int


class AccountExists(Refused):
    """An account with this address exists."""

    sentence = N_("There is already an account with this address.")


class LastAdmin(Refused):
    """The act would leave no enabled account that can manage accounts."""

    sentence = N_("This is the last account that can manage accounts. Add another one first.")


def normalised_email(email: str) -> str:
    """The canonical form under which an address is stored and looked up; empty when it is invalid.

    Differences in case, surrounding spaces, full-width letters and the two ways to write an international
    domain are removed.
    """
    if len(email) > 2 * LONGEST_ADDRESS:
        return ""
    stripped = unicodedata.normalize("NFKC", email).strip()
    try:
        valid = validate_email(stripped, check_deliverability=False)
    except (EmailNotValidError, UnicodeError):
        return ""
    return unicodedata.normalize("NFKC", valid.normalized).casefold()


def add(
    act: Act, *, email: str, name: str, roles: Collection[Role], password: str | None = None
) -> NewAccount:
    """Add an account; a random password is set when none is given.

    Raises Unprocessable on email, name, roles or password, and AccountExists (409).
    """
    address = normalised_email(email)
    display_name = " ".join(unicodedata.normalize("NFC", name).split())
    unprintable = {"Cc", "Cf", "Cs", "Co", "Cn"} & {unicodedata.category(each) for each in display_name}
    problems: dict[str, list[str]] = {}
    if not address:
        problems["email"] = [NOT_AN_ADDRESS]
    if not 0 < len(display_name) <= LONGEST_NAME or unprintable:
        problems["name"] = [NOT_A_NAME]
    if not roles:
        problems["roles"] = [NO_ROLE]
    if problems:
        raise Unprocessable(problems)
    member = Member(id=uuid.uuid4(), email=address, name=display_name, roles=frozenset(roles))
    row = StaffMember(id=member.id, email=address, name=display_name, created_at=act.now, totp_step=0)
    accepted, secret = _set_credentials(row, member, act.instance, password)
    try:
        with act.session.begin_nested():
            act.session.add(row)
    except IntegrityError:
        raise AccountExists from None
    act.session.add_all(StaffRole(staff_id=member.id, role=role) for role in sorted(member.roles))
    act.record(Action.STAFF_ADDED, about=member.id, role=sorted(role.value for role in member.roles))
    return _new_account(act, member, accepted, secret)


def reset(act: Act, *, staff_id: uuid.UUID) -> NewAccount:
    """Set a new password, second factor and recovery codes; the old ones and every session end.

    Passkeys and an open invitation are deleted, too, so that nothing lost remains usable. A disabled
    account stays disabled. Raises NotFound.
    """
    row = lock_account(act.session, staff_id)
    member = load_member(act.session, row)
    password, secret = _set_credentials(row, member, act.instance)
    act.session.flush()
    passkeys.remove_all(act.session, staff_id)
    act.session.execute(delete(Invitation).where(Invitation.staff_id == staff_id))
    sessions.end_all(act, staff_id=staff_id)
    act.record(Action.STAFF_RESET, about=staff_id)
    return _new_account(act, member, password, secret)


def disable(act: Act, *, staff_id: uuid.UUID) -> None:
    """Disable an account and end its sessions. Raises NotFound, and LastAdmin (409)."""
    _require_another_admin(act.session, staff_id)
    row = lock_account(act.session, staff_id)
    if row.disabled_at:
        return
    row.disabled_at = act.now
    act.session.flush()
    sessions.end_all(act, staff_id=staff_id)
    act.record(Action.STAFF_DISABLED, about=staff_id)


def enable(act: Act, *, staff_id: uuid.UUID) -> None:
    """Enable a disabled account, with the credentials that it had. Raises NotFound."""
    row = lock_account(act.session, staff_id)
    if not row.disabled_at:
        return
    row.disabled_at = None
    act.record(Action.STAFF_ENABLED, about=staff_id)


def set_roles(act: Act, *, staff_id: uuid.UUID, roles: Collection[Role]) -> bool:
    """Replace an account's roles and end its sessions, so that no open page keeps the old ones.

    False when it has these roles already. Raises Unprocessable on roles, NotFound, and LastAdmin (409).
    """
    if not roles:
        raise Unprocessable({"roles": [NO_ROLE]})
    if Role.ADMIN not in roles:
        _require_another_admin(act.session, staff_id)
    before = load_member(act.session, lock_account(act.session, staff_id)).roles
    if before == frozenset(roles):
        return False
    act.session.execute(delete(StaffRole).where(StaffRole.staff_id == staff_id))
    act.session.add_all(StaffRole(staff_id=staff_id, role=role) for role in sorted(roles))
    act.session.flush()
    sessions.end_all(act, staff_id=staff_id)
    act.record(Action.STAFF_ROLES_CHANGED, about=staff_id, role=sorted(role.value for role in roles))
    return True


def by_email(session: Session, email: str) -> Member:
    """The account with this address, enabled or not. Raises NotFound."""
    row = session.scalars(select(StaffMember).where(StaffMember.email == normalised_email(email))).first()
    if not row:
        raise NotFound(NO_ACCOUNT)
    return load_member(session, row)


def list_accounts(session: Session) -> Sequence[AccountState]:
    """All accounts, oldest first."""
    rows = session.scalars(select(StaffMember).order_by(StaffMember.created_at, StaffMember.id)).all()
    return [
        AccountState(
            load_member(session, row),
            row.created_at,
            row.disabled_at,
            credentials.recovery_codes_left(session, row.id),
        )
        for row in rows
    ]


def password_context(member: Member, instance: Instance) -> tuple[str, ...]:
    """Names and addresses that may not make up this account's password."""
    return (*PRODUCT, instance.clinic.name, instance.clinic.legal_name, member.name, member.email)


def _set_credentials(
    row: StaffMember, member: Member, instance: Instance, password: str | None = None
) -> tuple[str, bytes]:
    """Give an account this or a random password and a new second factor; returns both in plain."""
    context = password_context(member, instance)
    accepted = password_policy.check(password or credentials.new_password(), context=context)
    secret = credentials.new_totp_secret()
    row.password_hash = credentials.hash_password(accepted)
    row.totp_secret = credentials.wrap_secret(secret, keyring=instance.keyring, staff_id=row.id)
    return accepted, secret


def _new_account(act: Act, member: Member, password: str, secret: bytes) -> NewAccount:
    codes = credentials.new_recovery_codes(act.session, member.id, keyring=act.keyring)
    uri = credentials.totp(secret).provisioning_uri(name=member.email, issuer_name=act.clinic.name)
    act.session.flush()
    return NewAccount(member, password, uri, codes)


def lock_account(session: Session, staff_id: uuid.UUID) -> StaffMember:
    """The account's row, locked for update. Raises NotFound."""
    row = session.get(StaffMember, staff_id, with_for_update=True)
    if not row:
        raise NotFound(NO_ACCOUNT)
    return row


def load_member(session: Session, row: StaffMember) -> Member:
    """The staff member of a row, with their roles."""
    roles = session.scalars(select(StaffRole.role).where(StaffRole.staff_id == row.id))
    return Member(id=row.id, email=row.email, name=row.name, roles=frozenset(roles))


def _require_another_admin(session: Session, staff_id: uuid.UUID) -> None:
    """Raises LastAdmin. Admins are locked by id in one order, so that two cannot disable each other."""
    admins = select(StaffRole.staff_id).where(StaffRole.role == Role.ADMIN)
    enabled = (
        select(StaffMember.id)
        .where(StaffMember.id.in_(admins), StaffMember.disabled_at.is_(None))
        .order_by(StaffMember.id)
        .with_for_update()
    )
    if set(session.scalars(enabled)) == {staff_id}:
        raise LastAdmin


def names_of(session: Session, staff_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, str]:
    """The names of staff members by id, with one query."""
    if not staff_ids:
        return {}
    query = select(StaffMember.id, StaffMember.name).where(StaffMember.id.in_(staff_ids))
    return dict(session.execute(query).all())
