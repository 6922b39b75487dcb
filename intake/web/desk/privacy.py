"""Views of the privacy officer: disclosures, statements, suppression list, evidence, legal holds."""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from difflib import SequenceMatcher
from enum import StrEnum

from babel.dates import format_date
from flask import Response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from intake.accounts import service as staff_service
from intake.accounts.models import Role
from intake.accounts.permissions import Permission
from intake.accounts.service import names_of
from intake.audit import Action, AuditEvent, service
from intake.audit.service import MAX_VIEWS, PageStart
from intake.casework import queue
from intake.conf.clinic import Channel
from intake.core import i18n
from intake.core.errors import NotFound, Unreadable
from intake.core.i18n import N_
from intake.core.paths import STATIC
from intake.leads import suppression
from intake.leads.history import is_repeated_reveal
from intake.leads.models import HoldReason, SuppressionReason, references_of
from intake.leads.suppression import SuppressionStatus
from intake.privacy import legal_holds, retention, statement_versions
from intake.reports import compliance
from intake.reports.compliance import ComplianceReport, FigureState
from intake.web.auth import guards
from intake.web.auth.reauth import require_recent_second_factor
from intake.web.context import current_service, staff_act, staff_read
from intake.web.desk import audit_labels, formatting
from intake.web.desk.layout import flash_message
from intake.web.desk.lead import on_lead_page
from intake.web.headers import POLICIES


class DiffKind(StrEnum):
    """Whether some words were kept, removed or added."""

    KEPT = "kept"
    REMOVED = "out"
    ADDED = "in"


@dataclass(frozen=True)
class DiffPiece:
    """A run of words of one kind; white space stays with the word before it."""

    kind: DiffKind
    text: str


def word_diff(before: str, after: str) -> list[DiffPiece]:
    """Word-by-word difference. The kept and added pieces, joined, are exactly `after`."""
    old, new = (re.findall(r"\S+\s*|^\s+", text) for text in (before, after))
    pieces: list[DiffPiece] = []
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for what, from_old, to_old, from_new, to_new in matcher.get_opcodes():
        removed, added = "".join(old[from_old:to_old]), "".join(new[from_new:to_new])
        if what == "equal":
            pieces.append(DiffPiece(DiffKind.KEPT, added))
            continue
        if removed:
            pieces.append(DiffPiece(DiffKind.REMOVED, removed))
        if added:
            pieces.append(DiffPiece(DiffKind.ADDED, added))
    return pieces


FIELD_LABELS = {
    Channel.CALL: N_("Phone number, to call"),
    Channel.TEXT: N_("Phone number, to text"),
    Channel.EMAIL: N_("Email address"),
}


@dataclass(frozen=True)
class Disclosure:
    """One value that one staff member was shown in full; `times` counts once per claim."""

    field: str
    by: uuid.UUID
    first: datetime
    last: datetime
    times: int


@guards.permission_required(Permission.READ_AUDIT)
def looks_page(lead_id: uuid.UUID) -> ResponseReturnValue:
    """Who opened a lead, when, and which values they were shown; also after its erasure."""
    with staff_read() as act:
        session = act.session
        events = service.views_of(session, lead_id)
        reference = references_of(session, {lead_id}).get(lead_id)
        if not reference and not service.events_about(session, lead_id, limit=1):
            raise NotFound
        names = names_of(session, {event.actor_id for event in events if event.actor_id})
        staff = staff_service.list_accounts(session)
    with staff_act() as act:
        act.record(Action.AUDIT_READ, about=lead_id, count=len(events))
    return render_template(
        "desk/officer_looks.html",
        lead_id=lead_id,
        reference=reference,
        events=events,
        many=len(events) == MAX_VIEWS,
        disclosed=_disclosures(events),
        names=names,
        roles={each.member.id: [role for role in Role if role in each.member.roles] for each in staff},
        again=is_repeated_reveal,
        acts=audit_labels,
        now=current_service().clock(),
    )


def _disclosures(events: Sequence[AuditEvent]) -> list[Disclosure]:
    """Who was shown what, by field and then by who saw it first."""
    shown: dict[tuple[str, uuid.UUID], list[datetime]] = {}
    for event in events:
        channel = service.details_of(event).get("channel")
        if event.actor_id and channel in set(Channel) and not is_repeated_reveal(event):
            shown.setdefault((FIELD_LABELS[Channel(channel)], event.actor_id), []).append(event.at)
    found = [Disclosure(*key, min(moments), max(moments), len(moments)) for key, moments in shown.items()]
    return sorted(found, key=lambda each: (each.field, each.first, str(each.by)))


@guards.permission_required(Permission.READ_AUDIT)
def statements_page() -> ResponseReturnValue:
    """Every statement in force with its earlier versions, differences, and how many consents each has."""
    with current_service().database.reading() as session:
        found = statement_versions.statement_histories(session, current_service().statements)
    return render_template(
        "desk/officer_statements.html",
        histories=found,
        word_diff=word_diff,
        now=current_service().clock(),
    )


@guards.permission_required(Permission.READ_AUDIT)
def stops_page() -> ResponseReturnValue:
    """The suppression list: when, why, by whom, whether lifted; no number or address."""
    status, reason = request.args.get("standing", ""), request.args.get("reason", "")
    filters: suppression.SuppressionFilter = {  # an unknown value counts as none
        "status": SuppressionStatus(status) if status in set(SuppressionStatus) else None,
        "reason": SuppressionReason(reason) if reason in set(SuppressionReason) else None,
    }
    with current_service().database.reading() as session:
        found = suppression.suppression_page(
            session, after=PageStart.read(request.args.get("after", "")), **filters
        )
        names = names_of(session, {each.by for each in found.entries if each.by})
    return render_template(
        "desk/officer_stops.html",
        found=found,
        names=names,
        query={
            name: str(value)
            for name, value in (("standing", filters["status"]), ("reason", filters["reason"]))
            if value
        },
        standings=tuple(SuppressionStatus),
        reasons=tuple(SuppressionReason),
        acts=audit_labels,
        now=current_service().clock(),
    )


HTML, JSON = "html", "json"
FIGURE_STATES = {
    FigureState.OPEN: N_("open"),
    FigureState.NOT_KNOWN: N_("not known"),
    FigureState.GOOD: N_("as it should be"),
    FigureState.INFORMATION: N_("for information"),
}


@guards.permission_required(Permission.SEE_EVIDENCE)
def evidence_page() -> ResponseReturnValue:
    """The current evidence report; reading it is recorded."""
    report = compliance.gather(current_service(), policies=POLICIES)
    with staff_act() as act:
        act.record(Action.EVIDENCE_READ)
    return render_template("desk/evidence.html", **_context(report))


@guards.permission_required(Permission.SEE_EVIDENCE)
@require_recent_second_factor
def save_evidence() -> ResponseReturnValue:
    """Download the evidence report; recorded, because it is exported. JSON is always in English."""
    kind = JSON if request.form.get("kind") == JSON else HTML
    with i18n.using_language(i18n.DEFAULT if kind == JSON else i18n.current_language.get()):
        report = compliance.gather(current_service(), policies=POLICIES)
        content = compliance.as_json(report) if kind == JSON else as_html(report)
    with staff_act() as act:
        act.record(Action.EVIDENCE_SAVED, kind=kind)
    answer = Response(content, mimetype="application/json" if kind == JSON else "text/html")
    answer.headers["Content-Disposition"] = f'attachment; filename="evidence-{report.at:%Y-%m-%d}.{kind}"'
    return answer


def as_html(report: ComplianceReport) -> str:
    """The report as a self-contained HTML page. Needs an application context."""
    style = Markup((STATIC / "evidence.css").read_text(encoding="utf-8"))  # noqa: S704  a file of ours
    return render_template("evidence.html", style=style, **_context(report))


def _context(report: ComplianceReport) -> dict[str, object]:
    return {
        "report": report,
        "standings": FIGURE_STATES,
        "urgencies": compliance.URGENCY,
        "moment": moment_in_full,
        "is_moment": lambda value: isinstance(value, datetime),
    }


def moment_in_full(at: datetime) -> str:
    """A moment in full, on the clinic's clock: `November 18, 2026, 10 am`."""
    day = format_date(formatting.day_of(at), "long", locale=i18n.current_language.get())
    return f"{day}, {formatting.time_of_day(at)}"


@guards.permission_required(Permission.HOLD_LEAD)
def holds_page() -> ResponseReturnValue:
    """Every legal hold, and what retention erases within a day, by reason."""
    now, limits = current_service().clock(), current_service().clinic.retention
    with staff_act() as act:
        listed = legal_holds.list_holds(act)
        ahead = retention.preview(act.session, until=now + retention.POSTPONE_BY)
    return render_template(
        "desk/holds.html",
        holds=listed,
        ahead=ahead,
        days={"open_days": limits.open_days, "closed_days": limits.closed_days},
        at_most=retention.MAX_POSTPONEMENT.days,
        now=now,
        message=flash_message(),
    )


@guards.permission_required(Permission.HOLD_LEAD)
@require_recent_second_factor
def postpone_retention() -> ResponseReturnValue:
    """Postpone by a day what retention erases by age alone."""
    with staff_act() as act:
        count = retention.postpone_due(act)
    return guards.redirect_to(
        url_for("desk.holds_page", message="postponed" if count else "nothing_postponed")
    )


@guards.permission_required(Permission.HOLD_LEAD)
@require_recent_second_factor
@on_lead_page
def hold_lead(lead_id: uuid.UUID) -> str:
    """Place or renew a legal hold on a lead."""
    reason = request.form.get("reason", "")
    if reason not in set(HoldReason):
        raise Unreadable
    try:
        last_day = date.fromisoformat(request.form.get("last_day", ""))
    except ValueError:
        last_day = None

    with staff_act() as act:
        lead = queue.one(act, lead_id)
        legal_holds.place_hold(act, lead, reason=HoldReason(reason), last_day=last_day)
    return "hold_placed"


@guards.permission_required(Permission.HOLD_LEAD)
@require_recent_second_factor
def release_hold(lead_id: uuid.UUID) -> ResponseReturnValue:
    """End a legal hold. A lead whose erasure was asked for is erased at once."""
    with staff_act() as act:
        lead = queue.one(act, lead_id)
        erased = legal_holds.release_hold(act, lead)
    if erased:
        return guards.redirect_to(url_for("desk.holds_page", message="hold_ended_and_erased"))
    return guards.redirect_to(url_for("desk.lead_page", lead_id=lead_id, message="hold_ended"))
