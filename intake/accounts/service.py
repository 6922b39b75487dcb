"""Accounts: adding, disabling, resetting and listing people who may look. Signing in is in `entrance`."""

import unicodedata
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from intake import audit
from intake.accounts import credentials, passkeys, password_policy, sessions
from intake.accounts.models import Invitation, Role, StaffMember, StaffRole
from intake.accounts.permissions import Member
from intake.audit import Action, Actor
from intake.core.errors import NotFound, Refused, Unprocessable
from intake.core.i18n import N_
from intake.instance import Instance

LONGEST_ADDRESS, LONGEST_NAME = 254, 80
PRODUCT = ("intake", "desk", "call back request")
"""Words of this service that a guesser would try."""

NOT_AN_ADDRESS = N_("Type an email address, like name@example.org.")
NOT_A_NAME = N_("Type the name of one person, with at most 80 letters.")
NO_ACCOUNT = N_("There is no account with this address.")
NO_ROLE = N_("Choose at least one role.")


@dataclass(frozen=True)
class Added:
    """A new or reset account with everything its owner has to be handed, once; nothing of it is kept."""

    member: Member
    password: str = field(repr=False)
    totp_uri: str = field(repr=False)
    recovery_codes: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class AccountState:
    """An account as a list shows it."""

    member: Member
    created_at: datetime
    disabled_at: datetime | None
    recovery_codes_left: int


class AlreadyThere(Refused):
    """The address has an account."""

    sentence = N_("There is already an account with this address.")


class LastAdmin(Refused):
    """Without this account nobody could look after accounts any more."""

    sentence = N_("This is the last account that can manage accounts. Add another one first.")


def normalised_email(email: str) -> str:
    """The one spelling under which an address is kept and looked up; empty when it is none.

    Capitals, spaces around it, full-width letters and both ways to write an international domain are
    the same address.
    """
    if len(email) > 2 * LONGEST_ADDRESS:
        return ""
    plain = unicodedata.normalize("NFKC", email).strip()
    try:
        found = validate_email(plain, check_deliverability=False)
    except (EmailNotValidError, UnicodeError):
        return ""
    return unicodedata.normalize("NFKC", found.normalized).casefold()


def add(
    session: Session,
    *,
    instance: Instance,
    email: str,
    name: str,
    roles: Collection[Role],
    password: str | None = None,
    actor: Actor | None = None,
) -> Added:
    """Add an account for one human being; a password is made when none is given.

    Raises Unprocessable on email, name, roles or password, and AlreadyThere (409).
    """
    address, shown = _checked(email, name, roles)
    member = Member(id=uuid.uuid4(), email=address, name=shown, roles=frozenset(roles))
    handed = _handed(member, instance, password)
    row = StaffMember(id=member.id, email=address, name=shown, created_at=instance.clock(), totp_step=0)
    _keep(row, handed, instance)
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        raise AlreadyThere from None
    session.add_all(StaffRole(staff_id=member.id, role=role) for role in sorted(member.roles))
    details = {"role": sorted(role.value for role in member.roles)}
    record(session, Action.STAFF_ADDED, member.id, instance=instance, actor=actor, details=details)
    return _complete(session, member, handed, instance)


def reset(session: Session, *, instance: Instance, staff_id: uuid.UUID, actor: Actor | None = None) -> Added:
    """A new password, second factor and recovery codes; the old ones and every session end.

    So do passkeys and an open invitation: whatever was lost opens nothing any more. A disabled account
    stays disabled. Raises NotFound.
    """
    row = locked(session, staff_id)
    member = member_of(session, row)
    handed = _handed(member, instance, None)
    _keep(row, handed, instance)
    session.flush()
    passkeys.remove_all(session, staff_id)
    session.execute(delete(Invitation).where(Invitation.staff_id == staff_id))
    sessions.end_all(session, instance=instance, staff_id=staff_id)
    record(session, Action.STAFF_RESET, staff_id, instance=instance, actor=actor)
    return _complete(session, member, handed, instance)


def disable(session: Session, *, instance: Instance, staff_id: uuid.UUID, actor: Actor | None = None) -> None:
    """Close an account and end its sessions. Raises NotFound, and LastAdmin (409)."""
    _require_another_admin(session, staff_id)
    row = locked(session, staff_id)
    if row.disabled_at:
        return
    row.disabled_at = instance.clock()
    session.flush()
    sessions.end_all(session, instance=instance, staff_id=staff_id)
    record(session, Action.STAFF_DISABLED, staff_id, instance=instance, actor=actor)


def enable(session: Session, *, instance: Instance, staff_id: uuid.UUID, actor: Actor | None = None) -> None:
    """Open a disabled account again, with the password and factor it had. Raises NotFound."""
    row = locked(session, staff_id)
    if not row.disabled_at:
        return
    row.disabled_at = None
    record(session, Action.STAFF_ENABLED, staff_id, instance=instance, actor=actor)


def set_roles(
    session: Session,
    *,
    instance: Instance,
    staff_id: uuid.UUID,
    roles: Collection[Role],
    actor: Actor | None = None,
) -> bool:
    """Give an account just these roles; its sessions end, so that no open page outlives them.

    False when it holds them already. Raises Unprocessable on roles, NotFound, and LastAdmin (409).
    """
    if not roles:
        raise Unprocessable({"roles": [NO_ROLE]})
    if Role.ADMIN not in roles:
        _require_another_admin(session, staff_id)
    before = member_of(session, locked(session, staff_id)).roles
    if before == frozenset(roles):
        return False
    session.execute(delete(StaffRole).where(StaffRole.staff_id == staff_id))
    session.add_all(StaffRole(staff_id=staff_id, role=role) for role in sorted(roles))
    session.flush()
    sessions.end_all(session, instance=instance, staff_id=staff_id)
    details = {"role": sorted(role.value for role in roles)}
    record(session, Action.STAFF_ROLES_CHANGED, staff_id, instance=instance, actor=actor, details=details)
    return True


def by_email(session: Session, email: str) -> Member:
    """The account of an address, disabled or not. Raises NotFound."""
    row = session.scalars(select(StaffMember).where(StaffMember.email == normalised_email(email))).first()
    if not row:
        raise NotFound(NO_ACCOUNT)
    return member_of(session, row)


def list_accounts(session: Session) -> Sequence[AccountState]:
    """All accounts, oldest first."""
    rows = session.scalars(select(StaffMember).order_by(StaffMember.created_at, StaffMember.id)).all()
    return [
        AccountState(
            member_of(session, row),
            row.created_at,
            row.disabled_at,
            credentials.recovery_codes_left(session, row.id),
        )
        for row in rows
    ]


def _checked(email: str, name: str, roles: Collection[Role]) -> tuple[str, str]:
    address = normalised_email(email)
    shown = " ".join(unicodedata.normalize("NFC", name).split())
    problems = {
        "email": [NOT_AN_ADDRESS] if not address else [],
        "name": [NOT_A_NAME] if not _nameable(shown) else [],
        "roles": [NO_ROLE] if not roles else [],
    }
    if any(problems.values()):
        raise Unprocessable({field_: found for field_, found in problems.items() if found})
    return address, shown


def _nameable(name: str) -> bool:
    """One to eighty characters and none that controls a screen or turns its direction."""
    control = {"Cc", "Cf", "Cs", "Co", "Cn"}
    return 0 < len(name) <= LONGEST_NAME and not control & {unicodedata.category(each) for each in name}


@dataclass(frozen=True)
class _Handed:
    password: str = field(repr=False)
    secret: bytes = field(repr=False)


def _handed(member: Member, instance: Instance, password: str | None) -> _Handed:
    context = context_of(member, instance)
    chosen = password_policy.check(password or credentials.new_password(), context=context)
    return _Handed(chosen, credentials.new_totp_secret())


def context_of(member: Member, instance: Instance) -> tuple[str, ...]:
    """Words that a guesser of this account's password would try first."""
    return (*PRODUCT, instance.clinic.name, instance.clinic.legal_name, member.name, member.email)


def _keep(row: StaffMember, handed: _Handed, instance: Instance) -> None:
    row.password_hash = credentials.hash_password(handed.password)
    row.totp_secret = credentials.wrapped_secret(handed.secret, keyring=instance.keyring, staff_id=row.id)


def _complete(session: Session, member: Member, handed: _Handed, instance: Instance) -> Added:
    codes = credentials.new_recovery_codes(session, member.id, keyring=instance.keyring)
    uri = credentials.totp(handed.secret).provisioning_uri(
        name=member.email, issuer_name=instance.clinic.name
    )
    session.flush()
    return Added(member, handed.password, uri, codes)


def locked(session: Session, staff_id: uuid.UUID) -> StaffMember:
    """The account's row, which nobody else can change meanwhile. Raises NotFound."""
    row = session.get(StaffMember, staff_id, with_for_update=True)
    if not row:
        raise NotFound(NO_ACCOUNT)
    return row


def member_of(session: Session, row: StaffMember) -> Member:
    """Whose row it is, with the roles of this moment."""
    roles = session.scalars(select(StaffRole.role).where(StaffRole.staff_id == row.id))
    return Member(id=row.id, email=row.email, name=row.name, roles=frozenset(roles))


def _require_another_admin(session: Session, staff_id: uuid.UUID) -> None:
    """Raises LastAdmin. All admins are locked in one order, so that two cannot disable each other."""
    admins = select(StaffRole.staff_id).where(StaffRole.role == Role.ADMIN)
    standing = (
        select(StaffMember.id)
        .where(StaffMember.id.in_(admins), StaffMember.disabled_at.is_(None))
        .order_by(StaffMember.id)
        .with_for_update()
    )
    if set(session.scalars(standing)) == {staff_id}:
        raise LastAdmin


def record(
    session: Session,
    action: Action,
    staff_id: uuid.UUID,
    *,
    instance: Instance,
    actor: Actor | None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Keep one event about an account; without an actor it was the command line."""
    audit.record(
        session,
        action,
        keyring=instance.keyring,
        at=instance.clock(),
        actor=actor or Actor.system(),
        about=staff_id,
        details=details,
    )


def names_of(session: Session, staff_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, str]:
    """The names of staff members, in one statement."""
    if not staff_ids:
        return {}
    named = select(StaffMember.id, StaffMember.name).where(StaffMember.id.in_(staff_ids))
    return dict(session.execute(named).all())
