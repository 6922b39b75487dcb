"""The lead page: everything it shows, read in one transaction and recorded as one view in the audit log."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from intake.accounts.permissions import Member, Permission, StaffAct
from intake.accounts.service import names_of
from intake.audit import Action, service
from intake.calling.availability import ContactTimes
from intake.calling.gate import Verdict
from intake.casework import queue, undo
from intake.casework.models import UndoState
from intake.conf.clinic import Channel
from intake.consent import service as consent
from intake.consent.service import AnsweredStatement
from intake.core.i18n import N_
from intake.leads import claims, eligibility, models, notes, reveal, suppression
from intake.leads import history as lead_history
from intake.leads.claims import ChangedMeanwhile
from intake.leads.eligibility import ContactStatus
from intake.leads.fields import Shown, lines_of
from intake.leads.history import HistoryEntry
from intake.leads.models import Lead, LeadStatus, LegalHold
from intake.leads.reveal import MaskedContact, RevealedContact
from intake.leads.suppression import SuppressedContact

_MINUTE = timedelta(minutes=1)


class ClaimRevoked(ChangedMeanwhile):
    """A supervisor revoked the member's claim since the page was rendered: `by` is their name, `at` when."""

    sentence = N_("This request was taken back, so that a colleague can call. Nothing was done now.")

    def __init__(self, by: str, at: datetime) -> None:
        self.by, self.at = by, at
        super().__init__()


def require_not_revoked(act: StaffAct, lead: Lead, *, seen: uuid.UUID | None) -> None:
    """Raise ClaimRevoked when the claim was revoked after `seen`, the newest event on the member's page."""
    events = service.events_about(act.session, lead.id)
    known = [event.id for event in events]
    event = lead_history.last_revocation(events, act.member.id)
    if event and event.actor_id and seen in known and known.index(seen) > known.index(event.id):
        raise ClaimRevoked(names_of(act.session, {event.actor_id})[event.actor_id], event.at)


@dataclass(frozen=True)
class LeadView:
    """Everything on the page of a lead, for the staff member `member`.

    `details`: what shows without a reveal and has no place of its own, as label (message id) and text.
    `revealed`: contact data shown in full now. `answers`: the latest answer to each statement. `undoable`:
    the act that the member can still undo. `revoked_claim`: who ended the member's claim, and when.
    `asked_again`: entries of the suppression list that the person's newer request may lift. `hold`: the legal
    hold. `mine`: the member has claimed the lead. `claim_expired`: their claim expired without another since,
    so that an outcome may still be recorded. `holder`: the name of the colleague who has claimed it now.
    `may_reveal`: only the gate could refuse a reveal. `seen`: the newest event on this page, for `since`.
    `contact_times`: what the verdicts were computed from, for the leads beside this one.
    """

    lead: Lead
    masked: MaskedContact
    details: Sequence[tuple[str, str]]
    contact_status: ContactStatus
    contact_times: ContactTimes
    verdicts: Mapping[Channel, Verdict]
    revealed: Mapping[Channel, RevealedContact]
    history: Sequence[HistoryEntry]
    seen: uuid.UUID
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
    closed: bool
    mine: bool
    claim_expired: bool
    holder: str | None
    may_reveal: bool

    def since(self, seen: uuid.UUID) -> Sequence[HistoryEntry]:
        """Return the entries after `seen`, newest first; at least the newest entry."""
        newer = list(takewhile(lambda entry: entry.id != seen, self.history))
        return newer if 0 < len(newer) < len(self.history) else self.history[:1]

    @property
    def undo_left(self) -> timedelta:
        """For how long the act can still be undone, rounded up to full minutes."""
        left = self.undoable.at + undo.UNDO_PERIOD - self.now if self.undoable else timedelta(0)
        return -(-left // _MINUTE) * _MINUTE

    @property
    def may_lift(self) -> bool:
        """Whether the member may lift at least one of the suppressions after a new request."""
        needed = {each.required_permission for each in self.asked_again}
        return self.holder is None and not needed.isdisjoint(self.member.permissions)

    @property
    def who_may_lift(self) -> list[str]:
        """Who may lift the suppressions that the member may not (message ids)."""
        others = (
            each for each in self.asked_again if each.required_permission not in self.member.permissions
        )
        return list(dict.fromkeys(each.refusal for each in others))


def lead_view(
    act: StaffAct, lead_id: uuid.UUID, *, just_revealed: RevealedContact | None = None, masked: bool = False
) -> LeadView:
    """Load the page of one lead.

    `just_revealed`: what a reveal in the same transaction has opened. `masked`: show nothing in full.

    Recorded as one view, or as a reveal of each value that the member's claim keeps open. Raises NotFound for
    an unknown lead, and likewise when the member may not view leads.
    """
    lead, session, member, now = queue.one(act, lead_id), act.session, act.member, act.now
    events = service.events_about(session, lead.id)
    decided_on = just_revealed.contact_status if just_revealed else None
    contact_status = decided_on or eligibility.contact_status(session, lead)
    shown = [] if masked else reveal.record_reveal(act, lead, contact_status, events, exclude=just_revealed)
    if just_revealed:
        shown.append(just_revealed)
    if not shown:
        act.record(Action.LEAD_VIEWED, about=lead.id)
    history = lead_history.build_history(events, lead, now=now)
    mentioned = {staff_id for each in history for staff_id in (each.by, each.colleague_id)}
    names = names_of(session, {each for each in (*mentioned, lead.claimed_by) if each})
    revocation = lead_history.last_revocation(events, member.id)
    closed = lead.status is LeadStatus.CLOSED
    mine = claims.is_claimed_by(lead, member=member, now=now)
    by_colleague = lead.claimed_until is not None and lead.claimed_until > now and not mine
    holder = names.get(lead.claimed_by) if lead.claimed_by and by_colleague else None
    may_note = Permission.LOG_OUTCOME in member.permissions
    undo_state = session.get(UndoState, lead.id) if may_note else None
    masked_contact = reveal.mask_lead(act, lead)
    return LeadView(
        lead=lead,
        masked=masked_contact,
        details=lines_of(Shown.LEAD_PAGE, lead, masked_contact.values),
        contact_status=contact_status,
        contact_times=act.contact_times,
        note=notes.open_note(act, lead) if may_note else "",
        note_mark=notes.note_mac(lead, instance=act.instance),
        verdicts={each: contact_status.verdict(each, act.contact_times) for each in Channel},
        revealed={each.channel: each for each in shown},
        history=history,
        seen=(history or events)[0].id,
        answers=consent.with_statements(session, contact_status.consents.values()),
        asked_again=suppression.suppressions_asked_again(session, lead) if contact_status.suppressed else [],
        hold=models.load_legal_hold(session, lead.id),
        undoable=undo_state if undo_state and undo.is_undoable(act, lead, undo_state) else None,
        names=names,
        revoked_claim=ClaimRevoked(names[revocation.actor_id], revocation.at)
        if revocation and revocation.actor_id
        else None,
        member=member,
        now=now,
        closed=closed,
        mine=mine,
        claim_expired=lead.claimed_by == member.id and not mine,
        holder=holder,
        may_reveal=Permission.REVEAL in member.permissions and not closed and holder is None,
    )
