"""What a lead's page offers: call scripts, outcome buttons, and a pending action to submit again.

Call scripts are in the person's language, the directions beside them in the staff member's. Staff ask
for the name, make sure that it is the person and that they can talk, and only then name the clinic; to
anybody else nothing is said (promise G3).
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Self
from zoneinfo import ZoneInfo

from intake.accounts.permissions import Permission
from intake.casework import outcomes
from intake.casework.lead_detail import LeadView
from intake.casework.outcomes import CALLS_ONLY, MESSAGES_ONLY
from intake.casework.queue import best_channel
from intake.conf.clinic import Channel, Clinic, format_phone
from intake.core.errors import Unprocessable
from intake.core.i18n import N_, gettext, translate
from intake.leads.models import CloseReason, LeadStatus, Outcome
from intake.web.context import current_service
from intake.web.desk import formatting

NAME = "[ … ]"
"""Placeholder until the name is revealed."""
HELLO = N_("Hello, is %(name)s there?")
PRIVATE = N_("Is this a good moment, and can you talk in private?")
WHO_WE_ARE = N_("This is %(staff)s from %(clinic)s. You asked us to call about a free consultation.")
SOMEBODY_ELSE = N_("No problem, I will try again. Thank you.")
VOICEMAIL = N_("Hi, this is %(staff)s. Please call me back at %(number)s. Thank you.")
TEXT = N_(
    "This is %(staff)s from %(clinic)s. You asked us to write. When is a good time to talk? "
    "Our number is %(number)s. Reply STOP to end texts."
)
SUBJECT = N_("Your request")
EMAIL = N_(
    "Hello %(name)s, you asked us to write to you. When is a good time to talk? Answer here, or call "
    "%(number)s. If you want us to stop, say so in one word. %(staff)s, %(clinic)s"
)


@dataclass(frozen=True)
class ScriptLine:
    """One step: a direction for staff, then the words to say, then another direction (message ids)."""

    before: str
    quote: str = ""
    after: str = ""


STEPS = {
    Channel.CALL: (
        ScriptLine("", HELLO),
        ScriptLine(N_("If it is them:"), PRIVATE),
        ScriptLine(N_("If they can talk, and only then:"), WHO_WE_ARE),
        ScriptLine(
            N_("If somebody else answers:"), SOMEBODY_ELSE, N_("No message, no clinic name, no reason.")
        ),
    ),
    Channel.TEXT: (
        ScriptLine(N_("Write, and nothing about health:"), TEXT),
        ScriptLine(N_("Others may see it. Wait for the answer; do not send it twice.")),
    ),
    Channel.EMAIL: (
        ScriptLine(N_("Subject:"), SUBJECT),
        ScriptLine(N_("Write, and nothing about health:"), EMAIL),
    ),
}
LEAVE_VOICEMAIL = ScriptLine(N_("If nobody answers:"), VOICEMAIL, N_("Not one word more."))
HANG_UP = ScriptLine(N_("If nobody answers, hang up."), after=N_("No voicemail."))


def script(view: LeadView, channel: Channel, clinic: Clinic) -> list[ScriptLine]:
    """The steps for one channel, with the quotes in the person's language and the name if it was revealed."""
    values = {
        "name": next((each.name for each in view.revealed.values()), NAME),
        "staff": view.member.name.partition(" ")[0],
        "clinic": clinic.name,
        "number": format_phone(clinic.calls_from),
    }
    steps = STEPS[channel]
    if channel is Channel.CALL:
        steps += (LEAVE_VOICEMAIL if view.contact_status.voicemail else HANG_UP,)
    language = view.lead.language
    return [
        replace(each, quote=translate(each.quote, language, **values) if each.quote else "") for each in steps
    ]


OUTCOME_ORDER = (
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
"""Outcomes in the order of the keys 1 to 9."""
HINTS = {
    Outcome.BOOKED: N_("Needs the day and time below"),
    Outcome.SOMEBODY_ELSE: N_("Nothing was said to them"),
    Outcome.WRONG_NUMBER: N_("Closes, and the number is never called again. Cannot be undone"),
    Outcome.DECLINED: N_("Closes the request"),
    Outcome.ANOTHER_TIME: N_("They answered, and will talk later"),
}
LAST_TRY = N_("The last try there is: closes the request, and nobody tries again")
CHOOSE_MESSAGE = N_("Choose text or email above")
NO_VOICEMAIL = N_("They said no voicemail")
CALL_ONLY = N_("Only for a call")
MESSAGE_ONLY = N_("Only for a text or an email")


@dataclass(frozen=True)
class OutcomeButton:
    """One outcome. `unavailable` says why it cannot be chosen; empty when it can. Both are message ids."""

    outcome: Outcome
    key: int
    hint: str
    unavailable: str


@dataclass(frozen=True)
class Choices:
    """What the page offers now."""

    channel: Channel
    channels: Sequence[Channel]
    scripts: Sequence[tuple[Channel, Sequence[ScriptLine]]]
    buttons: Sequence[OutcomeButton]
    can_log: bool
    can_note: bool

    @classmethod
    def of(cls, view: LeadView, clinic: Clinic) -> Self:
        """The choices for the current state; the revealed channel first, else the one that opens first."""
        channels = view.contact_status.channels
        verdicts = {each: view.verdicts[each] for each in channels or (Channel.CALL,)}
        allowed_now = [each for each in channels if view.verdicts[each].allowed]
        scripted = [each for each in allowed_now if each in view.revealed] or allowed_now[:1]
        may_note = Permission.LOG_OUTCOME in view.member.permissions
        may_log = may_note and not view.closed
        return cls(
            channel=next((each for each in Channel if each in view.revealed), None) or best_channel(verdicts),
            channels=channels,
            scripts=[(each, script(view, each, clinic)) for each in scripted] if may_log else [],
            buttons=_outcome_buttons(view, clinic),
            can_log=may_log and (view.mine or view.claim_expired),
            can_note=may_note,
        )


def _outcome_buttons(view: LeadView, clinic: Clinic) -> list[OutcomeButton]:
    status = view.contact_status
    by_call, by_message = Channel.CALL in status.channels, {Channel.TEXT, Channel.EMAIL} & {*status.channels}
    booked = view.lead.status is LeadStatus.BOOKED
    last_try = not booked and status.no_try_left(clinic.contact, coming=1)
    buttons = []
    for key, outcome in enumerate(OUTCOME_ORDER, 1):
        hint, unavailable = HINTS.get(outcome, ""), ""
        if outcome in CALLS_ONLY:
            hint = LAST_TRY if last_try else hint
            unavailable = "" if by_call else CALL_ONLY
        if outcome in MESSAGES_ONLY:
            hint = CHOOSE_MESSAGE if by_call else hint
            unavailable = "" if by_message else MESSAGE_ONLY
        if outcome is Outcome.VOICEMAIL_LEFT and not status.voicemail:
            unavailable = NO_VOICEMAIL
        buttons.append(OutcomeButton(outcome, key, hint, unavailable))
    return buttons


@dataclass(frozen=True)
class PendingAction:
    """An outcome or a reason to close that was chosen but not recorded, to be submitted once more.

    `booked_for` is as it was typed.
    """

    outcome: Outcome | None
    channel: Channel | None
    reason: CloseReason | None
    booked_for: str
    attempt_id: uuid.UUID

    @classmethod
    def read(cls, typed: Mapping[str, str], *, attempt: str = "") -> Self:
        """Parse the form fields; an unknown value counts as not chosen."""
        outcome, channel, reason = (typed.get(name, "") for name in ("outcome", "channel", "reason"))
        try:
            attempt_id = uuid.UUID(attempt)
        except ValueError:
            attempt_id = uuid.uuid4()
        return cls(
            Outcome(outcome) if outcome in set(Outcome) else None,
            Channel(channel) if channel in set(Channel) else None,
            CloseReason(reason) if reason in set(outcomes.CHOSEN_CLOSE_REASONS) else None,
            typed.get("booked_for", ""),
            attempt_id,
        )

    def __bool__(self) -> bool:
        """Whether there is something to submit."""
        return bool(self.reason or (self.outcome and self.channel))

    @property
    def act(self) -> str:
        """The endpoint of the form it belongs to."""
        return "close" if self.reason else "outcome"

    @property
    def fields(self) -> dict[str, str]:
        """The form fields to submit; an outcome of staff claims the lead again (`hold`)."""
        if self.reason:
            return {"reason": self.reason.value}
        hold = {} if self.outcome in outcomes.ALWAYS_ALLOWED else {"hold": "yes"}
        values = {"outcome": self.outcome, "channel": self.channel, "booked_for": self.booked_for}
        return {"attempt": str(self.attempt_id), **hold} | {name: word or "" for name, word in values.items()}

    def description(self, now: datetime) -> str:
        """`Booked a consultation, by phone call, Monday at 9:30 am`, or why to close it."""
        if self.reason:
            return translate("Close: %(reason)s", reason=gettext(self.reason.sentence))
        parts = [gettext(each.sentence) for each in (self.outcome, self.channel) if each]
        try:
            at = booked_for(self.booked_for)
        except Unprocessable:
            at = None
        return ", ".join([*parts, formatting.later(at, now)] if at else parts)

    def possible(self, view: LeadView) -> bool:
        """Whether it can be submitted now: outcomes of the person always, others while open and free."""
        permissions = view.member.permissions
        if self.outcome in outcomes.ALWAYS_ALLOWED:
            return Permission.LOG_OUTCOME in permissions
        needed = Permission.CLOSE_LEAD if self.reason else Permission.LOG_OUTCOME
        return needed in permissions and not view.closed and view.holder is None


def booked_for(typed: str) -> datetime | None:
    """The time of the consultation on the clinic's clock; None when the box was left empty.

    Raises Unprocessable on `booked_for` for what is no time.
    """
    if not typed:
        return None
    try:
        return (
            datetime.strptime(typed, "%Y-%m-%dT%H:%M")
            .replace(tzinfo=ZoneInfo(current_service().clinic.time_zone))
            .astimezone(UTC)
        )
    except (ValueError, OverflowError):
        raise Unprocessable({"booked_for": [outcomes.NO_TIME]}, outcomes.NO_TIME) from None
