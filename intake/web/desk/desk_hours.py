"""When we are open: the hours in force, the holidays ahead, and whether anybody was at the desk."""

from collections.abc import Sequence
from datetime import datetime

from babel.dates import get_day_names
from flask import render_template
from flask.typing import ResponseReturnValue

from intake.accounts.permissions import Permission
from intake.calling import words
from intake.calling.promise import open_until, opens_next
from intake.conf.clinic import Holiday
from intake.core.i18n import in_use
from intake.leads import attendance
from intake.web.auth import guards
from intake.web.context import here
from intake.web.desk import formatting


@guards.signed_in(Permission.SEE_HEALTH)
def hours_page() -> ResponseReturnValue:
    """The hours as `clinic.toml` has them; they are changed there. Nothing on it is about anybody."""
    now, clinic = here().clock(), here().clinic
    with here().database.reading() as session:
        opened = attendance.attendance(session, instance=here())
    return render_template(
        "desk/hours.html",
        week=_week(),
        today=formatting.day_of(now).weekday(),
        closes=open_until(clinic, now),
        opens=opens_next(clinic, now),
        holidays=_ahead(now),
        opened=opened,
        now=now,
    )


def _week() -> list[tuple[str, str]]:
    """Each day with its hours in words; none when the clinic is closed on it."""
    spoken = in_use.get()
    names = get_day_names(locale=spoken)
    days = enumerate(here().clinic.hours.days)
    return [(str(names[weekday]), words.spans(hours, spoken)) for weekday, hours in days]


def _ahead(now: datetime) -> Sequence[Holiday]:
    today = formatting.day_of(now)
    return sorted((each for each in here().clinic.holidays if each.on >= today), key=lambda each: each.on)
