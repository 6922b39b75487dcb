"""What the desk says after an act: a word in the address stands for one sentence of a closed list."""

from flask import request

from intake.language import N_, gettext

SENTENCES = {
    "held": N_("You hold this request for 20 minutes. Nobody else can act on it."),
    "given_back": N_("You gave this request back. Somebody else can take it now."),
    "noted": N_("Noted. You no longer hold this request."),
    "noted_theirs": N_("Noted."),
    "booked": N_("Booked. The request moved to “Booked”."),
    "closed": N_("This request is closed now."),
    "stopped": N_("All contact has been stopped. The request is erased soon."),
    "stopped_anyone": N_("From now on nobody here contacts this number or address."),
}


def said() -> str:
    """The sentence that this address asks for; empty for a word that is not on the list."""
    return gettext(SENTENCES.get(request.args.get("said", ""), ""))
