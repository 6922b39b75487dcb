"""Suppression list (do not contact): stops contact with a lead, a number or an address (promise G4).

An entry is a keyed hash and a reason, no personal data. It closes the contact gate for every lead with that
number or address, now and later, until the person asks again and staff confirm it (`lift`).
`suppression_page` lists entries without even reading the hash.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypedDict

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from intake import outbox
from intake.accounts.permissions import Permission, StaffAct, may, require
from intake.act import Act
from intake.audit import Action
from intake.audit.service import PageStart
from intake.consent import service as consent
from intake.consent.models import Kind, Method, State
from intake.core.errors import NotAllowed, NotFound, Refused
from intake.core.i18n import N_
from intake.leads import claims
from intake.leads.claims import AlreadyClosed, LeadAct
from intake.leads.models import CloseReason, Lead, LeadStatus, Suppression, SuppressionReason

WITHDRAWABLE = tuple(kind for kind in Kind if kind is not Kind.ADULT)
"""The consents that can be withdrawn; being 18 or older is a fact, no consent."""
_CHANNEL_KINDS = (Kind.CALL, Kind.TEXT, Kind.EMAIL)
PAGE = 50
NOT_ASKED_AGAIN = N_("They have not asked again since contact was stopped.")
_LIFT_PERMISSIONS = {
    SuppressionReason.WRONG_NUMBER: Permission.LIFT_ANY,
    SuppressionReason.THIRD_PARTY: Permission.LIFT_ANY,
    SuppressionReason.ASKED: Permission.REVEAL,
}
"""The permission that lifting needs, by the reason of the entry, the gravest reason first."""
_LIFT_REFUSALS = {
    Permission.LIFT_ANY: N_("Only a supervisor may allow contact here."),
    Permission.REVEAL: N_("A coordinator or a supervisor may allow contact here."),
}


@dataclass(frozen=True)
class SuppressedContact:
    """A suppressed number or address of a lead: its entries, and when the lead last consented to its use."""

    entries: Sequence[Suppression]
    given_at: datetime

    @property
    def stopped_at(self) -> datetime:
        """When it was last added to the list."""
        return max(each.at for each in self.entries)

    @property
    def asked_again(self) -> bool:
        """Whether the consents of the lead for it were given after that."""
        return self.given_at > self.stopped_at

    @property
    def reason(self) -> SuppressionReason:
        """Why it is suppressed; the gravest of several reasons."""
        reasons = {each.reason for each in self.entries}
        return next(each for each in _LIFT_PERMISSIONS if each in reasons)

    @property
    def required_permission(self) -> Permission:
        """The permission needed to lift it."""
        return _LIFT_PERMISSIONS[self.reason]

    @property
    def refusal(self) -> str:
        """The sentence that says who may lift it (message id)."""
        return _LIFT_REFUSALS[self.required_permission]


def suppressed(session: Session, indexes: Iterable[bytes | None]) -> set[bytes]:
    """Those of the blind indexes that are suppressed now, in one statement."""
    return {each.contact_index for each in _entries(session, indexes)}


def _entries(session: Session, indexes: Iterable[bytes | None]) -> Sequence[Suppression]:
    """The entries in force for these blind indexes."""
    wanted = {index for index in indexes if index}
    live = Suppression.contact_index.in_(wanted), Suppression.lifted_at.is_(None)
    return session.scalars(select(Suppression).where(*live)).all()


def suppress(act: Act, indexes: Sequence[bytes | None], *, reason: SuppressionReason) -> int:
    """Add the blind indexes that are not on the list yet for this reason; returns how many were added.

    An index may have one entry for each reason: the gravest decides who may lift it. The caller records it.
    """
    known = {each.contact_index for each in _entries(act.session, indexes) if each.reason is reason}
    added = {index for index in indexes if index} - known
    act.session.add_all(
        Suppression(id=uuid.uuid4(), contact_index=index, reason=reason, at=act.now, by=act.actor.staff_id)
        for index in added
    )
    act.session.flush()
    return len(added)


def stop(act: Act, lead: Lead, *, method: Method) -> int:
    """Stop all contact with this lead and every other with its number or address, and suppress both.

    From any status, also when a colleague has claimed a lead; stopped leads stay as they are. Returns how
    many leads are stopped now. Every request to stop ends here, from the person or from staff.
    """
    indexes = indexes_of(lead)
    leads = lock_leads_with_contact(act.session, indexes, lead.id)
    return stop_locked(act, leads, indexes, method=method)


def indexes_of(lead: Lead) -> list[bytes]:
    """The blind indexes of the number and the address of a lead."""
    return [index for index in (lead.phone_index, lead.email_index) if index]


def stop_contact(act: Act, *, kind: str, value: str) -> int:
    """Stop all contact with a number (`kind` phone, E.164) or address (`kind` email, lower case); records it.

    Returns how many leads were stopped. The caller of this function checks the permission. Staff must not
    tell on the phone whether there were any: it would reveal that the person has asked for help here.
    """
    index = act.keyring.blind_index(kind, value)
    act.record(Action.SUPPRESSION_ADDED, kind=kind, reason=SuppressionReason.ASKED.value)
    leads = lock_leads_with_contact(act.session, [index], None)
    return stop_locked(act, leads, [index], method=Method.STAFF)


def stop_locked(act: Act, leads: Sequence[Lead], indexes: Sequence[bytes], *, method: Method) -> int:
    """Stop contact with `leads` and suppress `indexes`; returns how many leads are stopped now.

    The leads are locked before (`lock_leads_with_contact`), so that a concurrent `lift` is undone.
    """
    suppress(act, indexes, reason=SuppressionReason.ASKED)
    for lead in leads:
        if lead.close_reason is not CloseReason.STOPPED:
            stop_lead(act, lead, method=method)
    act.session.flush()
    return len(leads)


def lock_leads_with_contact(
    session: Session, indexes: Sequence[bytes], also: uuid.UUID | None, *, erasing: bool = False
) -> Sequence[Lead]:
    """Lock and reload the leads with one of these blind indexes, and the lead with the id `also`.

    Locked in the order of their ids, so that two stops at once cannot deadlock: every act that may end in a
    stop locks this way. `erasing` takes the stronger lock that a deletion needs from the start.
    """
    wanted = or_(Lead.id == also, Lead.phone_index.in_(indexes), Lead.email_index.in_(indexes))
    locked = select(Lead).where(wanted).order_by(Lead.id).with_for_update(key_share=not erasing)
    return session.scalars(locked.execution_options(populate_existing=True)).all()


def stop_lead(act: Act, lead: Lead, *, method: Method) -> None:
    """Stop contact with one locked lead and record it: withdraws consents, closes it, cancels its notices."""
    now = act.now
    withdrawn = consent.withdraw(
        act.session,
        lead_id=lead.id,
        kinds=WITHDRAWABLE,
        method=method,
        actor=act.actor,
        at=now,
        keyring=act.keyring,
    )
    until = now + timedelta(hours=act.clinic.retention.stopped_hours)
    lead.status, lead.close_reason = LeadStatus.CLOSED, CloseReason.STOPPED
    lead.closed_at = lead.closed_at or now
    lead.purge_after = min(lead.purge_after, until)
    lead.claimed_by = lead.claimed_until = None
    outbox.cancel(act.session, lead.id)
    act.record(
        Action.LEAD_STOPPED, about=lead.id, consents=consent.macs(withdrawn.values()), method=method.value
    )


def lift(act: StaffAct, lead: Lead) -> int:
    """Lift the suppression of the number and address of `lead`, as the person has asked for contact again.

    Only those with a consent newer than their entries, and only those that `member` may lift. Decrypts
    nothing. Returns how many entries were lifted, 0 if none was suppressed. Raises NotFound, NotAllowed,
    AlreadyClosed, ClaimedByAnother, and Refused if the person has not asked again.
    """
    require(act.member, Permission.REVEAL)
    if lead not in lock_leads_with_contact(act.session, indexes_of(lead), lead.id):
        raise NotFound
    act = LeadAct(act, lead)
    if lead.status is LeadStatus.CLOSED:
        raise AlreadyClosed
    claims.refuse_if_claimed(act)
    contacts = _suppressed_contacts(act.session, lead)
    asked_again = [each for each in contacts if each.asked_again]
    if contacts and not asked_again:
        raise Refused(NOT_ASKED_AGAIN)
    allowed = [each for each in asked_again if may(act.member, each.required_permission)]
    if asked_again and not allowed:
        raise NotAllowed(asked_again[0].refusal)
    entries = [entry for each in allowed for entry in each.entries]
    if not entries:
        return 0
    for entry in entries:
        entry.lifted_at = act.now
    lead.version += 1
    reason = SuppressedContact(entries, act.now).reason.value
    act.record(Action.SUPPRESSION_LIFTED, about=lead.id, reason=reason, count=len(entries))
    act.session.flush()
    return len(entries)


def suppressions_asked_again(session: Session, lead: Lead) -> list[SuppressedContact]:
    """The suppressed contacts of an open lead that have a newer consent; empty for a closed lead."""
    if lead.status is LeadStatus.CLOSED:
        return []
    return [each for each in _suppressed_contacts(session, lead) if each.asked_again]


def _suppressed_contacts(session: Session, lead: Lead) -> list[SuppressedContact]:
    """The number and the address, as far as they are suppressed and the lead consented to their use.

    Of several channels with one number the earliest consent counts.
    """
    current = consent.current(session, lead.id)
    given_at: dict[bytes, datetime] = {}
    for index in indexes_of(lead):
        answers = [current[kind] for kind in _CHANNEL_KINDS if kind in current]
        given = [each.at for each in answers if each.state is State.GIVEN and each.contact_index == index]
        if given:
            given_at[index] = min(given)
    entries = _entries(session, given_at)
    by_index = {index: [each for each in entries if each.contact_index == index] for index in given_at}
    return [SuppressedContact(by_index[index], at) for index, at in given_at.items() if by_index[index]]


class SuppressionStatus(StrEnum):
    """Whether an entry is in force."""

    LIVE = "live"
    LIFTED = "lifted"


class SuppressionFilter(TypedDict):
    """A filter of `suppression_page`; None for any."""

    status: SuppressionStatus | None
    reason: SuppressionReason | None


@dataclass(frozen=True)
class SuppressionEntry:
    """One entry of the list. `by`: the staff member who added it, None for the person or the service."""

    at: datetime
    reason: SuppressionReason
    by: uuid.UUID | None
    lifted_at: datetime | None


@dataclass(frozen=True)
class SuppressionPage:
    """One page of the list; `after` is the start of the next. `live` counts all entries in force."""

    entries: Sequence[SuppressionEntry]
    after: PageStart | None
    live: int


def suppression_page(
    session: Session,
    *,
    status: SuppressionStatus | None = None,
    reason: SuppressionReason | None = None,
    after: PageStart | None = None,
) -> SuppressionPage:
    """Up to 50 entries, newest first, without their blind indexes."""
    columns = (Suppression.id, Suppression.at, Suppression.reason, Suppression.by, Suppression.lifted_at)
    statement = select(*columns).order_by(Suppression.at.desc(), Suppression.id.desc()).limit(PAGE + 1)
    if status:
        lifted = Suppression.lifted_at.is_not(None)
        statement = statement.where(lifted if status is SuppressionStatus.LIFTED else ~lifted)
    if reason:
        statement = statement.where(Suppression.reason == reason)
    if after:
        statement = statement.where(after.older(Suppression.at, Suppression.id))
    rows = session.execute(statement).all()
    last = rows[PAGE - 1] if len(rows) > PAGE else None
    live = session.scalar(
        select(func.count()).select_from(Suppression).where(Suppression.lifted_at.is_(None))
    )
    entries = [SuppressionEntry(row.at, row.reason, row.by, row.lifted_at) for row in rows[:PAGE]]
    return SuppressionPage(entries, PageStart(last.at, last.id) if last else None, live or 0)
