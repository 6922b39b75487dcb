"""The team, for a supervisor: who is at the desk, handing out what is free, taking back what is held."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import g, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from intake.accounts.permissions import Permission
from intake.casework import assignment
from intake.casework.assignment import AssignmentResult, Selection
from intake.core.errors import Unprocessable, Unreadable
from intake.web.auth import guards
from intake.web.context import current_service
from intake.web.desk.flash import flash_message
from intake.web.desk.lead import version_in

SHARING = guards.signed_in(Permission.SHARE_LEADS)
_BETWEEN = "~"


@SHARING
def team_page() -> ResponseReturnValue:
    """Who could call, what is free and what is held, masked like the queue."""
    return _page()


def _page(problems: Mapping[str, Sequence[str]] | None = None, status: int = 200) -> ResponseReturnValue:
    with current_service().database.reading() as session:
        team = assignment.team(session, member=g.member, instance=current_service())
    with current_service().database.transaction() as session:
        assignment.record(session, team, member=g.member, instance=current_service())
    words = {"picked": set(request.form.getlist("pick")), "chosen": set(request.form.getlist("to"))}
    page = render_template(
        "desk/team.html", team=team, problems=problems or {}, said=flash_message(), **words
    )
    return make_response(page, status)


@SHARING
def share_out() -> ResponseReturnValue:
    """Hand the picked requests to whoever was chosen; to several of them evenly."""
    picks = [Selection(lead_id, version=version_in(mark)) for lead_id, mark in _picked()]
    people = {_identifier(each) for each in request.form.getlist("to")}

    def act(session: Any) -> AssignmentResult:
        return assignment.distribute(session, picks, to=people, member=g.member, instance=current_service())

    return _answer(act, "shared")


@SHARING
def revoke_claim() -> ResponseReturnValue:
    """End the holds that were picked; whoever held them is told at their next act."""
    picks = [Selection(lead_id, holder=_identifier(mark)) for lead_id, mark in _picked()]

    def act(session: Any) -> AssignmentResult:
        return assignment.revoke(session, picks, member=g.member, instance=current_service())

    return _answer(act, "taken_back")


def _answer(act: Callable[[Any], AssignmentResult], word: str) -> ResponseReturnValue:
    try:
        with current_service().database.transaction() as session:
            shared = act(session)
    except Unprocessable as refused:
        return _page({f"{word}_{name}": each for name, each in refused.problems.items()}, refused.status)
    left = "" if not shared.skipped else "_some" if shared.done else "_none"
    return guards.redirect_to(url_for("desk.team_page", said=f"{word}{left}"))


# --- reading what a form of ours sent ----------------------------------------------------------------


def _picked() -> list[tuple[uuid.UUID, str]]:
    """Each picked request with what its row said of it. Raises Unreadable."""
    parts = [each.partition(_BETWEEN) for each in request.form.getlist("pick")]
    return [(_identifier(lead), mark) for lead, _, mark in parts]


def _identifier(word: str) -> uuid.UUID:
    try:
        return uuid.UUID(word)
    except ValueError:
        raise Unreadable from None
