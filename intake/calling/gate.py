"""The contact gate (promise G1): may this lead be contacted on this channel now, and if not, why not.

One pure function. Staff see no number until it allows contact, and no role can override it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from intake.calling.availability import (
    DAY,
    Condition,
    ContactTimes,
    Interval,
    Intervals,
    difference,
    intersection,
    interval_at,
    local,
    whole_day,
)
from intake.calling.hours import Window
from intake.calling.regions import zones_of
from intake.conf.clinic import Channel, Clinic
from intake.core.i18n import N_

GIVEN, WITHDRAWN = "given", "withdrawn"


class Refusal(StrEnum):
    """Why contact is refused, in the order in which the reasons are listed."""

    ERASED = "erased"
    STOPPED = "stopped"
    CLOSED = "closed"
    NO_CONSENT = "no_consent"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    SUPPRESSED = "suppressed"
    LEGAL_HOURS = "legal_hours"
    CALL_HOURS = "call_hours"
    WINDOWS = "windows"
    CLINIC_CLOSED = "clinic_closed"
    ATTEMPTS_USED = "attempts_used"
    CALLED_TODAY = "called_today"
    CONTACTED_IN_24H = "contacted_in_24h"

    @property
    def sentence(self) -> str:
        """The reason as shown to staff (message id)."""
        return _REASONS[self]


_REASONS = {
    Refusal.ERASED: N_("This request was erased."),
    Refusal.STOPPED: N_("They asked us to stop."),
    Refusal.CLOSED: N_("This request is closed."),
    Refusal.NO_CONSENT: N_("They did not agree to this way of contact."),
    Refusal.WITHDRAWN: N_("They took back their permission for this way of contact."),
    Refusal.EXPIRED: N_("Their permission has run out."),
    Refusal.SUPPRESSED: N_("This number or address is on the do-not-contact list."),
    Refusal.LEGAL_HOURS: N_("The law allows no call or text at this hour where they are."),
    Refusal.CALL_HOURS: N_("It is too early or too late where they are."),
    Refusal.WINDOWS: N_("This is not a time they called safe."),
    Refusal.CLINIC_CLOSED: N_("The clinic is closed now."),
    Refusal.ATTEMPTS_USED: N_("We have tried as often as we said we would."),
    Refusal.CALLED_TODAY: N_("They were already called today."),
    Refusal.CONTACTED_IN_24H: N_("They were contacted as often as we may in 24 hours."),
}
_REFUSAL_OF = {
    Condition.LEGAL: Refusal.LEGAL_HOURS,
    Condition.CALL_HOURS: Refusal.CALL_HOURS,
    Condition.WINDOWS: Refusal.WINDOWS,
    Condition.OPENING: Refusal.CLINIC_CLOSED,
}


@dataclass(frozen=True, kw_only=True)
class GateFacts:
    """What the gate needs to know of a lead; holds no name, number or address.

    `consents`: the latest answer per channel (given, refused, withdrawn; absent: never asked).
    `consent_days`: for how many days consent is valid (None: as long as an open lead is kept).
    `attempts`: contact attempts of the clinic; a call from the person is not one. `suppressed`: the channels
    whose number or address is on the do-not-contact list.
    """

    region: str
    time_zone: str | None
    windows: frozenset[Window]
    consents: Mapping[Channel, str | None]
    consent_given_at: datetime
    number_zones: Sequence[str] = ()
    consent_days: int | None = None
    attempts: Sequence[tuple[Channel, datetime]] = field(default=())
    erased: bool = False
    stopped: bool = False
    closed: bool = False
    suppressed: frozenset[Channel] = frozenset()
    voicemail: bool = False


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The gate's answer. `until`: when permission ends. `opens_at`: when it begins, if within 14 days.

    `voicemail`: a message may be left on this channel whenever the channel may be used.
    """

    allowed: bool
    until: datetime | None = None
    refusals: tuple[Refusal, ...] = ()
    opens_at: datetime | None = None
    voicemail: bool = False


def may_contact(*, facts: GateFacts, channel: Channel, times: ContactTimes) -> Verdict:
    """Return whether `channel` may be used for this lead at the moment at which `times` start.

    All reasons against are given; where there are permanent ones, only these.
    """
    now, clinic = times.during.start, times.clinic
    expires = facts.consent_given_at + DAY * (facts.consent_days or clinic.retention.open_days)
    permanent = _permanent_refusals(facts, channel, clinic, expired=now >= expires)
    if permanent:
        return Verdict(allowed=False, refusals=permanent)
    conditions = times.conditions(
        channel,
        region=facts.region,
        time_zone=facts.time_zone,
        windows=facts.windows,
        number_zones=facts.number_zones,
    )
    per_24h = clinic.contact.contacts_per_24h
    blocked = {
        Refusal.CALLED_TODAY: _used_days(facts, clinic.contact.calls_per_day)
        if channel is Channel.CALL
        else [],
        Refusal.CONTACTED_IN_24H: _full_periods(
            facts, min(per_24h, times.hours.contacts_per_24h(facts.region) or per_24h)
        ),
    }
    ahead = Interval(now, min(times.during.end, expires))
    free = difference(
        intersection([ahead], *conditions.values()), (each for used in blocked.values() for each in used)
    )
    voicemail = facts.voicemail and channel is Channel.CALL
    current = interval_at(free, now)
    if current:
        return Verdict(allowed=True, until=current.end, voicemail=voicemail)
    return Verdict(
        allowed=False,
        refusals=(
            *(
                _REFUSAL_OF[each]
                for each, open_times in conditions.items()
                if not interval_at(open_times, now)
            ),
            *(refusal for refusal, used in blocked.items() if interval_at(used, now)),
        ),
        opens_at=free[0].start if free else None,
        voicemail=voicemail,
    )


def _permanent_refusals(
    facts: GateFacts, channel: Channel, clinic: Clinic, *, expired: bool
) -> tuple[Refusal, ...]:
    """Refusals that waiting does not lift."""
    consent = facts.consents.get(channel)
    used = sum(used_channel == channel for used_channel, _ in facts.attempts)
    checks = {
        Refusal.ERASED: facts.erased,
        Refusal.STOPPED: facts.stopped,
        Refusal.CLOSED: facts.closed,
        Refusal.NO_CONSENT: consent not in (GIVEN, WITHDRAWN),
        Refusal.WITHDRAWN: consent == WITHDRAWN,
        Refusal.EXPIRED: consent == GIVEN and expired,
        Refusal.SUPPRESSED: channel in facts.suppressed,
        Refusal.ATTEMPTS_USED: used >= clinic.contact.at_most(channel),
    }
    return tuple(refusal for refusal, applies in checks.items() if applies)


def _used_days(facts: GateFacts, limit: int) -> Intervals:
    """The person's calendar days that have used up their calls, in every zone they may be in."""
    zones = (facts.time_zone,) if facts.time_zone else zones_of(facts.region)
    calls = [at for used_channel, at in facts.attempts if used_channel == Channel.CALL]
    used: Intervals = []
    for zone in zones:
        dates = [local(at, zone).date() for at in calls]
        used += [whole_day(zone, each) for each in set(dates) if dates.count(each) >= limit]
    return used


def _full_periods(facts: GateFacts, limit: int) -> Intervals:
    """The 24 hours after each attempt that is followed by enough attempts to reach `limit`."""
    times = sorted(at for _, at in facts.attempts)
    return [Interval(first, first + DAY) for first in times[: max(0, len(times) - limit + 1)]]
