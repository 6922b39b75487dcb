"""Leads as staff see them in a list: masked, with the gate's answer; many at once in a few statements."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy.orm import Session

from intake.accounts.service import names_of
from intake.calling.gate import Verdict
from intake.conf.clinic import Channel
from intake.instance import Instance
from intake.leads import eligibility, reveal
from intake.leads.eligibility import ContactStatus
from intake.leads.models import Lead, LeadStatus
from intake.leads.reveal import Masked


class Group(StrEnum):
    """Under which heading a row stands, in this order."""

    BROKEN = "broken"
    NOW = "now"
    LATER = "later"
    BOOKED = "booked"
    CLOSED = "closed"


@dataclass(frozen=True)
class Row:
    """One lead as the queue shows it: masked, with the gate's answer on the channel that opens first."""

    lead: Lead
    masked: Masked
    standing: ContactStatus
    channel: Channel
    verdict: Verdict
    group: Group
    holder: str | None


def rows_of(session: Session, leads: Collection[Lead], *, instance: Instance) -> list[Row]:
    """The leads as rows: their keys, consents, tries, suppressions and holders in one statement each."""
    several = list(leads)
    if not several:
        return []
    masked = reveal.masked_of(session, several, instance=instance)
    standings = eligibility.contact_statuses(session, several)
    names = names_of(session, {lead.claimed_by for lead in several if lead.claimed_by})
    return [_row(lead, masked[lead.id], standings[lead.id], names, instance) for lead in several]


def _row(
    lead: Lead, masked: Masked, standing: ContactStatus, names: Mapping[uuid.UUID, str], instance: Instance
) -> Row:
    now = instance.clock()
    channel, verdict = opens_first(standing, instance)
    held = lead.claimed_by if lead.claimed_until and lead.claimed_until > now else None
    group = _group(lead, allowed=verdict.allowed, now=now)
    return Row(lead, masked, standing, channel, verdict, group, names.get(held) if held else None)


def opens_first(standing: ContactStatus, instance: Instance) -> tuple[Channel, Verdict]:
    """The channel to use now, else the one that opens first; without any consent, calls."""
    verdicts = [(each, standing.verdict(each, instance)) for each in standing.channels or (Channel.CALL,)]
    return min(verdicts, key=lambda each: (not each[1].allowed, _opening(each[1])))


def _opening(verdict: Verdict) -> float:
    if verdict.allowed:
        return 0.0
    return verdict.opens_at.timestamp() if verdict.opens_at else float("inf")


def _group(lead: Lead, *, allowed: bool, now: datetime) -> Group:
    """A promise is broken when its time has come and nobody has tried."""
    if lead.status is LeadStatus.CLOSED:
        return Group.CLOSED
    if lead.status is LeadStatus.BOOKED:
        return Group.BOOKED
    if lead.status is LeadStatus.NEW and lead.promise_at <= now:
        return Group.BROKEN
    return Group.NOW if allowed else Group.LATER
