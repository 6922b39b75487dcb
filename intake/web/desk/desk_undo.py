"""Taking back a slip: the button that undoes the last act on a lead, for five minutes."""

import uuid

from flask import g
from flask.typing import ResponseReturnValue

from intake.accounts.permissions import Permission
from intake.casework import queue, undo
from intake.web.auth import guards
from intake.web.context import here
from intake.web.desk import lead as desk_lead


@guards.signed_in(Permission.LOG_OUTCOME)
def undo_act(lead_id: uuid.UUID) -> ResponseReturnValue:
    """Undo the act that the page named. Twice is as good as once."""
    act_id = desk_lead.identifier("act")

    def act() -> str:
        with here().database.transaction() as session:
            lead = queue.one(session, lead_id, member=g.member)
            undo.undo(session, lead, act_id=act_id, member=g.member, instance=here())
        return "undone"

    return desk_lead.acting(lead_id, act)
