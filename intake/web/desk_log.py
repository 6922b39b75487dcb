"""The audit log for those who may read it: who did what to which request, and whether it is whole."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask import g, render_template, request
from flask.typing import ResponseReturnValue

from intake import audit
from intake.audit import Action, log
from intake.audit.log import Page, Reach, Spot
from intake.consent import service as consent
from intake.leads.rows import names_of, references_of
from intake.staff.permissions import Permission
from intake.web import acts, guards
from intake.web.here import here

VERIFY = "verify"


@dataclass(frozen=True)
class Verified:
    """What a verification found: sentences for each bad place, none when all is as it was written."""

    events: int
    linked: int
    unlinked: int
    problems: Sequence[str]


@guards.signed_in(Permission.READ_AUDIT)
def log_page() -> ResponseReturnValue:
    """One page of the log, newest first; reading it is recorded too."""
    return _page()


@guards.signed_in(Permission.READ_AUDIT)
def verify() -> ResponseReturnValue:
    """Check every event and the whole chain, and the consent proof; the answer is this page."""
    with here().database.reading() as session:
        found = audit.verify(session, keyring=here().keyring)
        problems = (*found.problems, *consent.verify(session, keyring=here().keyring))
    return _page(Verified(found.events, found.linked, found.unlinked, problems))


def _page(verified: Verified | None = None) -> str:
    action = request.args.get("action", "")
    known = Action(action) if action in set(Action) else None
    with here().database.reading() as session:
        page = log.page(session, action=known, after=Spot.read(request.args.get("after", "")))
        reach = log.reach(session)
        names = names_of(session, {event.actor_id for event in page.events if event.actor_id})
        references = references_of(session, {event.about for event in page.events if event.about})
    with here().database.transaction() as session:
        audit.record(
            session,
            Action.AUDIT_READ,
            keyring=here().keyring,
            at=here().clock(),
            actor=g.member.actor,
            details={"kind": VERIFY} if verified else {"count": len(page.events)},
        )
    return _rendered(page, reach, names, references, known, verified)


def _rendered(
    page: Page,
    reach: Reach,
    names: Mapping[uuid.UUID, str],
    references: Mapping[uuid.UUID, str],
    action: Action | None,
    verified: Verified | None,
) -> str:
    return render_template(
        "desk/log.html",
        page=page,
        reach=reach,
        names=names,
        references=references,
        action=action,
        actions=sorted(Action),
        acts=acts,
        verified=verified,
        now=here().clock(),
    )
