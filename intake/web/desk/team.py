"""The team page of a supervisor: who is at the desk, assigning free leads, revoking claims."""

import uuid
from collections.abc import Callable, Mapping, Sequence

from flask import make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from intake.accounts.permissions import Permission, StaffAct
from intake.casework import assignment
from intake.casework.assignment import AssignmentResult, Selection
from intake.core.errors import Unprocessable
from intake.web.auth import guards
from intake.web.context import staff_act, staff_read
from intake.web.desk.layout import flash_message
from intake.web.desk.lead import parse_id, parse_version

shares_leads = guards.permission_required(Permission.SHARE_LEADS)
_SEPARATOR = "~"


@shares_leads
def team_page() -> ResponseReturnValue:
    """Colleagues, free leads and claimed leads, masked like the queue."""
    return _page()


def _page(problems: Mapping[str, Sequence[str]] | None = None, status: int = 200) -> ResponseReturnValue:
    with staff_read() as act:
        team = assignment.team(act)
    with staff_act() as act:
        assignment.record(act, team)
    selection = {"picked": set(request.form.getlist("pick")), "chosen": set(request.form.getlist("to"))}
    page = render_template(
        "desk/team.html", team=team, problems=problems or {}, message=flash_message(), **selection
    )
    return make_response(page, status)


@shares_leads
def share_out() -> ResponseReturnValue:
    """Assign the picked leads to the chosen staff members, evenly."""
    picks = [Selection(lead_id, version=parse_version(value)) for lead_id, value in _picked_rows()]
    people = {parse_id(each) for each in request.form.getlist("to")}
    return _answer(lambda act: assignment.distribute(act, picks, to=people), "shared")


@shares_leads
def revoke_claim() -> ResponseReturnValue:
    """Revoke the picked claims; their owners are told at their next act."""
    picks = [Selection(lead_id, holder=parse_id(value)) for lead_id, value in _picked_rows()]
    return _answer(lambda act: assignment.revoke(act, picks), "revoked")


def _answer(assign: Callable[[StaffAct], AssignmentResult], message: str) -> ResponseReturnValue:
    try:
        with staff_act() as act:
            shared = assign(act)
    except Unprocessable as refused:
        return _page({f"{message}_{name}": each for name, each in refused.problems.items()}, refused.status)
    suffix = "" if not shared.skipped else "_some" if shared.done else "_none"
    return guards.redirect_to(url_for("desk.team_page", message=f"{message}{suffix}"))


def _picked_rows() -> list[tuple[uuid.UUID, str]]:
    """Each picked lead with the version or claim owner of its row. Raises Unreadable."""
    parts = [each.partition(_SEPARATOR) for each in request.form.getlist("pick")]
    return [(parse_id(lead), value) for lead, _, value in parts]
