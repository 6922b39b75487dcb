"""Views of the queue: its page and poll, the hand-over, search, stopping contact, opening hours."""

from babel.dates import get_day_names
from flask import Response, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from intake.accounts.permissions import Permission
from intake.audit.service import PageStart
from intake.calling import promise
from intake.calling.promise import open_until, opens_next
from intake.casework import queue, search
from intake.casework.queue import Page, QueueFilters
from intake.core.errors import Unprocessable
from intake.core.i18n import N_, current_language
from intake.leads import claims, reminders, suppression
from intake.security import crypto
from intake.web.auth import guards
from intake.web.auth.saved_forms import SavedForm
from intake.web.context import current_service, service_read, staff_act, staff_read
from intake.web.desk import formatting
from intake.web.desk.layout import flash_message

POLL_SECONDS = 15
"""How often an open queue page polls for changes."""
_SEPARATOR, _HASH_LENGTH = "-", 16
PRESS_AGAIN = N_("You are signed in again, and nothing was done yet. Press the button once more.")


@guards.permission_required(Permission.LIST_LEADS)
def queue_page() -> ResponseReturnValue:
    """The queue. Filters and paging are in the URL; it has no personal data."""
    page = _load_page()
    _record(page)
    return _render_queue(page, flash_message())


@guards.permission_required(Permission.LIST_LEADS, background=True)
def queue_rows() -> ResponseReturnValue:
    """The same page for its own poll: 304 while nothing on it has changed.

    The entity tag has a hash of the leads and one of the HTML. A read is recorded in the audit log when
    the page has a lead that this browser was not shown before, not with every poll.
    """
    page = _load_page()
    lead_set, html = _lead_set_hash(page), _render_queue(page, "")
    answer = make_response(html)
    answer.set_etag(f"{lead_set}{_SEPARATOR}{crypto.digest(html)[:_HASH_LENGTH]}")
    seen = request.if_none_match.as_set(include_weak=True)
    if lead_set not in {tag.partition(_SEPARATOR)[0] for tag in seen}:
        _record(page)
    return answer.make_conditional(request)


def _load_page() -> Page:
    with staff_read() as act:
        return queue.page(
            act,
            filters=QueueFilters.read(request.args),
            after=PageStart.read(request.args.get("after", "")),
        )


def _record(page: Page) -> None:
    with staff_act() as act:
        queue.record_queue_read(act, page)


def _lead_set_hash(page: Page) -> str:
    shown = sorted({str(row.lead.id) for row in (*page.rows, *page.mine)})
    return crypto.digest(" ".join(shown))[:_HASH_LENGTH]


def _render_queue(page: Page, message: str) -> str:
    return render_template(
        "desk/queue.html",
        page=page,
        lead_set=_lead_set_hash(page),
        message=message,
        every=POLL_SECONDS,
        term="",
        problem="",
    )


@guards.permission_required(Permission.LIST_LEADS)
def handover_page() -> ResponseReturnValue:
    """The hand-over: claimed, opened, late, due and booked requests."""
    with staff_read() as act:
        page = queue.handover(act)
    with staff_act() as act:
        queue.record_handover(act, page)
    context = {
        "page": page,
        "kinds": queue.HandoverKind,
        "hours": queue.HANDOVER_AHEAD,
        "most": queue.HANDOVER_LIMIT,
    }
    return render_template("desk/handover.html", message=flash_message(), **context)


@guards.permission_required(Permission.CLAIM_LEAD)
def release_all_claims() -> ResponseReturnValue:
    """Release every claim of the signed-in staff member. Idempotent."""
    with staff_act() as act:
        claims.release_all(act)
    return guards.redirect_to(url_for("desk.handover_page", message="released_all"))


def restore_stop(saved_form: SavedForm) -> Response:
    """Restore the form to stop contact after a new sign-in. Stops nothing."""
    return make_response(_stop_page(term=saved_form.value("term"), problem=PRESS_AGAIN))


def restore_find(saved_form: SavedForm) -> Response:
    """Restore the search form after a new sign-in. Searches nothing."""
    return make_response(_find_page(None, saved_form.value("term"), PRESS_AGAIN))


@guards.permission_required(Permission.FIND_LEAD, preserve_fields=("term",), restore=restore_find)
def find_lead() -> ResponseReturnValue:
    """Find leads by whole reference, number or address; a reference redirects to its lead."""
    term = request.form.get("term", "")
    try:
        with staff_act() as act:
            found = search.find(act, term=term)
    except Unprocessable as refused:
        return _find_page(None, term, refused.sentence), refused.status
    if found.kind is search.TermKind.REFERENCE and found.rows:
        return guards.redirect_to(url_for("desk.lead_page", lead_id=found.rows[0].lead.id))
    return _find_page(found, term)


def _find_page(found: search.SearchResult | None, term: str, problem: str = "") -> str:
    return render_template(
        "desk/find.html", found=found, term=term, problem=problem, now=current_service().clock()
    )


@guards.permission_required(Permission.STOP_ANYONE)
def stop_page() -> ResponseReturnValue:
    """The form to stop contact for a person who called and asked for it."""
    return _stop_page(message=flash_message())


def _stop_page(*, message: str = "", term: str = "", problem: str = "") -> str:
    return render_template("desk/stop.html", message=message, term=term, problem=problem)


@guards.permission_required(Permission.STOP_ANYONE, preserve_fields=("term",), restore=restore_stop)
def stop_anyone() -> ResponseReturnValue:
    """Stop all contact for a number or an address; the response is the same whether it was known or not."""
    typed = request.form.get("term", "")
    try:
        term = search.read_contact(typed)
    except Unprocessable as refused:
        return _stop_page(term=typed, problem=refused.sentence), refused.status
    with staff_act() as act:
        suppression.stop_contact(act, kind=term.kind.value, value=term.value)
    return guards.redirect_to(url_for("desk.stop_page", message="contact_stopped"))


@guards.permission_required(Permission.SEE_HEALTH)
def hours_page() -> ResponseReturnValue:
    """Opening hours of `clinic.toml`, coming holidays, and when the desk was last attended."""
    now, clinic, language = current_service().clock(), current_service().clinic, current_language.get()
    names = get_day_names(locale=language)
    with service_read() as act:
        opened = reminders.attendance(act)
    return render_template(
        "desk/hours.html",
        week=[
            (str(names[weekday]), promise.spans_phrase(spans, language))
            for weekday, spans in enumerate(clinic.hours.days)
        ],
        today=formatting.day_of(now).weekday(),
        closes=open_until(clinic, now),
        opens=opens_next(clinic, now),
        holidays=[
            (each, promise.spans_phrase(each.hours, language))
            for each in clinic.holidays_ahead(formatting.day_of(now))
        ],
        opened=opened,
        now=now,
    )
