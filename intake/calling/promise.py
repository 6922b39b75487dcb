"""By when we said we would be in touch (decisions.md 13), and how we say it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from intake.calling import words
from intake.calling.availability import HORIZON_DAYS, contactable, local
from intake.calling.hours import CallingHours
from intake.calling.intervals import DAY, Interval, Intervals, holding, on_the_clock, union
from intake.calling.regions import names_of_zone
from intake.calling.windows import Window
from intake.conf.clinic import Channel, Clinic
from intake.core.errors import Unprocessable
from intake.core.i18n import N_, translate

MINUTE = timedelta(minutes=1)
NO_TIME = N_(
    "We are not open at these times in the next two weeks. Please tick other times, or any time we are open."
)


class NoTimeWithin14Days(Unprocessable):
    """No promise can be kept within the horizon: the person has to choose other times."""

    def __init__(self) -> None:
        super().__init__({"windows": [NO_TIME]})


@dataclass(frozen=True)
class Opening:
    """Whether the clinic is open now, and the sentence that says until or from when."""

    open: bool
    sentence: str


def promise_for(
    clinic: Clinic,
    hours: CallingHours,
    *,
    channels: Collection[Channel],
    region: str,
    time_zone: str | None,
    number_zones: Sequence[str] = (),
    windows: Collection[Window],
    now: datetime,
) -> datetime:
    """The moment, in UTC and on a full minute, when `response_minutes` of contactable time have passed.

    Time counts when at least one of `channels` may be used. Raises NoTimeWithin14Days (422, `windows`).
    """
    found = union(
        *(
            contactable(
                clinic,
                hours,
                region=region,
                time_zone=time_zone,
                number_zones=number_zones,
                windows=windows,
                channel=channel,
                start=now,
            )
            for channel in channels
        )
    )
    return _full_minute(_after(found, timedelta(minutes=clinic.contact.response_minutes)))


def _after(intervals: Intervals, needed: timedelta) -> datetime:
    for each in intervals:
        if each.length >= needed:
            return each.start + needed
        needed -= each.length
    raise NoTimeWithin14Days


def _full_minute(moment: datetime) -> datetime:
    """Rounded up: a promise may be a moment late in words, never earlier than it was counted."""
    begun = moment.replace(second=0, microsecond=0)
    return begun if begun == moment else begun + MINUTE


def promise_in_words(promise: datetime, *, now: datetime, zone: str, language: str) -> str:
    """`by 10 am tomorrow (Eastern)`, on the clock of `zone`."""
    there, here = local(promise, zone), local(now, zone)
    said = {
        "time": words.clock(there, language),
        "zone": translate(names_of_zone(zone).bracket, language),
    }
    ahead = (there.date() - here.date()).days
    if ahead == 0:
        return translate(N_("by %(time)s today %(zone)s"), language, **said)
    if ahead == 1:
        return translate(N_("by %(time)s tomorrow %(zone)s"), language, **said)
    return translate(N_("by %(time)s on %(day)s %(zone)s"), language, day=words.day(there, language), **said)


def open_until(clinic: Clinic, now: datetime) -> datetime | None:
    """When the clinic closes, if it is open now."""
    current = holding(_opening(clinic, now), now)
    return current.end if current else None


def opens_next(clinic: Clinic, now: datetime) -> datetime | None:
    """When the clinic opens next, from now on; None when it does not within 14 days."""
    return next((each.start for each in _opening(clinic, now) if each.start > now), None)


def _opening(clinic: Clinic, now: datetime) -> Intervals:
    return on_the_clock(clinic.time_zone, Interval(now, now + DAY * HORIZON_DAYS), clinic.open_on)


def open_now(clinic: Clinic, now: datetime, language: str) -> Opening:
    """`Open now until 6 pm`, `Opens Monday at 9 am`: the clinic's hours on the clinic's own clock."""
    hours = _opening(clinic, now)
    current = holding(hours, now)
    if current:
        closes = words.clock(local(current.end, clinic.time_zone), language)
        return Opening(open=True, sentence=translate(N_("Open now until %(time)s"), language, time=closes))
    if not hours:
        return Opening(open=False, sentence=translate(N_("Closed now"), language))
    opens = words.when(hours[0].start, now=now, zone=clinic.time_zone, language=language)
    return Opening(open=False, sentence=translate(N_("Opens %(when)s"), language, when=opens))
