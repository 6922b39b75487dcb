"""What the contact gate must know of a lead, gathered for one or for many in a few statements."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Select, and_, or_, select
from sqlalchemy.orm import Session

from intake.calling import hours
from intake.calling.gate import GateFacts, Verdict, may_contact
from intake.calling.hours import windows_from_text
from intake.calling.promise import promise_for
from intake.conf.clinic import Channel, Clinic
from intake.consent import service as consent
from intake.consent.models import ConsentEvent, Kind, State
from intake.instance import Instance
from intake.leads import suppression
from intake.leads.models import Attempt, CloseReason, Lead, LeadStatus, Outcome

RECENTLY = timedelta(days=1)
CONTACT_KINDS = {Channel.CALL: Kind.CALL, Channel.TEXT: Kind.TEXT, Channel.EMAIL: Kind.EMAIL}


@dataclass(frozen=True)
class ContactStatus:
    """What holds for one lead: the answers, the tries, and which of its channels are suppressed."""

    lead: Lead
    consents: Mapping[Kind, ConsentEvent]
    tries: tuple[tuple[Channel, datetime], ...]
    suppressed: frozenset[Channel]

    def given(self, kind: Kind) -> bool:
        """Whether the latest answer to a statement is yes."""
        return kind in self.consents and self.consents[kind].state is State.GIVEN

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels they said yes to, in our order."""
        return tuple(each for each in Channel if self.given(CONTACT_KINDS[each]))

    @property
    def voicemail(self) -> bool:
        """Whether a voicemail may be left."""
        return self.given(Kind.VOICEMAIL)

    def tried(self, channel: Channel) -> int:
        """How often we have tried a channel."""
        return sum(tried is channel for tried, _ in self.tries)

    def facts(self, channel: Channel) -> GateFacts:
        """What the gate asks for on one channel: the number and the address are suppressed apart."""
        return GateFacts(
            region=self.lead.region,
            time_zone=self.lead.time_zone,
            number_zones=tuple(self.lead.number_zones.split()),
            windows=windows_from_text(self.lead.windows),
            consents={each: self._state(kind) for each, kind in CONTACT_KINDS.items()},
            consent_given_at=self.lead.asked_at,
            attempts=self.tries,
            stopped=self.lead.close_reason is CloseReason.STOPPED,
            closed=self.lead.status is LeadStatus.CLOSED,
            suppressed=channel in self.suppressed,
            voicemail=self.voicemail,
        )

    def _state(self, kind: Kind) -> str | None:
        return self.consents[kind].state.value if kind in self.consents else None

    def verdict(self, channel: Channel, instance: Instance) -> Verdict:
        """The gate's answer now."""
        return may_contact(
            facts=self.facts(channel),
            channel=channel,
            clinic=instance.clinic,
            hours=instance.hours,
            now=instance.clock(),
        )


def contact_status(session: Session, lead: Lead) -> ContactStatus:
    """What holds for `lead` now."""
    return contact_statuses(session, [lead])[lead.id]


def contact_statuses(session: Session, leads: Sequence[Lead]) -> dict[uuid.UUID, ContactStatus]:
    """The same for many leads in three statements."""
    consents = consent.current_of(session, [lead.id for lead in leads])
    tries = _tries(session, leads)
    indexes = [index for lead in leads for index in (lead.phone_index, lead.email_index)]
    listed = suppression.suppressed(session, indexes)
    return {
        lead.id: ContactStatus(
            lead, consents.get(lead.id, {}), tries.get(lead.id, ()), _suppressed_channels(lead, listed)
        )
        for lead in leads
    }


def _suppressed_channels(lead: Lead, listed: set[bytes]) -> frozenset[Channel]:
    by_phone = {Channel.CALL, Channel.TEXT} if lead.phone_index in listed else set()
    by_email = {Channel.EMAIL} if lead.email_index in listed else set()
    return frozenset(by_phone | by_email)


def _tries(session: Session, leads: Sequence[Lead]) -> dict[uuid.UUID, tuple[tuple[Channel, datetime], ...]]:
    """What we did and has not been undone; a call from them is no try of ours.

    Whoever asked twice is one person: a try on another request with the same number or address counts
    too, from the day before this request was sent. What was tried before that, the new yes outweighs.
    """
    found: dict[uuid.UUID, tuple[tuple[Channel, datetime], ...]] = {lead.id: () for lead in leads}
    for of, attempt in session.execute(_attempts(leads)):
        for lead in leads:
            if of.id == lead.id or _same_person(of, lead, attempt):
                found[lead.id] = (*found[lead.id], (attempt.channel, attempt.at))
    return found


def _same_person(of: Lead, lead: Lead, attempt: Attempt) -> bool:
    index = "email_index" if attempt.channel is Channel.EMAIL else "phone_index"
    reached = getattr(of, index)
    return reached is not None and reached == getattr(lead, index) and attempt.at > lead.asked_at - RECENTLY


def _attempts(leads: Sequence[Lead]) -> Select[Lead, Attempt]:
    indexes = {index for lead in leads for index in (lead.phone_index, lead.email_index) if index}
    since = min((lead.asked_at for lead in leads), default=datetime.max.replace(tzinfo=UTC)) - RECENTLY
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


def gate_facts(session: Session, lead: Lead, *, channel: Channel) -> GateFacts:
    """What the gate must know of `lead` to judge `channel`: consents, suppression, tries not undone."""
    return contact_status(session, lead).facts(channel)


def verdict(session: Session, lead: Lead, *, channel: Channel, instance: Instance) -> Verdict:
    """May `lead` be contacted on `channel` now?"""
    return contact_status(session, lead).verdict(channel, instance)


def verdicts(session: Session, lead: Lead, *, instance: Instance) -> dict[Channel, Verdict]:
    """The gate's answer for every channel."""
    found = contact_status(session, lead)
    return {channel: found.verdict(channel, instance) for channel in Channel}


# --- By when a request that is held already should hear from us, counted for what holds now.


def promise_of(
    session: Session, lead: Lead, *, instance: Instance, since: datetime, clinic: Clinic | None = None
) -> datetime:
    """When `response_minutes` of contactable time have passed since `since`. Raises NoTimeWithin14Days."""
    return promise_for(
        clinic or instance.clinic,
        instance.hours,
        channels=contact_status(session, lead).channels,
        region=lead.region,
        time_zone=lead.time_zone,
        number_zones=tuple(lead.number_zones.split()),
        windows=hours.windows_from_text(lead.windows),
        now=since,
    )
