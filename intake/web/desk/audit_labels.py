"""Labels of audit actions, for the audit log and for the history of one lead."""

from collections.abc import Mapping
from typing import Any

from intake.accounts.models import Role
from intake.audit import Action, AuditEvent, service
from intake.audit.models import ActorKind
from intake.casework.lead_detail import LeadView
from intake.conf.clinic import Channel
from intake.core.i18n import N_, gettext
from intake.leads import history
from intake.leads.models import CloseReason, HoldReason, Outcome, SuppressionReason

LABELS = {
    Action.ATTEMPT_LOGGED: N_("Outcome noted"),
    Action.ATTEMPT_UNDONE: N_("Undone"),
    Action.AUDIT_EXPORTED: N_("Audit log saved to a file"),
    Action.AUDIT_READ: N_("Audit log read"),
    Action.AUDIT_VERIFIED: N_("Audit log verified"),
    Action.BACKUP_RESTORED: N_("Backup brought back"),
    Action.BACKUP_TAKEN: N_("Backup made"),
    Action.BACKUP_TESTED: N_("Backup tried out"),
    Action.CLAIM_GIVEN_BACK: N_("Released"),
    Action.CLAIM_HANDED: N_("Handed over"),
    Action.CLAIM_TAKEN: N_("Claimed"),
    Action.CLAIM_TAKEN_BACK: N_("Taken back"),
    Action.CONSENT_WITHDRAWN: N_("Permission taken back"),
    Action.EVIDENCE_READ: N_("Evidence report read"),
    Action.EVIDENCE_SAVED: N_("Evidence report saved to a file"),
    Action.KEYS_FIRST_SEEN: N_("Key used for the first time"),
    Action.KEYS_ROTATED: N_("Keys changed"),
    Action.KEYS_ROTATION_BEGUN: N_("Change of keys begun"),
    Action.COPY_SAVED: N_("Copy of everything saved"),
    Action.HOLD_ENDED: N_("Legal hold ended"),
    Action.HOLD_PUT: N_("Legal hold put"),
    Action.HOLD_RENEWED: N_("Legal hold renewed"),
    Action.LEAD_CHANGED: N_("Request changed"),
    Action.LEAD_CLOSED: N_("Closed"),
    Action.LEAD_ERASED: N_("Request erased"),
    Action.LEAD_ERASURE_ASKED: N_("Asked to be erased, while a legal hold keeps it"),
    Action.LEAD_REOPENED: N_("Open again"),
    Action.LEAD_REVEALED: N_("Contact shown"),
    Action.LEAD_NOTED: N_("Scheduling note changed"),
    Action.LEAD_STOPPED: N_("All contact stopped"),
    Action.LEAD_SUBMITTED: N_("Asked for contact"),
    Action.LEAD_SUPERSEDED: N_("Replaced by a corrected request"),
    Action.LEAD_VIEWED: N_("Request opened, masked"),
    Action.LEADS_LISTED: N_("Queue read"),
    Action.LEADS_SEARCHED: N_("Search"),
    Action.MAIL_RESENT: N_("Refused mail sent again"),
    Action.MAIL_TESTED: N_("Test mail sent"),
    Action.MANAGE_OPENED: N_("Private code used"),
    Action.RECEIPT_SAVED: N_("Receipt saved"),
    Action.REPORT_EXPORTED: N_("Numbers saved to a file"),
    Action.RETENTION_POSTPONED: N_("Erasing put off by a day"),
    Action.STAFF_ADDED: N_("Account added"),
    Action.STAFF_CODES_RENEWED: N_("New recovery codes"),
    Action.STAFF_CONFIRMED: N_("Second factor given again"),
    Action.STAFF_DISABLED: N_("Account disabled"),
    Action.STAFF_ENABLED: N_("Account enabled again"),
    Action.STAFF_FACTOR_CHANGED: N_("Authenticator app changed"),
    Action.STAFF_INVITED: N_("Invitation made"),
    Action.STAFF_JOINED: N_("Invitation used"),
    Action.STAFF_PASSKEY_ADDED: N_("Passkey added"),
    Action.STAFF_PASSKEY_REMOVED: N_("Passkey removed"),
    Action.STAFF_PASSWORD_CHANGED: N_("Password changed"),
    Action.STAFF_REFUSED: N_("Sign-in refused"),
    Action.STAFF_RESET: N_("Account reset"),
    Action.STAFF_ROLES_CHANGED: N_("Roles changed"),
    Action.STAFF_SESSIONS_ENDED: N_("Sessions ended"),
    Action.STAFF_SIGNED_IN: N_("Signed in"),
    Action.STAFF_SIGNED_OUT: N_("Signed out"),
    Action.SUPPRESSION_ADDED: N_("Put on the do-not-contact list"),
    Action.SUPPRESSION_LIFTED: N_("Taken off the do-not-contact list"),
}
REVEALED = {
    Channel.CALL: N_("Phone number shown, to call"),
    Channel.TEXT: N_("Phone number shown, to text"),
    Channel.EMAIL: N_("Email address shown"),
}
HOLDS = frozenset({Action.HOLD_ENDED, Action.HOLD_PUT, Action.HOLD_RENEWED})
SUPPRESSED = {
    SuppressionReason.ASKED: N_("they asked"),
    SuppressionReason.WRONG_NUMBER: N_("it belongs to somebody else"),
    SuppressionReason.THIRD_PARTY: N_("somebody else asked"),
}
_REASONS: dict[str, dict[str, str]] = {
    Action.LEAD_CLOSED: {each: each.sentence for each in CloseReason},
    Action.SUPPRESSION_ADDED: {each: SUPPRESSED[each] for each in SuppressionReason},
    **{action: {each: each.sentence for each in HoldReason} for action in HOLDS},
}
"""The message id of a stored reason, by action."""
ACTORS = {
    ActorKind.PERSON: N_("the person"),
    ActorKind.STAFF: N_("staff"),
    ActorKind.SYSTEM: N_("the service"),
}
ROLES = {
    Role.COORDINATOR: N_("coordinator"),
    Role.SUPERVISOR: N_("supervisor"),
    Role.PRIVACY_OFFICER: N_("privacy officer"),
    Role.ADMIN: N_("admin"),
}


def label(action: str) -> str:
    """The label of an action; the stored value where it has none."""
    return gettext(LABELS[Action(action)]) if action in set(LABELS) else action


def sentence_for_staff(action: str, details: Mapping[str, Any], *, why: bool) -> str:
    """The sentence for desk staff; the reason of a legal hold only with `why`, for who may place one."""
    return details_sentence(action, details) if why or action not in HOLDS else label(action)


def details_sentence(action: str, details: Mapping[str, Any]) -> str:
    """The sentence of an action and its details: `No answer`."""
    if action == Action.ATTEMPT_LOGGED and details.get("outcome") in set(Outcome):
        return gettext(Outcome(details["outcome"]).sentence)
    if action == Action.ATTEMPT_UNDONE and details.get("outcome") in set(Outcome):
        return f"{label(action)}: {gettext(Outcome(details['outcome']).sentence)}"
    if action == Action.LEAD_REVEALED and details.get("channel") in set(Channel):
        return gettext(REVEALED[Channel(details["channel"])])
    reason = _REASONS.get(action, {}).get(details.get("reason", ""))
    return f"{label(action)}: {gettext(reason)}" if reason else label(action)


def last_step(view: LeadView) -> str:
    """What an undo would undo, as a phrase."""
    reason, undoable = view.lead.close_reason, view.undoable
    outcome = [gettext(undoable.outcome.sentence)] if undoable and undoable.outcome else []
    closed = [f"{label(Action.LEAD_CLOSED)}: {gettext(reason.sentence)}"] if view.closed and reason else []
    return ", ".join([*outcome, *closed]).rstrip(".")


def event_sentence(event: AuditEvent) -> str:
    """The sentence of an event."""
    return details_sentence(event.action, service.details_of(event))


def other_details(event: AuditEvent) -> str:
    """An event's details as stored: enum values and counts; of consents only their number."""
    found = dict(service.details_of(event))
    if history.colleague_id(event):
        return ""  # the log says the name beside what was done
    if "consents" in found:
        found["consents"] = len(found["consents"])
    texts = {
        key: " ".join(map(str, value)) if isinstance(value, list) else str(value)
        for key, value in found.items()
    }
    return ", ".join(f"{key} {text}" for key, text in texts.items())
