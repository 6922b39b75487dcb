"""What somebody had chosen on a lead's page before something came between: told, and pressed once more."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self
from zoneinfo import ZoneInfo

from intake.accounts.permissions import Permission
from intake.casework import outcomes
from intake.casework.lead_detail import View
from intake.conf.clinic import Channel
from intake.core.errors import Unprocessable
from intake.core.i18n import N_, gettext, translate
from intake.leads.models import CloseReason, Outcome
from intake.web.context import here
from intake.web.desk import formatting


@dataclass(frozen=True)
class Chosen:
    """An outcome with its channel and time, or a reason to close. `booked_for` is as it was typed."""

    outcome: Outcome | None
    channel: Channel | None
    reason: CloseReason | None
    booked_for: str
    attempt_id: uuid.UUID

    @classmethod
    def read(cls, typed: Mapping[str, str], *, attempt: str = "") -> Self:
        """What the fields say; a word of no list counts as not chosen."""
        outcome, channel, reason = (typed.get(name, "") for name in ("outcome", "channel", "reason"))
        return cls(
            Outcome(outcome) if outcome in set(Outcome) else None,
            Channel(channel) if channel in set(Channel) else None,
            CloseReason(reason) if reason in set(outcomes.BY_HAND) else None,
            typed.get("booked_for", ""),
            _identifier(attempt) or uuid.uuid4(),
        )

    def __bool__(self) -> bool:
        """Whether there is something to press once more."""
        return bool(self.reason or (self.outcome and self.channel))

    @property
    def act(self) -> str:
        """Which form of the lead's page it belongs to."""
        return "close" if self.reason else "outcome"

    @property
    def fields(self) -> dict[str, str]:
        """As the form sends it once more; an outcome of ours takes the hold again."""
        if self.reason:
            return {"reason": self.reason.value}
        hold = {} if self.outcome in outcomes.ALWAYS else {"hold": "yes"}
        words = {"outcome": self.outcome, "channel": self.channel, "booked_for": self.booked_for}
        return {"attempt": str(self.attempt_id), **hold} | {name: word or "" for name, word in words.items()}

    def words(self, now: datetime) -> str:
        """`Booked a consultation, by phone call, Monday at 9:30 am`, or why to close it."""
        if self.reason:
            return translate(N_("Close: %(reason)s"), reason=gettext(self.reason.sentence))
        said = [gettext(each.sentence) for each in (self.outcome, self.channel) if each]
        return ", ".join([*said, *self._time(now)])

    def _time(self, now: datetime) -> list[str]:
        try:
            at = booked_for(self.booked_for)
        except Unprocessable:
            return []
        return [formatting.later(at, now)] if at else []

    def possible(self, view: View) -> bool:
        """Whether pressing it now may go through: what they did always, else while it is open and free."""
        if self.outcome in outcomes.ALWAYS:
            return view.may(Permission.LOG_OUTCOME)
        needed = Permission.CLOSE_LEAD if self.reason else Permission.LOG_OUTCOME
        return view.may(needed) and not view.closed and view.holder is None


def _identifier(words: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(words)
    except ValueError:
        return None


def booked_for(typed: str) -> datetime | None:
    """The time of the consultation on the clinic's clock; None when the box was left empty.

    Raises Unprocessable on `booked_for` for what is no time.
    """
    if not typed:
        return None
    try:
        return (
            datetime.strptime(typed, "%Y-%m-%dT%H:%M")
            .replace(tzinfo=ZoneInfo(here().clinic.time_zone))
            .astimezone(UTC)
        )
    except (ValueError, OverflowError):
        raise Unprocessable({"booked_for": [outcomes.NO_TIME]}, outcomes.NO_TIME) from None
