"""Sharing out: a supervisor hands free requests to colleagues, and takes back what somebody holds.

Nothing is done behind anybody's back: what was picked on an old page is left as it is now, and whoever
lost a hold is told at their next act, by name and time.
"""

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from intake import audit
from intake.accounts import service, sessions
from intake.accounts.models import StaffMember
from intake.accounts.permissions import Member, Permission, may, require
from intake.audit import Action, AuditEvent
from intake.audit import service as audit_service
from intake.casework import queue
from intake.casework.queue import Filters, HeldBy, Page
from intake.casework.queue_rows import Row, rows_of
from intake.core.errors import Refused, Unprocessable
from intake.core.i18n import N_
from intake.instance import Instance
from intake.leads import claims, history
from intake.leads.claims import ChangedMeanwhile, LeadAct
from intake.leads.models import Lead

MOST = 50
"""So many of each kind on one page, soonest first; sharing out more than that at once is nobody's plan."""
NONE_PICKED = N_("Pick at least one request.")
NOBODY_CHOSEN = N_("Choose who shall have them.")
CANNOT_CALL = N_("Somebody you chose no longer takes requests. Look at the list again.")


class ClaimRevoked(ChangedMeanwhile):
    """A supervisor ended our hold since the page was made: `by` is their name, `at` when."""

    sentence = N_("This request was taken back, so that a colleague can call. Nothing was done now.")

    def __init__(self, by: str, at: datetime) -> None:
        self.by, self.at = by, at
        super().__init__()


@dataclass(frozen=True)
class Selection:
    """A request as the page showed it: at which `version` where it was free, and its `holder` where not."""

    lead_id: uuid.UUID
    version: int = 0
    holder: uuid.UUID | None = None


@dataclass(frozen=True)
class ShareResult:
    """How many it worked for, and how many were left because something had happened meanwhile."""

    done: int
    left: int


@dataclass(frozen=True)
class Colleague:
    """Somebody who may call: when they were last seen if they are at the desk, and how much they hold."""

    id: uuid.UUID
    name: str
    seen_at: datetime | None
    holds: int


@dataclass(frozen=True)
class Team:
    """Who may call, what is free, and what colleagues hold. `mine` is left out: that is given back."""

    colleagues: Sequence[Colleague]
    free: Page
    held: Sequence[Row]
    now: datetime

    @property
    def more_held(self) -> bool:
        """Whether not all that is held is shown."""
        return len(self.held) == MOST


# --- the acts ------------------------------------------------------------------------------------------


def share_out(
    session: Session,
    picks: Collection[Selection],
    *,
    to: Collection[uuid.UUID],
    member: Member,
    instance: Instance,
) -> ShareResult:
    """Hand the picked requests to the people chosen, evenly, the soonest promise first.

    Requests of one person go to one colleague. Raises NotAllowed, and Unprocessable on `pick` and `to`.
    """
    require(member, Permission.SHARE_LEADS)
    if not picks:
        raise Unprocessable({"pick": [NONE_PICKED]})
    dealt = dict.fromkeys(_people(session, to), 0)

    def hand(act: LeadAct, pick: Selection) -> None:
        whose = _hand_to_one(act, sorted(dealt, key=lambda each: dealt[each]), pick.version)
        dealt[whose] += 1

    return _each(session, picks, hand, member, instance)


def _hand_to_one(act: LeadAct, people: Sequence[Member], version: int) -> Member:
    """To the first of them; to another only where that one holds the person's other request already."""
    for place, to in enumerate(people, start=1):
        try:
            claims.assign(act, to, version=version)
        except claims.ClaimedByAnother:
            if place == len(people):
                raise
        else:
            return to
    raise Refused


def revoke(
    session: Session, picks: Collection[Selection], *, member: Member, instance: Instance
) -> ShareResult:
    """End the holds that the page showed, so that the requests are free. Raises NotAllowed, Unprocessable."""
    require(member, Permission.SHARE_LEADS)
    if not picks:
        raise Unprocessable({"pick": [NONE_PICKED]})

    def end(act: LeadAct, pick: Selection) -> None:
        if pick.holder in (None, member.id):
            raise ChangedMeanwhile
        claims.revoke(act, holder=pick.holder)

    return _each(session, picks, end, member, instance)


def _people(session: Session, chosen: Collection[uuid.UUID]) -> Sequence[Member]:
    """The chosen, locked against being closed meanwhile. Raises Unprocessable unless all of them may call."""
    if not chosen:
        raise Unprocessable({"to": [NOBODY_CHOSEN]})
    wanted = select(StaffMember).where(StaffMember.id.in_(set(chosen)), StaffMember.disabled_at.is_(None))
    rows = session.scalars(wanted.order_by(StaffMember.id).with_for_update(read=True)).all()
    able = [each for row in rows if may(each := service.member_of(session, row), Permission.CLAIM_LEAD)]
    if len(able) < len(set(chosen)):
        raise Unprocessable({"to": [CANNOT_CALL]})
    return able


def _each(
    session: Session,
    picks: Collection[Selection],
    act_on: Callable[[LeadAct, Selection], None],
    member: Member,
    instance: Instance,
) -> ShareResult:
    by_id = {pick.lead_id: pick for pick in picks}
    done = 0
    for lead in _locked(session, by_id):
        try:
            act_on(LeadAct(session, lead, member, instance), by_id[lead.id])
            done += 1
        except Refused:
            continue
    return ShareResult(done, len(by_id) - done)


def _locked(session: Session, by_id: Mapping[uuid.UUID, Selection]) -> Sequence[Lead]:
    """The picked requests by promise; they and what shares a number or address are locked in one order."""
    picked = session.scalars(select(Lead).where(Lead.id.in_(by_id))).all()
    same = or_(*(claims.same_contact(lead) for lead in picked)) if picked else Lead.id.in_(())
    locked = select(Lead).where(same).order_by(Lead.id).with_for_update(key_share=True)
    rows = session.scalars(locked.execution_options(populate_existing=True)).all()
    ours = (row for row in rows if row.id in by_id)
    return sorted(ours, key=lambda row: (row.promise_at, row.id))


# --- being told ------------------------------------------------------------------------------------------


def revoked_claim(session: Session, events: Sequence[AuditEvent], *, member: Member) -> ClaimRevoked | None:
    """Who took the lead back from `member`, while that is news; `events` is its log, newest first."""
    event = history.taken_back_from(events, member.id)
    return ClaimRevoked(session.get_one(StaffMember, event.actor_id).name, event.at) if event else None


def require_not_revoked(session: Session, lead: Lead, *, seen: uuid.UUID | None, member: Member) -> None:
    """Raises TakenBack when the page, which told `seen` last, does not know yet that our hold was ended."""
    events = audit_service.events_about(session, lead.id)
    known = [event.id for event in events]
    event = history.taken_back_from(events, member.id)
    if event and seen in known and known.index(seen) > known.index(event.id):
        raise ClaimRevoked(session.get_one(StaffMember, event.actor_id).name, event.at)


# --- the page --------------------------------------------------------------------------------------------


def team(session: Session, *, member: Member, instance: Instance) -> Team:
    """Who could call and what there is to share. Only reads; whoever shows it calls `record`."""
    require(member, Permission.SHARE_LEADS)
    held = select(Lead).where(queue.held(instance.clock()), Lead.claimed_by != member.id)
    leads = session.scalars(held.order_by(Lead.claimed_until, Lead.id).limit(MOST)).all()
    rows = {row.lead.id: row for row in rows_of(session, leads, instance=instance)}
    free = queue.page(
        session, filters=Filters(held=HeldBy.NOBODY), limit=MOST, member=member, instance=instance
    )
    return Team(_colleagues(session, instance), free, [rows[lead.id] for lead in leads], instance.clock())


def _colleagues(session: Session, instance: Instance) -> Sequence[Colleague]:
    """Whoever may call, those at the desk first."""
    holding = select(Lead.claimed_by, func.count()).where(queue.held(instance.clock()))
    holds = dict(session.execute(holding.group_by(Lead.claimed_by)).all())
    seen = sessions.last_seen(session, instance=instance)
    able = [
        each.member
        for each in service.list_accounts(session)
        if not each.disabled_at and may(each.member, Permission.CLAIM_LEAD)
    ]
    found = [Colleague(each.id, each.name, seen.get(each.id), holds.get(each.id, 0)) for each in able]
    return sorted(found, key=lambda each: (each.seen_at is None, each.name.casefold()))


def record(session: Session, found: Team, *, member: Member, instance: Instance) -> None:
    """Note in the log that `member` sees these requests, as a count."""
    audit.record(
        session,
        Action.LEADS_LISTED,
        keyring=instance.keyring,
        at=instance.clock(),
        actor=member.actor,
        details={"count": len(found.free.rows) + len(found.held), "kind": "team"},
    )
