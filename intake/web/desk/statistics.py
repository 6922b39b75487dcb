"""The statistics page: charts with a table under each, and a CSV file with small counts masked."""

import csv
from collections.abc import Mapping, Sequence
from datetime import date, time, timedelta
from io import StringIO
from typing import Any

from babel.dates import format_skeleton, get_day_names
from flask import Response, render_template, request
from flask.typing import ResponseReturnValue

from intake.accounts.permissions import Permission
from intake.audit import Action
from intake.calling.availability import local
from intake.core import i18n
from intake.core.errors import Unprocessable
from intake.core.i18n import N_, gettext
from intake.reports import charts, statistics
from intake.reports.periods import Ending, PromiseResult
from intake.reports.statistics import Period, Statistics, is_small, masked_counts
from intake.web.auth import guards
from intake.web.auth.reauth import require_recent_second_factor
from intake.web.context import current_service, staff_act, staff_read

PERIOD_DAYS = (7, 30, 90)
DEFAULT_DAYS = 30
NOT_SETTLED = frozenset({Ending.OPEN.sentence, PromiseResult.NOT_DUE.sentence, PromiseResult.ENDED.sentence})
_FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r", "\n")


@guards.permission_required(Permission.SEE_NUMBERS)
def numbers_page() -> ResponseReturnValue:
    """The last 30 days, or the days that the address names; an address that names none says so (422)."""
    try:
        period = _period(request.args)
    except Unprocessable as refused:
        return _page(None, request.args, refused.sentence), refused.status
    with staff_read() as act:
        numbers = statistics.gather(act, period=period)
    return _page(numbers, _period_query(period))


@guards.permission_required(Permission.SEE_NUMBERS)
@require_recent_second_factor
def save_numbers() -> ResponseReturnValue:
    """Download the statistics as CSV, masked; recorded, because it is exported."""
    try:
        period = _period(request.form)
    except Unprocessable as refused:
        return _page(None, request.form, refused.sentence), refused.status
    with staff_act() as act:
        numbers = statistics.gather(act, period=period)
        act.record(Action.REPORT_EXPORTED, kind="numbers", count=period.length)
    answer = Response("\ufeff" + as_csv(rows(numbers)), mimetype="text/csv")
    name = f"numbers-{period.first}-to-{period.last}.csv"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _period(query: Mapping[str, str]) -> Period:
    """The days between `from` and `to`, or the last `days`. Raises Unprocessable when they are none."""
    today = local(current_service().clock(), current_service().clinic.time_zone).date()
    if query.get("from") or query.get("to"):
        return Period.parse(query.get("from", ""), query.get("to", ""), today=today)
    days = query.get("days", "")
    return Period.until(today, days=next((each for each in PERIOD_DAYS if str(each) == days), DEFAULT_DAYS))


def _period_query(period: Period) -> dict[str, str]:
    return {"from": period.first.isoformat(), "to": period.last.isoformat()}


def _page(numbers: Statistics | None, typed: Mapping[str, str], problem: str = "") -> str:
    return render_template(
        "desk/numbers.html",
        numbers=numbers,
        drawn=charts_of(numbers) if numbers and numbers.received else {},
        typed=typed,
        problem=problem,
        choices=PERIOD_DAYS,
        today=local(current_service().clock(), current_service().clinic.time_zone).date(),
        short=short,
        weekday=weekday,
        hour=hour,
        wait_phrase=wait_phrase,
        minutes=minutes,
    )


def charts_of(numbers: Statistics) -> dict[str, Any]:
    """The figures of the page, drawn."""
    return {
        "per_day": charts.columns(numbers.per_day),
        "waits": charts.curves(numbers.wait_times_by_week) if numbers.wait_times else None,
        "by_hour": charts.heat(numbers.by_hour),
        **{name: charts.bars(counts, pale=NOT_SETTLED) for name, counts in named_counts(numbers).items()},
    }


def named_counts(numbers: Statistics) -> dict[str, dict[str, int]]:
    """The counts that have names, by figure and message id."""
    return {
        "languages": {i18n.language_name(each): count for each, count in numbers.languages.items()},
        "channels": {each.sentence: count for each, count in numbers.channels.items()},
        "endings": {each.sentence: count for each, count in numbers.endings.items()},
        "promises": {each.sentence: count for each, count in numbers.promises.items()},
    }


def short(day: date) -> str:
    """`Nov 18`, `18 nov`."""
    return str(format_skeleton("MMMd", day, locale=i18n.LANGUAGES[i18n.current_language.get()].locale))


def weekday(place: int) -> str:
    """`Mon`, `lun`; 0 is Monday."""
    return str(get_day_names("abbreviated", locale=i18n.current_language.get())[place])


def hour(of_day: int) -> str:
    """`3 pm`; short in Spanish too: `15 h`."""
    words = i18n.LANGUAGES[i18n.current_language.get()].hours
    return i18n.hour_phrase(time(of_day)) if words and words.short else f"{of_day} h"


def wait_phrase(length: timedelta) -> str:
    """`18 min`, `1 h 05`, `26 h`: open time, so never in days."""
    minutes = -(-length // timedelta(minutes=1))
    hours, rest = divmod(minutes, 60)
    if not hours:
        return i18n.translate("%(minutes)s min", minutes=minutes)
    return f"{hours} h {rest:02}" if rest else f"{hours} h"


def minutes(count: int) -> str:
    """The same for whole minutes; 0 is just 0."""
    return wait_phrase(timedelta(minutes=count)) if count else "0"


def rows(numbers: Statistics) -> list[tuple[str, str, str]]:
    """Figure, name and masked count, without a row of totals; no two figures share a sum of some cells."""
    named = named_counts(numbers)
    figures: dict[str, Mapping[str, int]] = {
        N_("Requests per day"): {day.isoformat(): count for day, count in numbers.per_day.items()},
        N_("Requests by hour of the day"): {
            f"{at:02}:00": count for at, count in enumerate(numbers.per_hour)
        },
        N_("Language"): named["languages"],
        N_("Ways of contact agreed to"): named["channels"],
        N_("How it ended"): named["endings"],
        N_("Promises"): named["promises"],
    }
    lines = [(gettext("Figure"), gettext("Name"), gettext("Count"))]
    for figure, counts in figures.items():
        for name, shown in zip(counts, masked_counts(list(counts.values())), strict=True):
            lines.append((gettext(figure), gettext(name), gettext(shown)))
    waits = numbers.wait_times
    if waits and not is_small(waits.count):  # nothing may be computed from a masked count
        figure = gettext("Minutes to first contact while we were open")
        for name, wait in (
            (gettext("Median"), waits.median),
            (gettext("9 of 10 within"), waits.ninth_decile),
        ):
            lines.append((figure, name, str(-(-wait // timedelta(minutes=1)))))
    return lines


def as_csv(lines: Sequence[Sequence[str]]) -> str:
    """CSV (RFC 4180). A cell that a spreadsheet would evaluate as a formula is marked as text."""
    file = StringIO()
    csv.writer(file).writerows(
        [[f"'{cell}" if cell.startswith(_FORMULA_PREFIXES) else cell for cell in line] for line in lines]
    )
    return file.getvalue()
