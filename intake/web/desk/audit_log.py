"""The audit log for those who may read it: who did what to which request, and whether it is whole."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from flask import Response, g, render_template, request, url_for
from flask.typing import ResponseReturnValue

from intake.accounts import service as staff_service
from intake.accounts.models import Role
from intake.accounts.permissions import Permission
from intake.accounts.service import Standing
from intake.audit import Action, Verification, anchors, export, log
from intake.audit.anchors import Anchor
from intake.audit.log import Page, Reach, Spot
from intake.casework import search
from intake.casework.rows import names_of, references_of
from intake.casework.search import TermKind
from intake.core.errors import Refused, Unprocessable
from intake.core.i18n import N_
from intake.instance import Instance
from intake.leads import history
from intake.monitoring import integrity
from intake.web.auth import guards
from intake.web.auth.reauth import fresh
from intake.web.context import here
from intake.web.desk import audit_labels, looking
from intake.web.desk.desk_log_filters import KINDS, Filters

WHOLE_REFERENCE = N_("Type a whole reference, all of its letters and figures.")
NOT_THERE = N_("Nothing is kept under this reference. It may have been erased already.")
NOTHING_TO_SAVE = N_("No event has its place in the chain yet. Try again in a minute.")


@dataclass(frozen=True)
class Read:
    """One page of the log with what it takes to say it in words."""

    page: Page
    reach: Reach
    names: Mapping[uuid.UUID, str]
    references: Mapping[uuid.UUID, str]
    staff: Sequence[Standing]


@guards.signed_in(Permission.READ_AUDIT)
def log_page() -> ResponseReturnValue:
    """One page of the log, newest first; reading it is recorded too."""
    return _page()


@guards.signed_in(Permission.READ_AUDIT)
def verify() -> ResponseReturnValue:
    """Check every event, the chain, its end and the consent proof; the answer is this page."""
    return _page(verified=integrity.verify_and_note(here(), actor=g.member.actor))


@guards.signed_in(Permission.READ_AUDIT)
def log_of_reference() -> ResponseReturnValue:
    """From a reference to the log of that request: a POST, so that it stands in no address."""
    try:
        term = search.read_term(request.form.get("term", ""))
        if term.kind is not TermKind.REFERENCE:
            return _page(problem=WHOLE_REFERENCE), 422
        with here().database.transaction() as session:
            found = search.find(session, term=term.value, member=g.member, instance=here())
    except Unprocessable:
        return _page(problem=WHOLE_REFERENCE), 422
    if not found.rows:
        return _page(problem=NOT_THERE)
    return guards.redirect_to(url_for("desk.log_page", about=found.rows[0].lead.id))


@guards.signed_in(Permission.READ_AUDIT)
@fresh
def save_log() -> ResponseReturnValue:
    """The log as a file that can be verified elsewhere; that it left is recorded before it does."""
    with here().database.transaction() as session:
        head = anchors.take(session, keyring=here().keyring, at=here().clock())
        if head is None:
            raise Refused(NOTHING_TO_SAVE)
        looking.record(session, Action.AUDIT_EXPORTED, count=head.seq)
    answer = Response(_encoded(here(), head), mimetype="application/x-ndjson")
    answer.headers["Content-Disposition"] = f'attachment; filename="audit-{head.at:%Y-%m-%d}.jsonl"'
    return answer


def _encoded(instance: Instance, head: Anchor) -> Iterator[bytes]:
    """Written while it is sent, so that no size of it fills the memory."""
    return (piece.encode() for piece in export.lines(instance.database, head))


def _page(*, verified: Verification | None = None, problem: str = "") -> str:
    filters = Filters.read(request.args)
    read = _read(filters)
    with here().database.transaction() as session:
        looking.record(session, Action.AUDIT_READ, about=filters.about, count=len(read.page.events))
    return render_template(
        "desk/log.html",
        read=read,
        filters=filters,
        actions=sorted(Action, key=audit_labels.name),
        kinds=KINDS,
        roles=tuple(Role),
        acts=audit_labels,
        whom=history.whom,
        verified=verified,
        problem=problem,
        now=here().clock(),
    )


def _read(filters: Filters) -> Read:
    with here().database.reading() as session:
        staff = staff_service.everybody(session)
        after = Spot.read(request.args.get("after", ""))
        page = log.page(session, wanted=filters.wanted(staff), after=after)
        about = {event.about for event in page.events} | {filters.about}
        whose = {each for event in page.events for each in (event.actor_id, history.whom(event))}
        return Read(
            page=page,
            reach=log.reach(session),
            names=names_of(session, {each for each in whose if each}),
            references=references_of(session, {each for each in about if each}),
            staff=staff,
        )
