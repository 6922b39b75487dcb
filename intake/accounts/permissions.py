"""Permissions, and the one table of which role has which; checked at the route and again in the act."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Self

from sqlalchemy.orm import Session

from intake.accounts.models import Role
from intake.act import Act
from intake.audit import Actor
from intake.core.errors import NotAllowed
from intake.core.i18n import N_
from intake.instance import Instance


class Permission(StrEnum):
    """What an account can be allowed to do."""

    LIST_LEADS = "list_leads"
    VIEW_LEAD = "view_lead"
    CLAIM_LEAD = "claim_lead"
    SHARE_LEADS = "share_leads"
    REVEAL = "reveal"
    LOG_OUTCOME = "log_outcome"
    CLOSE_LEAD = "close_lead"
    FIND_LEAD = "find_lead"
    TAKE_REQUEST = "take_request"
    STOP_ANYONE = "stop_anyone"
    LIFT_ANY = "lift_any"
    UNDO_ANY = "undo_any"
    READ_AUDIT = "read_audit"
    HOLD_LEAD = "hold_lead"
    SEE_NUMBERS = "see_numbers"
    SEE_HEALTH = "see_health"
    MANAGE_ACCOUNTS = "manage_accounts"
    RUN_SERVICE = "run_service"
    SEE_EVIDENCE = "see_evidence"
    OWN_ACCOUNT = "own_account"

    @property
    def sentence(self) -> str:
        """What it allows, as a sentence (message id)."""
        return _SENTENCES[self]


_SENTENCES = {
    Permission.LIST_LEADS: N_("See the list of requests"),
    Permission.VIEW_LEAD: N_("Open a request, with name, number and address hidden"),
    Permission.CLAIM_LEAD: N_("Claim a request, so that nobody else calls"),
    Permission.SHARE_LEADS: N_("Share out requests among colleagues, and take back what they have claimed"),
    Permission.REVEAL: N_("See the number or address of a request"),
    Permission.LOG_OUTCOME: N_("Note how a call or message went"),
    Permission.CLOSE_LEAD: N_("Close a request"),
    Permission.FIND_LEAD: N_("Find a request by its reference, number or address"),
    Permission.TAKE_REQUEST: N_("Take a request by phone"),
    Permission.STOP_ANYONE: N_("Stop all contact for any number or address"),
    Permission.LIFT_ANY: N_(
        "Allow contact again after a wrong number, or when somebody else had asked to stop"
    ),
    Permission.UNDO_ANY: N_("Undo what a colleague has just noted"),
    Permission.READ_AUDIT: N_("Read the audit log"),
    Permission.HOLD_LEAD: N_("Hold a request back from being erased, for a legal reason"),
    Permission.SEE_NUMBERS: N_("See counts and charts"),
    Permission.SEE_HEALTH: N_("See whether the service is well"),
    Permission.MANAGE_ACCOUNTS: N_("Add, disable and reset staff accounts"),
    Permission.RUN_SERVICE: N_("Look after the service: its checks, mail, jobs and settings"),
    Permission.SEE_EVIDENCE: N_("Read and save the evidence report"),
    Permission.OWN_ACCOUNT: N_("Look after one’s own password, second factor and sessions"),
}

_COORDINATOR = frozenset(
    {
        Permission.LIST_LEADS,
        Permission.VIEW_LEAD,
        Permission.CLAIM_LEAD,
        Permission.REVEAL,
        Permission.LOG_OUTCOME,
        Permission.CLOSE_LEAD,
        Permission.FIND_LEAD,
        Permission.TAKE_REQUEST,
        Permission.STOP_ANYONE,
        Permission.SEE_HEALTH,
        Permission.OWN_ACCOUNT,
    }
)
ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.COORDINATOR: _COORDINATOR,
    Role.SUPERVISOR: _COORDINATOR
    | {Permission.SHARE_LEADS, Permission.LIFT_ANY, Permission.UNDO_ANY, Permission.SEE_NUMBERS},
    Role.PRIVACY_OFFICER: frozenset(
        {
            Permission.LIST_LEADS,
            Permission.VIEW_LEAD,
            Permission.FIND_LEAD,
            Permission.STOP_ANYONE,
            Permission.READ_AUDIT,
            Permission.HOLD_LEAD,
            Permission.SEE_NUMBERS,
            Permission.SEE_HEALTH,
            Permission.SEE_EVIDENCE,
            Permission.OWN_ACCOUNT,
        }
    ),
    Role.ADMIN: frozenset(
        {
            Permission.SEE_HEALTH,
            Permission.MANAGE_ACCOUNTS,
            Permission.RUN_SERVICE,
            Permission.SEE_EVIDENCE,
            Permission.OWN_ACCOUNT,
        }
    ),
}
"""The permissions of each role. A privacy officer sees requests masked, an admin sees none at all."""


@dataclass(frozen=True)
class Member:
    """A staff member with their roles at the time of the request."""

    id: uuid.UUID
    email: str
    name: str
    roles: frozenset[Role]

    @cached_property
    def permissions(self) -> frozenset[Permission]:
        """The union of their roles' permissions."""
        return permissions_of(self.roles)

    @property
    def actor(self) -> Actor:
        """The staff member as the actor of an audit event."""
        return Actor.staff(self.id)


class StaffAct(Act):
    """An act of a signed-in staff member."""

    def __init__(
        self, session: Session, instance: Instance, member: Member, *, now: datetime | None = None
    ) -> None:
        super().__init__(session, instance, Actor.staff(member.id), now=now)
        self.member = member

    @classmethod
    def of(cls, act: Act, member: Member) -> Self:
        """The same act, in the same transaction and at the same time, in the name of `member`."""
        return cls(act.session, act.instance, member, now=act.now)


def permissions_of(roles: Collection[Role]) -> frozenset[Permission]:
    """The union of the roles' permissions; empty without a role."""
    return frozenset().union(*(ROLE_PERMISSIONS[role] for role in roles))


def may(member: Member, permission: Permission) -> bool:
    """Whether one of the member's roles has the permission."""
    return permission in member.permissions


def require(member: Member, permission: Permission) -> None:
    """Raises NotAllowed when none of the member's roles has the permission."""
    if permission not in member.permissions:
        raise NotAllowed
