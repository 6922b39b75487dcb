"""One lead as its page shows it, gathered in one transaction and recorded as one look."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from sqlalchemy.orm import Session

from intake.accounts.permissions import Member, Permission, may
from intake.accounts.service import names_of
from intake.audit import Action, service
from intake.calling.gate import Verdict
from intake.casework import assignment, queue, undo
from intake.casework.assignment import ClaimRevoked
from intake.casework.models import UndoState
from intake.conf.clinic import Channel
from intake.consent import service as consent
from intake.consent.service import Shown
from intake.instance import Instance
from intake.leads import claims, eligibility, history, models, notes, reveal, suppression
from intake.leads.claims import LeadAct
from intake.leads.eligibility import ContactStatus
from intake.leads.history import HistoryEntry
from intake.leads.models import HoldReason, Lead, LeadStatus, LegalHold
from intake.leads.reveal import Masked, Revealed
from intake.leads.suppression import ListedStop


@dataclass(frozen=True)
class LeadView:
    """Everything on the page of a lead.

    `revealed` is what may be seen in full right now, `said` the latest answer to each statement,
    `undoable` the act that we can still undo, `taken_back` whose act ended our hold, `again` what stands
    on the do-not-contact list although they have asked again since.
    """

    lead: Lead
    masked: Masked
    standing: ContactStatus
    verdicts: Mapping[Channel, Verdict]
    revealed: Mapping[Channel, Revealed]
    told: Sequence[HistoryEntry]
    said: Sequence[Shown]
    again: Sequence[ListedStop]
    hold: LegalHold | None
    undoable: UndoState | None
    note: str
    note_mark: str
    names: Mapping[uuid.UUID, str]
    taken_back: ClaimRevoked | None
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
    def seen(self) -> uuid.UUID:
        """The newest act that this page tells; what comes after it, `since` finds."""
        return self.told[0].id

    def since(self, seen: uuid.UUID) -> Sequence[HistoryEntry]:
        """What has happened after a page that told `seen` last, newest first; at least the newest act."""
        fresh = list(takewhile(lambda told: told.id != seen, self.told))
        return fresh if 0 < len(fresh) < len(self.told) else self.told[:1]

    @property
    def undo_left(self) -> timedelta:
        """For how long the act can still be undone, in begun minutes."""
        left = undo.ends(self.undoable) - self.now if self.undoable else timedelta(0)
        return -(-left // timedelta(minutes=1)) * timedelta(minutes=1)

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self.lead.status is LeadStatus.CLOSED

    @property
    def hold_reasons(self) -> Sequence[HoldReason]:
        """Why the law can make us keep it."""
        return list(HoldReason)

    def may(self, permission: Permission) -> bool:
        """Whether we may, by role."""
        return permission in self.member.permissions

    @property
    def may_reveal(self) -> bool:
        """Whether a reveal would be refused for nothing but the gate."""
        return self.may(Permission.REVEAL) and not self.closed and self.holder is None

    @property
    def may_lift(self) -> bool:
        """Whether we may confirm that they have asked again, for some of it at least."""
        return self.holder is None and any(self.may(each.needs) for each in self.again)

    @property
    def who_may_lift(self) -> list[str]:
        """Who may confirm what we may not (message ids)."""
        return list(dict.fromkeys(each.who for each in self.again if not self.may(each.needs)))


def lead_view(
    session: Session,
    lead_id: uuid.UUID,
    *,
    just: Revealed | None = None,
    masked: bool = False,
    member: Member,
    instance: Instance,
) -> LeadView:
    """The page of one lead. `just` is what a reveal in this very transaction has opened; `masked` opens none.

    Recorded as one look, or as one more showing for each value that our hold keeps open. Raises
    NotFound for an unknown lead and for one we may not see, alike.
    """
    lead = queue.one(session, lead_id, member=member)
    events = service.events_about(session, lead.id)
    shown = (
        []
        if masked
        else reveal.record_reveal(session, lead, story=events, besides=just, member=member, instance=instance)
    )
    if not shown and not just:
        LeadAct(session, lead, member, instance).record(Action.LEAD_VIEWED)
    standing = eligibility.contact_status(session, lead)
    again = suppression.asked_again(session, lead) if standing.suppressed else []
    staff = {each for event in events for each in (event.actor_id, history.whom(event))} | {lead.claimed_by}
    return LeadView(
        lead=lead,
        masked=reveal.masked(session, lead, instance=instance),
        standing=standing,
        note=notes.of(session, lead, instance=instance) if may(member, Permission.LOG_OUTCOME) else "",
        note_mark=notes.mark(lead, instance=instance),
        verdicts={each: standing.verdict(each, instance) for each in Channel},
        revealed={each.channel: each for each in [*shown, *([just] if just else [])]},
        told=history.build_history(events, lead, now=instance.clock()),
        said=list({each.event.kind: each for each in consent.shown(session, lead.id)}.values()),
        again=again,
        hold=models.legal_hold_of(session, lead.id),
        undoable=undo.offered(session, lead, member=member, instance=instance),
        names=names_of(session, {each for each in staff if each}),
        taken_back=assignment.revoked_claim(session, events, member=member),
        member=member,
        now=instance.clock(),
    )
