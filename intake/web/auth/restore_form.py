"""After signing in again: the page that somebody was on, with what they had typed, and nothing done."""

from collections.abc import Callable

from flask import Response, g, url_for

from intake.accounts.permissions import may
from intake.core.errors import IntakeError, Refused
from intake.web import errors
from intake.web.auth import guards, saved_forms
from intake.web.auth.saved_forms import SavedForm
from intake.web.desk import lead, phone, queue

OK = 200
PAGES: dict[str, Callable[[SavedForm], Response]] = {
    "desk.outcome": lead.restore_lead_form,
    "desk.close": lead.restore_lead_form,
    "desk.save_note": lead.restore_note,
    "desk.stop_anyone": queue.restore_stop,
    "desk.take_request": phone.restore_sheet,
    "desk.find_lead": queue.restore_find,
}
"""Which page shows the words of which form again: every form whose guard keeps words is here."""


def restored_page(sealed: str) -> Response:
    """The page for what the sign-in carried, asking for one more press. Performs nothing.

    Somebody else's words, old ones and damaged ones lead to the desk with a sentence; a lead that is
    gone meanwhile answers as any lead that is not there.
    """
    kept = saved_forms.unseal_form(sealed, g.member.id)
    if not kept or kept.endpoint not in PAGES or not _may(kept.endpoint):
        return guards.redirect_to(url_for("desk.queue_page", said="not_put_back"))
    try:
        return PAGES[kept.endpoint](kept)
    except IntakeError as problem:
        return errors.expected(problem)


def restored_old_page(found: saved_forms.OldPage) -> Response:
    """The same for a page that was open since before they signed in again elsewhere in this browser."""
    answer = restored_page(found.kept)
    answer.status_code = Refused.status if answer.status_code == OK else answer.status_code
    return answer


def _may(endpoint: str) -> bool:
    guard = guards.guard_of(endpoint)
    return bool(guard and guard.permission and may(g.member, guard.permission))
