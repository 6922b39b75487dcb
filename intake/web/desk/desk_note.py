"""The scheduling note on the page of a lead: written, changed, removed; never lost in a clash."""

import uuid

from flask import Response, g, request
from flask.typing import ResponseReturnValue

from intake.accounts.permissions import Permission
from intake.casework import queue
from intake.leads import notes
from intake.web.auth import guards
from intake.web.auth.saved_forms import Kept
from intake.web.context import here
from intake.web.desk import lead as desk_lead


@guards.signed_in(Permission.LOG_OUTCOME, keeps=("note", "mark"))
def save_note(lead_id: uuid.UUID) -> ResponseReturnValue:
    """Write the note. What is refused shows on the page with the typed words still in the box."""
    typed, seen = request.form.get("note", ""), request.form.get("mark", "")

    def act() -> str:
        with here().database.transaction() as session:
            lead = queue.one(session, lead_id, member=g.member)
            notes.write(session, lead, typed, seen=seen, member=g.member, instance=here())
        return "note_kept"

    return desk_lead.acting(lead_id, act)


def put_back(kept: Kept) -> Response:
    """The page with what was typed before the session ended. Nothing is written yet."""
    return desk_lead.page_with(uuid.UUID(kept.arguments["lead_id"]), {"note": kept.word("note")})
