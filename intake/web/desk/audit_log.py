"""Views of the audit log: reading, filtering, verifying and exporting it."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from flask import Response, g, render_template, request, url_for
from flask.typing import ResponseReturnValue

from intake.accounts import service as staff_service
from intake.accounts.models import Role
from intake.accounts.permissions import Permission
from intake.accounts.service import AccountState, names_of
from intake.audit import Action, Verification, chain, export, service
from intake.audit.models import ActorKind
from intake.audit.service import LogFilter, PageStart
from intake.casework import search
from intake.casework.search import TermKind
from intake.core.errors import Refused, Unprocessable
from intake.core.i18n import N_
from intake.leads import history
from intake.leads.models import references_of
from intake.monitoring import integrity
from intake.web.auth import guards
from intake.web.auth.reauth import require_recent_second_factor
from intake.web.context import current_service, staff_act, staff_read
from intake.web.desk import audit_labels

FILTER_KINDS = (ActorKind.PERSON, ActorKind.SYSTEM)
FILTER_NAMES = ("action", "who", "from", "to", "about")


@dataclass(frozen=True)
class LogQuery:
    """The filters in the URL of the log: action, actor, days, one lead; no personal data."""

    action: Action | None
    who: str
    first: date | None
    last: date | None
    about: uuid.UUID | None

    @classmethod
    def read(cls, query: Mapping[str, str]) -> "LogQuery":
        """Parse the query string; an unknown value counts as none."""
        action, who = query.get("action", ""), query.get("who", "")
        known = {*FILTER_KINDS, *Role}
        return cls(
            action=Action(action) if action in set(Action) else None,
            who=who if who in known or _parse_id(who) else "",
            first=_parse_day(query.get("from", "")),
            last=_parse_day(query.get("to", "")),
            about=_parse_id(query.get("about", "")),
        )

    @property
    def query(self) -> dict[str, str]:
        """The filters as query parameters for another page of the log."""
        values = zip(FILTER_NAMES, (self.action, self.who, self.first, self.last, self.about), strict=True)
        return {name: str(value) for name, value in values if value}

    @property
    def is_reversed(self) -> bool:
        """Whether the first day is after the last."""
        return bool(self.first and self.last and self.first > self.last)

    def to_filter(self, staff: Sequence[AccountState]) -> LogFilter:
        """The filter of the audit service; a role stands for the staff who have it now."""
        members: frozenset[uuid.UUID] | None = None
        if self.who in set(Role):
            members = frozenset(each.member.id for each in staff if Role(self.who) in each.member.roles)
        elif member := _parse_id(self.who):
            members = frozenset({member})
        return LogFilter(
            action=self.action,
            kind=ActorKind(self.who) if self.who in set(FILTER_KINDS) else None,
            staff=members,
            since=_midnight(self.first) if self.first else None,
            until=_midnight(self.last + timedelta(days=1)) if self.last and self.last < date.max else None,
            about=self.about,
        )


def _parse_id(query: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(query)
    except ValueError:
        return None


def _parse_day(query: str) -> date | None:
    try:
        found = date.fromisoformat(query)
    except ValueError:
        return None
    return found if date.min < found < date.max else None


def _midnight(day: date) -> datetime:
    """The start of a day in the clinic's time zone, in UTC."""
    return datetime.combine(day, time(), ZoneInfo(current_service().clinic.time_zone)).astimezone(UTC)


REFERENCE_INCOMPLETE = N_("Type a whole reference, all of its letters and figures.")
NOT_FOUND = N_("Nothing is kept under this reference. It may have been erased already.")
NOTHING_TO_SAVE = N_("No event has its place in the chain yet. Try again in a minute.")


@guards.permission_required(Permission.READ_AUDIT)
def log_page() -> ResponseReturnValue:
    """One page of the log, newest first; reading it is recorded too."""
    return _page()


@guards.permission_required(Permission.READ_AUDIT)
def verify() -> ResponseReturnValue:
    """Verify every event, the chain, its end and the consent seals, and show the result."""
    return _page(verified=integrity.verify_and_note(current_service(), actor=g.member.actor))


@guards.permission_required(Permission.READ_AUDIT)
def log_of_reference() -> ResponseReturnValue:
    """Redirect from a reference to the log of that lead; a POST, so that it is in no URL."""
    try:
        term = search.read_term(request.form.get("term", ""))
        if term.kind is not TermKind.REFERENCE:
            return _page(problem=REFERENCE_INCOMPLETE), 422
        with staff_act() as act:
            found = search.find(act, term=term.value)
    except Unprocessable:
        return _page(problem=REFERENCE_INCOMPLETE), 422
    if not found.rows:
        return _page(problem=NOT_FOUND)
    return guards.redirect_to(url_for("desk.log_page", about=found.rows[0].lead.id))


@guards.permission_required(Permission.READ_AUDIT)
@require_recent_second_factor
def save_log() -> ResponseReturnValue:
    """Download the log as a file that can be verified elsewhere; recorded before it is sent."""
    with staff_act() as act:
        head = chain.take_anchor(act.session, keyring=act.keyring, at=act.now)
        if head is None:
            raise Refused(NOTHING_TO_SAVE)
        act.record(Action.AUDIT_EXPORTED, count=head.seq)
    lines = export.export_lines(current_service().database, head)  # a stream, not to fill the memory
    answer = Response((line.encode() for line in lines), mimetype="application/x-ndjson")
    answer.headers["Content-Disposition"] = f'attachment; filename="audit-{head.at:%Y-%m-%d}.jsonl"'
    return answer


def _page(*, verified: Verification | None = None, problem: str = "") -> str:
    filters, after = LogQuery.read(request.args), PageStart.read(request.args.get("after", ""))
    with staff_read() as act:
        staff = staff_service.list_accounts(act.session)
        page = service.log_page(act.session, wanted=filters.to_filter(staff), after=after)
        about = {event.about for event in page.events} | {filters.about}
        whose = {each for event in page.events for each in (event.actor_id, history.colleague_id(event))}
        read = {
            "page": page,
            "reach": service.chain_reach(act.session),
            "names": names_of(act.session, {each for each in whose if each}),
            "references": references_of(act.session, {each for each in about if each}),
            "staff": staff,
        }
    with staff_act() as act:
        act.record(Action.AUDIT_READ, about=filters.about, count=len(page.events))
    return render_template(
        "desk/log.html",
        read=read,
        filters=filters,
        actions=sorted(Action, key=audit_labels.label),
        kinds=FILTER_KINDS,
        roles=tuple(Role),
        acts=audit_labels,
        whom=history.colleague_id,
        verified=verified,
        problem=problem,
        now=current_service().clock(),
    )
