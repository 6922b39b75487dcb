"""The lead page: everything it shows, read in one transaction and recorded as one view in the audit log."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from intake.accounts.permissions import Member, Permission, StaffAct, may
from intake.accounts.service import names_of
from intake.audit import Action, service
from intake.calling.gate import Verdict
from intake.casework import assignment, queue, undo
from intake.casework.assignment import ClaimRevoked
from intake.casework.models import UndoState
from intake.conf.clinic import Channel
from intake.consent import service as consent
from intake.consent.service import AnsweredStatement
from intake.leads import claims, eligibility, models, notes, reveal, suppression
from intake.leads import history as lead_history
from intake.leads.claims import LeadAct
from intake.leads.eligibility import ContactStatus
from intake.leads.fields import Shown, lines_of
from intake.leads.history import HistoryEntry
from intake.leads.models import HoldReason, Lead, LeadStatus, LegalHold
from intake.leads.reveal import MaskedContact, RevealedContact
from intake.leads.suppression import SuppressedContact


@dataclass(frozen=True)
class LeadView:
    """Everything on the page of a lead, for the staff member `member`.

    `revealed`: contact data shown in full now. `answers`: the latest answer to each statement. `undoable`:
    the act that the member can still undo. `revoked_claim`: who ended the member's claim, and when.
    `asked_again`: entries of the suppression list that the person's newer request may lift. `hold`: the legal
    hold.
    """

    lead: Lead
    masked: MaskedContact
    contact_status: ContactStatus
    verdicts: Mapping[Channel, Verdict]
    revealed: Mapping[Channel, RevealedContact]
    history: Sequence[HistoryEntry]
    answers: Sequence[AnsweredStatement]
    asked_again: Sequence[SuppressedContact]
    hold: LegalHold | None
    undoable: UndoState | None
    note: str
    note_mark: str
    names: Mapping[uuid.UUID, str]
    revoked_claim: ClaimRevoked | None
    member: Member
    now: datetime

    @property
    def details(self) -> list[tuple[str, str]]:
        """What shows without a reveal and has no place of its own: label (message id) and text."""
        return lines_of(Shown.LEAD_PAGE, self.lead, self.masked.values)

    @property
    def mine(self) -> bool:
        """Whether the member has claimed the lead."""
        return claims.is_claimed_by(self.lead, member=self.member, now=self.now)

    @property
    def claim_expired(self) -> bool:
        """Whether the member's claim expired without another since: an outcome may still be recorded."""
        return self.lead.claimed_by == self.member.id and not self.mine

    @property
    def holder(self) -> str | None:
        """The name of the colleague who has claimed the lead now."""
        lead = self.lead
        if lead.claimed_by in (None, self.member.id) or not lead.claimed_until:
            return None
        return self.names.get(lead.claimed_by) if lead.claimed_until > self.now else None

    @property
    def seen(self) -> uuid.UUID:
        """The id of the newest event on this page, for `since`."""
        return self.history[0].id

    def since(self, seen: uuid.UUID) -> Sequence[HistoryEntry]:
        """Return the entries after `seen`, newest first; at least the newest entry."""
        newer = list(takewhile(lambda entry: entry.id != seen, self.history))
        return newer if 0 < len(newer) < len(self.history) else self.history[:1]

    @property
    def undo_left(self) -> timedelta:
        """For how long the act can still be undone, rounded up to full minutes."""
        left = undo.undo_deadline(self.undoable) - self.now if self.undoable else timedelta(0)
        return -(-left // timedelta(minutes=1)) * timedelta(minutes=1)

    @property
    def closed(self) -> bool:
        """Whether the lead is closed."""
        return self.lead.status is LeadStatus.CLOSED

    @property
    def hold_reasons(self) -> Sequence[HoldReason]:
        """The reasons for a legal hold."""
        return list(HoldReason)

    def may(self, permission: Permission) -> bool:
        """Return whether the member has `permission`."""
        return permission in self.member.permissions

    @property
    def may_reveal(self) -> bool:
        """Whether only the gate could refuse a reveal."""
        return self.may(Permission.REVEAL) and not self.closed and self.holder is None

    @property
    def may_lift(self) -> bool:
        """Whether the member may lift at least one of the suppressions after a new request."""
        return self.holder is None and any(self.may(each.required_permission) for each in self.asked_again)

    @property
    def who_may_lift(self) -> list[str]:
        """Who may lift the suppressions that the member may not (message ids)."""
        return list(
            dict.fromkeys(each.refusal for each in self.asked_again if not self.may(each.required_permission))
        )


def lead_view(
    act: StaffAct, lead_id: uuid.UUID, *, just_revealed: RevealedContact | None = None, masked: bool = False
) -> LeadView:
    """Load the page of one lead.

    `just_revealed`: what a reveal in the same transaction has opened. `masked`: show nothing in full.

    Recorded as one view, or as a reveal of each value that the member's claim keeps open. Raises NotFound for
    an unknown lead, and likewise when the member may not view leads.
    """
    lead = queue.one(act, lead_id)
    events = service.events_about(act.session, lead.id)
    shown = [] if masked else reveal.record_reveal(act, lead, events=events, exclude=just_revealed)
    if not shown and not just_revealed:
        LeadAct(act, lead).record(Action.LEAD_VIEWED)
    contact_status = eligibility.contact_status(act.session, lead)
    asked_again = suppression.suppressions_asked_again(act.session, lead) if contact_status.suppressed else []
    staff_ids = {each for event in events for each in (event.actor_id, lead_history.colleague_id(event))} | {
        lead.claimed_by
    }
    return LeadView(
        lead=lead,
        masked=reveal.mask_lead(act, lead),
        contact_status=contact_status,
        note=notes.open_note(act, lead) if may(act.member, Permission.LOG_OUTCOME) else "",
        note_mark=notes.note_mac(lead, instance=act.instance),
        verdicts={each: contact_status.verdict(each, act.contact_times) for each in Channel},
        revealed={each.channel: each for each in [*shown, *([just_revealed] if just_revealed else [])]},
        history=lead_history.build_history(events, lead, now=act.now),
        answers=list({each.event.kind: each for each in consent.answers_of(act.session, lead.id)}.values()),
        asked_again=asked_again,
        hold=models.load_legal_hold(act.session, lead.id),
        undoable=undo.undoable_state(act, lead),
        names=names_of(act.session, {each for each in staff_ids if each}),
        revoked_claim=assignment.revoked_claim(act.session, events, member=act.member),
        member=act.member,
        now=act.now,
    )
