"""One lead: its page, and every act on it. An act answers with the way back to the page."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar
from zoneinfo import ZoneInfo

from flask import Response, g, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from intake.clinic import Channel
from intake.errors import IntakeError, Refused, Unprocessable, Unreadable
from intake.leads import attempts, claims, contact, queue
from intake.leads import view as leads_view
from intake.leads.models import CloseReason, LeadStatus, Outcome
from intake.leads.queue import Filters, Page
from intake.leads.view import View
from intake.staff.permissions import Permission
from intake.web import acts, guards
from intake.web.desk_choices import Choices
from intake.web.here import here
from intake.web.said import said

_Vocabulary = TypeVar("_Vocabulary", bound=StrEnum)
_MOST = 2**31
BESIDE = 25
"""How many leads stand beside the open one, where there is room."""


@guards.signed_in(Permission.VIEW_LEAD)
def lead_page(lead_id: uuid.UUID) -> ResponseReturnValue:
    """One lead, masked; what our hold has revealed shows once more, and that is recorded."""
    return _page(_look(lead_id))


def _look(lead_id: uuid.UUID) -> View:
    with here().database.transaction() as session:
        return leads_view.view(session, lead_id, member=g.member, instance=here())


def _page(found: View, problem: IntakeError | None = None) -> Response:
    words = {
        "view": found,
        "beside": _beside(),
        "acts": acts,
        "choices": Choices.of(found),
        "problem": problem,
        "typed": request.form,
        "said": said(),
        "attempt_id": uuid.uuid4(),
        "reasons": attempts.BY_HAND,
    }
    return make_response(render_template("desk/lead.html", **words), problem.status if problem else 200)


def _beside() -> Page | None:
    """The head of the queue, for who may list it; read after the act, so that it shows what came of it."""
    if Permission.LIST_LEADS not in g.member.permissions:
        return None
    with here().database.reading() as session:
        page = queue.page(session, filters=Filters(), limit=BESIDE, member=g.member, instance=here())
    with here().database.transaction() as session:
        queue.record(session, page, member=g.member, instance=here())
    return page


def _acting(lead_id: uuid.UUID, act: Callable[[], str]) -> ResponseReturnValue:
    """Do it and lead back to the page with a word; what was refused shows on the page as it is now."""
    try:
        word = act()
    except (Refused, Unprocessable) as problem:
        return _page(_look(lead_id), problem)
    return guards.redirect_to(url_for("desk.lead_page", lead_id=lead_id, said=word))


@guards.signed_in(Permission.CLAIM_LEAD)
def claim(lead_id: uuid.UUID) -> ResponseReturnValue:
    """Hold a lead, so that nobody else calls."""

    def act() -> str:
        with here().database.transaction() as session:
            lead = queue.one(session, lead_id, member=g.member)
            claims.claim(session, lead, member=g.member, instance=here())
        return "held"

    return _acting(lead_id, act)


@guards.signed_in(Permission.CLAIM_LEAD)
def give_back(lead_id: uuid.UUID) -> ResponseReturnValue:
    """End our own hold."""

    def act() -> str:
        with here().database.transaction() as session:
            lead = queue.one(session, lead_id, member=g.member)
            claims.give_back(session, lead, member=g.member, instance=here())
        return "given_back"

    return _acting(lead_id, act)


@guards.signed_in(Permission.REVEAL)
def reveal(lead_id: uuid.UUID) -> ResponseReturnValue:
    """Show one number or address: the answer to this POST is the page that shows it."""
    channel = _word(Channel, "channel")
    try:
        with here().database.transaction() as session:
            lead = queue.one(session, lead_id, member=g.member)
            just = contact.reveal(session, lead, channel=channel, member=g.member, instance=here())
            found = leads_view.view(session, lead_id, just=just, member=g.member, instance=here())
    except Refused as problem:
        return _page(_look(lead_id), problem)
    return _page(found)


@guards.signed_in(Permission.LOG_OUTCOME)
def outcome(lead_id: uuid.UUID) -> ResponseReturnValue:
    """Say how it went. A page sent twice notes once."""
    attempt_id, version = _attempt_id(), _version()
    how_it_went, channel = _word(Outcome, "outcome"), _word(Channel, "channel")

    def act() -> str:
        with here().database.transaction() as session:
            lead = queue.one(session, lead_id, member=g.member)
            attempts.log(
                session,
                lead,
                attempt_id=attempt_id,
                outcome=how_it_went,
                channel=channel,
                member=g.member,
                version=version,
                instance=here(),
                booked_for=_booked_for(),
            )
            return _what_came_of_it(how_it_went, lead.status)

    return _acting(lead_id, act)


def _what_came_of_it(how_it_went: Outcome, status: LeadStatus) -> str:
    if how_it_went is Outcome.ASKED_TO_STOP:
        return "stopped"
    if how_it_went is Outcome.THEY_CALLED_US:
        return "noted_theirs"
    return {LeadStatus.CLOSED: "closed", LeadStatus.BOOKED: "booked"}.get(status, "noted")


@guards.signed_in(Permission.CLOSE_LEAD)
def close(lead_id: uuid.UUID) -> ResponseReturnValue:
    """Close a lead by hand, for a reason of the list."""
    reason, version = _word(CloseReason, "reason"), _version()

    def act() -> str:
        with here().database.transaction() as session:
            lead = queue.one(session, lead_id, member=g.member)
            attempts.close(session, lead, reason=reason, member=g.member, version=version, instance=here())
        return "closed"

    return _acting(lead_id, act)


# --- reading what a form of ours sent ----------------------------------------------------------------


def _word(vocabulary: type[_Vocabulary], field: str) -> _Vocabulary:
    """A word of a closed list. Raises Unreadable: our own page sends no other."""
    word = request.form.get(field, "")
    if word not in set(vocabulary):
        raise Unreadable
    return vocabulary(word)


def _attempt_id() -> uuid.UUID:
    try:
        return uuid.UUID(request.form.get("attempt", ""))
    except ValueError:
        raise Unreadable from None


def _version() -> int:
    number = request.form.get("version", "")
    if not (number.isascii() and number.isdigit() and len(number) < len(str(_MOST))):
        raise Unreadable
    return int(number)


def _booked_for() -> datetime | None:
    """The time of the consultation on the clinic's clock; None when the box was left empty."""
    typed = request.form.get("booked_for", "")
    if not typed:
        return None
    try:
        return (
            datetime.strptime(typed, "%Y-%m-%dT%H:%M")
            .replace(tzinfo=ZoneInfo(here().clinic.time_zone))
            .astimezone(UTC)
        )
    except (ValueError, OverflowError):
        raise Unprocessable({"booked_for": [attempts.NO_TIME]}, attempts.NO_TIME) from None
