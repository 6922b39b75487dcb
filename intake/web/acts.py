"""Acts of the audit log in words, for the log itself and for the story of one lead."""

from collections.abc import Mapping
from typing import Any

from intake.audit import Action, AuditEvent, log
from intake.clinic import Channel
from intake.language import N_, gettext
from intake.leads.models import CloseReason, Outcome, SuppressionReason

WORDS = {
    Action.ATTEMPT_LOGGED: N_("Outcome noted"),
    Action.AUDIT_READ: N_("Audit log read"),
    Action.CLAIM_GIVEN_BACK: N_("Given back"),
    Action.CLAIM_TAKEN: N_("Held"),
    Action.CONSENT_WITHDRAWN: N_("Permission taken back"),
    Action.LEAD_CHANGED: N_("Request changed"),
    Action.LEAD_CLOSED: N_("Closed"),
    Action.LEAD_ERASED: N_("Request erased"),
    Action.LEAD_REVEALED: N_("Contact shown"),
    Action.LEAD_STOPPED: N_("All contact stopped"),
    Action.LEAD_SUBMITTED: N_("Asked for contact"),
    Action.LEAD_SUPERSEDED: N_("Replaced by a corrected request"),
    Action.LEAD_VIEWED: N_("Request opened, masked"),
    Action.LEADS_LISTED: N_("Queue read"),
    Action.LEADS_SEARCHED: N_("Search"),
    Action.MAIL_TESTED: N_("Test mail sent"),
    Action.MANAGE_OPENED: N_("Private code used"),
    Action.RECEIPT_SAVED: N_("Receipt saved"),
    Action.REPORT_EXPORTED: N_("Numbers saved to a file"),
    Action.STAFF_ADDED: N_("Account added"),
    Action.STAFF_DISABLED: N_("Account disabled"),
    Action.STAFF_ENABLED: N_("Account enabled again"),
    Action.STAFF_REFUSED: N_("Sign-in refused"),
    Action.STAFF_RESET: N_("Account reset"),
    Action.STAFF_SIGNED_IN: N_("Signed in"),
    Action.STAFF_SIGNED_OUT: N_("Signed out"),
    Action.SUPPRESSION_ADDED: N_("Put on the do-not-contact list"),
}
SHOWN = {
    Channel.CALL: N_("Phone number shown, to call"),
    Channel.TEXT: N_("Phone number shown, to text"),
    Channel.EMAIL: N_("Email address shown"),
}
SUPPRESSED = {
    SuppressionReason.ASKED: N_("they asked"),
    SuppressionReason.WRONG_NUMBER: N_("it belongs to somebody else"),
    SuppressionReason.THIRD_PARTY: N_("somebody else asked"),
}


def name(action: str) -> str:
    """What an action is called; one that has no words yet, as the log writes it."""
    return gettext(WORDS[Action(action)]) if action in set(WORDS) else action


def what(action: str, details: Mapping[str, Any]) -> str:
    """One act in words, with what its details say where that has words: `No answer`."""
    if action == Action.ATTEMPT_LOGGED and details.get("outcome") in set(Outcome):
        return gettext(Outcome(details["outcome"]).sentence)
    if action == Action.LEAD_REVEALED and details.get("channel") in set(Channel):
        return gettext(SHOWN[Channel(details["channel"])])
    if action == Action.LEAD_CLOSED and details.get("reason") in set(CloseReason):
        return f"{name(action)}: {gettext(CloseReason(details['reason']).sentence)}"
    if action == Action.SUPPRESSION_ADDED and details.get("reason") in set(SuppressionReason):
        return f"{name(action)}: {gettext(SUPPRESSED[SuppressionReason(details['reason'])])}"
    return name(action)


def told(event: AuditEvent) -> str:
    """What an event says."""
    return what(event.action, log.details(event))


def rest(event: AuditEvent) -> str:
    """An event's details as the log has them: closed words and counts; of consents only how many."""
    found = dict(log.details(event))
    if "consents" in found:
        found["consents"] = len(found["consents"])
    return ", ".join(f"{key} {_plain(value)}" for key, value in found.items())


def _plain(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
