"""The federal holidays of the United States by rule, so that they never run out (5 U.S.C. 6103)."""

from datetime import date, timedelta
from functools import cache

MONDAY, THURSDAY, SATURDAY, SUNDAY = 0, 3, 5, 6
_DAY = timedelta(days=1)


def is_federal_holiday(day: date) -> bool:
    """True on the day itself and on the weekday on which it is observed."""
    return day in _federal(day.year) or day in _federal((day + _DAY).year)


@cache
def _federal(year: int) -> frozenset[date]:
    """The holidays of `year`. New Year's Day may be observed on the last day of the year before."""
    days = {
        date(year, 1, 1),
        _nth(year, 1, MONDAY, 3),
        _nth(year, 2, MONDAY, 3),
        _nth(year, 6, MONDAY, 1) - 7 * _DAY,  # the last Monday of May
        date(year, 6, 19),
        date(year, 7, 4),
        _nth(year, 9, MONDAY, 1),
        _nth(year, 10, MONDAY, 2),
        date(year, 11, 11),
        _nth(year, 11, THURSDAY, 4),
        date(year, 12, 25),
    }
    return frozenset(days | {_observed(day) for day in days})


def _nth(year: int, month: int, weekday: int, n: int) -> date:
    first = date(year, month, 1)
    return first + _DAY * ((weekday - first.weekday()) % 7 + 7 * (n - 1))


def _observed(day: date) -> date:
    return day + {SATURDAY: -_DAY, SUNDAY: _DAY}.get(day.weekday(), 0 * _DAY)
