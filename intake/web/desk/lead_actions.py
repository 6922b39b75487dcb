"""Which buttons a lead's page offers, and why some of them are out of reach."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from intake.accounts.permissions import Permission
from intake.casework.lead_detail import View
from intake.casework.outcomes import CALLS_ONLY, MESSAGES_ONLY, last_call
from intake.conf.clinic import Channel
from intake.core.i18n import N_, gettext
from intake.leads.models import LeadStatus, Outcome
from intake.web.context import here
from intake.web.desk.scripts import Line, script

ORDER = (
    Outcome.BOOKED,
    Outcome.REACHED,
    Outcome.ANOTHER_TIME,
    Outcome.NO_ANSWER,
    Outcome.VOICEMAIL_LEFT,
    Outcome.SOMEBODY_ELSE,
    Outcome.WRONG_NUMBER,
    Outcome.DECLINED,
    Outcome.MESSAGE_SENT,
)
"""What we did, in the order of the keys 1 to 9."""
HINTS = {
    Outcome.BOOKED: N_("Needs the day and time below"),
    Outcome.SOMEBODY_ELSE: N_("Nothing was said to them"),
    Outcome.WRONG_NUMBER: N_("Closes, and the number is never called again. Cannot be undone"),
    Outcome.DECLINED: N_("Closes the request"),
    Outcome.ANOTHER_TIME: N_("They answered, and will talk later"),
}
LAST = N_("The last try there is: closes the request, and nobody tries again")
ON_A_MESSAGE = N_("Choose text or email above")
NO_VOICEMAIL = N_("They said no voicemail")
CALLS = N_("Only for a call")
MESSAGES = N_("Only for a text or an email")


@dataclass(frozen=True)
class Button:
    """One outcome. `why_not` is empty when it can be noted; it stays in its place when it cannot."""

    outcome: Outcome
    key: int
    hint: str
    why_not: str


@dataclass(frozen=True)
class Choices:
    """What can be done on the page now."""

    channel: Channel
    channels: Sequence[Channel]
    scripts: Sequence[tuple[Channel, Sequence[Line]]]
    buttons: Sequence[Button]
    can_log: bool
    can_note: bool

    @classmethod
    def of(cls, view: View) -> Self:
        """The choices for a lead as it stands."""
        channel = _first(view)
        open_now = [each for each in view.standing.channels if view.verdicts[each].allowed]
        speaking = [each for each in open_now if each in view.revealed] or open_now[:1]
        may_log = view.may(Permission.LOG_OUTCOME)
        return cls(
            channel=channel,
            channels=view.standing.channels,
            scripts=[(each, script(view, each)) for each in speaking if may_log and not view.closed],
            buttons=[_button(each, place, view) for place, each in enumerate(ORDER, 1)],
            can_log=may_log and not view.closed and (view.mine or view.ran_out),
            can_note=may_log,
        )


def _first(view: View) -> Channel:
    """The channel the page speaks of first: the one revealed, else the one the gate opens first."""
    if view.revealed:
        return next(each for each in Channel if each in view.revealed)
    agreed = view.standing.channels or (Channel.CALL,)
    far = max((each.opens_at for each in view.verdicts.values() if each.opens_at), default=view.now)

    def opens(channel: Channel) -> tuple[bool, bool, float]:
        verdict = view.verdicts[channel]
        return not verdict.allowed, verdict.opens_at is None, (verdict.opens_at or far).timestamp()

    return min(agreed, key=opens)


def _button(outcome: Outcome, key: int, view: View) -> Button:
    if outcome in CALLS_ONLY and _is_last(view):
        return Button(outcome, key, gettext(LAST), gettext(_why_not(outcome, view)))
    hint = ON_A_MESSAGE if outcome in MESSAGES_ONLY and Channel.CALL in view.standing.channels else ""
    return Button(outcome, key, gettext(HINTS.get(outcome, hint)), gettext(_why_not(outcome, view)))


def _is_last(view: View) -> bool:
    booked = view.lead.status is LeadStatus.BOOKED
    return not booked and last_call(view.standing, here(), coming=1)


def _why_not(outcome: Outcome, view: View) -> str:
    agreed = set(view.standing.channels)
    if outcome is Outcome.VOICEMAIL_LEFT and not view.standing.voicemail:
        return NO_VOICEMAIL
    if outcome in CALLS_ONLY and Channel.CALL not in agreed:
        return CALLS
    if outcome in MESSAGES_ONLY and not agreed & {Channel.TEXT, Channel.EMAIL}:
        return MESSAGES
    return ""
