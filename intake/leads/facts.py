"""What the contact gate must know of a lead, gathered for one or for many in a few statements."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from intake.calling.gate import GateFacts, Verdict, may_contact
from intake.calling.windows import from_text
from intake.clinic import Channel
from intake.consent import service as consent
from intake.consent.models import ConsentEvent, Kind, State
from intake.instance import Instance
from intake.leads import suppression
from intake.leads.models import Attempt, CloseReason, Lead, LeadStatus, Outcome

CONTACT_KINDS = {Channel.CALL: Kind.CALL, Channel.TEXT: Kind.TEXT, Channel.EMAIL: Kind.EMAIL}


@dataclass(frozen=True)
class Standing:
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
            windows=from_text(self.lead.windows),
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


def standing(session: Session, lead: Lead) -> Standing:
    """What holds for `lead` now."""
    return standing_of(session, [lead])[lead.id]


def standing_of(session: Session, leads: Sequence[Lead]) -> dict[uuid.UUID, Standing]:
    """The same for many leads in three statements."""
    consents = consent.current_of(session, [lead.id for lead in leads])
    tries = _tries(session, [lead.id for lead in leads])
    indexes = [index for lead in leads for index in (lead.phone_index, lead.email_index)]
    listed = suppression.suppressed(session, indexes)
    return {
        lead.id: Standing(
            lead, consents.get(lead.id, {}), tries.get(lead.id, ()), _suppressed_channels(lead, listed)
        )
        for lead in leads
    }


def _suppressed_channels(lead: Lead, listed: set[bytes]) -> frozenset[Channel]:
    by_phone = {Channel.CALL, Channel.TEXT} if lead.phone_index in listed else set()
    by_email = {Channel.EMAIL} if lead.email_index in listed else set()
    return frozenset(by_phone | by_email)


def _tries(
    session: Session, lead_ids: Sequence[uuid.UUID]
) -> dict[uuid.UUID, tuple[tuple[Channel, datetime], ...]]:
    """What we did and has not been undone; a call from them is no try of ours."""
    wanted = select(Attempt.lead_id, Attempt.channel, Attempt.at).where(
        Attempt.lead_id.in_(lead_ids),
        Attempt.undone_at.is_(None),
        Attempt.outcome != Outcome.THEY_CALLED_US,
    )
    found: dict[uuid.UUID, tuple[tuple[Channel, datetime], ...]] = {}
    for lead_id, channel, at in session.execute(wanted.order_by(Attempt.at, Attempt.id)):
        found[lead_id] = (*found.get(lead_id, ()), (channel, at))
    return found


def gate_facts(session: Session, lead: Lead, *, channel: Channel) -> GateFacts:
    """What the gate must know of `lead` to judge `channel`: consents, suppression, tries not undone."""
    return standing(session, lead).facts(channel)


def verdict(session: Session, lead: Lead, *, channel: Channel, instance: Instance) -> Verdict:
    """May `lead` be contacted on `channel` now?"""
    return standing(session, lead).verdict(channel, instance)


def verdicts(session: Session, lead: Lead, *, instance: Instance) -> dict[Channel, Verdict]:
    """The gate's answer for every channel."""
    found = standing(session, lead)
    return {channel: found.verdict(channel, instance) for channel in Channel}
