"""The cast of the tests: people who ask, the forms they send, staff members, and their acts on a lead."""

import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from threading import Event
from typing import Any

import pyotp
from sqlalchemy import select
from sqlalchemy.orm import Session

from intake.accounts import service, sign_in
from intake.accounts.models import Role, StaffMember, StaffRole
from intake.accounts.permissions import Member, StaffAct
from intake.accounts.service import NewAccount
from intake.act import Act
from intake.audit import AuditEvent
from intake.calling.hours import Window
from intake.casework import outcomes, queue
from intake.conf.clinic import Channel
from intake.instance import Instance
from intake.jobs import scheduler
from intake.leads import claims, form, form_token, reveal
from intake.leads.fields import CHOICES
from intake.leads.form import Request
from intake.leads.models import Attempt, Lead, Outcome
from intake.leads.submission import Submitted, submit
from intake.outbox.mailer import open_mailer
from intake.security.crypto import Place

# --- who asks ----------------------------------------------------------------------------------------------

NAME, PHONE, EMAIL = "Zaraïda O’Quickfeather", "+13055550123", "zaraida.quickfeather@example.org"
"""Canaries: words that occur nowhere else."""
SHOWN = "(305) 555-0123"
"""The number as it is typed, and as a page shows it."""
ANY = {"windows": frozenset({Window.ANY})}
"""Changes to a request: at any time."""
CALL_ONLY = {**ANY, "channels": frozenset({Channel.CALL}), "email": None}
EVERY_WAY = {**ANY, "channels": frozenset(Channel), "voicemail": True}


def answers(token: str | None = None, **changes: object) -> dict[str, object]:
    """What somebody in Florida types and ticks on the public form; a change to None leaves a question out.

    Every request of the tests begins here, through whatever door it comes: a new question of the form is
    answered in this one place.
    """
    given = {
        "token": token,
        "website": "",
        "preferred_name": NAME,
        "channels": ["call", "email"],
        "phone": SHOWN,
        "email": EMAIL,
        "voicemail": "no",
        "windows": ["weekday_morning", "saturday_morning"],
        "region": "US-FL",
        "time_zone": "America/New_York",
        **{name: next(iter(each.words)) for name, each in CHOICES.items()},
        "adult": "yes",
        "consent_use": "yes",
    }
    return {name: value for name, value in {**given, **changes}.items() if value is not None}


def given_aloud(**changes: object) -> dict[str, object]:
    """What somebody else says on the phone, as the staff member's sheet sends it."""
    said = {
        "preferred_name": "Rosalind Quill",
        "channels": ["call", "text"],
        "phone": "(305) 555-0166",
        "windows": ["weekday_morning"],
        **dict.fromkeys(CHOICES, ""),
        **dict.fromkeys(("email", "website")),
    }
    return answers(**{**said, **changes})


NEVER_BACK = ("Rosalind", "(305) 555-0166", "305-555-0166", "305 555 0166", "3055550166")
"""Who was on the phone. Not four figures of the number alone: a random token or id may hold those."""


def request_for(instance: Instance, **changes: object) -> Request:
    """Such answers on a fresh page, read: on weekday mornings alone, in the language of the page."""
    now, language = instance.clock(), changes.get("language", "en")
    token = form_token.new_token(language=language, statements=instance.statements, now=now)
    typed = answers(**{"windows": ["weekday_morning"], **dict.fromkeys(CHOICES, ""), "asking_for": "self"})
    listed = {name: value if isinstance(value, list) else [value] for name, value in typed.items()}
    read = form.read_form(listed, token=token, clinic=instance.clinic, now=now)
    choices = {**read.choices, **{name: changes.pop(name) for name in [*changes] if name in CHOICES}}
    return replace(read, **{"suspected": None, "choices": choices, **changes})


def ask(instance: Instance, **changes: object) -> Submitted:
    """Send such a request, in a transaction of its own."""
    with instance.database.transaction() as session:
        return submit(Act(session, instance), request_for(instance, **changes))


def somebody(instance: Instance, place: int, **changes: object) -> Lead:
    """One more person, with a number and an address of their own, who may be called at any time."""
    own = {"phone": f"+13055550{100 + place}", "email": f"somebody.{place}@example.org"}
    return ask(instance, **{**own, **ANY, **changes}).lead


# --- staff -------------------------------------------------------------------------------------------------

MARIA = "maria.lopez@example.org"
PASSWORD = "violin kettle meadow tin"
HOME_NETWORK, AWAY = "203.0.113.7", "198.51.100.9"


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


def add_account(
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


# --- their acts on a lead ----------------------------------------------------------------------------------


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


def relay_turn(instance: Instance) -> None:
    """What a living relay does once: send what is due, run the jobs that are due."""
    scheduler.run_once(instance, open_mailer(instance.settings), Event())
