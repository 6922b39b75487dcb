"""Staff at the desk, for the tests: members with their rows, and the acts on a lead in one line each."""

import uuid
from collections.abc import Callable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from intake.accounts.models import Role, StaffMember, StaffRole
from intake.accounts.permissions import Member, StaffAct
from intake.audit import AuditEvent
from intake.casework import outcomes, queue
from intake.conf.clinic import Channel
from intake.instance import Instance
from intake.leads import claims, reveal
from intake.leads.models import Attempt, Lead, Outcome
from intake.security.crypto import Place


def hire(instance: Instance, name: str = "Ana Ruiz", *roles: Role) -> Member:
    """A staff member with an account that nobody can sign in to; a coordinator unless `roles` are given."""
    held = frozenset(roles or (Role.COORDINATOR,))
    address = f"{name.partition(' ')[0].lower()}@example.org"
    member = Member(id=uuid.uuid4(), email=address, name=name, roles=held)
    row = StaffMember(
        id=member.id,
        email=member.email,
        name=name,
        password_hash="-",
        totp_secret=instance.keyring.wrap(b"-", place=Place("staff_member", "totp_secret", member.id)),
        created_at=instance.clock(),
    )
    with instance.database.transaction() as session:
        session.add(row)
        session.flush()
        session.add_all(StaffRole(staff_id=member.id, role=role) for role in held)
    return member


def acting(instance: Instance, lead: Lead, member: Member, act: Callable[..., Any], **details: Any) -> Any:
    """Do `act` in a transaction of its own, on the lead as it is now."""
    with instance.database.transaction() as session:
        found = queue.one(StaffAct(session, instance, member), lead.id)
        return act(StaffAct(session, instance, member), found, **details)


def take(instance: Instance, lead: Lead, member: Member) -> None:
    acting(instance, lead, member, claims.claim)


def show(
    instance: Instance, lead: Lead, member: Member, channel: Channel = Channel.CALL
) -> reveal.RevealedContact:
    return acting(instance, lead, member, reveal.reveal, channel=channel)


def note(instance: Instance, lead: Lead, member: Member, outcome: Outcome, **details: Any) -> Attempt:
    """Log an outcome as the page would: with a new id and the version it shows."""
    values = {
        "attempt_id": uuid.uuid4(),
        "channel": Channel.CALL,
        "version": now(instance, lead).version,
        "outcome": outcome,
    }
    return acting(instance, lead, member, outcomes.log, **{**values, **details})


def now(instance: Instance, lead: Lead) -> Lead:
    """The lead as stored now."""
    with instance.database.reading() as session:
        return session.get_one(Lead, lead.id)


def every(instance: Instance, table: type[Any]) -> list[Any]:
    with instance.database.reading() as session:
        return list(session.scalars(select(table)))


def acts(instance: Instance, lead: Lead | None = None) -> list[str]:
    """The actions in the log about a lead, sorted; without a lead, all of them."""
    with instance.database.reading() as session:
        wanted = select(AuditEvent.action).order_by(AuditEvent.action)
        return list(session.scalars(wanted.where(AuditEvent.about == lead.id) if lead else wanted))


def details_of(instance: Instance, action: str) -> list[str]:
    with instance.database.reading() as session:
        return list(session.scalars(select(AuditEvent.details).where(AuditEvent.action == action)))


def within(instance: Instance) -> Session:
    """A read-only session for functions that need one."""
    return instance.database._sessions()
