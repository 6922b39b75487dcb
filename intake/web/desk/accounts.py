"""Accounts, for whoever looks after them: inviting, roles, closing, opening, starting anew."""

import uuid
from collections.abc import Mapping, Sequence

from flask import g, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from intake.accounts import invitations, service
from intake.accounts.invitations import NewInvitation
from intake.accounts.models import Role
from intake.accounts.permissions import Permission, permissions_of
from intake.core.errors import Refused, Unprocessable
from intake.leads import claims
from intake.web.auth import guards
from intake.web.auth.reauth import require_recent_second_factor
from intake.web.context import current_service
from intake.web.desk.flash import flash_message

MANAGING = guards.signed_in(Permission.MANAGE_ACCOUNTS)


@MANAGING
def accounts_page() -> ResponseReturnValue:
    """Everybody who can sign in, or could; and the form to invite one more."""
    return _page()


def _page(
    problems: Mapping[str, Sequence[str]] | None = None, problem: str = "", status: int = 200
) -> ResponseReturnValue:
    with current_service().database.reading() as session:
        everybody, waiting = service.list_accounts(session), invitations.pending(session)
    typed = {"email": request.form.get("email", ""), "name": request.form.get("name", "")}
    page = render_template(
        "desk/accounts.html",
        everybody=everybody,
        waiting=waiting,
        roles=list(Role),
        typed={**typed, "roles": request.form.getlist("role") if problems else []},
        problems=problems or {},
        problem=problem,
        now=current_service().clock(),
        said=flash_message(),
    )
    return make_response(page, status)


def _roles() -> frozenset[Role]:
    """The roles that were ticked; what is no role counts as none."""
    return frozenset(Role(each) for each in request.form.getlist("role") if each in set(Role))


@MANAGING
@require_recent_second_factor
def invite() -> ResponseReturnValue:
    """Add an account and show the link for its owner, once; 422 with every word kept."""
    try:
        with current_service().database.transaction() as session:
            invited = invitations.invite(
                session,
                instance=current_service(),
                email=request.form.get("email", ""),
                name=request.form.get("name", ""),
                roles=_roles(),
                actor=g.member.actor,
            )
    except Unprocessable as refused:
        return _page(refused.problems, status=refused.status)
    except service.AccountExists as refused:
        return _page({"email": [refused.sentence]}, status=refused.status)
    return _link(invited)


@MANAGING
@require_recent_second_factor
def reset(staff_id: uuid.UUID) -> ResponseReturnValue:
    """Everything of an account anew: a link for its owner, shown once."""
    with current_service().database.transaction() as session:
        invited = invitations.reinvite(
            session, instance=current_service(), staff_id=staff_id, actor=g.member.actor
        )
        claims.release_all_of_account(
            session, staff_id=staff_id, actor=g.member.actor, instance=current_service()
        )
    return _link(invited)


def _link(invited: NewInvitation) -> ResponseReturnValue:
    return render_template(
        "desk/accounts_invited.html",
        invited=invited,
        address=link(invited.token),
        now=current_service().clock(),
    )


def link(token: str) -> str:
    """The address to hand over. What follows `#` never leaves the browser, so no log can keep it."""
    return f"{current_service().settings.base_url}{url_for('joining.page')}#{token}"


@MANAGING
@require_recent_second_factor
def set_roles(staff_id: uuid.UUID) -> ResponseReturnValue:
    """Give an account just these roles; its sessions end, and its holds where it may hold no longer."""
    try:
        with current_service().database.transaction() as session:
            service.set_roles(
                session, instance=current_service(), staff_id=staff_id, roles=_roles(), actor=g.member.actor
            )
            if Permission.CLAIM_LEAD not in permissions_of(_roles()):
                claims.release_all_of_account(
                    session, staff_id=staff_id, actor=g.member.actor, instance=current_service()
                )
    except Unprocessable as refused:
        return _page(problem=refused.problems["roles"][0], status=refused.status)
    except Refused as refused:
        return _page(problem=refused.sentence, status=refused.status)
    return _back("roles_changed")


@MANAGING
@require_recent_second_factor
def disable(staff_id: uuid.UUID) -> ResponseReturnValue:
    """Close an account: its sessions end at once, and what it holds can be taken by others."""
    try:
        with current_service().database.transaction() as session:
            service.disable(session, instance=current_service(), staff_id=staff_id, actor=g.member.actor)
            claims.release_all_of_account(
                session, staff_id=staff_id, actor=g.member.actor, instance=current_service()
            )
    except Refused as refused:
        return _page(problem=refused.sentence, status=refused.status)
    return _back("disabled")


@MANAGING
@require_recent_second_factor
def enable(staff_id: uuid.UUID) -> ResponseReturnValue:
    """Open a closed account again."""
    with current_service().database.transaction() as session:
        service.enable(session, instance=current_service(), staff_id=staff_id, actor=g.member.actor)
    return _back("enabled")


def _back(word: str) -> ResponseReturnValue:
    return guards.redirect_to(url_for("desk.accounts_page", said=word))
