"""Saying how it went: one outcome at a time, and what follows from it for the lead."""

import uuid
from datetime import datetime, timedelta

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from intake.accounts.permissions import Member, Permission, require
from intake.audit import Action
from intake.casework import undo
from intake.conf.clinic import Channel
from intake.consent.models import Method, State
from intake.core.errors import NotFound, Refused, Unprocessable
from intake.core.i18n import N_
from intake.instance import Instance
from intake.leads import claims, eligibility, suppression
from intake.leads.claims import AlreadyClosed, ChangedMeanwhile, LeadAct, touch
from intake.leads.eligibility import CONTACT_KINDS, ContactStatus
from intake.leads.models import Attempt, CloseReason, Lead, LeadStatus, Outcome, SuppressionReason

ALWAYS = frozenset({Outcome.ASKED_TO_STOP, Outcome.THEY_CALLED_US})
"""What can be noted whoever holds the lead, and whatever its status: both are acts of theirs."""
CALLS_ONLY = frozenset({Outcome.NO_ANSWER, Outcome.VOICEMAIL_LEFT, Outcome.SOMEBODY_ELSE})
MESSAGES_ONLY = frozenset({Outcome.MESSAGE_SENT})
CLOSES = {Outcome.DECLINED: CloseReason.DECLINED, Outcome.WRONG_NUMBER: CloseReason.WRONG_NUMBER}
BY_HAND = (CloseReason.TALKED, CloseReason.DECLINED, CloseReason.NOT_REACHED)
"""The reasons somebody may choose; the others follow from an outcome."""
FURTHEST = timedelta(days=366)
NO_TIME = N_("Choose the day and time of the consultation, from now on and within a year.")


class NoVoicemail(Refused):
    """They said no voicemail, so none can be noted (promise G3)."""

    sentence = N_("They said no voicemail. It cannot be noted that one was left.")


class NotAgreed(Refused):
    """They never said yes to this channel."""

    sentence = N_("They did not agree to this way of contact, so nothing can be noted for it.")


class DoesNotFit(Refused):
    """The outcome cannot happen on that channel."""

    sentence = N_("That cannot happen on this way of contact.")


class SaidOtherwise(Refused):
    """The same page was sent before with another outcome."""

    sentence = N_("This page has already been used to note something else. Look at “So far”.")


def log(
    session: Session,
    lead: Lead,
    *,
    attempt_id: uuid.UUID,
    outcome: Outcome,
    channel: Channel,
    member: Member,
    version: int,
    instance: Instance,
    booked_for: datetime | None = None,
) -> Attempt:
    """Note one outcome, end our hold, and do what follows from it.

    `attempt_id` is born with the page, so a page sent twice notes once. Needs our hold, except for
    what the person did (ALWAYS). Raises Held, NotHeld, Closed, Changed, NoVoicemail, NotAgreed,
    DoesNotFit, SaidOtherwise (all 409) and Unprocessable on `booked_for`.
    """
    require(member, Permission.LOG_OUTCOME)
    act = LeadAct(session, lead, member, instance)
    attempt = Attempt(
        id=attempt_id, lead_id=lead.id, staff_id=member.id, channel=channel, outcome=outcome, at=act.now
    )
    before = _first(act, attempt, booked_for)
    if before:
        return before
    if outcome is not Outcome.ASKED_TO_STOP:  # a stop locks all the leads it ends, in one order
        claims.lock(session, lead)
    standing, was = eligibility.contact_status(session, lead), undo.snapshot(lead)
    if outcome is Outcome.THEY_CALLED_US and booked_for and lead.version != version:
        raise ChangedMeanwhile  # another time may have been agreed meanwhile
    if outcome not in ALWAYS:
        _check(act, attempt, standing, version)
    relied_on = standing.consents.get(CONTACT_KINDS[channel])
    attempt.consent_event_id = relied_on.id if relied_on else None
    act.record(Action.ATTEMPT_LOGGED, channel=channel, outcome=outcome)
    _follow(act, attempt, standing, _appointment(act, outcome, booked_for))
    undo.save_undo(act, was, attempt)
    return attempt


def _first(act: LeadAct, attempt: Attempt, booked_for: datetime | None) -> Attempt | None:
    """Take the page's id. The attempt it was used for before, or None when this is the first."""
    try:
        with act.session.begin_nested():
            act.session.add(attempt)
    except IntegrityError:
        before = act.session.get(Attempt, attempt.id)
        if before is None:
            raise NotFound from None
        if before.undone_at and before.lead_id == attempt.lead_id:
            raise ChangedMeanwhile from None
        if _said(before) != _said(attempt) or _another_time(act, attempt, booked_for):
            raise SaidOtherwise from None
        return before
    return None


def _said(attempt: Attempt) -> tuple[uuid.UUID, Outcome, Channel]:
    return attempt.lead_id, attempt.outcome, attempt.channel


def _another_time(act: LeadAct, attempt: Attempt, booked_for: datetime | None) -> bool:
    return attempt.outcome is Outcome.BOOKED and act.lead.booked_for != booked_for


def _check(act: LeadAct, attempt: Attempt, standing: ContactStatus, version: int) -> None:
    claims.refuse_if_claimed(act)
    if act.lead.version != version:
        raise ChangedMeanwhile
    if act.lead.status is LeadStatus.CLOSED:
        raise AlreadyClosed
    claims.require_claim(act)
    _check_channel(attempt.outcome, attempt.channel, standing)


def _check_channel(outcome: Outcome, channel: Channel, standing: ContactStatus) -> None:
    """They must have agreed once: a withdrawal in the middle of a call does not undo the call."""
    answer = standing.consents.get(CONTACT_KINDS[channel])
    if answer is None or answer.state is State.REFUSED:
        raise NotAgreed
    if outcome in (MESSAGES_ONLY if channel is Channel.CALL else CALLS_ONLY):
        raise DoesNotFit
    if outcome is Outcome.VOICEMAIL_LEFT and not standing.voicemail:
        raise NoVoicemail


def _appointment(act: LeadAct, outcome: Outcome, booked_for: datetime | None) -> datetime | None:
    """The time of the consultation: needed when one was booked, possible when they called us."""
    if outcome is Outcome.THEY_CALLED_US and booked_for is None:
        return None
    if outcome not in (Outcome.BOOKED, Outcome.THEY_CALLED_US):
        return None
    if booked_for is None or not act.now < booked_for < act.now + FURTHEST:
        raise Unprocessable({"booked_for": [NO_TIME]}, NO_TIME)
    return booked_for


def _follow(act: LeadAct, attempt: Attempt, standing: ContactStatus, booked_for: datetime | None) -> None:
    """What an outcome changes. The promise is kept by the first try, whatever came of it."""
    lead = act.lead
    if attempt.outcome is Outcome.ASKED_TO_STOP:  # locks before anything of a lead is written
        suppression.stop(
            act.session, lead, actor=act.member.actor, method=Method.STAFF, instance=act.instance
        )
    touch(lead)
    lead.first_contact_at = lead.first_contact_at or attempt.at
    if lead.claimed_by == act.member.id:
        lead.claimed_by = lead.claimed_until = None
    if lead.status is LeadStatus.CLOSED:
        return
    if booked_for:
        lead.status, lead.booked_for = LeadStatus.BOOKED, booked_for
    elif lead.status is LeadStatus.NEW:
        lead.status = LeadStatus.TRYING
    _end(act, attempt, standing)


def _end(act: LeadAct, attempt: Attempt, standing: ContactStatus) -> None:
    """Close where the outcome is the end of it."""
    if attempt.outcome in CLOSES:
        act.close(CLOSES[attempt.outcome])
    elif _used_up(act, attempt, standing):
        act.close(CloseReason.NOT_REACHED)
    if attempt.outcome is Outcome.WRONG_NUMBER:
        _suppress_wrong(act, attempt.channel)


def _used_up(act: LeadAct, attempt: Attempt, standing: ContactStatus) -> bool:
    """Whether this unanswered call was the last try we may make: then we leave them in peace.

    Another channel they agreed to, with tries left, keeps the lead open: they asked for that too.
    """
    if attempt.outcome not in CALLS_ONLY or act.lead.status is not LeadStatus.TRYING:
        return False
    return last_call(standing, act.instance)


def last_call(standing: ContactStatus, instance: Instance, *, coming: int = 0) -> bool:
    """Whether no try is left on any channel; `coming` counts calls that are still to be noted."""
    most = instance.clinic.contact.at_most
    usable = [each for each in standing.channels if each not in standing.suppressed]
    calls = {Channel.CALL: coming}
    return all(standing.tried(each) + calls.get(each, 0) >= most(each) for each in usable)


def _suppress_wrong(act: LeadAct, channel: Channel) -> None:
    """The number or address is somebody else's, who never asked for anything: forget it at once (OC-15)."""
    kind, index = (
        ("email", act.lead.email_index) if channel is Channel.EMAIL else ("phone", act.lead.phone_index)
    )
    reason = SuppressionReason.WRONG_NUMBER
    suppression.suppress(act.session, [index], reason=reason, actor=act.member.actor, instance=act.instance)
    act.record(Action.SUPPRESSION_ADDED, kind=kind, reason=reason)
    act.lead.purge_after = act.now


def close(
    session: Session, lead: Lead, *, reason: CloseReason, member: Member, version: int, instance: Instance
) -> None:
    """Close by hand, for one of BY_HAND. Closing again for the same reason changes nothing.

    Raises Held when a colleague holds the lead, Changed, Closed.
    """
    require(member, Permission.CLOSE_LEAD)
    act = LeadAct(session, lead, member, instance)
    if reason not in BY_HAND:
        raise Refused
    claims.lock(session, lead)
    if lead.status is LeadStatus.CLOSED:
        if lead.close_reason is not reason:
            raise AlreadyClosed if lead.version == version else ChangedMeanwhile
        return
    claims.refuse_if_claimed(act)
    if lead.version != version:
        raise ChangedMeanwhile
    was = undo.snapshot(lead)
    act.close(reason)
    undo.save_undo(act, was)
