"""Opening one's own request with the private code: whether there is one, and what it shows.

A code that is wrong, erased or past its time is one and the same thing here (decisions.md 16).
"""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from intake import audit
from intake.accounts.models import Role, StaffRole
from intake.accounts.permissions import ALLOWED, Permission
from intake.audit import Action, Actor, AuditEvent
from intake.calling import windows
from intake.calling.regions import zones_of
from intake.calling.windows import Window
from intake.conf.clinic import Channel
from intake.consent.models import State
from intake.core.errors import Unprocessable
from intake.core.i18n import N_
from intake.instance import Instance
from intake.leads import eligibility, legal_hold, notes, reveal
from intake.leads.eligibility import CONTACT_KINDS, Standing
from intake.leads.legal_hold import LegalHold
from intake.leads.models import CloseReason, Lead, LeadStatus
from intake.leads.reveal import Masked
from intake.security import crypto

_LOOKS = (Action.LEAD_VIEWED, Action.LEAD_REVEALED)


class NothingFound(Unprocessable):
    """No request belongs to the code: it is wrong, erased or past its time, and nobody learns which."""

    sentence = N_("We found no request for this code. Please check each letter and figure.")

    def __init__(self) -> None:
        super().__init__({"code": [self.sentence]}, self.sentence)


@dataclass(frozen=True)
class Way:
    """One channel as the person sees it: what they answered last and when, and where it leads, masked."""

    channel: Channel
    state: State | None
    since: datetime | None
    masked: str | None


@dataclass(frozen=True)
class Opened:
    """What a right code shows. `roles`: who has looked, one role for each member of staff."""

    lead: Lead
    masked: Masked
    standing: Standing
    roles: frozenset[Role]
    note: str
    hold: LegalHold | None

    @property
    def kept_until(self) -> datetime:
        """When it is erased: by its time, or when a legal hold ends that keeps it for longer."""
        return max(self.lead.purge_after, self.hold.until) if self.hold else self.lead.purge_after

    @property
    def ways(self) -> tuple[Way, ...]:
        """The channels, in our order."""
        return tuple(self._way(each) for each in Channel)

    def _way(self, channel: Channel) -> Way:
        answer = self.standing.consents.get(CONTACT_KINDS[channel])
        state = answer.state if answer else None
        return Way(channel, state, answer.at if answer else None, self.masked.by(channel))

    @property
    def windows(self) -> frozenset[Window]:
        """The times they called safe."""
        return windows.from_text(self.lead.windows)

    @property
    def zone(self) -> str:
        """The zone on whose clock they are told times."""
        return zone_of(self.lead)

    @property
    def changeable(self) -> bool:
        """Whether there is still something to change, not only to end."""
        return self.lead.status is not LeadStatus.CLOSED

    @property
    def stopped(self) -> bool:
        """Whether all contact has ended."""
        return self.lead.close_reason is CloseReason.STOPPED


def zone_of(lead: Lead) -> str:
    """The zone on whose clock the person is told times."""
    return lead.time_zone or zones_of(lead.region)[0]


def look(session: Session, *, code: str, instance: Instance) -> Opened:
    """What the code opens, and one audit event that it was opened. Raises NothingFound."""
    lead = find(session, code, instance=instance)
    audit.record(
        session,
        Action.MANAGE_OPENED,
        keyring=instance.keyring,
        at=instance.clock(),
        actor=Actor.person(),
        about=lead.id,
    )
    return opened(session, lead, instance=instance)


def find(session: Session, code: str, *, instance: Instance) -> Lead:
    """The request that `code` opens. One keyed hash and one look-up, whatever was typed.

    Raises NothingFound, also for a request whose time is over and that no round has erased yet; one that
    a legal hold keeps longer stays its owner's to see.
    """
    hashed = instance.keyring.blind_index("code", crypto.read_crockford(code))
    kept = or_(Lead.purge_after > instance.clock(), legal_hold.held())
    lead = session.scalars(select(Lead).where(Lead.code_hash == hashed, kept)).first()
    if lead is None:
        raise NothingFound
    return lead


def opened(session: Session, lead: Lead, *, instance: Instance) -> Opened:
    """What a right code shows of `lead` now; nothing is recorded."""
    session.flush()
    return Opened(
        lead=lead,
        masked=reveal.masked(session, lead, instance=instance),
        standing=eligibility.standing(session, lead),
        roles=_roles_of_those_who_looked(session, lead),
        hold=legal_hold.of(session, lead.id),
        note=notes.of(session, lead, instance=instance),
    )


def _roles_of_those_who_looked(session: Session, lead: Lead) -> frozenset[Role]:
    """Never by name (AC-16): the first role of each that lets somebody see a request."""
    seen = select(AuditEvent.actor_id).where(AuditEvent.about == lead.id, AuditEvent.action.in_(_LOOKS))
    return frozenset(first_roles(session, seen).values())


def first_roles(
    session: Session, staff: Select[uuid.UUID | None] | Collection[uuid.UUID]
) -> dict[uuid.UUID, Role]:
    """The first role of each of these accounts that lets somebody see a request."""
    rows = session.execute(select(StaffRole.staff_id, StaffRole.role).where(StaffRole.staff_id.in_(staff)))
    held = {(staff_id, role) for staff_id, role in rows if Permission.VIEW_LEAD in ALLOWED[role]}
    return {staff_id: _first_role(staff_id, held) for staff_id, _ in held}


def _first_role(staff_id: uuid.UUID, held: Collection[tuple[uuid.UUID, Role]]) -> Role:
    return next(role for role in Role if (staff_id, role) in held)
