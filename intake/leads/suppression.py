"""Do not contact: stopping one lead or any number or address, at once and for good (promise G4).

What stays is a keyed hash and a reason. A number on the list shuts the contact gate for every lead
that carries it, today and in future, until they ask again and somebody at the desk confirms (`lift`).
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypedDict

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from intake import audit, outbox
from intake.accounts.permissions import Member, Permission, may, require
from intake.audit import Action, Actor
from intake.audit.service import PageStart
from intake.consent import service as consent
from intake.consent.models import Kind, Method, State
from intake.core.errors import NotAllowed, NotFound, Refused
from intake.core.i18n import N_
from intake.instance import Instance
from intake.leads import claims
from intake.leads.claims import AlreadyClosed, LeadAct, touch
from intake.leads.models import CloseReason, Lead, LeadStatus, Suppression, SuppressionReason

PERMISSIONS = tuple(kind for kind in Kind if kind is not Kind.ADULT)
"""Everything somebody can take back; being 18 or older is a fact."""
CONTACT = (Kind.CALL, Kind.TEXT, Kind.EMAIL)
NOT_SINCE = N_("They have not asked again since contact was stopped.")
_NEEDS = {
    SuppressionReason.WRONG_NUMBER: Permission.LIFT_ANY,
    SuppressionReason.THIRD_PARTY: Permission.LIFT_ANY,
    SuppressionReason.ASKED: Permission.REVEAL,
}
"""Which permission confirms that somebody asked again; the gravest reason first (WR-14)."""
_WHO = {
    Permission.LIFT_ANY: N_("Only a supervisor may allow contact here."),
    Permission.REVEAL: N_("A coordinator or a supervisor may allow contact here."),
}


@dataclass(frozen=True)
class ListedStop:
    """A number or address on the list, by its entries, and when its lead last said yes to its use."""

    entries: Sequence[Suppression]
    given_at: datetime

    @property
    def stopped_at(self) -> datetime:
        """When it was last put on the list."""
        return max(each.at for each in self.entries)

    @property
    def asked_again(self) -> bool:
        """Whether everything the lead said yes to for it was said after that."""
        return self.given_at > self.stopped_at

    @property
    def reason(self) -> SuppressionReason:
        """Why it stands there; of several reasons the gravest."""
        reasons = {each.reason for each in self.entries}
        return next(each for each in _NEEDS if each in reasons)

    @property
    def needs(self) -> Permission:
        """What it takes to lift it."""
        return _NEEDS[self.reason]

    @property
    def who(self) -> str:
        """Who may lift it (message id)."""
        return _WHO[self.needs]


def suppressed(session: Session, indexes: Iterable[bytes | None]) -> set[bytes]:
    """Which of these keyed hashes stand on the list now; one statement for all."""
    return {each.contact_index for each in _entries(session, indexes)}


def _entries(session: Session, indexes: Iterable[bytes | None]) -> Sequence[Suppression]:
    """What the list says now about these keyed hashes."""
    wanted = {index for index in indexes if index}
    live = Suppression.contact_index.in_(wanted), Suppression.lifted_at.is_(None)
    return session.scalars(select(Suppression).where(*live)).all()


def suppress(
    session: Session,
    indexes: Sequence[bytes | None],
    *,
    reason: SuppressionReason,
    actor: Actor,
    instance: Instance,
) -> int:
    """Put what is not on the list yet for this reason on it; returns how many that were.

    A second reason is kept beside the first: the gravest decides who may lift it. The caller records
    the act.
    """
    listed = {each.contact_index for each in _entries(session, indexes) if each.reason is reason}
    fresh = {index for index in indexes if index} - listed
    session.add_all(
        Suppression(
            id=uuid.uuid4(), contact_index=index, reason=reason, at=instance.clock(), by=actor.staff_id
        )
        for index in fresh
    )
    session.flush()
    return len(fresh)


def stop(session: Session, lead: Lead, *, actor: Actor, method: Method, instance: Instance) -> int:
    """End all contact: with this lead and every other that carries its number or address.

    From any status and whoever holds them. What is stopped already stays as it is. Returns how many
    leads are stopped now. The one act behind every "please stop", whoever hears it.
    """
    return _stop_all(session, indexes_of(lead), also=lead.id, actor=actor, method=method, instance=instance)


def indexes_of(lead: Lead) -> list[bytes]:
    """The keyed hashes of its number and its address."""
    return [index for index in (lead.phone_index, lead.email_index) if index]


def stop_contact(session: Session, *, kind: str, value: str, actor: Actor, instance: Instance) -> int:
    """The same for any number (`kind` phone, `value` in E.164) or address (`kind` email, in small letters).

    Returns how many leads were stopped. Whether that is more than none must not be told to anybody
    who asks by phone (AC-17). Who may do it is the caller's to check.
    """
    index = instance.keyring.blind_index(kind, value)
    audit.record(
        session,
        Action.SUPPRESSION_ADDED,
        keyring=instance.keyring,
        at=instance.clock(),
        actor=actor,
        details={"kind": kind, "reason": SuppressionReason.ASKED.value},
    )
    return _stop_all(session, [index], also=None, actor=actor, method=Method.STAFF, instance=instance)


def _stop_all(
    session: Session,
    indexes: Sequence[bytes],
    *,
    also: uuid.UUID | None,
    actor: Actor,
    method: Method,
    instance: Instance,
) -> int:
    leads = carrying(session, indexes, also)  # first: what a `lift` at this moment takes off, goes back on
    suppress(session, indexes, reason=SuppressionReason.ASKED, actor=actor, instance=instance)
    for lead in leads:
        if lead.close_reason is not CloseReason.STOPPED:
            stop_one(session, lead, actor=actor, method=method, instance=instance)
    session.flush()
    return len(leads)


def carrying(
    session: Session, indexes: Sequence[bytes], also: uuid.UUID | None, *, erasing: bool = False
) -> Sequence[Lead]:
    """The leads with one of these numbers or addresses, and one more, read anew and locked.

    In the order of their ids, so that two stops at once never wait for each other: whatever may end in
    a stop locks this way. `erasing` takes from the start the stronger lock that a deletion needs.
    """
    wanted = or_(Lead.id == also, Lead.phone_index.in_(indexes), Lead.email_index.in_(indexes))
    locked = select(Lead).where(wanted).order_by(Lead.id).with_for_update(key_share=not erasing)
    return session.scalars(locked.execution_options(populate_existing=True)).all()


def stop_one(session: Session, lead: Lead, *, actor: Actor, method: Method, instance: Instance) -> None:
    """End contact with this lead alone, which is locked: permissions, claim, waiting notices."""
    now = instance.clock()
    withdrawn = consent.withdraw(
        session,
        lead_id=lead.id,
        kinds=PERMISSIONS,
        method=method,
        actor=actor,
        at=now,
        keyring=instance.keyring,
    )
    until = now + timedelta(hours=instance.clinic.retention.stopped_hours)
    lead.status, lead.close_reason = LeadStatus.CLOSED, CloseReason.STOPPED
    lead.closed_at = lead.closed_at or now
    lead.purge_after = min(lead.purge_after, until)
    lead.claimed_by = lead.claimed_until = None
    outbox.cancel(session, lead.id)
    audit.record(
        session,
        Action.LEAD_STOPPED,
        keyring=instance.keyring,
        at=now,
        actor=actor,
        about=lead.id,
        details={"consents": consent.macs(withdrawn.values()), "method": method.value},
    )


# --- asked again -------------------------------------------------------------------------------------


def lift(session: Session, lead: Lead, *, member: Member, instance: Instance) -> int:
    """Confirm that somebody on the list has asked again: the gate may open for what they said yes to.

    Only numbers and addresses whose use was agreed to after they were put on the list, and only those
    that `member` may lift. Opens no value. Returns how many entries were lifted; nothing on the list is
    nothing to do. Raises NotAllowed, Closed, Held, and Refused when they have not asked since.
    """
    require(member, Permission.REVEAL)
    if lead not in carrying(session, indexes_of(lead), lead.id):
        raise NotFound
    act = LeadAct(session, lead, member, instance)
    if lead.status is LeadStatus.CLOSED:
        raise AlreadyClosed
    claims.refuse_if_claimed(act)
    return _lift(act, _liftable(_listed(session, lead), member))


def _liftable(listed: Sequence[ListedStop], member: Member) -> list[ListedStop]:
    again = [each for each in listed if each.asked_again]
    if listed and not again:
        raise Refused(NOT_SINCE)
    ours = [each for each in again if may(member, each.needs)]
    if again and not ours:
        raise NotAllowed(again[0].who)
    return ours


def _lift(act: LeadAct, listed: Sequence[ListedStop]) -> int:
    entries = [entry for each in listed for entry in each.entries]
    if not entries:
        return 0
    for entry in entries:
        entry.lifted_at = act.now
    touch(act.lead)
    audit.record(
        act.session,
        Action.SUPPRESSION_LIFTED,
        keyring=act.instance.keyring,
        at=act.now,
        actor=act.member.actor,
        about=act.lead.id,
        details={"reason": ListedStop(entries, act.now).reason.value, "count": len(entries)},
    )
    act.session.flush()
    return len(entries)


def asked_again(session: Session, lead: Lead) -> list[ListedStop]:
    """What of an open lead stands on the list although it was agreed to since; empty when it is closed."""
    if lead.status is LeadStatus.CLOSED:
        return []
    return [each for each in _listed(session, lead) if each.asked_again]


def _listed(session: Session, lead: Lead) -> list[ListedStop]:
    agreed = _agreed(session, lead)
    entries = _entries(session, agreed)
    found = {index: [each for each in entries if each.contact_index == index] for index in agreed}
    return [ListedStop(found[index], at) for index, at in agreed.items() if found[index]]


def _agreed(session: Session, lead: Lead) -> dict[bytes, datetime]:
    """Since when each of its numbers and addresses may be used; of two channels the earlier yes counts."""
    holding = consent.current(session, lead.id)
    given = [holding[kind] for kind in CONTACT if kind in holding and holding[kind].state is State.GIVEN]
    return {
        index: min(each.at for each in given if each.contact_index == index)
        for index in indexes_of(lead)
        if any(each.contact_index == index for each in given)
    }


# --- The do-not-contact list as a list: when, why, by whom, and whether it was lifted; never who it is.

PAGE = 50


class StopStatus(StrEnum):
    """Which entries are asked for."""

    LIVE = "live"
    LIFTED = "lifted"


class StopQuery(TypedDict):
    """Which entries are asked for; None: whichever."""

    standing: StopStatus | None
    reason: SuppressionReason | None


@dataclass(frozen=True)
class SuppressionEntry:
    """One entry. `by` is None when the person did it, or the service for them."""

    at: datetime
    reason: SuppressionReason
    by: uuid.UUID | None
    lifted_at: datetime | None


@dataclass(frozen=True)
class SuppressionPage:
    """One page of the list; `after` leads to the next. `live` counts all that hold now."""

    entries: Sequence[SuppressionEntry]
    after: PageStart | None
    live: int


def suppression_page(
    session: Session,
    *,
    standing: StopStatus | None = None,
    reason: SuppressionReason | None = None,
    after: PageStart | None = None,
) -> SuppressionPage:
    """Up to 50 entries, newest first. The keyed hash of the number or address is not even read."""
    columns = (Suppression.id, Suppression.at, Suppression.reason, Suppression.by, Suppression.lifted_at)
    wanted = select(*columns).order_by(Suppression.at.desc(), Suppression.id.desc()).limit(PAGE + 1)
    if standing:
        lifted = Suppression.lifted_at.is_not(None)
        wanted = wanted.where(lifted if standing is StopStatus.LIFTED else ~lifted)
    if reason:
        wanted = wanted.where(Suppression.reason == reason)
    if after:
        wanted = wanted.where(after.before(Suppression.at, Suppression.id))
    rows = session.execute(wanted).all()
    last = rows[PAGE - 1] if len(rows) > PAGE else None
    live = session.scalar(
        select(func.count()).select_from(Suppression).where(Suppression.lifted_at.is_(None))
    )
    entries = [SuppressionEntry(row.at, row.reason, row.by, row.lifted_at) for row in rows[:PAGE]]
    return SuppressionPage(entries, PageStart(last.at, last.id) if last else None, live or 0)
