"""Self-service: the person opens, changes, stops or erases their own lead with its private code.

The code is the only authority, without an account or further questions (promise C2). A code that is wrong
and one whose lead is erased or past its retention date give the same answer. Every act works in the caller's
transaction and is idempotent.
"""

import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from intake.accounts.models import Role, StaffRole
from intake.accounts.permissions import ROLE_PERMISSIONS, Permission
from intake.act import Act
from intake.audit import Action, Actor, AuditEvent
from intake.calling import hours
from intake.calling.hours import Window
from intake.casework.search import read_contact
from intake.conf.clinic import Channel
from intake.consent import service as consent
from intake.consent.models import ConsentEvent, Kind, Method, State
from intake.core.errors import NotFound, Refused, Unprocessable
from intake.core.i18n import N_
from intake.leads import eligibility, form, models, reveal, suppression
from intake.leads.eligibility import CONTACT_KINDS, ContactStatus, promise_for_lead
from intake.leads.fields import FIELDS, Shown, lines_of
from intake.leads.models import CloseReason, ErasureReason, Lead, LeadStatus, LegalHold
from intake.leads.reveal import MaskedContact
from intake.privacy import retention
from intake.security import crypto

PERSON = Actor.person()
_STAFF_VIEWS = (Action.LEAD_VIEWED, Action.LEAD_REVEALED)


class RequestNotFound(Unprocessable):
    """No lead for this code (422): it is wrong, erased or past its retention date; the answer is the same."""

    sentence = N_("We found no request for this code. Please check each letter and figure.")

    def __init__(self) -> None:
        super().__init__({"code": [self.sentence]}, self.sentence)


@dataclass(frozen=True)
class ContactMethod:
    """One channel as shown to the person: latest consent, its time, the masked number or address."""

    channel: Channel
    state: State | None
    since: datetime | None
    masked: str | None


@dataclass(frozen=True)
class OpenedRequest:
    """A lead opened with its private code. `roles`: of the staff who viewed it, one for each account."""

    lead: Lead
    masked: MaskedContact
    contact_status: ContactStatus
    roles: frozenset[Role]
    hold: LegalHold | None

    @property
    def kept_until(self) -> datetime:
        """When the lead is erased: at its retention date, or at the end of a legal hold if later."""
        return max(self.lead.purge_after, self.hold.until) if self.hold else self.lead.purge_after

    @property
    def contact_methods(self) -> tuple[ContactMethod, ...]:
        """All channels, in the order of `Channel`."""
        found = []
        for channel in Channel:
            answer = self.contact_status.consents.get(CONTACT_KINDS[channel])
            state, since = (answer.state, answer.at) if answer else (None, None)
            found.append(ContactMethod(channel, state, since, self.masked.value_for(channel)))
        return tuple(found)

    @property
    def details(self) -> list[tuple[str, str]]:
        """The lines that the page has no place of its own for: label (message id) and text."""
        return lines_of(Shown.PERSON_PAGE, self.lead, self.masked.values)

    @property
    def windows(self) -> frozenset[Window]:
        """The windows in which the person may be contacted."""
        return hours.windows_from_text(self.lead.windows)

    @property
    def zone(self) -> str:
        """The time zone in which the person is shown times."""
        return self.lead.zone

    @property
    def changeable(self) -> bool:
        """Whether the lead can be changed, not only stopped and erased: it is not closed."""
        return self.lead.status is not LeadStatus.CLOSED

    @property
    def stopped(self) -> bool:
        """Whether all contact is stopped."""
        return self.lead.close_reason is CloseReason.STOPPED


def view_request(act: Act, *, code: str) -> OpenedRequest:
    """The lead that `code` opens; records that it was opened. Raises RequestNotFound."""
    lead = find_by_code(act, code)
    act.by(PERSON).record(Action.MANAGE_OPENED, about=lead.id)
    return open_request(act, lead)


def find_by_code(act: Act, code: str) -> Lead:
    """The lead that `code` opens, with one keyed hash and one query for every input.

    Raises RequestNotFound, also for a lead past its retention date that is not purged yet, unless a legal
    hold keeps it.
    """
    hashed = act.keyring.blind_index("code", crypto.normalise_crockford(code))
    kept = or_(Lead.purge_after > act.now, models.is_on_legal_hold())
    lead = act.session.scalars(select(Lead).where(Lead.code_hash == hashed, kept)).first()
    if lead is None:
        raise RequestNotFound
    return lead


def open_request(act: Act, lead: Lead) -> OpenedRequest:
    """The view of `lead` for the person, as it is now, without names of staff; records nothing."""
    act.session.flush()
    viewers = select(AuditEvent.actor_id).where(
        AuditEvent.about == lead.id, AuditEvent.action.in_(_STAFF_VIEWS)
    )
    return OpenedRequest(
        lead=lead,
        masked=reveal.mask_lead(act, lead, shown=FIELDS),
        contact_status=eligibility.contact_status(act.session, lead),
        roles=frozenset(viewer_roles(act.session, viewers).values()),
        hold=models.load_legal_hold(act.session, lead.id),
    )


def viewer_roles(
    session: Session, staff: Select[uuid.UUID | None] | Collection[uuid.UUID]
) -> dict[uuid.UUID, Role]:
    """For each of these accounts its first role, in the order of `Role`, that allows viewing leads."""
    rows = session.execute(select(StaffRole.staff_id, StaffRole.role).where(StaffRole.staff_id.in_(staff)))
    viewing = {(staff_id, role) for staff_id, role in rows if Permission.VIEW_LEAD in ROLE_PERMISSIONS[role]}
    return {staff_id: next(role for role in Role if (staff_id, role) in viewing) for staff_id, _ in viewing}


class RequestClosed(Refused):
    """The lead is closed (409): it can be stopped and erased, not changed."""

    sentence = N_("This request is closed, so there is nothing left to change. You can ask for a call again.")


def stop(act: Act, *, code: str) -> OpenedRequest:
    """Stop all contact with every lead of the same number or address. Raises RequestNotFound."""
    lead = find_by_code(act, code)
    suppression.stop(act.by(PERSON), lead, method=Method.MANAGE_PAGE)
    if act.session.scalar(select(Lead.id).where(Lead.id == lead.id)) is None:
        raise RequestNotFound  # another page erased it before the stop locked it
    return open_request(act, lead)


def stop_by_reference(act: Act, *, reference: str, address: str) -> None:
    """Stop all contact without the code, by a reference and the number or address of its lead.

    Returns nothing, and does the same work for every readable input except the stop itself: one keyed hash,
    one query. Anyone who types the data of another person can stop contact with them, but learns nothing.
    Raises Unprocessable on `address` for what is neither a number nor an address, whatever is stored.
    """
    try:
        term = read_contact(address)
    except Unprocessable as unreadable:
        raise Unprocessable({"address": [unreadable.sentence]}) from None
    index = act.keyring.blind_index(term.kind.value, term.value)
    by_reference = Lead.reference == crypto.normalise_crockford(reference)
    matching = select(Lead).where(by_reference, or_(Lead.phone_index == index, Lead.email_index == index))
    lead = act.session.scalars(matching).first()
    if lead:
        suppression.stop(act.by(PERSON), lead, method=Method.MANAGE_PAGE)


def withdraw_channel(act: Act, *, code: str, channel: Channel) -> OpenedRequest:
    """Withdraw the consent to one channel (with calls also voicemail); for the last one, stop all contact.

    A number or address that no channel may use any more is deleted, on legal hold when the hold ends. Its
    keyed hash stays, so that a stop by that number still finds the lead. Raises RequestNotFound.
    """
    lead = _lock_by_code(act, code)
    status = eligibility.contact_status(act.session, lead)
    if status.channels == (channel,):
        suppression.stop(act.by(PERSON), lead, method=Method.MANAGE_PAGE)
    elif channel in status.channels:
        kinds = (CONTACT_KINDS[channel], *((Kind.VOICEMAIL,) if channel is Channel.CALL else ()))
        lead.version += 1
        withdrawn = withdraw(act, lead, kinds)
        if not models.load_legal_hold(act.session, lead.id):
            retention.delete_unusable_contact(lead, {*status.channels} - {channel})
        consents = consent.macs(withdrawn)
        record(act, Action.CONSENT_WITHDRAWN, lead, channel=channel.value, consents=consents)
    return open_request(act, lead)


def withdraw(act: Act, lead: Lead, kinds: Iterable[Kind]) -> Collection[ConsentEvent]:
    """Withdraw those of `kinds` that are given, as the person. The caller records the returned events."""
    return consent.withdraw(
        act.session,
        lead_id=lead.id,
        kinds=kinds,
        method=Method.MANAGE_PAGE,
        actor=PERSON,
        at=act.now,
        keyring=act.keyring,
    ).values()


def change_windows(act: Act, *, code: str, chosen: Sequence[str]) -> OpenedRequest:
    """Replace the contact windows and renew the promise; the same windows change nothing.

    Raises RequestNotFound, RequestClosed, and Unprocessable on `windows` if none is chosen, one is unknown,
    or no promise can be kept within two weeks.
    """
    lead = lock_changeable(act, code)
    if not chosen or not set(chosen) <= set(Window):
        raise Unprocessable({"windows": [form.WINDOWS]})
    windows = frozenset({Window.ANY} if Window.ANY in chosen else map(Window, chosen))
    if windows != hours.windows_from_text(lead.windows):
        lead.windows = hours.windows_to_text(windows)
        lead.promise_at = promise_for_lead(act, lead, since=act.now)
        record(act, Action.LEAD_CHANGED, lead, field="windows")
    return open_request(act, lead)


def erase(act: Act, *, code: str) -> OpenedRequest | None:
    """Stop all contact and erase the lead, on legal hold when the hold ends.

    Returns None if it is erased, else the lead as it is kept. Raises RequestNotFound.
    """
    lead = find_by_code(act, code)
    try:
        erasure = retention.erase(act.by(PERSON), lead, reason=ErasureReason.ASKED)
    except NotFound:
        raise RequestNotFound from None
    return None if erasure else open_request(act, lead)


def lock_changeable(act: Act, code: str) -> Lead:
    """The lead that `code` opens, locked, to be changed. Raises RequestNotFound, RequestClosed."""
    lead = _lock_by_code(act, code)
    if lead.status is LeadStatus.CLOSED:
        raise RequestClosed
    return lead


def _lock_by_code(act: Act, code: str) -> Lead:
    lead = find_by_code(act, code)
    if lead not in suppression.lock_leads_with_contact(act.session, suppression.indexes_of(lead), lead.id):
        raise RequestNotFound
    return lead


def record(act: Act, action: Action, lead: Lead, **details: Any) -> None:
    """Append an audit event of the person on the manage page. `details` hold no free text."""
    act.by(PERSON).record(action, about=lead.id, **{"method": Method.MANAGE_PAGE.value, **details})
