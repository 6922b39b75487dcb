"""Opening one's own request with the private code: whether there is one, and what it shows.

A code that is wrong, erased or past its time is one and the same thing here (decisions.md 16).
"""

import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from intake import audit
from intake.accounts.models import Role, StaffRole
from intake.accounts.permissions import ALLOWED, Permission
from intake.audit import Action, Actor, AuditEvent
from intake.calling import hours
from intake.calling.hours import Window
from intake.calling.regions import zones_of
from intake.casework.search import Term, TermKind, read_contact
from intake.conf.clinic import Channel
from intake.consent import service as consent
from intake.consent.models import ConsentEvent, Kind, Method, State
from intake.core.errors import NotFound, Refused, Unprocessable
from intake.core.i18n import N_
from intake.instance import Instance
from intake.leads import eligibility, form, models, notes, reveal, suppression
from intake.leads.claims import touch
from intake.leads.eligibility import CONTACT_KINDS, ContactStatus, promise_of
from intake.leads.models import CloseReason, ErasureReason, Lead, LeadStatus, LegalHold
from intake.leads.reveal import Masked
from intake.privacy import retention
from intake.security import crypto

_LOOKS = (Action.LEAD_VIEWED, Action.LEAD_REVEALED)


class NothingFound(Unprocessable):
    """No request belongs to the code: it is wrong, erased or past its time, and nobody learns which."""

    sentence = N_("We found no request for this code. Please check each letter and figure.")

    def __init__(self) -> None:
        super().__init__({"code": [self.sentence]}, self.sentence)


@dataclass(frozen=True)
class ContactMethod:
    """One channel as the person sees it: what they answered last and when, and where it leads, masked."""

    channel: Channel
    state: State | None
    since: datetime | None
    masked: str | None


@dataclass(frozen=True)
class OpenedRequest:
    """What a right code shows. `roles`: who has looked, one role for each member of staff."""

    lead: Lead
    masked: Masked
    standing: ContactStatus
    roles: frozenset[Role]
    note: str
    hold: LegalHold | None

    @property
    def kept_until(self) -> datetime:
        """When it is erased: by its time, or when a legal hold ends that keeps it for longer."""
        return max(self.lead.purge_after, self.hold.until) if self.hold else self.lead.purge_after

    @property
    def ways(self) -> tuple[ContactMethod, ...]:
        """The channels, in our order."""
        return tuple(self._way(each) for each in Channel)

    def _way(self, channel: Channel) -> ContactMethod:
        answer = self.standing.consents.get(CONTACT_KINDS[channel])
        state = answer.state if answer else None
        return ContactMethod(channel, state, answer.at if answer else None, self.masked.by(channel))

    @property
    def windows(self) -> frozenset[Window]:
        """The times they called safe."""
        return hours.windows_from_text(self.lead.windows)

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


def view_request(session: Session, *, code: str, instance: Instance) -> OpenedRequest:
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
    return open_request(session, lead, instance=instance)


def find(session: Session, code: str, *, instance: Instance) -> Lead:
    """The request that `code` opens. One keyed hash and one look-up, whatever was typed.

    Raises NothingFound, also for a request whose time is over and that no round has erased yet; one that
    a legal hold keeps longer stays its owner's to see.
    """
    hashed = instance.keyring.blind_index("code", crypto.read_crockford(code))
    kept = or_(Lead.purge_after > instance.clock(), models.is_on_legal_hold())
    lead = session.scalars(select(Lead).where(Lead.code_hash == hashed, kept)).first()
    if lead is None:
        raise NothingFound
    return lead


def open_request(session: Session, lead: Lead, *, instance: Instance) -> OpenedRequest:
    """What a right code shows of `lead` now; nothing is recorded."""
    session.flush()
    return OpenedRequest(
        lead=lead,
        masked=reveal.masked(session, lead, instance=instance),
        standing=eligibility.contact_status(session, lead),
        roles=_roles_of_those_who_looked(session, lead),
        hold=models.legal_hold_of(session, lead.id),
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


# --- What the private code is good for: change, stop or erase one's own request, without an account.
# The code is the whole authority; nobody is asked who they are or why (promise C2). Every act takes
# effect in the caller's transaction, and doing it twice is as good as once.

BY_PHONE = (Channel.CALL, Channel.TEXT)
PERSON = Actor.person()


class RequestClosed(Refused):
    """A closed request can be stopped and erased, not changed."""

    sentence = N_("This request is closed, so there is nothing left to change. You can ask for a call again.")


def stop(session: Session, *, code: str, instance: Instance) -> OpenedRequest:
    """End all contact at once, for every request with the same number or address. Raises NothingFound."""
    lead = find(session, code, instance=instance)
    _stop(session, lead, instance)
    return open_request(session, _still_there(session, lead), instance=instance)


def _stop(session: Session, lead: Lead, instance: Instance) -> None:
    suppression.stop(session, lead, actor=PERSON, method=Method.MANAGE_PAGE, instance=instance)


def stop_by_reference(session: Session, *, reference: str, address: str, instance: Instance) -> None:
    """The same without the code: a reference with the number or address that belongs to it.

    Gives no answer, and does the same work for every input but the stop itself: one keyed hash, one
    look-up. Who types somebody else's can end contact, and learns nothing (compliance.md, 2.3).
    """
    term = _term(address)
    index = instance.keyring.blind_index(term.kind.value, term.value)
    named = Lead.reference == crypto.read_crockford(reference)
    belonging = select(Lead).where(named, or_(Lead.phone_index == index, Lead.email_index == index))
    lead = session.scalars(belonging).first()
    if lead:
        _stop(session, lead, instance)


def _term(address: str) -> Term:
    try:
        return read_contact(address)
    except Unprocessable:
        return Term(TermKind.PHONE, "")  # belongs to nobody


def drop(session: Session, *, code: str, channel: Channel, instance: Instance) -> OpenedRequest:
    """Take back one channel, with calls also voicemail; the last one is a stop. Raises NothingFound.

    A number or address that no channel may use any more is deleted, unless a legal hold keeps it until
    it ends. Its keyed hash stays with the request, so that a stop by that number still finds it.
    """
    lead = _locked(session, code, instance)
    standing = eligibility.contact_status(session, lead)
    if standing.channels == (channel,):
        _stop(session, lead, instance)
    elif channel in standing.channels:
        _take_back(session, lead, channel, standing, instance)
    return open_request(session, lead, instance=instance)


def _take_back(
    session: Session, lead: Lead, channel: Channel, standing: ContactStatus, instance: Instance
) -> None:
    kinds = (CONTACT_KINDS[channel], *((Kind.VOICEMAIL,) if channel is Channel.CALL else ()))
    touch(lead)
    withdrawn = withdraw(session, lead, kinds, instance)
    if not models.legal_hold_of(session, lead.id):
        _drop_value(lead, channel, standing)
    consents = consent.macs(withdrawn)
    record(session, Action.CONSENT_WITHDRAWN, lead, instance, channel=channel.value, consents=consents)


def _drop_value(lead: Lead, channel: Channel, standing: ContactStatus) -> None:
    if channel is Channel.EMAIL:
        lead.email = None
    elif not {*standing.channels} & {*BY_PHONE} - {channel}:
        lead.phone = None


def withdraw(
    session: Session, lead: Lead, kinds: Iterable[Kind], instance: Instance
) -> Collection[ConsentEvent]:
    """Take back what is given among `kinds`, as the person on the manage page; the caller records the act."""
    return consent.withdraw(
        session,
        lead_id=lead.id,
        kinds=kinds,
        method=Method.MANAGE_PAGE,
        actor=PERSON,
        at=instance.clock(),
        keyring=instance.keyring,
    ).values()


def change_windows(
    session: Session, *, code: str, chosen: Sequence[str], instance: Instance
) -> OpenedRequest:
    """Other safe times, and a new promise counted from now; the same times change nothing.

    Raises NothingFound, AlreadyClosed, and Unprocessable on `windows` when none is chosen, when one is
    unknown, or when no promise can be kept within two weeks.
    """
    lead = changeable(session, code, instance=instance)
    wanted = _read_windows(chosen)
    if wanted != hours.windows_from_text(lead.windows):
        lead.windows = hours.windows_to_text(wanted)
        promise_anew(session, lead, instance=instance)
        record(session, Action.LEAD_CHANGED, lead, instance, field="windows")
    return open_request(session, lead, instance=instance)


def _read_windows(chosen: Sequence[str]) -> frozenset[Window]:
    if not chosen or not set(chosen) <= set(Window):
        raise Unprocessable({"windows": [form.WINDOWS]})
    found = frozenset(map(Window, chosen))
    return frozenset({Window.ANY}) if Window.ANY in found else found


def promise_anew(session: Session, lead: Lead, *, instance: Instance) -> None:
    """Count the promise from now, for what holds now. Raises NoTimeWithin14Days."""
    lead.promise_at = promise_of(session, lead, instance=instance, since=instance.clock())


def erase(session: Session, *, code: str, instance: Instance) -> OpenedRequest | None:
    """Stop all contact, then destroy the request for good; what a legal hold keeps is still there.

    Returns None when it is gone, and what is held when it has to wait. Raises NothingFound.
    """
    lead = find(session, code, instance=instance)
    try:
        gone = retention.erase(session, lead, reason=ErasureReason.ASKED, actor=PERSON, instance=instance)
    except NotFound:
        raise NothingFound from None
    return None if gone else open_request(session, lead, instance=instance)


def changeable(session: Session, code: str, *, instance: Instance) -> Lead:
    """The request behind `code`, locked, if it can still be changed. Raises NothingFound, AlreadyClosed."""
    lead = _locked(session, code, instance)
    if lead.status is LeadStatus.CLOSED:
        raise RequestClosed
    return lead


def _locked(session: Session, code: str, instance: Instance) -> Lead:
    lead = find(session, code, instance=instance)
    if lead not in suppression.carrying(session, suppression.indexes_of(lead), lead.id):
        raise NothingFound
    return lead


def _still_there(session: Session, lead: Lead) -> Lead:
    """A stop locks and reads anew; in between, another page may have erased the request."""
    if session.scalar(select(Lead.id).where(Lead.id == lead.id)) is None:
        raise NothingFound
    return lead


def record(session: Session, action: Action, lead: Lead, instance: Instance, **details: Any) -> None:
    """One audit event of the person on the manage page, with closed words only."""
    audit.record(
        session,
        action,
        keyring=instance.keyring,
        at=instance.clock(),
        actor=PERSON,
        about=lead.id,
        details={"method": Method.MANAGE_PAGE.value, **details},
    )
