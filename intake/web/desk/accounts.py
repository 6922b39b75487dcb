"""Views for account management: inviting, roles, disabling, enabling, resetting."""

import uuid
from collections.abc import Mapping, Sequence

from flask import make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from intake.accounts import invitations, service
from intake.accounts.invitations import NewInvitation
from intake.accounts.models import Role
from intake.accounts.permissions import Permission, permissions_of
from intake.core.errors import Refused, Unprocessable
from intake.leads import claims
from intake.web.auth import guards
from intake.web.auth.reauth import require_recent_second_factor
from intake.web.context import current_service, staff_act
from intake.web.desk.layout import flash_message

manages_accounts = guards.permission_required(Permission.MANAGE_ACCOUNTS)


@manages_accounts
def accounts_page() -> ResponseReturnValue:
    """All accounts, and the form to invite a staff member."""
    return _page()


def _page(
    problems: Mapping[str, Sequence[str]] | None = None, problem: str = "", status: int = 200
) -> ResponseReturnValue:
    with current_service().database.reading() as session:
        accounts, waiting = service.list_accounts(session), invitations.pending(session)
    typed = {"email": request.form.get("email", ""), "name": request.form.get("name", "")}
    page = render_template(
        "desk/accounts.html",
        accounts=accounts,
        waiting=waiting,
        roles=list(Role),
        typed={**typed, "roles": request.form.getlist("role") if problems else []},
        problems=problems or {},
        problem=problem,
        now=current_service().clock(),
        message=flash_message(),
    )
    return make_response(page, status)


def _roles() -> frozenset[Role]:
    """The roles that were ticked; what is no role counts as none."""
    return frozenset(Role(each) for each in request.form.getlist("role") if each in set(Role))


@manages_accounts
@require_recent_second_factor
def invite() -> ResponseReturnValue:
    """Add an account and show its invitation link once; 422 with what was typed."""
    try:
        with staff_act() as act:
            invited = invitations.invite(
                act,
                email=request.form.get("email", ""),
                name=request.form.get("name", ""),
                roles=_roles(),
            )
    except Unprocessable as refused:
        return _page(refused.problems, status=refused.status)
    except service.AccountExists as refused:
        return _page({"email": [refused.sentence]}, status=refused.status)
    return _invitation_page(invited)


@manages_accounts
@require_recent_second_factor
def reset(staff_id: uuid.UUID) -> ResponseReturnValue:
    """Reset an account: a new invitation link, shown once."""
    with staff_act() as act:
        invited = invitations.reinvite(act, staff_id=staff_id)
        claims.release_all_of_account(act, staff_id=staff_id)
    return _invitation_page(invited)


def _invitation_page(invited: NewInvitation) -> ResponseReturnValue:
    return render_template(
        "desk/accounts_invited.html",
        invited=invited,
        address=invitation_url(invited.token),
        now=current_service().clock(),
    )


def invitation_url(token: str) -> str:
    """The invitation link. The token is in the fragment, which no server log sees."""
    return f"{current_service().settings.base_url}{url_for('joining.page')}#{token}"


@manages_accounts
@require_recent_second_factor
def set_roles(staff_id: uuid.UUID) -> ResponseReturnValue:
    """Set the roles of an account; its sessions end, and its claims where it may no longer claim."""
    try:
        with staff_act() as act:
            service.set_roles(act, staff_id=staff_id, roles=_roles())
            if Permission.CLAIM_LEAD not in permissions_of(_roles()):
                claims.release_all_of_account(act, staff_id=staff_id)
    except Unprocessable as refused:
        return _page(problem=refused.problems["roles"][0], status=refused.status)
    except Refused as refused:
        return _page(problem=refused.sentence, status=refused.status)
    return _redirect_with("roles_changed")


@manages_accounts
@require_recent_second_factor
def disable(staff_id: uuid.UUID) -> ResponseReturnValue:
    """Disable an account: its sessions end at once and its claims are released."""
    try:
        with staff_act() as act:
            service.disable(act, staff_id=staff_id)
            claims.release_all_of_account(act, staff_id=staff_id)
    except Refused as refused:
        return _page(problem=refused.sentence, status=refused.status)
    return _redirect_with("disabled")


@manages_accounts
@require_recent_second_factor
def enable(staff_id: uuid.UUID) -> ResponseReturnValue:
    """Enable a disabled account."""
    with staff_act() as act:
        service.enable(act, staff_id=staff_id)
    return _redirect_with("enabled")


def _redirect_with(message: str) -> ResponseReturnValue:
    return guards.redirect_to(url_for("desk.accounts_page", message=message))
