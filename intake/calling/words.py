"""Times as people say them, in English and Spanish: today at 9 am, el lunes a las 9 de la mañana."""

from collections.abc import Iterable
from datetime import date, datetime
from itertools import groupby

from babel.dates import format_date, get_day_names
from babel.lists import format_list

from intake.calling.availability import local
from intake.conf.clinic import Clinic
from intake.conf.rules import Span
from intake.core.i18n import N_, hour, translate

WEEK = 7
ONE = 1  # Spanish says "la 1" and "las 2"


def clock(moment: datetime, language: str) -> str:
    """The time of day of a local moment: `10 am`; in Spanish with its article: `las 10 de la mañana`."""
    said = hour(moment.time(), language)
    if language == "en":
        return said
    return f"{'la' if moment.hour % 12 == ONE else 'las'} {said}"


def day(on: date, language: str) -> str:
    """`Monday, November 23`, `lunes 23 de noviembre`."""
    return format_date(on, "EEEE, MMMM d" if language == "en" else "EEEE d 'de' MMMM", locale=language)


def when(moment: datetime, *, now: datetime, zone: str, language: str) -> str:
    """Where a moment is, seen from now, on the clock of `zone`: `tomorrow at 9 am`, `Monday at 9 am`."""
    there, here = local(moment, zone), local(now, zone)
    time, ahead = clock(there, language), (there.date() - here.date()).days
    if ahead == 0:
        return translate(N_("today at %(time)s"), language, time=time)
    if ahead == 1:
        return translate(N_("tomorrow at %(time)s"), language, time=time)
    if 1 < ahead < WEEK:
        name = str(get_day_names(locale=language)[there.weekday()])
        return translate(N_("%(weekday)s at %(time)s"), language, weekday=name, time=time)
    return translate(N_("%(day)s, at %(time)s"), language, day=day(there, language), time=time)


def opening_hours(clinic: Clinic, language: str) -> str:
    """The clinic's week: `Monday to Friday 9 am to 6 pm, Saturday 9 am to 3 pm`."""
    names = get_day_names(locale=language)
    runs = [
        (hours, [weekday for weekday, _ in run])
        for hours, run in groupby(enumerate(clinic.hours.days), key=lambda each: each[1])
        if hours
    ]
    return ", ".join(
        f"{_run(str(names[days[0]]), str(names[days[-1]]), language)} {spans(hours, language)}"
        for hours, days in runs
    )


def _run(first: str, last: str, language: str) -> str:
    if first == last:
        return first
    return translate(N_("%(first)s to %(last)s"), language, first=first, last=last)


def spans(hours: Iterable[Span], language: str) -> str:
    """The hours of one day: `9 am to 12 noon and 2 pm to 6 pm`; empty for a day without any."""
    said = [
        translate(
            N_("%(start)s to %(end)s"),
            language,
            start=hour(span.opens, language),
            end=hour(span.closes, language),
        )
        for span in hours
    ]
    return format_list(said, locale=language)
