"""What every page of the desk shows: flash message, health warnings, the time left of the session.

A flash message is a key in the address (`message=claimed`) of a closed list of sentences; there is no
Flask session (docs/decisions/0006-staff-sign-in.md). Health warnings stand above every page while the
service itself may lose a request or a notice (N2).
"""

from typing import Any

from flask import g, request

from intake import monitoring
from intake.core.i18n import N_, gettext
from intake.web.context import current_service, service_read
from intake.web.desk import formatting

MESSAGES = {
    "claimed": N_("You have claimed this request for 20 minutes. Nobody else can act on it."),
    "released": N_("You released this request. Somebody else can claim it now."),
    "released_all": N_("You released all your requests. Somebody else can claim them now."),
    "shared": N_("Handed over. Each one is theirs for an hour, and free again after that."),
    "shared_some": N_(
        "Handed over, but not all: what somebody had claimed or changed meanwhile was left as it is."
    ),
    "shared_none": N_("Nothing was handed over: somebody had claimed or changed these meanwhile."),
    "revoked": N_(
        "Taken back. Everybody can claim these requests now, and whoever had claimed them is told."
    ),
    "revoked_some": N_("Taken back, but not all: the rest was no longer claimed as the page showed."),
    "revoked_none": N_("Nothing was taken back: none was claimed any more as the page showed."),
    "noted": N_("Noted. Your claim on this request has ended."),
    "noted_theirs": N_("Noted."),
    "booked": N_("Booked. The request moved to “Booked”."),
    "closed": N_("This request is closed now."),
    "stopped": N_("All contact has been stopped. The request is erased soon."),
    "note_saved": N_("The note is kept."),
    "lifted": N_("Contact is allowed again on this new request."),
    "hold_placed": N_("This request is kept until the last day of its legal hold is over."),
    "hold_ended": N_("The legal hold has ended. The request is erased when its own time is over."),
    "hold_ended_and_erased": N_("The legal hold has ended. The request is erased, as the person had asked."),
    "postponed": N_("Put off by a day. What people asked for themselves is erased all the same."),
    "nothing_postponed": N_("Nothing is due that may still be put off."),
    "undone": N_("Undone. The request is what it was before."),
    "not_restored": N_(
        "Nothing was done. What was typed before could not be put back: it was somebody else’s, or too old."
    ),
    "session_ended": N_("That session has ended."),
    "sessions_ended": N_("Every other session has ended."),
    "password_changed": N_("Your password is changed. Every other session has ended."),
    "factor_changed": N_("From now on the new app shows your codes. Every other session has ended."),
    "passkey_added": N_("The passkey is added. Every other session has ended."),
    "passkey_removed": N_("The passkey is removed. Every other session has ended."),
    "roles_changed": N_("The roles are changed. Whoever it is signs in anew."),
    "disabled": N_("The account is closed, and its sessions have ended."),
    "enabled": N_("The account is open again."),
    "resent": N_(
        "It will be sent again. The relay does that within seconds; load this page again to see how it went."
    ),
    "nothing_to_resend": N_("Nothing was refused any more. Somebody else may have sent it again."),
    "contact_stopped": N_("From now on nobody here contacts this number or address."),
}


def flash_message() -> str:
    """The sentence for the key in this URL; empty for an unknown key."""
    return gettext(MESSAGES.get(request.args.get("message", ""), ""))


WARNINGS = {
    "relay": N_(
        "No notices are leaving, because the relay is not running. Nothing is lost. Look at the queue now "
        "and then, and tell whoever looks after this service."
    ),
    "notices": N_(
        "Notices of new requests are late. Nothing is lost. Look at the queue now and then until this is "
        "gone."
    ),
    "unopened requests": N_(
        "A request has been waiting longer than it should, and nobody has opened it yet."
    ),
    "heartbeat": N_(
        "The form may not be taking requests: our own try did not go through. Tell whoever looks after this "
        "service, and expect people to call."
    ),
    "dead letters": N_(
        "A notice was refused and will not be sent again. Look at the queue now and then, and tell whoever "
        "looks after this service."
    ),
}


def health_warnings() -> list[str]:
    """The current warnings as message ids; usually none."""
    with service_read() as act:
        return [WARNINGS[check.name] for check in monitoring.banner(act)]


def seconds_left() -> int:
    """Seconds until this session ends without activity."""
    return max(0, int((g.found.ends_at() - current_service().clock()).total_seconds()))


def template_context() -> dict[str, Any]:
    """Template context of all pages: the member, CSRF token, formatting, warnings, session time."""
    return {
        "member": g.get("member"),
        "say": formatting,
        "troubles": health_warnings,
        "seconds_left": seconds_left,
    }
