"""One lead as its page shows it, gathered in one transaction and recorded as one look."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from intake.audit import Action, log
from intake.calling.gate import Verdict
from intake.clinic import Channel
from intake.consent import service as consent
from intake.consent.service import Shown
from intake.instance import Instance
from intake.leads import claims, contact, facts, queue, story
from intake.leads.act import Act
from intake.leads.contact import Masked, Revealed
from intake.leads.facts import Standing
from intake.leads.models import Lead, LeadStatus
from intake.leads.rows import names_of
from intake.leads.story import Told
from intake.staff.permissions import Member, Permission


@dataclass(frozen=True)
class View:
    """Everything on the page of a lead.

    `revealed` is what may be seen in full right now, `said` the latest answer to each statement.
    """

    lead: Lead
    masked: Masked
    standing: Standing
    verdicts: Mapping[Channel, Verdict]
    revealed: Mapping[Channel, Revealed]
    told: Sequence[Told]
    said: Sequence[Shown]
    names: Mapping[uuid.UUID, str]
    member: Member
    now: datetime

    @property
    def mine(self) -> bool:
        """Whether we hold it."""
        return claims.mine(self.lead, member=self.member, now=self.now)

    @property
    def ran_out(self) -> bool:
        """Whether our hold has run out and nobody else has taken the lead: we may still say how it went."""
        return self.lead.claimed_by == self.member.id and not self.mine

    @property
    def holder(self) -> str | None:
        """The colleague who holds it now, by name."""
        lead = self.lead
        if lead.claimed_by in (None, self.member.id) or not lead.claimed_until:
            return None
        return self.names.get(lead.claimed_by) if lead.claimed_until > self.now else None

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self.lead.status is LeadStatus.CLOSED

    def may(self, permission: Permission) -> bool:
        """Whether we may, by role."""
        return permission in self.member.permissions

    @property
    def may_reveal(self) -> bool:
        """Whether a reveal would be refused for nothing but the gate."""
        return self.may(Permission.REVEAL) and not self.closed and self.holder is None


def view(
    session: Session,
    lead_id: uuid.UUID,
    *,
    just: Revealed | None = None,
    member: Member,
    instance: Instance,
) -> View:
    """The page of one lead. `just` is what a reveal in this very transaction has opened.

    Recorded as one look, or as one more showing for each value that our hold keeps open. Raises
    NotFound for an unknown lead and for one we may not see, alike.
    """
    lead = queue.one(session, lead_id, member=member)
    events = log.about(session, lead.id)
    shown = contact.showing(session, lead, story=events, besides=just, member=member, instance=instance)
    if not shown and not just:
        Act(session, lead, member, instance).record(Action.LEAD_VIEWED)
    standing = facts.standing(session, lead)
    staff = {event.actor_id for event in events if event.actor_id} | {lead.claimed_by}
    return View(
        lead=lead,
        masked=contact.masked(session, lead, instance=instance),
        standing=standing,
        verdicts={each: standing.verdict(each, instance) for each in Channel},
        revealed={each.channel: each for each in [*shown, *([just] if just else [])]},
        told=story.tell(events, lead, now=instance.clock()),
        said=list({each.event.kind: each for each in consent.shown(session, lead.id)}.values()),
        names=names_of(session, {each for each in staff if each}),
        member=member,
        now=instance.clock(),
    )
