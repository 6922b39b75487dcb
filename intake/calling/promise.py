"""The promised time of contact, the clinic's opening status, and times as phrases.

A promise is the moment at which the clinic's `response_minutes` of contactable time have passed.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Unpack

from babel.dates import format_date, format_skeleton, get_day_names
from babel.lists import format_list

from intake.calling.availability import (
    DAY,
    HORIZON_DAYS,
    ContactTimes,
    Interval,
    Intervals,
    Whereabouts,
    interval_at,
    local,
    opening_hours,
    union,
)
from intake.calling.regions import names_of_zone
from intake.conf.clinic import Channel, Clinic
from intake.conf.toml_schema import Span
from intake.core.errors import Unprocessable
from intake.core.i18n import LANGUAGES, N_, hour_phrase, translate

WEEK = 7


def clock_phrase(moment: datetime, language: str) -> str:
    """Format the time of a local moment: `10 am`; in Spanish with its article: `las 10 de la mañana`."""
    phrase = hour_phrase(moment.time(), language)
    words = LANGUAGES[language].hours
    return f"{words.articles[moment.hour % 12 != 1]}{phrase}" if words else phrase


def day_phrase(on: date, language: str) -> str:
    """Format a date: `Monday, November 23`, `lunes 23 de noviembre`."""
    pattern = LANGUAGES[language].day
    if not pattern:
        return str(format_skeleton("MMMMEEEEd", on, locale=language))
    return format_date(on, pattern, locale=language)


def when_phrase(moment: datetime, *, now: datetime, zone: str, language: str) -> str:
    """Format a moment relative to `now`, in local time of `zone`: `tomorrow at 9 am`, `Monday at 9 am`."""
    there, local_now = local(moment, zone), local(now, zone)
    time, ahead = clock_phrase(there, language), (there.date() - local_now.date()).days
    if ahead == 0:
        return translate("today at %(time)s", language, time=time)
    if ahead == 1:
        return translate("tomorrow at %(time)s", language, time=time)
    if 1 < ahead < WEEK:
        name = str(get_day_names(locale=language)[there.weekday()])
        return translate("%(weekday)s at %(time)s", language, weekday=name, time=time)
    return translate("%(day)s, at %(time)s", language, day=day_phrase(there, language), time=time)


def opening_hours_phrase(clinic: Clinic, language: str) -> str:
    """Format the clinic's week: `Monday to Friday 9 am to 6 pm, Saturday 9 am to 3 pm`."""
    names = get_day_names(locale=language)
    phrases = []
    for hours, run in groupby(enumerate(clinic.hours.days), key=lambda each: each[1]):
        days = [str(names[weekday]) for weekday, _ in run]
        first, last = days[0], days[-1]
        if first != last:
            first = translate("%(first)s to %(last)s", language, first=first, last=last)
        if hours:
            phrases.append(f"{first} {spans_phrase(hours, language)}")
    return ", ".join(phrases)


def spans_phrase(hours: Iterable[Span], language: str) -> str:
    """Format the hours of one day: `9 am to 12 noon and 2 pm to 6 pm`; empty for a day without any."""
    phrases = [
        translate(
            "%(start)s to %(end)s",
            language,
            start=hour_phrase(span.opens, language),
            end=hour_phrase(span.closes, language),
        )
        for span in hours
    ]
    return format_list(phrases, locale=language)


MINUTE = timedelta(minutes=1)
NO_TIME = N_(
    "We are not open at these times in the next two weeks. Please tick other times, or any time we are open."
)


class NoTimeWithin14Days(Unprocessable):
    """No promise is possible within 14 days: the person has to choose other times."""

    def __init__(self) -> None:
        super().__init__({"windows": [NO_TIME]})


@dataclass(frozen=True)
class OpeningStatus:
    """Whether the clinic is open now, and a sentence that says until or from when."""

    open: bool
    sentence: str


def promise_for(
    times: ContactTimes, *, channels: Collection[Channel], **person: Unpack[Whereabouts]
) -> datetime:
    """Return the UTC moment, rounded up to a minute, when `response_minutes` of contactable time have passed.

    Time counts from the start of `times`, when at least one of `channels` may be used. Raises
    NoTimeWithin14Days (422, `windows`).
    """
    needed = timedelta(minutes=times.clinic.contact.response_minutes)
    for each in union(*(times.contactable(channel, **person) for channel in channels)):
        if each.length >= needed:
            exact = each.start + needed
            # up to a full minute, so that the promise shown is never earlier than the one computed
            minute = exact.replace(second=0, microsecond=0)
            return minute if minute == exact else minute + MINUTE
        needed -= each.length
    raise NoTimeWithin14Days


def promise_in_words(promise: datetime, *, now: datetime, zone: str, language: str) -> str:
    """Format as `by 10 am tomorrow (Eastern)`, in the local time of `zone`."""
    there, local_now = local(promise, zone), local(now, zone)
    values = {
        "time": clock_phrase(there, language),
        "zone": translate(names_of_zone(zone).bracket, language),
    }
    ahead = (there.date() - local_now.date()).days
    if ahead == 0:
        return translate("by %(time)s today %(zone)s", language, **values)
    if ahead == 1:
        return translate("by %(time)s tomorrow %(zone)s", language, **values)
    return translate("by %(time)s on %(day)s %(zone)s", language, day=day_phrase(there, language), **values)


def open_until(clinic: Clinic, now: datetime) -> datetime | None:
    """Return when the clinic closes; None when it is not open now."""
    current = interval_at(_opening_intervals(clinic, now), now)
    return current.end if current else None


def opens_next(clinic: Clinic, now: datetime) -> datetime | None:
    """Return when the clinic opens next; None when it does not within 14 days."""
    return next((each.start for each in _opening_intervals(clinic, now) if each.start > now), None)


def _opening_intervals(clinic: Clinic, now: datetime, days: int = HORIZON_DAYS) -> Intervals:
    return opening_hours(clinic, Interval(now, now + DAY * days))


def open_now(clinic: Clinic, now: datetime, language: str) -> OpeningStatus:
    """Return the opening status on the clinic's own clock: `Open now until 6 pm`, `Opens Monday at 9 am`."""
    hours = _opening_intervals(clinic, now, days=3) or _opening_intervals(clinic, now)
    current = interval_at(hours, now)
    if current:
        closes = clock_phrase(local(current.end, clinic.time_zone), language)
        return OpeningStatus(open=True, sentence=translate("Open now until %(time)s", language, time=closes))
    if not hours:
        return OpeningStatus(open=False, sentence=translate("Closed now", language))
    opens = when_phrase(hours[0].start, now=now, zone=clinic.time_zone, language=language)
    return OpeningStatus(open=False, sentence=translate("Opens %(when)s", language, when=opens))
