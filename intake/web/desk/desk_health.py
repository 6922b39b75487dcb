"""What the desk says above every page when the service itself may forget somebody (N2)."""

from intake import monitoring
from intake.core.i18n import N_
from intake.web.context import here

SENTENCES = {
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


def troubles() -> list[str]:
    """One sentence (message id) for each; mostly none."""
    with here().database.reading() as session:
        return [SENTENCES[check.name] for check in monitoring.banner(session, instance=here())]
