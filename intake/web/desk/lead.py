"""Views of one lead: its page, and every act on it. An act redirects to the page with a flash message."""

import uuid
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import wraps
from typing import TypeVar

from flask import Response, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from intake.accounts.permissions import Permission, StaffAct
from intake.casework import lead_detail as leads_view
from intake.casework import outcomes, queue, undo
from intake.casework.lead_detail import LeadView
from intake.casework.queue import Page, QueueFilters
from intake.conf.clinic import Channel
from intake.core.errors import IntakeError, Refused, Unprocessable, Unreadable
from intake.leads import claims, notes, suppression
from intake.leads import reveal as leads_reveal
from intake.leads.claims import AlreadyClosed, ChangedMeanwhile
from intake.leads.models import CloseReason, HoldReason, Lead, LeadStatus, Outcome
from intake.web.auth import guards
from intake.web.auth.saved_forms import SavedForm
from intake.web.context import current_service, staff_act, staff_read
from intake.web.desk import audit_labels, lead_actions
from intake.web.desk.layout import flash_message
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
        "beside": _sidebar_page(view),
        "acts": audit_labels,
        "choices": Choices.of(view, current_service().clinic),
        "problem": problem,
        "typed": pending.fields if pending else typed or request.form,
        "again": pending,
        "message": flash_message(),
        "attempt_id": uuid.uuid4(),
        "reasons": outcomes.CHOSEN_CLOSE_REASONS,
        "hold_reasons": tuple(HoldReason),
    }
    return make_response(render_template("desk/lead.html", **context), problem.status if problem else 200)


def _sidebar_page(view: LeadView) -> Page | None:
    """The top of the queue for the sidebar, for staff who may list it; read after the act."""
    if Permission.LIST_LEADS not in view.member.permissions:
        return None
    with staff_read() as act:
        act.contact_times = view.contact_times
        page = queue.page(act, filters=QueueFilters(), limit=SIDEBAR_LIMIT)
    with staff_act() as act:
        queue.record_queue_read(act, page)
    return page


def on_lead_page(act: Callable[[uuid.UUID], str]) -> Callable[[uuid.UUID], ResponseReturnValue]:
    """Decorate an act that returns a flash message key: redirect to the lead, or show it with the refusal."""

    @wraps(act)
    def performed(lead_id: uuid.UUID) -> ResponseReturnValue:
        try:
            message = act(lead_id)
        except (ChangedMeanwhile, AlreadyClosed) as problem:
            return _render_conflict(lead_id, problem)
        except (Refused, Unprocessable) as problem:
            return _page(_lead_view(lead_id), problem)
        return guards.redirect_to(url_for("desk.lead_page", lead_id=lead_id, message=message))

    return performed


def _load_lead(act: StaffAct, lead_id: uuid.UUID) -> Lead:
    """Load the lead for an act of its page. Raises ClaimRevoked where the page could not show that yet."""
    lead = queue.one(act, lead_id)
    leads_view.require_not_revoked(act, lead, seen=_seen_version())
    return lead


def _render_conflict(lead_id: uuid.UUID, problem: Refused) -> Response:
    """Show what has changed since the submitted page, and the pending choice: go on or go back (409)."""
    pending, seen = PendingAction.read(request.form), _seen_version()
    if not pending or not seen:
        return _page(_lead_view(lead_id), problem)
    context = {"view": _lead_view(lead_id, masked=True), "seen": seen, "again": pending, "acts": audit_labels}
    return make_response(render_template("desk/lead_changed.html", **context), problem.status)


@guards.permission_required(Permission.CLAIM_LEAD)
@on_lead_page
def claim(lead_id: uuid.UUID) -> str:
    """Claim the lead for the signed-in staff member."""
    with staff_act() as act:
        lead = _load_lead(act, lead_id)
        claims.claim(act, lead)
    return "claimed"


@guards.permission_required(Permission.CLAIM_LEAD)
@on_lead_page
def release_claim(lead_id: uuid.UUID) -> str:
    """Release the signed-in staff member's claim."""
    with staff_act() as act:
        lead = queue.one(act, lead_id)
        claims.release(act, lead)
    return "released"


@guards.permission_required(Permission.REVEAL)
def reveal(lead_id: uuid.UUID) -> ResponseReturnValue:
    """Reveal one number or address; this response shows it."""
    channel = _choice(Channel, "channel")
    try:
        with staff_act() as act:
            lead = _load_lead(act, lead_id)
            just = leads_reveal.reveal(act, lead, channel=channel)
            view = leads_view.lead_view(act, lead_id, just_revealed=just)
    except Refused as problem:
        return _page(_lead_view(lead_id), problem)
    return _page(view)


@guards.permission_required(
    Permission.LOG_OUTCOME,
    preserve_fields=("attempt", "outcome", "channel", "booked_for"),
    restore=restore_lead_form,
)
@on_lead_page
def outcome(lead_id: uuid.UUID) -> str:
    """Record the outcome of an attempt. Idempotent by `attempt`; `hold` claims the lead first."""
    attempt_id, version = (
        parse_id(request.form.get("attempt", "")),
        parse_version(request.form.get("version", "")),
    )
    chosen_outcome, channel = _choice(Outcome, "outcome"), _choice(Channel, "channel")

    with staff_act() as act:
        by_person = chosen_outcome in outcomes.ALWAYS_ALLOWED  # recorded whoever has claimed it
        lead = queue.one(act, lead_id) if by_person else _load_lead(act, lead_id)
        if "hold" in request.form:
            claims.claim(act, lead)
        outcomes.log(
            act,
            lead,
            attempt_id=attempt_id,
            outcome=chosen_outcome,
            channel=channel,
            version=version,
            booked_for=lead_actions.booked_for(request.form.get("booked_for", "")),
        )
    if chosen_outcome is Outcome.ASKED_TO_STOP:
        return "stopped"
    if chosen_outcome is Outcome.THEY_CALLED_US:
        return "noted_theirs"
    return {LeadStatus.CLOSED: "closed", LeadStatus.BOOKED: "booked"}.get(lead.status, "noted")


@guards.permission_required(Permission.CLOSE_LEAD, preserve_fields=("reason",), restore=restore_lead_form)
@on_lead_page
def close(lead_id: uuid.UUID) -> str:
    """Close a lead for one of the listed reasons."""
    reason, version = _choice(CloseReason, "reason"), parse_version(request.form.get("version", ""))

    with staff_act() as act:
        lead = _load_lead(act, lead_id)
        outcomes.close(act, lead, reason=reason, version=version)
    return "closed"


@guards.permission_required(Permission.REVEAL)
@on_lead_page
def lift(lead_id: uuid.UUID) -> str:
    """Allow contact again for a suppressed person who has asked again. Idempotent."""
    with staff_act() as act:
        lead = queue.one(act, lead_id)
        suppression.lift(act, lead)
    return "lifted"


def _choice(choices: type[_Choice], field: str) -> _Choice:
    """The enum member in a field. Raises Unreadable for another value."""
    value = request.form.get(field, "")
    if value not in set(choices):
        raise Unreadable
    return choices(value)


def parse_id(text: str) -> uuid.UUID:
    """The UUID in a field of a form. Raises Unreadable."""
    try:
        return uuid.UUID(text)
    except ValueError:
        raise Unreadable from None


def _seen_version() -> uuid.UUID | None:
    """The newest act that the submitted page showed; None where the form has no such field."""
    return parse_id(request.form.get("seen", "")) if "seen" in request.form else None


def parse_version(text: str) -> int:
    """The version of a lead. Raises Unreadable."""
    if not (text.isascii() and text.isdigit() and len(text) < len(str(_MAX_VERSION))):
        raise Unreadable
    return int(text)


def restore_note(saved_form: SavedForm) -> Response:
    """Restore the typed note after a new sign-in. Writes nothing."""
    view = _lead_view(uuid.UUID(saved_form.arguments["lead_id"]))
    return _page(view, typed={"note": saved_form.value("note")})


@guards.permission_required(Permission.LOG_OUTCOME, preserve_fields=("note", "mark"), restore=restore_note)
@on_lead_page
def save_note(lead_id: uuid.UUID) -> str:
    """Save the scheduling note. A refusal shows on the page with the typed text still in its field."""
    typed, seen = request.form.get("note", ""), request.form.get("mark", "")

    with staff_act() as act:
        lead = queue.one(act, lead_id)
        notes.save_note(act, lead, typed, seen=seen)
    return "note_saved"


@guards.permission_required(Permission.LOG_OUTCOME)
@on_lead_page
def undo_act(lead_id: uuid.UUID) -> str:
    """Undo the last act on a lead, within five minutes. Idempotent."""
    act_id = parse_id(request.form.get("act", ""))

    with staff_act() as act:
        lead = queue.one(act, lead_id)
        undo.undo(act, lead, act_id=act_id)
    return "undone"
