"""What the private code is good for: change, stop or erase one's own request, without an account.

The code is the whole authority; nobody is asked who they are or why (promise C2). Every act takes
effect in the caller's transaction, and doing it twice is as good as once.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from intake import audit
from intake.audit import Action, Actor
from intake.calling import windows
from intake.calling.windows import Window
from intake.casework.search import Term, TermKind, read_contact
from intake.conf.clinic import Channel
from intake.consent import service as consent
from intake.consent.models import ConsentEvent, Kind, Method
from intake.core.errors import NotFound, Refused, Unprocessable
from intake.core.i18n import N_
from intake.instance import Instance
from intake.leads import eligibility, form, legal_hold, suppression
from intake.leads.act import touch
from intake.leads.eligibility import CONTACT_KINDS, Standing
from intake.leads.models import ErasureReason, Lead, LeadStatus
from intake.leads.promises import promise_of
from intake.privacy import retention
from intake.privacy.self_service import NothingFound, Opened, find, opened
from intake.security import crypto

BY_PHONE = (Channel.CALL, Channel.TEXT)
PERSON = Actor.person()


class AlreadyClosed(Refused):
    """A closed request can be stopped and erased, not changed."""

    sentence = N_("This request is closed, so there is nothing left to change. You can ask for a call again.")


def stop(session: Session, *, code: str, instance: Instance) -> Opened:
    """End all contact at once, for every request with the same number or address. Raises NothingFound."""
    lead = find(session, code, instance=instance)
    _stop(session, lead, instance)
    return opened(session, _still_there(session, lead), instance=instance)


def _stop(session: Session, lead: Lead, instance: Instance) -> None:
    suppression.stop(session, lead, actor=PERSON, method=Method.MANAGE_PAGE, instance=instance)


def stop_by_reference(session: Session, *, reference: str, address: str, instance: Instance) -> None:
    """The same without the code: a reference with the number or address that belongs to it.

    Gives no answer, and does the same work for every input but the stop itself: one keyed hash, one
    look-up. Who types somebody else's can end contact, and learns nothing (compliance.md, 2.3).
    """
    term = _term(address)
    index = instance.keyring.blind_index(term.kind.value, term.value)
    named = Lead.reference == crypto.read_crockford(reference)
    belonging = select(Lead).where(named, or_(Lead.phone_index == index, Lead.email_index == index))
    lead = session.scalars(belonging).first()
    if lead:
        _stop(session, lead, instance)


def _term(address: str) -> Term:
    try:
        return read_contact(address)
    except Unprocessable:
        return Term(TermKind.PHONE, "")  # belongs to nobody


def drop(session: Session, *, code: str, channel: Channel, instance: Instance) -> Opened:
    """Take back one channel, with calls also voicemail; the last one is a stop. Raises NothingFound.

    A number or address that no channel may use any more is deleted, unless a legal hold keeps it until
    it ends. Its keyed hash stays with the request, so that a stop by that number still finds it.
    """
    lead = _locked(session, code, instance)
    standing = eligibility.standing(session, lead)
    if standing.channels == (channel,):
        _stop(session, lead, instance)
    elif channel in standing.channels:
        _take_back(session, lead, channel, standing, instance)
    return opened(session, lead, instance=instance)


def _take_back(
    session: Session, lead: Lead, channel: Channel, standing: Standing, instance: Instance
) -> None:
    kinds = (CONTACT_KINDS[channel], *((Kind.VOICEMAIL,) if channel is Channel.CALL else ()))
    touch(lead)
    withdrawn = withdraw(session, lead, kinds, instance)
    if not legal_hold.of(session, lead.id):
        _drop_value(lead, channel, standing)
    consents = consent.macs(withdrawn)
    record(session, Action.CONSENT_WITHDRAWN, lead, instance, channel=channel.value, consents=consents)


def _drop_value(lead: Lead, channel: Channel, standing: Standing) -> None:
    if channel is Channel.EMAIL:
        lead.email = None
    elif not {*standing.channels} & {*BY_PHONE} - {channel}:
        lead.phone = None


def withdraw(
    session: Session, lead: Lead, kinds: Iterable[Kind], instance: Instance
) -> Collection[ConsentEvent]:
    """Take back what is given among `kinds`, as the person on the manage page; the caller records the act."""
    return consent.withdraw(
        session,
        lead_id=lead.id,
        kinds=kinds,
        method=Method.MANAGE_PAGE,
        actor=PERSON,
        at=instance.clock(),
        keyring=instance.keyring,
    ).values()


def change_windows(session: Session, *, code: str, chosen: Sequence[str], instance: Instance) -> Opened:
    """Other safe times, and a new promise counted from now; the same times change nothing.

    Raises NothingFound, AlreadyClosed, and Unprocessable on `windows` when none is chosen, when one is
    unknown, or when no promise can be kept within two weeks.
    """
    lead = changeable(session, code, instance=instance)
    wanted = _read_windows(chosen)
    if wanted != windows.from_text(lead.windows):
        lead.windows = windows.to_text(wanted)
        promise_anew(session, lead, instance=instance)
        record(session, Action.LEAD_CHANGED, lead, instance, field="windows")
    return opened(session, lead, instance=instance)


def _read_windows(chosen: Sequence[str]) -> frozenset[Window]:
    if not chosen or not set(chosen) <= set(Window):
        raise Unprocessable({"windows": [form.WINDOWS]})
    found = frozenset(map(Window, chosen))
    return frozenset({Window.ANY}) if Window.ANY in found else found


def promise_anew(session: Session, lead: Lead, *, instance: Instance) -> None:
    """Count the promise from now, for what holds now. Raises NoTimeWithin14Days."""
    lead.promise_at = promise_of(session, lead, instance=instance, since=instance.clock())


def erase(session: Session, *, code: str, instance: Instance) -> Opened | None:
    """Stop all contact, then destroy the request for good; what a legal hold keeps is still there.

    Returns None when it is gone, and what is held when it has to wait. Raises NothingFound.
    """
    lead = find(session, code, instance=instance)
    try:
        gone = retention.erase(session, lead, reason=ErasureReason.ASKED, actor=PERSON, instance=instance)
    except NotFound:
        raise NothingFound from None
    return None if gone else opened(session, lead, instance=instance)


def changeable(session: Session, code: str, *, instance: Instance) -> Lead:
    """The request behind `code`, locked, if it can still be changed. Raises NothingFound, AlreadyClosed."""
    lead = _locked(session, code, instance)
    if lead.status is LeadStatus.CLOSED:
        raise AlreadyClosed
    return lead


def _locked(session: Session, code: str, instance: Instance) -> Lead:
    lead = find(session, code, instance=instance)
    if lead not in suppression.carrying(session, suppression.indexes_of(lead), lead.id):
        raise NothingFound
    return lead


def _still_there(session: Session, lead: Lead) -> Lead:
    """A stop locks and reads anew; in between, another page may have erased the request."""
    if session.scalar(select(Lead.id).where(Lead.id == lead.id)) is None:
        raise NothingFound
    return lead


def record(session: Session, action: Action, lead: Lead, instance: Instance, **details: Any) -> None:
    """One audit event of the person on the manage page, with closed words only."""
    audit.record(
        session,
        action,
        keyring=instance.keyring,
        at=instance.clock(),
        actor=PERSON,
        about=lead.id,
        details={"method": Method.MANAGE_PAGE.value, **details},
    )
