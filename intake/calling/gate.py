"""The contact gate (promise G1): may this lead be contacted on this channel now, and if not, why not.

One pure function. Staff see no number until it says yes, and nobody overrides it (decisions.md 14).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from intake.calling.availability import (
    DAY,
    HORIZON_DAYS,
    Interval,
    Intervals,
    Layer,
    intersection,
    interval_at,
    layers,
    local,
    whole_day,
    without,
)
from intake.calling.hours import CallingHours, Window
from intake.calling.regions import zones_of
from intake.conf.clinic import Channel, Clinic
from intake.core.i18n import N_

GIVEN, WITHDRAWN = "given", "withdrawn"


class Refusal(StrEnum):
    """Why not, in the order in which it is asked (OC-01)."""

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
        """The reason for staff (message id)."""
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
_OF_LAYER = {
    Layer.LEGAL: Refusal.LEGAL_HOURS,
    Layer.CALL_HOURS: Refusal.CALL_HOURS,
    Layer.WINDOWS: Refusal.WINDOWS,
    Layer.OPENING: Refusal.CLINIC_CLOSED,
}


@dataclass(frozen=True, kw_only=True)
class GateFacts:
    """What the gate must know of a lead; nothing in it names or reaches anybody.

    `consents` holds the latest answer per channel (given, refused, withdrawn; absent: never asked),
    `consent_days` how long a yes holds (absent: as long as an open lead is kept), `attempts` what we
    did, not what they did: a call from them is none.
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
    suppressed: bool = False
    voicemail: bool = False


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The answer. `until`: when the yes ends. `opens_at`: when a no ends, if it does within 14 days.

    `voicemail`: a message may be left on this channel whenever it may be used.
    """

    allowed: bool
    until: datetime | None = None
    refusals: tuple[Refusal, ...] = ()
    opens_at: datetime | None = None
    voicemail: bool = False


def may_contact(
    *, facts: GateFacts, channel: Channel, clinic: Clinic, hours: CallingHours, now: datetime
) -> Verdict:
    """May we use `channel` for this lead at `now`? All reasons against are given, the lasting ones alone."""
    expires = facts.consent_given_at + DAY * (facts.consent_days or clinic.retention.open_days)
    lasting = tuple(_lasting(facts, channel, clinic, expired=now >= expires))
    if lasting:
        return Verdict(allowed=False, refusals=lasting)
    ahead = Interval(now, min(now + DAY * HORIZON_DAYS, expires))
    needed = _needed(facts, channel, clinic, hours, ahead)
    limits = _limits(facts, channel, clinic, hours)
    free = without(intersection(*needed.values()), (each for used in limits.values() for each in used))
    voicemail = facts.voicemail and channel is Channel.CALL
    current = interval_at(free, now)
    if current:
        return Verdict(allowed=True, until=current.end, voicemail=voicemail)
    return Verdict(
        allowed=False,
        refusals=(
            *(refusal for refusal, times in needed.items() if not interval_at(times, now)),
            *(refusal for refusal, used in limits.items() if interval_at(used, now)),
        ),
        opens_at=free[0].start if free else None,
        voicemail=voicemail,
    )


def _lasting(facts: GateFacts, channel: Channel, clinic: Clinic, *, expired: bool) -> Iterator[Refusal]:
    """What no waiting changes."""
    consent = facts.consents.get(channel)
    used = sum(tried == channel for tried, _ in facts.attempts)
    answers = {
        Refusal.ERASED: facts.erased,
        Refusal.STOPPED: facts.stopped,
        Refusal.CLOSED: facts.closed,
        Refusal.NO_CONSENT: consent not in (GIVEN, WITHDRAWN),
        Refusal.WITHDRAWN: consent == WITHDRAWN,
        Refusal.EXPIRED: consent == GIVEN and expired,
        Refusal.SUPPRESSED: facts.suppressed,
        Refusal.ATTEMPTS_USED: used >= clinic.contact.at_most(channel),
    }
    return (refusal for refusal, holds in answers.items() if holds)


def _needed(
    facts: GateFacts, channel: Channel, clinic: Clinic, hours: CallingHours, during: Interval
) -> dict[Refusal, Intervals]:
    """The times that each condition leaves open, by the refusal that stands for it."""
    found = layers(
        clinic,
        hours,
        region=facts.region,
        time_zone=facts.time_zone,
        number_zones=facts.number_zones,
        windows=facts.windows,
        channel=channel,
        during=during,
    )
    return {_OF_LAYER[layer]: times for layer, times in found.items()}


def _limits(
    facts: GateFacts, channel: Channel, clinic: Clinic, hours: CallingHours
) -> dict[Refusal, Intervals]:
    """The time that attempts already made keep shut."""
    return {
        Refusal.CALLED_TODAY: _days_used(facts, clinic.contact.calls_per_day)
        if channel is Channel.CALL
        else [],
        Refusal.CONTACTED_IN_24H: _day_after(facts, _most_in_24h(facts.region, clinic, hours)),
    }


def _most_in_24h(region: str, clinic: Clinic, hours: CallingHours) -> int:
    return min(clinic.contact.contacts_per_24h, hours.per_24h(region) or clinic.contact.contacts_per_24h)


def _days_used(facts: GateFacts, most: int) -> Intervals:
    """The person's calendar days that had their calls; in every zone they may be in."""
    zones = (facts.time_zone,) if facts.time_zone else zones_of(facts.region)
    calls = [at for tried, at in facts.attempts if tried == Channel.CALL]
    used: Intervals = []
    for zone in zones:
        dates = [local(at, zone).date() for at in calls]
        used += [whole_day(zone, each) for each in set(dates) if dates.count(each) >= most]
    return used


def _day_after(facts: GateFacts, most: int) -> Intervals:
    """The day after each attempt that has `most` attempts from itself on: until then they fill a day."""
    times = sorted(at for _, at in facts.attempts)
    return [Interval(first, first + DAY) for first in times[: max(0, len(times) - most + 1)]]
