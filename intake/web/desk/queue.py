"""The queue, its own poll, the hand-over, finding somebody, and "somebody asked us to stop"."""

from collections.abc import Sequence
from datetime import datetime

from babel.dates import get_day_names
from flask import Response, g, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from intake.accounts.permissions import Permission
from intake.audit.service import PageStart
from intake.calling import promise
from intake.calling.promise import open_until, opens_next
from intake.casework import queue, search
from intake.casework.queue import Page, QueueFilters
from intake.conf.clinic import Holiday
from intake.core.errors import Unprocessable
from intake.core.i18n import N_, current_language
from intake.leads import claims, reminders, suppression
from intake.security import crypto
from intake.web.auth import guards
from intake.web.auth.saved_forms import SavedForm
from intake.web.context import current_service
from intake.web.desk import formatting
from intake.web.desk.flash import flash_message

POLL_SECONDS = 15
"""How often an open queue asks whether something has changed."""
_BETWEEN, _SHORT = "-", 16
PRESS_AGAIN = N_("You are signed in again, and nothing was done yet. Press the button once more.")


@guards.signed_in(Permission.LIST_LEADS)
def queue_page() -> ResponseReturnValue:
    """Who waits. Filters and the place of the page stand in the address; nothing there is about anybody."""
    page = _look()
    _record(page)
    return _shown(page, flash_message())


@guards.signed_in(Permission.LIST_LEADS, background=True)
def queue_rows() -> ResponseReturnValue:
    """The same page for its own poll: 304 while nothing on it has changed.

    The entity tag says who is on the page and how it looks. A look is recorded when somebody is on it
    whom this browser was not shown before, not each time a minute has passed.
    """
    page = _look()
    who, html = _who(page), _shown(page, "")
    answer = make_response(html)
    answer.set_etag(f"{who}{_BETWEEN}{crypto.digest(html)[:_SHORT]}")
    seen = request.if_none_match.as_set(include_weak=True)
    if who not in {tag.partition(_BETWEEN)[0] for tag in seen}:
        _record(page)
    return answer.make_conditional(request)


def _look() -> Page:
    with current_service().database.reading() as session:
        return queue.page(
            session,
            filters=QueueFilters.read(request.args),
            after=PageStart.read(request.args.get("after", "")),
            member=g.member,
            instance=current_service(),
        )


def _record(page: Page) -> None:
    with current_service().database.transaction() as session:
        queue.record_queue_read(session, page, member=g.member, instance=current_service())


def _who(page: Page) -> str:
    shown = sorted({str(row.lead.id) for row in (*page.rows, *page.mine)})
    return crypto.digest(" ".join(shown))[:_SHORT]


def _shown(page: Page, sentence: str) -> str:
    return render_template(
        "desk/queue.html", page=page, who=_who(page), said=sentence, every=POLL_SECONDS, term="", problem=""
    )


@guards.signed_in(Permission.LIST_LEADS)
def handover_page() -> ResponseReturnValue:
    """What the next shift has to know."""
    with current_service().database.reading() as session:
        page = queue.handover(session, member=g.member, instance=current_service())
    with current_service().database.transaction() as session:
        queue.record_handover(session, page, member=g.member, instance=current_service())
    words = {
        "page": page,
        "kinds": queue.HandoverKind,
        "hours": queue.HANDOVER_AHEAD,
        "most": queue.HANDOVER_LIMIT,
    }
    return render_template("desk/handover.html", said=flash_message(), **words)


@guards.signed_in(Permission.CLAIM_LEAD)
def release_all_claims() -> ResponseReturnValue:
    """End all our holds at once; with none left it says the same."""
    with current_service().database.transaction() as session:
        claims.release_all(session, member=g.member, instance=current_service())
    return guards.redirect_to(url_for("desk.handover_page", said="given_back_all"))


def restore_stop(kept: SavedForm) -> Response:
    """The same form with what was typed before the session ended. Nobody is stopped yet."""
    return make_response(_stop_page(term=kept.word("term"), problem=PRESS_AGAIN))


def restore_find(kept: SavedForm) -> Response:
    """The page that finds somebody, with what was typed before the session ended."""
    return make_response(_find_page(None, kept.word("term"), PRESS_AGAIN))


@guards.signed_in(Permission.FIND_LEAD, keeps=("term",), restore=restore_find)
def find_lead() -> ResponseReturnValue:
    """Everybody behind a whole reference, number or address; a reference leads straight to its lead."""
    term = request.form.get("term", "")
    try:
        with current_service().database.transaction() as session:
            found = search.find(session, term=term, member=g.member, instance=current_service())
    except Unprocessable as refused:
        return _find_page(None, term, refused.sentence), refused.status
    if found.kind is search.TermKind.REFERENCE and found.rows:
        return guards.redirect_to(url_for("desk.lead_page", lead_id=found.rows[0].lead.id))
    return _find_page(found, term)


def _find_page(found: search.SearchResult | None, term: str, problem: str = "") -> str:
    return render_template(
        "desk/find.html", found=found, term=term, problem=problem, now=current_service().clock()
    )


@guards.signed_in(Permission.STOP_ANYONE)
def stop_page() -> ResponseReturnValue:
    """The form for somebody who called and wants to hear from us no more."""
    return _stop_page(said=flash_message())


def _stop_page(*, said: str = "", term: str = "", problem: str = "") -> str:
    return render_template("desk/stop.html", said=said, term=term, problem=problem)


@guards.signed_in(Permission.STOP_ANYONE, keeps=("term",), restore=restore_stop)
def stop_anyone() -> ResponseReturnValue:
    """Stop all contact for a number or an address; the answer is the same whether we knew it or not."""
    typed = request.form.get("term", "")
    try:
        term = search.read_contact(typed)
    except Unprocessable as refused:
        return _stop_page(term=typed, problem=refused.sentence), refused.status
    with current_service().database.transaction() as session:
        suppression.stop_contact(
            session, kind=term.kind.value, value=term.value, actor=g.member.actor, instance=current_service()
        )
    return guards.redirect_to(url_for("desk.stop_page", said="stopped_anyone"))


# --- When we are open: the hours in force, the holidays ahead, and whether anybody was at the desk.


@guards.signed_in(Permission.SEE_HEALTH)
def hours_page() -> ResponseReturnValue:
    """The hours as `clinic.toml` has them; they are changed there. Nothing on it is about anybody."""
    now, clinic = current_service().clock(), current_service().clinic
    with current_service().database.reading() as session:
        opened = reminders.attendance(session, instance=current_service())
    return render_template(
        "desk/hours.html",
        week=_week(),
        today=formatting.day_of(now).weekday(),
        closes=open_until(clinic, now),
        opens=opens_next(clinic, now),
        holidays=_ahead(now),
        opened=opened,
        now=now,
    )


def _week() -> list[tuple[str, str]]:
    """Each day with its hours in words; none when the clinic is closed on it."""
    spoken = current_language.get()
    names = get_day_names(locale=spoken)
    days = enumerate(current_service().clinic.hours.days)
    return [(str(names[weekday]), promise.spans_phrase(hours, spoken)) for weekday, hours in days]


def _ahead(now: datetime) -> Sequence[Holiday]:
    today = formatting.day_of(now)
    return sorted(
        (each for each in current_service().clinic.holidays if each.on >= today), key=lambda each: each.on
    )
