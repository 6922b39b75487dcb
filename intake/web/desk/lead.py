"""One lead: its page, and every act on it. An act answers with the way back to the page."""

import uuid
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

from flask import Response, g, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from intake.accounts.permissions import Permission
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
from intake.web.context import current_service
from intake.web.desk import audit_labels, lead_actions
from intake.web.desk.flash import flash_message
from intake.web.desk.lead_actions import Choices, PendingAction

_Vocabulary = TypeVar("_Vocabulary", bound=StrEnum)
_MOST = 2**31
BESIDE = 25
"""How many leads stand beside the open one, where there is room."""


@guards.signed_in(Permission.VIEW_LEAD)
def lead_page(lead_id: uuid.UUID) -> ResponseReturnValue:
    """One lead, masked; what our hold has revealed shows once more, and that is recorded."""
    return _page(_lead_view(lead_id))


@guards.signed_in(Permission.VIEW_LEAD)
def lead_page_again(lead_id: uuid.UUID) -> ResponseReturnValue:
    """The same page with what was chosen put back. Changes nothing: a POST, because words come along."""
    return _page(_lead_view(lead_id), again=PendingAction.read(request.form))


def restore_lead_form(kept: SavedForm) -> Response:
    """The page of a lead with what was chosen before the session ended. Nothing is noted yet."""
    typed = {name: kept.word(name) for name in kept.fields}
    chosen_then = PendingAction.read(typed, attempt=kept.word("attempt"))
    return _page(_lead_view(uuid.UUID(kept.arguments["lead_id"])), again=chosen_then)


def page_with(lead_id: uuid.UUID, typed: Mapping[str, str]) -> Response:
    """The page of a lead with words put back into their boxes."""
    return _page(_lead_view(lead_id), typed=typed)


def _lead_view(lead_id: uuid.UUID, *, masked: bool = False) -> LeadView:
    with current_service().database.transaction() as session:
        return leads_view.lead_view(
            session, lead_id, masked=masked, member=g.member, instance=current_service()
        )


def _page(
    found: LeadView,
    problem: IntakeError | None = None,
    again: PendingAction | None = None,
    typed: Mapping[str, str] | None = None,
) -> Response:
    words = {
        "view": found,
        "beside": _beside(),
        "acts": audit_labels,
        "choices": Choices.of(found),
        "problem": problem,
        "typed": again.fields if again else typed or request.form,
        "again": again,
        "said": flash_message(),
        "attempt_id": uuid.uuid4(),
        "reasons": outcomes.CHOSEN_CLOSE_REASONS,
    }
    return make_response(render_template("desk/lead.html", **words), problem.status if problem else 200)


def _beside() -> Page | None:
    """The head of the queue, for who may list it; read after the act, so that it shows what came of it."""
    if Permission.LIST_LEADS not in g.member.permissions:
        return None
    with current_service().database.reading() as session:
        page = queue.page(
            session, filters=QueueFilters(), limit=BESIDE, member=g.member, instance=current_service()
        )
    with current_service().database.transaction() as session:
        queue.record_queue_read(session, page, member=g.member, instance=current_service())
    return page


def acting(lead_id: uuid.UUID, act: Callable[[], str]) -> ResponseReturnValue:
    """Do it and lead back to the page with a word; what was refused shows on the page as it is now."""
    try:
        word = act()
    except (ChangedMeanwhile, AlreadyClosed) as problem:
        return _render_conflict(lead_id, problem)
    except (Refused, Unprocessable) as problem:
        return _page(_lead_view(lead_id), problem)
    return guards.redirect_to(url_for("desk.lead_page", lead_id=lead_id, said=word))


def _load_lead(session: Any, lead_id: uuid.UUID) -> Lead:
    """The lead, for an act that our page offered. Raises TakenBack where the page could not know of it."""
    lead = queue.one(session, lead_id, member=g.member)
    assignment.require_not_revoked(session, lead, seen=_seen_version(), member=g.member)
    return lead


def _render_conflict(lead_id: uuid.UUID, problem: Refused) -> Response:
    """What has happened since the page that was pressed, and what was chosen on it: go on or go back."""
    again, seen = PendingAction.read(request.form), _seen_version()
    if not again or not seen:
        return _page(_lead_view(lead_id), problem)
    words = {"view": _lead_view(lead_id, masked=True), "seen": seen, "again": again, "acts": audit_labels}
    return make_response(render_template("desk/lead_changed.html", **words), problem.status)


@guards.signed_in(Permission.CLAIM_LEAD)
def claim(lead_id: uuid.UUID) -> ResponseReturnValue:
    """Hold a lead, so that nobody else calls."""

    def act() -> str:
        with current_service().database.transaction() as session:
            lead = _load_lead(session, lead_id)
            claims.claim(session, lead, member=g.member, instance=current_service())
        return "held"

    return acting(lead_id, act)


@guards.signed_in(Permission.CLAIM_LEAD)
def release_claim(lead_id: uuid.UUID) -> ResponseReturnValue:
    """End our own hold."""

    def act() -> str:
        with current_service().database.transaction() as session:
            lead = queue.one(session, lead_id, member=g.member)
            claims.release(session, lead, member=g.member, instance=current_service())
        return "given_back"

    return acting(lead_id, act)


@guards.signed_in(Permission.REVEAL)
def reveal(lead_id: uuid.UUID) -> ResponseReturnValue:
    """Show one number or address: the answer to this POST is the page that shows it."""
    channel = _word(Channel, "channel")
    try:
        with current_service().database.transaction() as session:
            lead = _load_lead(session, lead_id)
            just = leads_reveal.reveal(
                session, lead, channel=channel, member=g.member, instance=current_service()
            )
            found = leads_view.lead_view(
                session, lead_id, just_revealed=just, member=g.member, instance=current_service()
            )
    except Refused as problem:
        return _page(_lead_view(lead_id), problem)
    return _page(found)


@guards.signed_in(
    Permission.LOG_OUTCOME, keeps=("attempt", "outcome", "channel", "booked_for"), restore=restore_lead_form
)
def outcome(lead_id: uuid.UUID) -> ResponseReturnValue:
    """Say how it went. A page sent twice notes once; `hold` takes the hold first, where it has ended."""
    attempt_id, version = identifier("attempt"), _version()
    how_it_went, channel = _word(Outcome, "outcome"), _word(Channel, "channel")

    def act() -> str:
        with current_service().database.transaction() as session:
            theirs = how_it_went in outcomes.ALWAYS_ALLOWED  # what the person did is noted whoever holds it
            lead = queue.one(session, lead_id, member=g.member) if theirs else _load_lead(session, lead_id)
            if "hold" in request.form:
                claims.claim(session, lead, member=g.member, instance=current_service())
            outcomes.log(
                session,
                lead,
                attempt_id=attempt_id,
                outcome=how_it_went,
                channel=channel,
                member=g.member,
                version=version,
                instance=current_service(),
                booked_for=lead_actions.booked_for(request.form.get("booked_for", "")),
            )
            return _what_came_of_it(how_it_went, lead.status)

    return acting(lead_id, act)


def _what_came_of_it(how_it_went: Outcome, status: LeadStatus) -> str:
    if how_it_went is Outcome.ASKED_TO_STOP:
        return "stopped"
    if how_it_went is Outcome.THEY_CALLED_US:
        return "noted_theirs"
    return {LeadStatus.CLOSED: "closed", LeadStatus.BOOKED: "booked"}.get(status, "noted")


@guards.signed_in(Permission.CLOSE_LEAD, keeps=("reason",), restore=restore_lead_form)
def close(lead_id: uuid.UUID) -> ResponseReturnValue:
    """Close a lead by hand, for a reason of the list."""
    reason, version = _word(CloseReason, "reason"), _version()

    def act() -> str:
        with current_service().database.transaction() as session:
            lead = _load_lead(session, lead_id)
            outcomes.close(
                session, lead, reason=reason, member=g.member, version=version, instance=current_service()
            )
        return "closed"

    return acting(lead_id, act)


@guards.signed_in(Permission.REVEAL)
def lift(lead_id: uuid.UUID) -> ResponseReturnValue:
    """Confirm that somebody on the do-not-contact list has asked again. Done already is as good as done."""

    def act() -> str:
        with current_service().database.transaction() as session:
            lead = queue.one(session, lead_id, member=g.member)
            suppression.lift(session, lead, member=g.member, instance=current_service())
        return "lifted"

    return acting(lead_id, act)


# --- reading what a form of ours sent ----------------------------------------------------------------


def _word(vocabulary: type[_Vocabulary], field: str) -> _Vocabulary:
    """A word of a closed list. Raises Unreadable: our own page sends no other."""
    word = request.form.get(field, "")
    if word not in set(vocabulary):
        raise Unreadable
    return vocabulary(word)


def identifier(field: str) -> uuid.UUID:
    """An id that our page made. Raises Unreadable."""
    try:
        return uuid.UUID(request.form.get(field, ""))
    except ValueError:
        raise Unreadable from None


def _seen_version() -> uuid.UUID | None:
    """The newest act that the page told; None from a form that does not say."""
    return identifier("seen") if "seen" in request.form else None


def _version() -> int:
    return version_in(request.form.get("version", ""))


def version_in(number: str) -> int:
    """The version of a lead, as our page wrote it. Raises Unreadable."""
    if not (number.isascii() and number.isdigit() and len(number) < len(str(_MOST))):
        raise Unreadable
    return int(number)


# --- The scheduling note on the page of a lead: written, changed, removed; never lost in a clash.


def restore_note(kept: SavedForm) -> Response:
    """The page with what was typed before the session ended. Nothing is written yet."""
    return page_with(uuid.UUID(kept.arguments["lead_id"]), {"note": kept.word("note")})


@guards.signed_in(Permission.LOG_OUTCOME, keeps=("note", "mark"), restore=restore_note)
def save_note(lead_id: uuid.UUID) -> ResponseReturnValue:
    """Write the note. What is refused shows on the page with the typed words still in the box."""
    typed, seen = request.form.get("note", ""), request.form.get("mark", "")

    def act() -> str:
        with current_service().database.transaction() as session:
            lead = queue.one(session, lead_id, member=g.member)
            notes.save_note(session, lead, typed, seen=seen, member=g.member, instance=current_service())
        return "note_kept"

    return acting(lead_id, act)


# --- Taking back a slip: the button that undoes the last act on a lead, for five minutes.


@guards.signed_in(Permission.LOG_OUTCOME)
def undo_act(lead_id: uuid.UUID) -> ResponseReturnValue:
    """Undo the act that the page named. Twice is as good as once."""
    act_id = identifier("act")

    def act() -> str:
        with current_service().database.transaction() as session:
            lead = queue.one(session, lead_id, member=g.member)
            undo.undo(session, lead, act_id=act_id, member=g.member, instance=current_service())
        return "undone"

    return acting(lead_id, act)
