"""Whether a lead may be contacted: loads the input of the contact gate, for one lead or many at once.

Also recomputes the promise (by when the person should hear from us) of a lead that is stored already.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from sqlalchemy import Select, and_, or_, select
from sqlalchemy.orm import Session

from intake.act import Act
from intake.calling import hours
from intake.calling.availability import ContactTimes
from intake.calling.gate import GateFacts, Verdict, may_contact
from intake.calling.hours import windows_from_text
from intake.calling.promise import promise_for
from intake.conf.clinic import Channel, Clinic, Contact
from intake.consent import service as consent
from intake.consent.models import ConsentEvent, Kind, State
from intake.leads import suppression
from intake.leads.models import Attempt, CloseReason, Lead, LeadStatus, Outcome

SHARED_ATTEMPTS_FROM = timedelta(days=1)
"""From how long before a lead was sent the attempts on other leads of the same person count for it."""
CONTACT_KINDS = {Channel.CALL: Kind.CALL, Channel.TEXT: Kind.TEXT, Channel.EMAIL: Kind.EMAIL}


@dataclass(frozen=True)
class ContactStatus:
    """What decides on contact with one lead: latest consents, attempts (`tries`), suppressed channels."""

    lead: Lead
    consents: Mapping[Kind, ConsentEvent]
    tries: tuple[tuple[Channel, datetime], ...]
    suppressed: frozenset[Channel]

    def given(self, kind: Kind) -> bool:
        """Whether consent of this kind is given: the latest answer is yes."""
        return kind in self.consents and self.consents[kind].state is State.GIVEN

    @cached_property
    def channels(self) -> tuple[Channel, ...]:
        """The channels with consent, in the order of `Channel`."""
        return tuple(each for each in Channel if self.given(CONTACT_KINDS[each]))

    @cached_property
    def voicemail(self) -> bool:
        """Whether a voicemail may be left."""
        return self.given(Kind.VOICEMAIL)

    def tried(self, channel: Channel) -> int:
        """The number of attempts on a channel."""
        return sum(each is channel for each, _ in self.tries)

    def no_try_left(self, contact: Contact, *, coming: int = 0) -> bool:
        """Whether no attempt is left on any channel; `coming` adds calls that are not recorded yet."""
        calls = {Channel.CALL: coming}
        return all(
            self.tried(each) + calls.get(each, 0) >= contact.at_most(each)
            for each in self.channels
            if each not in self.suppressed
        )

    @cached_property
    def facts(self) -> GateFacts:
        """The input of the contact gate. Number and address are suppressed separately."""
        return GateFacts(
            region=self.lead.region,
            time_zone=self.lead.time_zone,
            number_zones=tuple(self.lead.number_zones.split()),
            windows=windows_from_text(self.lead.windows),
            consents={
                each: self.consents[kind].state.value
                for each, kind in CONTACT_KINDS.items()
                if kind in self.consents
            },
            consent_given_at=self.lead.asked_at,
            attempts=self.tries,
            stopped=self.lead.close_reason is CloseReason.STOPPED,
            closed=self.lead.status is LeadStatus.CLOSED,
            suppressed=self.suppressed,
            voicemail=self.voicemail,
        )

    def verdict(self, channel: Channel, times: ContactTimes) -> Verdict:
        """The answer of the contact gate for one channel at the moment at which `times` start."""
        return may_contact(facts=self.facts, channel=channel, times=times)


def contact_status(session: Session, lead: Lead) -> ContactStatus:
    """The contact status of one lead."""
    return contact_statuses(session, [lead])[lead.id]


def contact_statuses(session: Session, leads: Sequence[Lead]) -> dict[uuid.UUID, ContactStatus]:
    """The contact status of many leads by id, in three statements."""
    consents = consent.current_of(session, [lead.id for lead in leads])
    tries = _attempts_by_lead(session, leads)
    indexes = [index for lead in leads for index in (lead.phone_index, lead.email_index)]
    suppressed = suppression.suppressed(session, indexes)
    return {
        lead.id: ContactStatus(
            lead, consents.get(lead.id, {}), tries.get(lead.id, ()), _suppressed_channels(lead, suppressed)
        )
        for lead in leads
    }


def _suppressed_channels(lead: Lead, suppressed: set[bytes]) -> frozenset[Channel]:
    by_phone = {Channel.CALL, Channel.TEXT} if lead.phone_index in suppressed else set()
    by_email = {Channel.EMAIL} if lead.email_index in suppressed else set()
    return frozenset(by_phone | by_email)


def _attempts_by_lead(
    session: Session, leads: Sequence[Lead]
) -> dict[uuid.UUID, tuple[tuple[Channel, datetime], ...]]:
    """The attempts that count for each lead, oldest first, without undone ones and calls from the person.

    Leads with the same number or address are one person: an attempt on another of them counts too, from
    `SHARED_ATTEMPTS_FROM` before the lead was sent. Earlier ones do not: the person has consented again.
    """
    found: dict[uuid.UUID, tuple[tuple[Channel, datetime], ...]] = {lead.id: () for lead in leads}
    for attempted, attempt in session.execute(_select_attempts(leads)):
        for lead in leads:
            if attempted.id == lead.id or _same_person(attempted, lead, attempt):
                found[lead.id] = (*found[lead.id], (attempt.channel, attempt.at))
    return found


def _same_person(attempted: Lead, lead: Lead, attempt: Attempt) -> bool:
    index = "email_index" if attempt.channel is Channel.EMAIL else "phone_index"
    reached = getattr(attempted, index)
    return (
        reached is not None
        and reached == getattr(lead, index)
        and attempt.at > lead.asked_at - SHARED_ATTEMPTS_FROM
    )


def _select_attempts(leads: Sequence[Lead]) -> Select[Lead, Attempt]:
    indexes = {index for lead in leads for index in (lead.phone_index, lead.email_index) if index}
    since = (
        min((lead.asked_at for lead in leads), default=datetime.max.replace(tzinfo=UTC))
        - SHARED_ATTEMPTS_FROM
    )
    shared = or_(Lead.phone_index.in_(indexes), Lead.email_index.in_(indexes))
    own = Lead.id.in_([lead.id for lead in leads])
    return (
        select(Lead, Attempt)
        .join(Attempt, Attempt.lead_id == Lead.id)
        .where(
            or_(own, and_(shared, Attempt.at > since)),
            Attempt.undone_at.is_(None),
            Attempt.outcome != Outcome.THEY_CALLED_US,
        )
        .order_by(Attempt.at, Attempt.id)
    )


def verdict(act: Act, lead: Lead, *, channel: Channel) -> Verdict:
    """Whether `lead` may be contacted on `channel` now, and if not, why."""
    return contact_status(act.session, lead).verdict(channel, act.contact_times)


def verdicts(act: Act, lead: Lead) -> dict[Channel, Verdict]:
    """The answer of the contact gate for every channel."""
    status = contact_status(act.session, lead)
    return {channel: status.verdict(channel, act.contact_times) for channel in Channel}


def promise_for_lead(act: Act, lead: Lead, *, since: datetime, clinic: Clinic | None = None) -> datetime:
    """By when a stored lead is promised contact, from its consents, windows and region as they are now.

    That is `response_minutes` of contactable time after `since`. Raises NoTimeWithin14Days.
    """
    return promise_for(
        ContactTimes(clinic or act.clinic, act.hours, since),
        channels=contact_status(act.session, lead).channels,
        region=lead.region,
        time_zone=lead.time_zone,
        number_zones=tuple(lead.number_zones.split()),
        windows=hours.windows_from_text(lead.windows),
    )
