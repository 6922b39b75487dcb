"""Assignment by a supervisor: distributing free leads to colleagues, and revoking claims.

A lead that has changed since the supervisor's page was rendered is skipped. A staff member whose claim was
revoked is told at their next act on that lead (`lead_detail.ClaimRevoked`).
"""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from intake.accounts import service, sessions
from intake.accounts.models import StaffMember
from intake.accounts.permissions import Member, Permission, StaffAct, may, require
from intake.audit import Action
from intake.casework import queue
from intake.casework.queue import ClaimedBy, Page, QueueFilters, QueueRow, load_rows
from intake.core.errors import Refused, Unprocessable
from intake.core.i18n import N_
from intake.leads import claims
from intake.leads.claims import ChangedMeanwhile, LeadAct
from intake.leads.models import Lead

TEAM_LIMIT = 50
"""Leads listed on the team page, free and claimed ones each, soonest first."""
NOTHING_SELECTED = N_("Pick at least one request.")
NO_ASSIGNEE = N_("Choose who shall have them.")
ASSIGNEE_CANNOT_CALL = N_("Somebody you chose no longer takes requests. Look at the list again.")


@dataclass(frozen=True)
class Selection:
    """A lead as listed on the page: its `version` where it was free, its `holder` where it was claimed."""

    lead_id: uuid.UUID
    version: int = 0
    holder: uuid.UUID | None = None


@dataclass(frozen=True)
class AssignmentResult:
    """How many leads were changed, and how many were skipped because they had changed meanwhile."""

    done: int
    skipped: int

    @classmethod
    def of(cls, selections: Collection[Selection], *, done: int) -> Self:
        """The result when `done` of the selected leads were changed; a lead picked twice counts once."""
        return cls(done, len({each.lead_id for each in selections}) - done)


@dataclass(frozen=True)
class Colleague:
    """A staff member who may call: when last seen, if signed in at the desk, and their number of claims."""

    id: uuid.UUID
    name: str
    seen_at: datetime | None
    claims: int


@dataclass(frozen=True)
class Team:
    """The team page: who may call, the free leads, and those claimed by colleagues, not by the member."""

    colleagues: Sequence[Colleague]
    free: Page
    claimed: Sequence[QueueRow]
    now: datetime

    @property
    def more_claimed(self) -> bool:
        """Whether there may be more claimed leads than listed."""
        return len(self.claimed) == TEAM_LIMIT


def distribute(
    act: StaffAct, selections: Collection[Selection], *, to: Collection[uuid.UUID]
) -> AssignmentResult:
    """Assign the selected leads to the staff members `to`, evenly, the soonest promise first.

    Leads of one person go to one colleague. Raises NotAllowed, and Unprocessable on `pick` and `to`.
    """
    require(act.member, Permission.SHARE_LEADS)
    if not selections:
        raise Unprocessable({"pick": [NOTHING_SELECTED]})
    assigned_counts = dict.fromkeys(_assignees(act.session, to), 0)
    for lead, selection in _lock_selected(act, selections):
        candidates = sorted(assigned_counts, key=lambda each: assigned_counts[each])
        try:
            assignee = _assign_to_first_free(LeadAct(act, lead), candidates, selection.version)
        except Refused:
            continue
        assigned_counts[assignee] += 1
    return AssignmentResult.of(selections, done=sum(assigned_counts.values()))


def _assign_to_first_free(act: LeadAct, candidates: Sequence[Member], version: int) -> Member:
    """Assign to the first candidate; to the next where another has claimed a lead of the same person."""
    for place, to in enumerate(candidates, start=1):
        try:
            claims.assign(act, to, version=version)
        except claims.ClaimedByAnother:
            if place == len(candidates):
                raise
        else:
            return to
    raise Refused


def revoke(act: StaffAct, selections: Collection[Selection]) -> AssignmentResult:
    """Revoke the selected claims. Raises NotAllowed, and Unprocessable on `pick`."""
    require(act.member, Permission.SHARE_LEADS)
    if not selections:
        raise Unprocessable({"pick": [NOTHING_SELECTED]})

    done = 0
    for lead, selection in _lock_selected(act, selections):
        if selection.holder in (None, act.member.id):
            continue
        try:
            claims.revoke(LeadAct(act, lead), claimant=selection.holder)
        except ChangedMeanwhile:
            continue
        done += 1
    return AssignmentResult.of(selections, done=done)


def _assignees(session: Session, chosen: Collection[uuid.UUID]) -> Sequence[Member]:
    """Load the chosen accounts, locked for this transaction. Raises Unprocessable unless all may call."""
    if not chosen:
        raise Unprocessable({"to": [NO_ASSIGNEE]})
    wanted = select(StaffMember).where(StaffMember.id.in_(set(chosen)), StaffMember.disabled_at.is_(None))
    rows = session.scalars(wanted.order_by(StaffMember.id).with_for_update(read=True)).all()
    able = [each for row in rows if may(each := service.load_member(session, row), Permission.CLAIM_LEAD)]
    if len(able) < len(set(chosen)):
        raise Unprocessable({"to": [ASSIGNEE_CANNOT_CALL]})
    return able


def _lock_selected(act: StaffAct, selections: Collection[Selection]) -> list[tuple[Lead, Selection]]:
    """Return the selected leads by promise; locks them and all with the same contact, in a fixed order."""
    by_id = {selection.lead_id: selection for selection in selections}
    picked = act.session.scalars(select(Lead).where(Lead.id.in_(by_id))).all()
    same = or_(*(claims.same_contact(lead) for lead in picked)) if picked else Lead.id.in_(())
    locked = select(Lead).where(same).order_by(Lead.id).with_for_update(key_share=True)
    rows = act.session.scalars(locked.execution_options(populate_existing=True)).all()
    ordered = sorted(rows, key=lambda row: (row.promise_at, row.id))
    return [(lead, by_id[lead.id]) for lead in ordered if lead.id in by_id]


def team(act: StaffAct) -> Team:
    """Return the team page. Only reads; the view then calls `record`. Raises NotAllowed."""
    require(act.member, Permission.SHARE_LEADS)
    statement = select(Lead).where(queue.is_claimed(act.now), Lead.claimed_by != act.member.id)
    leads = act.session.scalars(statement.order_by(Lead.claimed_until, Lead.id).limit(TEAM_LIMIT)).all()
    rows = load_rows(act, leads)
    free = queue.page(act, filters=QueueFilters(claimed=ClaimedBy.NOBODY), limit=TEAM_LIMIT)
    counted = select(Lead.claimed_by, func.count()).where(queue.is_claimed(act.now))
    counts = dict(act.session.execute(counted.group_by(Lead.claimed_by)).all())
    seen = sessions.last_seen(act)
    colleagues = [
        Colleague(member.id, member.name, seen.get(member.id), counts.get(member.id, 0))
        for account in service.list_accounts(act.session)
        if not account.disabled_at and may(member := account.member, Permission.CLAIM_LEAD)
    ]
    colleagues.sort(key=lambda each: (each.seen_at is None, each.name.casefold()))  # who is at the desk first
    return Team(colleagues, free, [rows[lead.id] for lead in leads], act.now)


def record(act: StaffAct, page: Team) -> None:
    """Record in the audit log that `member` read the team page: the number of leads only."""
    act.record(Action.LEADS_LISTED, count=len(page.free.rows) + len(page.claimed), kind="team")
