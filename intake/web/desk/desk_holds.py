"""The privacy officer's page on keeping: what is held for a legal reason, and what retention erases next."""

import uuid
from datetime import date

from flask import g, render_template, request, url_for
from flask.typing import ResponseReturnValue

from intake.accounts.permissions import Permission
from intake.casework import queue
from intake.core.errors import Unreadable
from intake.leads.legal_hold import HoldReason
from intake.privacy import legal_holds, preview
from intake.web.auth import guards
from intake.web.auth.reauth import fresh
from intake.web.context import here
from intake.web.desk.flash import said
from intake.web.desk.lead import acting


@guards.signed_in(Permission.HOLD_LEAD)
def holds_page() -> ResponseReturnValue:
    """Every legal hold, and what ends by itself within a day, by why."""
    now, kept = here().clock(), here().clinic.retention
    with here().database.transaction() as session:
        listed = legal_holds.listed(session, member=g.member, instance=here())
        ahead = preview.preview(session, until=now + preview.AHEAD)
    return render_template(
        "desk/holds.html",
        holds=listed,
        ahead=ahead,
        days={"open_days": kept.open_days, "closed_days": kept.closed_days},
        at_most=preview.AT_MOST.days,
        now=now,
        said=said(),
    )


@guards.signed_in(Permission.HOLD_LEAD)
@fresh
def postpone() -> ResponseReturnValue:
    """Put off by a day what ends by its time alone."""
    with here().database.transaction() as session:
        count = preview.postpone(session, member=g.member, instance=here())
    return guards.redirect_to(url_for("desk.holds_page", said="put_off" if count else "nothing_put_off"))


@guards.signed_in(Permission.HOLD_LEAD)
@fresh
def hold(lead_id: uuid.UUID) -> ResponseReturnValue:
    """Hold a request back, or renew its hold."""
    reason, day = _reason(), _day()

    def act() -> str:
        with here().database.transaction() as session:
            lead = queue.one(session, lead_id, member=g.member)
            legal_holds.put(session, lead, reason=reason, last_day=day, member=g.member, instance=here())
        return "legal_hold"

    return acting(lead_id, act)


@guards.signed_in(Permission.HOLD_LEAD)
@fresh
def release(lead_id: uuid.UUID) -> ResponseReturnValue:
    """End a hold before its last day. A request that waited to be erased is gone then."""
    with here().database.transaction() as session:
        lead = queue.one(session, lead_id, member=g.member)
        gone = legal_holds.release(session, lead, member=g.member, instance=here())
    if gone:
        return guards.redirect_to(url_for("desk.holds_page", said="released_and_erased"))
    return guards.redirect_to(url_for("desk.lead_page", lead_id=lead_id, said="released"))


def _reason() -> HoldReason:
    """A word of the closed list. Raises Unreadable: our own page sends no other."""
    word = request.form.get("reason", "")
    if word not in set(HoldReason):
        raise Unreadable
    return HoldReason(word)


def _day() -> date | None:
    try:
        return date.fromisoformat(request.form.get("last_day", ""))
    except ValueError:
        return None
