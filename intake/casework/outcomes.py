"""Recording the outcome of an attempt, its effects on the lead, and closing a lead manually."""

import uuid
from datetime import datetime, timedelta

from sqlalchemy.exc import IntegrityError

from intake.accounts.permissions import Permission, StaffAct, require
from intake.act import Act
from intake.audit import Action
from intake.casework import undo
from intake.conf.clinic import Channel
from intake.consent.models import Method, State
from intake.core.errors import NotFound, Refused, Unprocessable
from intake.core.i18n import N_
from intake.leads import claims, eligibility, suppression
from intake.leads.claims import AlreadyClosed, ChangedMeanwhile, LeadAct
from intake.leads.eligibility import CONTACT_KINDS, ContactStatus
from intake.leads.models import Attempt, CloseReason, Lead, LeadStatus, Outcome, SuppressionReason

ALWAYS_ALLOWED = frozenset({Outcome.ASKED_TO_STOP, Outcome.THEY_CALLED_US})
"""Outcomes that can be recorded whatever the claim and status of the lead: acts of the person."""
CALLS_ONLY = frozenset({Outcome.NO_ANSWER, Outcome.VOICEMAIL_LEFT, Outcome.SOMEBODY_ELSE})
MESSAGES_ONLY = frozenset({Outcome.MESSAGE_SENT})
CLOSE_REASON_BY_OUTCOME = {
    Outcome.DECLINED: CloseReason.DECLINED,
    Outcome.WRONG_NUMBER: CloseReason.WRONG_NUMBER,
}
CHOSEN_CLOSE_REASONS = (CloseReason.TALKED, CloseReason.DECLINED, CloseReason.NOT_REACHED)
"""The reasons a staff member may choose; the others follow from an outcome."""
MAX_BOOKING_AHEAD = timedelta(days=366)
NO_TIME = N_("Choose the day and time of the consultation, from now on and within a year.")


class NoVoicemail(Refused):
    """The person refused voicemail, so none can be recorded (promise G3)."""

    sentence = N_("They said no voicemail. It cannot be noted that one was left.")


class NotAgreed(Refused):
    """The person never consented to this channel."""

    sentence = N_("They did not agree to this way of contact, so nothing can be noted for it.")


class OutcomeNotPossible(Refused):
    """The outcome is not possible on this channel."""

    sentence = N_("That cannot happen on this way of contact.")


class PageAlreadyUsed(Refused):
    """The same page was submitted before with another outcome."""

    sentence = N_("This page has already been used to note something else. Look at “So far”.")


def log(
    act: StaffAct,
    lead: Lead,
    *,
    attempt_id: uuid.UUID,
    outcome: Outcome,
    channel: Channel,
    version: int,
    booked_for: datetime | None = None,
) -> Attempt:
    """Record one outcome, release the member's claim, and apply the effects on the lead.

    `attempt_id` is created with the page, so a page submitted twice records one attempt. The member must have
    claimed the lead, except for ALWAYS_ALLOWED. Raises ClaimedByAnother, NotClaimed, AlreadyClosed,
    ChangedMeanwhile, NoVoicemail, NotAgreed, OutcomeNotPossible, PageAlreadyUsed (all 409) and Unprocessable
    on `booked_for`.
    """
    require(act.member, Permission.LOG_OUTCOME)
    act = LeadAct(act, lead)
    attempt = Attempt(
        id=attempt_id, lead_id=lead.id, staff_id=act.member.id, channel=channel, outcome=outcome, at=act.now
    )
    if earlier := _insert_once(act, attempt, booked_for):
        return earlier
    if outcome is not Outcome.ASKED_TO_STOP:  # a stop locks all leads that it ends, in a fixed order
        claims.lock_lead(act.session, lead)
    contact_status, snapshot = eligibility.contact_status(act.session, lead), undo.snapshot(lead)
    if outcome is Outcome.THEY_CALLED_US and booked_for and lead.version != version:
        raise ChangedMeanwhile  # another time may have been agreed meanwhile
    if outcome not in ALWAYS_ALLOWED:
        _check(act, attempt, contact_status, version)
    relied_on = contact_status.consents.get(CONTACT_KINDS[channel])
    attempt.consent_event_id = relied_on.id if relied_on else None
    act.record(Action.ATTEMPT_LOGGED, channel=channel, outcome=outcome)
    appointment = booked_for if outcome in (Outcome.BOOKED, Outcome.THEY_CALLED_US) else None
    in_time = appointment is not None and act.now < appointment < act.now + MAX_BOOKING_AHEAD
    if not in_time and (appointment or outcome is Outcome.BOOKED):
        raise Unprocessable({"booked_for": [NO_TIME]}, NO_TIME)
    _apply_outcome(act, attempt, contact_status, appointment)
    undo.save_undo(act, snapshot, attempt)
    return attempt


def _insert_once(act: LeadAct, attempt: Attempt, booked_for: datetime | None) -> Attempt | None:
    """Insert the attempt. Returns the earlier one with the same id, or None when this is the first."""
    try:
        with act.session.begin_nested():
            act.session.add(attempt)
    except IntegrityError:
        earlier = act.session.get(Attempt, attempt.id)
        if earlier is None:
            raise NotFound from None
        if earlier.undone_at and earlier.lead_id == attempt.lead_id:
            raise ChangedMeanwhile from None
        same = all(
            getattr(earlier, name) == getattr(attempt, name) for name in ("lead_id", "outcome", "channel")
        )
        if not same or (attempt.outcome is Outcome.BOOKED and act.lead.booked_for != booked_for):
            raise PageAlreadyUsed from None
        return earlier
    return None


def _check(act: LeadAct, attempt: Attempt, contact_status: ContactStatus, version: int) -> None:
    """Refuse what may not be recorded.

    The channel must have been consented to once: a withdrawal during a call does not undo the call.
    """
    claims.refuse_if_claimed(act)
    if act.lead.version != version:
        raise ChangedMeanwhile
    if act.lead.status is LeadStatus.CLOSED:
        raise AlreadyClosed
    claims.require_claim(act)
    answer = contact_status.consents.get(CONTACT_KINDS[attempt.channel])
    if answer is None or answer.state is State.REFUSED:
        raise NotAgreed
    if attempt.outcome in (MESSAGES_ONLY if attempt.channel is Channel.CALL else CALLS_ONLY):
        raise OutcomeNotPossible
    if attempt.outcome is Outcome.VOICEMAIL_LEFT and not contact_status.voicemail:
        raise NoVoicemail


def _apply_outcome(
    act: LeadAct, attempt: Attempt, contact_status: ContactStatus, booked_for: datetime | None
) -> None:
    """Apply the outcome to the lead. The first attempt keeps the promise, whatever its outcome."""
    lead = act.lead
    if attempt.outcome is Outcome.ASKED_TO_STOP:  # takes its locks before any lead is written
        suppression.stop(Act(act.session, act.instance, act.member.actor), lead, method=Method.STAFF)
    lead.version += 1
    lead.first_contact_at = lead.first_contact_at or attempt.at
    if lead.claimed_by == act.member.id:
        lead.claimed_by = lead.claimed_until = None
    if lead.status is LeadStatus.CLOSED:
        return
    if booked_for:
        lead.status, lead.booked_for = LeadStatus.BOOKED, booked_for
    elif lead.status is LeadStatus.NEW:
        lead.status = LeadStatus.TRYING
    unanswered = attempt.outcome in CALLS_ONLY and lead.status is LeadStatus.TRYING
    if attempt.outcome in CLOSE_REASON_BY_OUTCOME:
        act.close(CLOSE_REASON_BY_OUTCOME[attempt.outcome])
    elif unanswered and contact_status.no_try_left(act.clinic.contact):
        act.close(CloseReason.NOT_REACHED)
    if attempt.outcome is Outcome.WRONG_NUMBER:
        _suppress_wrong_contact(act, attempt.channel)


def _suppress_wrong_contact(act: LeadAct, channel: Channel) -> None:
    """Suppress the number or address and make the lead due for erasure: it belongs to a third party.

    That person never consented to anything, so their contact data is not kept.
    """
    kind, index = (
        ("email", act.lead.email_index) if channel is Channel.EMAIL else ("phone", act.lead.phone_index)
    )
    reason = SuppressionReason.WRONG_NUMBER
    suppression.suppress(Act(act.session, act.instance, act.member.actor), [index], reason=reason)
    act.record(Action.SUPPRESSION_ADDED, kind=kind, reason=reason)
    act.lead.purge_after = act.now


def close(act: StaffAct, lead: Lead, *, reason: CloseReason, version: int) -> None:
    """Close the lead manually for one of CHOSEN_CLOSE_REASONS; a second time for the same changes nothing.

    Raises ClaimedByAnother, ChangedMeanwhile and AlreadyClosed (409).
    """
    require(act.member, Permission.CLOSE_LEAD)
    act = LeadAct(act, lead)
    if reason not in CHOSEN_CLOSE_REASONS:
        raise Refused
    claims.lock_lead(act.session, lead)
    if lead.status is LeadStatus.CLOSED:
        if lead.close_reason is not reason:
            raise AlreadyClosed if lead.version == version else ChangedMeanwhile
        return
    claims.refuse_if_claimed(act)
    if lead.version != version:
        raise ChangedMeanwhile
    snapshot = undo.snapshot(lead)
    act.close(reason)
    undo.save_undo(act, snapshot)
