"""The numbers page: pictures of the work with a table under each, and a file with the small counts hidden."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, time, timedelta
from io import StringIO
from typing import Any

from babel.dates import format_skeleton, get_day_names
from flask import Response, g, render_template, request
from flask.typing import ResponseReturnValue

from intake import audit
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
from intake.web.context import current_service

CHOICES = (7, 30, 90)
USUAL = 30
LANGUAGES = {"en": N_("English"), "es": N_("Spanish")}
NOT_SETTLED = frozenset({Ending.OPEN.sentence, PromiseResult.NOT_DUE.sentence, PromiseResult.ENDED.sentence})
_LOCALES = {"en": "en_US", "es": "es_US"}
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")


@guards.signed_in(Permission.SEE_NUMBERS)
def numbers_page() -> ResponseReturnValue:
    """The last 30 days, or the days that the address names; an address that names none says so (422)."""
    try:
        period = _period(request.args)
    except Unprocessable as refused:
        return _rendered(None, request.args, refused.sentence), refused.status
    with current_service().database.reading() as session:
        found = statistics.gather(session, period=period, member=g.member, instance=current_service())
    return _rendered(found, _as_words(period))


@guards.signed_in(Permission.SEE_NUMBERS)
@require_recent_second_factor
def save_numbers() -> ResponseReturnValue:
    """The same as a file to keep, masked; recorded, because it leaves the building."""
    try:
        period = _period(request.form)
    except Unprocessable as refused:
        return _rendered(None, request.form, refused.sentence), refused.status
    with current_service().database.transaction() as session:
        found = statistics.gather(session, period=period, member=g.member, instance=current_service())
        audit.record(
            session,
            Action.REPORT_EXPORTED,
            keyring=current_service().keyring,
            at=current_service().clock(),
            actor=g.member.actor,
            details={"kind": "numbers", "count": period.length},
        )
    answer = Response("\ufeff" + as_csv(rows(found)), mimetype="text/csv")
    name = f"numbers-{period.first}-to-{period.last}.csv"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _period(words: Mapping[str, str]) -> Period:
    """The days between `from` and `to`, or the last `days`. Raises Unprocessable when they are none."""
    today = local(current_service().clock(), current_service().clinic.time_zone).date()
    if words.get("from") or words.get("to"):
        return Period.parse(words.get("from", ""), words.get("to", ""), today=today)
    days = words.get("days", "")
    return Period.until(today, days=next((each for each in CHOICES if str(each) == days), USUAL))


def _as_words(period: Period) -> dict[str, str]:
    return {"from": period.first.isoformat(), "to": period.last.isoformat()}


def _rendered(found: Statistics | None, typed: Mapping[str, str], problem: str = "") -> str:
    return render_template(
        "desk/numbers.html",
        numbers=found,
        drawn=_drawn(found) if found and found.received else {},
        typed=typed,
        problem=problem,
        choices=CHOICES,
        today=local(current_service().clock(), current_service().clinic.time_zone).date(),
        short=short,
        weekday=weekday,
        hour=hour,
        waited=waited,
        minutes=minutes,
    )


def _drawn(found: Statistics) -> dict[str, Any]:
    return {
        "per_day": charts.columns(found.per_day),
        "waits": charts.curves(found.wait_times_by_week) if found.wait_times else None,
        "promises": charts.bars(_promises(found), pale=NOT_SETTLED),
        "endings": charts.bars(_endings(found), pale=NOT_SETTLED),
        "by_hour": charts.heat(found.by_hour),
        "languages": charts.bars(_languages(found)),
        "channels": charts.bars(_channels(found)),
    }


def _promises(found: Statistics) -> dict[str, int]:
    return {each.sentence: count for each, count in found.promises.items()}


def _endings(found: Statistics) -> dict[str, int]:
    return {each.sentence: count for each, count in found.endings.items()}


def _languages(found: Statistics) -> dict[str, int]:
    return {LANGUAGES[each]: count for each, count in found.languages.items()}


def _channels(found: Statistics) -> dict[str, int]:
    return {each.sentence: count for each, count in found.channels.items()}


# --- how days and hours are said ---------------------------------------------------------------------


def short(day: date) -> str:
    """`Nov 18`, `18 nov`."""
    return str(format_skeleton("MMMd", day, locale=_LOCALES[i18n.current_language.get()]))


def weekday(place: int) -> str:
    """`Mon`, `lun`; 0 is Monday."""
    return str(get_day_names("abbreviated", locale=i18n.current_language.get())[place])


def hour(of_day: int) -> str:
    """`3 pm`; short in Spanish too: `15 h`."""
    return i18n.hour_phrase(time(of_day)) if i18n.current_language.get() == "en" else f"{of_day} h"


def waited(length: timedelta) -> str:
    """`18 min`, `1 h 05`, `26 h`: open time, so never in days."""
    minutes = -(-length // timedelta(minutes=1))
    hours, rest = divmod(minutes, 60)
    if not hours:
        return i18n.translate(N_("%(minutes)s min"), minutes=minutes)
    return f"{hours} h {rest:02}" if rest else f"{hours} h"


def minutes(count: int) -> str:
    """The same for whole minutes; 0 is just 0."""
    return waited(timedelta(minutes=count)) if count else "0"


# --- the file ----------------------------------------------------------------------------------------


def rows(found: Statistics) -> list[tuple[str, str, str]]:
    """Figure, name and masked count, without a row of totals; no two figures share a sum of some cells."""
    return [
        (gettext(N_("Figure")), gettext(N_("Name")), gettext(N_("Count"))),
        *_masked(N_("Requests per day"), {day.isoformat(): count for day, count in found.per_day.items()}),
        *_masked(N_("Requests by hour of the day"), dict(_hours(found.per_hour))),
        *_masked(N_("Language"), _languages(found)),
        *_masked(N_("Ways of contact agreed to"), _channels(found)),
        *_masked(N_("How it ended"), _endings(found)),
        *_masked(N_("Promises"), _promises(found)),
        *_waits(found),
    ]


def _hours(per_hour: Sequence[int]) -> Iterator[tuple[str, int]]:
    return ((f"{at:02}:00", count) for at, count in enumerate(per_hour))


def _masked(figure: str, counts: Mapping[str, int]) -> Iterator[tuple[str, str, str]]:
    for name, shown in zip(counts, masked_counts(list(counts.values())), strict=True):
        yield gettext(figure), gettext(name), gettext(shown)


def _waits(found: Statistics) -> Iterator[tuple[str, str, str]]:
    """Nothing is computed from a count that may not be shown (SX-02)."""
    if not found.wait_times or is_small(found.wait_times.count):
        return
    figure = gettext(N_("Minutes to first contact while we were open"))
    for name, wait in (
        (N_("Median"), found.wait_times.median),
        (N_("9 of 10 within"), found.wait_times.ninth_decile),
    ):
        yield figure, gettext(name), str(-(-wait // timedelta(minutes=1)))


def as_csv(lines: Sequence[Sequence[str]]) -> str:
    """The lines as RFC 4180 has them. A cell that a spreadsheet would compute is marked as text."""
    file = StringIO()
    csv.writer(file).writerows([[_plain(cell) for cell in line] for line in lines])
    return file.getvalue()


def _plain(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULAS) else cell
