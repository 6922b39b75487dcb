"""What the desk says after an act: a word in the address stands for one sentence of a closed list."""

from flask import request

from intake import monitoring
from intake.core.i18n import N_, gettext
from intake.web.context import current_service

MESSAGES = {
    "held": N_("You hold this request for 20 minutes. Nobody else can act on it."),
    "given_back": N_("You gave this request back. Somebody else can take it now."),
    "given_back_all": N_("You hold nothing any more. Somebody else can take these requests now."),
    "shared": N_("Handed over. Each one is theirs for an hour, and free again after that."),
    "shared_some": N_(
        "Handed over, but not all: what somebody had taken or changed meanwhile was left as it is."
    ),
    "shared_none": N_("Nothing was handed over: somebody had taken or changed these meanwhile."),
    "taken_back": N_("Taken back. Everybody can take these requests now, and who held them is told."),
    "taken_back_some": N_("Taken back, but not all: the rest was no longer held as the page showed."),
    "taken_back_none": N_("Nothing was taken back: none was held any more as the page showed."),
    "noted": N_("Noted. You no longer hold this request."),
    "noted_theirs": N_("Noted."),
    "booked": N_("Booked. The request moved to “Booked”."),
    "closed": N_("This request is closed now."),
    "stopped": N_("All contact has been stopped. The request is erased soon."),
    "note_kept": N_("The note is kept."),
    "lifted": N_("Contact is allowed again on this new request."),
    "legal_hold": N_("This request is kept until the last day of its legal hold is over."),
    "released": N_("The legal hold has ended. The request is erased when its own time is over."),
    "released_and_erased": N_("The legal hold has ended. The request is erased, as the person had asked."),
    "put_off": N_("Put off by a day. What people asked for themselves is erased all the same."),
    "nothing_put_off": N_("Nothing is due that may still be put off."),
    "undone": N_("Undone. The request is what it was before."),
    "not_put_back": N_(
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
    "mail_again": N_(
        "It will be sent again. The relay does that within seconds; load this page again to see how it went."
    ),
    "nothing_dead": N_("Nothing was refused any more. Somebody else may have sent it again."),
    "stopped_anyone": N_("From now on nobody here contacts this number or address."),
}


def flash_message() -> str:
    """The sentence that this address asks for; empty for a word that is not on the list."""
    return gettext(MESSAGES.get(request.args.get("said", ""), ""))


# --- What the desk says above every page when the service itself may forget somebody (N2).

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
    """One sentence (message id) for each; mostly none."""
    with current_service().database.reading() as session:
        return [WARNINGS[check.name] for check in monitoring.banner(session, instance=current_service())]
