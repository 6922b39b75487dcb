"""Leads as rows of a list: masked, with the gate's verdict, loaded in a fixed number of statements."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from intake.accounts.service import names_of
from intake.act import Act
from intake.calling.gate import Verdict
from intake.conf.clinic import Channel
from intake.instance import Instance
from intake.leads import eligibility, reveal
from intake.leads.eligibility import ContactStatus
from intake.leads.models import Lead, LeadStatus
from intake.leads.reveal import MaskedContact


class Group(StrEnum):
    """The heading under which a row is listed, in this order."""

    BROKEN = "broken"
    NOW = "now"
    LATER = "later"
    BOOKED = "booked"
    CLOSED = "closed"


@dataclass(frozen=True)
class QueueRow:
    """One lead as the queue shows it: masked, with the gate's verdict on its best channel."""

    lead: Lead
    masked: MaskedContact
    contact_status: ContactStatus
    channel: Channel
    verdict: Verdict
    group: Group
    holder: str | None


def load_rows(act: Act, leads: Collection[Lead]) -> list[QueueRow]:
    """Load the leads as rows; keys, consents, attempts, suppressions and claims take one statement each."""
    leads = list(leads)
    if not leads:
        return []
    masked = reveal.mask_leads(act, leads)
    statuses = eligibility.contact_statuses(act.session, leads)
    names = names_of(act.session, {lead.claimed_by for lead in leads if lead.claimed_by})
    return [_row(lead, masked[lead.id], statuses[lead.id], names, act.instance) for lead in leads]


def _row(
    lead: Lead,
    masked: MaskedContact,
    contact_status: ContactStatus,
    names: Mapping[uuid.UUID, str],
    instance: Instance,
) -> QueueRow:
    now = instance.clock()
    channel, verdict = best_channel(contact_status, instance)
    claimed_by = lead.claimed_by if lead.claimed_until and lead.claimed_until > now else None
    group = _group(lead, allowed=verdict.allowed, now=now)
    return QueueRow(
        lead, masked, contact_status, channel, verdict, group, names.get(claimed_by) if claimed_by else None
    )


def best_channel(contact_status: ContactStatus, instance: Instance) -> tuple[Channel, Verdict]:
    """Return the channel that may be used now, else the one that opens first; without any consent, calls."""
    verdicts = [
        (each, contact_status.verdict(each, instance)) for each in contact_status.channels or (Channel.CALL,)
    ]
    return min(verdicts, key=lambda each: (not each[1].allowed, _opening_order(each[1])))


def _opening_order(verdict: Verdict) -> float:
    if verdict.allowed:
        return 0.0
    return verdict.opens_at.timestamp() if verdict.opens_at else float("inf")


def _group(lead: Lead, *, allowed: bool, now: datetime) -> Group:
    """Return the group; a promise is broken when its time has passed without an attempt."""
    if lead.status is LeadStatus.CLOSED:
        return Group.CLOSED
    if lead.status is LeadStatus.BOOKED:
        return Group.BOOKED
    if lead.status is LeadStatus.NEW and lead.promise_at <= now:
        return Group.BROKEN
    return Group.NOW if allowed else Group.LATER
