"""The queue, finding somebody, and "somebody asked us to stop"."""

from flask import g, render_template, request, url_for
from flask.typing import ResponseReturnValue

from intake.audit.log import Spot
from intake.clinic import Channel
from intake.errors import Unprocessable
from intake.language import LANGUAGES
from intake.leads import find, queue, suppression
from intake.leads.queue import Filters, HeldBy, Show
from intake.staff.permissions import Permission
from intake.web import guards
from intake.web.here import here
from intake.web.said import said


@guards.signed_in(Permission.LIST_LEADS)
def queue_page() -> ResponseReturnValue:
    """Who waits. Filters and the place of the page stand in the address; nothing there is about anybody."""
    with here().database.reading() as session:
        page = queue.page(
            session,
            filters=Filters.read(request.args),
            after=Spot.read(request.args.get("after", "")),
            member=g.member,
            instance=here(),
        )
    with here().database.transaction() as session:
        queue.record(session, page, member=g.member, instance=here())
    return render_template(
        "desk/queue.html",
        page=page,
        said=said(),
        shows=Show,
        languages=LANGUAGES,
        channels=Channel,
        holders=HeldBy,
        term="",
        problem="",
    )


@guards.signed_in(Permission.FIND_LEAD)
def find_lead() -> ResponseReturnValue:
    """Everybody behind a whole reference, number or address; a reference leads straight to its lead."""
    term = request.form.get("term", "")
    try:
        with here().database.transaction() as session:
            found = find.find(session, term=term, member=g.member, instance=here())
    except Unprocessable as refused:
        return _find_page(None, term, refused.sentence), refused.status
    if found.kind is find.TermKind.REFERENCE and found.rows:
        return guards.redirect_to(url_for("desk.lead_page", lead_id=found.rows[0].lead.id))
    return _find_page(found, term)


def _find_page(found: find.Found | None, term: str, problem: str = "") -> str:
    return render_template("desk/find.html", found=found, term=term, problem=problem, now=here().clock())


@guards.signed_in(Permission.STOP_ANYONE)
def stop_page() -> ResponseReturnValue:
    """The form for somebody who called and wants to hear from us no more."""
    return render_template("desk/stop.html", said=said(), term="", problem="")


@guards.signed_in(Permission.STOP_ANYONE)
def stop_anyone() -> ResponseReturnValue:
    """Stop all contact for a number or an address; the answer is the same whether we knew it or not."""
    typed = request.form.get("term", "")
    try:
        term = find.read_contact(typed)
    except Unprocessable as refused:
        words = {"said": "", "term": typed, "problem": refused.sentence}
        return render_template("desk/stop.html", **words), refused.status
    with here().database.transaction() as session:
        suppression.stop_contact(
            session, kind=term.kind.value, value=term.value, actor=g.member.actor, instance=here()
        )
    return guards.redirect_to(url_for("desk.stop_page", said="stopped_anyone"))
