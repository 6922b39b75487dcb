"""Views of one lead: its page, and every act on it. An act redirects to the page with a flash message."""

import uuid
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

from flask import Response, g, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from intake.accounts.permissions import Permission, StaffAct
from intake.casework import assignment, outcomes, queue, undo
from intake.casework import lead_detail as leads_view
from intake.casework.lead_detail import LeadView
from intake.casework.queue import Page, QueueFilters
from intake.conf.clinic import Channel
from intake.core.errors import IntakeError, Refused, Unprocessable, Unreadable
from intake.leads import claims, notes, suppression
from intake.leads import reveal as leads_reveal
from intake.leads.claims import AlreadyClosed, ChangedMeanwhile
from intake.leads.models import CloseReason, Lead, LeadStatus, Outcome
from intake.web.auth import guards
from intake.web.auth.saved_forms import SavedForm
from intake.web.context import current_service, staff_act, staff_read
from intake.web.desk import audit_labels, lead_actions
from intake.web.desk.flash import flash_message
from intake.web.desk.lead_actions import Choices, PendingAction

_Choice = TypeVar("_Choice", bound=StrEnum)
_MAX_VERSION = 2**31
SIDEBAR_LIMIT = 25
"""How many leads the sidebar lists beside the open one."""


@guards.permission_required(Permission.VIEW_LEAD)
def lead_page(lead_id: uuid.UUID) -> ResponseReturnValue:
    """One lead, masked; values revealed during the own claim show again, which is recorded."""
    return _page(_lead_view(lead_id))


@guards.permission_required(Permission.VIEW_LEAD)
def lead_page_again(lead_id: uuid.UUID) -> ResponseReturnValue:
    """The same page with the pending choice restored. Changes nothing; a POST, because it carries fields."""
    return _page(_lead_view(lead_id), pending=PendingAction.read(request.form))


def restore_lead_form(saved_form: SavedForm) -> Response:
    """Restore the choice on a lead's page after a new sign-in. Records nothing."""
    typed = {name: saved_form.value(name) for name in saved_form.fields}
    pending = PendingAction.read(typed, attempt=saved_form.value("attempt"))
    return _page(_lead_view(uuid.UUID(saved_form.arguments["lead_id"])), pending=pending)


def page_with(lead_id: uuid.UUID, typed: Mapping[str, str]) -> Response:
    """The page of a lead with typed values in their fields."""
    return _page(_lead_view(lead_id), typed=typed)


def _lead_view(lead_id: uuid.UUID, *, masked: bool = False) -> LeadView:
    with staff_act() as act:
        return leads_view.lead_view(act, lead_id, masked=masked)


def _page(
    view: LeadView,
    problem: IntakeError | None = None,
    pending: PendingAction | None = None,
    typed: Mapping[str, str] | None = None,
) -> Response:
    context = {
        "view": view,
        "beside": _sidebar_page(),
        "acts": audit_labels,
        "choices": Choices.of(view),
        "problem": problem,
        "typed": pending.fields if pending else typed or request.form,
        "again": pending,
        "message": flash_message(),
        "attempt_id": uuid.uuid4(),
        "reasons": outcomes.CHOSEN_CLOSE_REASONS,
    }
    return make_response(render_template("desk/lead.html", **context), problem.status if problem else 200)


def _sidebar_page() -> Page | None:
    """The top of the queue for the sidebar, for staff who may list it; read after the act."""
    if Permission.LIST_LEADS not in g.member.permissions:
        return None
    with staff_read() as act:
        page = queue.page(act, filters=QueueFilters(), limit=SIDEBAR_LIMIT)
    with staff_act() as act:
        queue.record_queue_read(act, page)
    return page


def perform(lead_id: uuid.UUID, act: Callable[[], str]) -> ResponseReturnValue:
    """Call `act`, which returns a flash message key, and redirect; a refusal shows on the current page."""
    try:
        message = act()
    except (ChangedMeanwhile, AlreadyClosed) as problem:
        return _render_conflict(lead_id, problem)
    except (Refused, Unprocessable) as problem:
        return _page(_lead_view(lead_id), problem)
    return guards.redirect_to(url_for("desk.lead_page", lead_id=lead_id, message=message))


def _load_lead(session: Any, lead_id: uuid.UUID) -> Lead:
    """Load the lead for an act of its page. Raises ClaimRevoked where the page could not show that yet."""
    lead = queue.one(session, lead_id, member=g.member)
    assignment.require_not_revoked(session, lead, seen=_seen_version(), member=g.member)
    return lead


def _render_conflict(lead_id: uuid.UUID, problem: Refused) -> Response:
    """Show what has changed since the submitted page, and the pending choice: go on or go back (409)."""
    pending, seen = PendingAction.read(request.form), _seen_version()
    if not pending or not seen:
        return _page(_lead_view(lead_id), problem)
    context = {"view": _lead_view(lead_id, masked=True), "seen": seen, "again": pending, "acts": audit_labels}
    return make_response(render_template("desk/lead_changed.html", **context), problem.status)


@guards.permission_required(Permission.CLAIM_LEAD)
def claim(lead_id: uuid.UUID) -> ResponseReturnValue:
    """Claim the lead for the signed-in staff member."""

    def act() -> str:
        with current_service().database.transaction() as session:
            lead = _load_lead(session, lead_id)
            claims.claim(StaffAct(session, current_service(), g.member), lead)
        return "claimed"

    return perform(lead_id, act)


@guards.permission_required(Permission.CLAIM_LEAD)
def release_claim(lead_id: uuid.UUID) -> ResponseReturnValue:
    """Release the signed-in staff member's claim."""

    def act() -> str:
        with current_service().database.transaction() as session:
            lead = queue.one(session, lead_id, member=g.member)
            claims.release(StaffAct(session, current_service(), g.member), lead)
        return "released"

    return perform(lead_id, act)


@guards.permission_required(Permission.REVEAL)
def reveal(lead_id: uuid.UUID) -> ResponseReturnValue:
    """Reveal one number or address; this response shows it."""
    channel = _choice(Channel, "channel")
    try:
        with current_service().database.transaction() as session:
            lead = _load_lead(session, lead_id)
            just = leads_reveal.reveal(StaffAct(session, current_service(), g.member), lead, channel=channel)
            view = leads_view.lead_view(
                StaffAct(session, current_service(), g.member), lead_id, just_revealed=just
            )
    except Refused as problem:
        return _page(_lead_view(lead_id), problem)
    return _page(view)


@guards.permission_required(
    Permission.LOG_OUTCOME,
    preserve_fields=("attempt", "outcome", "channel", "booked_for"),
    restore=restore_lead_form,
)
def outcome(lead_id: uuid.UUID) -> ResponseReturnValue:
    """Record the outcome of an attempt. Idempotent by `attempt`; `hold` claims the lead first."""
    attempt_id, version = parse_id("attempt"), _submitted_version()
    chosen_outcome, channel = _choice(Outcome, "outcome"), _choice(Channel, "channel")

    def act() -> str:
        with current_service().database.transaction() as session:
            by_person = chosen_outcome in outcomes.ALWAYS_ALLOWED  # recorded whoever has claimed it
            lead = queue.one(session, lead_id, member=g.member) if by_person else _load_lead(session, lead_id)
            if "hold" in request.form:
                claims.claim(StaffAct(session, current_service(), g.member), lead)
            outcomes.log(
                StaffAct(session, current_service(), g.member),
                lead,
                attempt_id=attempt_id,
                outcome=chosen_outcome,
                channel=channel,
                version=version,
                booked_for=lead_actions.booked_for(request.form.get("booked_for", "")),
            )
            return _message_for(chosen_outcome, lead.status)

    return perform(lead_id, act)


def _message_for(chosen_outcome: Outcome, status: LeadStatus) -> str:
    if chosen_outcome is Outcome.ASKED_TO_STOP:
        return "stopped"
    if chosen_outcome is Outcome.THEY_CALLED_US:
        return "noted_theirs"
    return {LeadStatus.CLOSED: "closed", LeadStatus.BOOKED: "booked"}.get(status, "noted")


@guards.permission_required(Permission.CLOSE_LEAD, preserve_fields=("reason",), restore=restore_lead_form)
def close(lead_id: uuid.UUID) -> ResponseReturnValue:
    """Close a lead for one of the listed reasons."""
    reason, version = _choice(CloseReason, "reason"), _submitted_version()

    def act() -> str:
        with current_service().database.transaction() as session:
            lead = _load_lead(session, lead_id)
            outcomes.close(
                StaffAct(session, current_service(), g.member), lead, reason=reason, version=version
            )
        return "closed"

    return perform(lead_id, act)


@guards.permission_required(Permission.REVEAL)
def lift(lead_id: uuid.UUID) -> ResponseReturnValue:
    """Allow contact again for a suppressed person who has asked again. Idempotent."""

    def act() -> str:
        with current_service().database.transaction() as session:
            lead = queue.one(session, lead_id, member=g.member)
            suppression.lift(StaffAct(session, current_service(), g.member), lead)
        return "lifted"

    return perform(lead_id, act)


def _choice(choices: type[_Choice], field: str) -> _Choice:
    """The enum member in a field. Raises Unreadable for another value."""
    value = request.form.get(field, "")
    if value not in set(choices):
        raise Unreadable
    return choices(value)


def parse_id(field: str) -> uuid.UUID:
    """The UUID in a field. Raises Unreadable."""
    try:
        return uuid.UUID(request.form.get(field, ""))
    except ValueError:
        raise Unreadable from None


def _seen_version() -> uuid.UUID | None:
    """The newest act that the submitted page showed; None where the form has no such field."""
    return parse_id("seen") if "seen" in request.form else None


def _submitted_version() -> int:
    return parse_version(request.form.get("version", ""))


def parse_version(text: str) -> int:
    """The version of a lead. Raises Unreadable."""
    if not (text.isascii() and text.isdigit() and len(text) < len(str(_MAX_VERSION))):
        raise Unreadable
    return int(text)


def restore_note(saved_form: SavedForm) -> Response:
    """Restore the typed note after a new sign-in. Writes nothing."""
    return page_with(uuid.UUID(saved_form.arguments["lead_id"]), {"note": saved_form.value("note")})


@guards.permission_required(Permission.LOG_OUTCOME, preserve_fields=("note", "mark"), restore=restore_note)
def save_note(lead_id: uuid.UUID) -> ResponseReturnValue:
    """Save the scheduling note. A refusal shows on the page with the typed text still in its field."""
    typed, seen = request.form.get("note", ""), request.form.get("mark", "")

    def act() -> str:
        with current_service().database.transaction() as session:
            lead = queue.one(session, lead_id, member=g.member)
            notes.save_note(StaffAct(session, current_service(), g.member), lead, typed, seen=seen)
        return "note_saved"

    return perform(lead_id, act)


@guards.permission_required(Permission.LOG_OUTCOME)
def undo_act(lead_id: uuid.UUID) -> ResponseReturnValue:
    """Undo the last act on a lead, within five minutes. Idempotent."""
    act_id = parse_id("act")

    def act() -> str:
        with current_service().database.transaction() as session:
            lead = queue.one(session, lead_id, member=g.member)
            undo.undo(StaffAct(session, current_service(), g.member), lead, act_id=act_id)
        return "undone"

    return perform(lead_id, act)
