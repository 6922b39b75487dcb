"""The evidence report at the desk, and as a file for whoever has to keep it."""

from datetime import datetime

from babel.dates import format_date
from flask import Response, render_template, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from intake.accounts.permissions import Permission
from intake.audit import Action
from intake.calling.availability import local
from intake.core import i18n
from intake.core.i18n import N_
from intake.core.paths import STATIC
from intake.reports import compliance
from intake.reports.compliance import Evidence, Standing, Urgency
from intake.web.auth import guards
from intake.web.auth.reauth import fresh
from intake.web.context import here
from intake.web.desk import formatting, looking
from intake.web.errors import POLICIES

HTML, JSON = "html", "json"
STANDINGS = {
    Standing.OPEN: N_("open"),
    Standing.NOT_KNOWN: N_("not known"),
    Standing.GOOD: N_("as it should be"),
    Standing.TOLD: N_("for information"),
}
URGENCIES = {Urgency.NOW: N_("now"), Urgency.SOON: N_("soon")}


@guards.signed_in(Permission.SEE_EVIDENCE)
def evidence_page() -> ResponseReturnValue:
    """The report of this moment; that it was looked at is recorded."""
    report = compliance.gather(here(), policies=POLICIES)
    with here().database.transaction() as session:
        looking.record(session, Action.EVIDENCE_READ)
    return render_template("desk/evidence.html", **_known(report))


@guards.signed_in(Permission.SEE_EVIDENCE)
@fresh
def save_evidence() -> ResponseReturnValue:
    """The report as a file to keep; recorded, because it leaves the building. JSON is always in English."""
    kind = JSON if request.form.get("kind") == JSON else HTML
    with i18n.speaking(i18n.DEFAULT if kind == JSON else i18n.in_use.get()):
        report = compliance.gather(here(), policies=POLICIES)
        words = compliance.as_json(report) if kind == JSON else as_html(report)
    with here().database.transaction() as session:
        looking.record(session, Action.EVIDENCE_SAVED, kind=kind)
    answer = Response(words, mimetype="application/json" if kind == JSON else "text/html")
    answer.headers["Content-Disposition"] = f'attachment; filename="evidence-{report.at:%Y-%m-%d}.{kind}"'
    return answer


def as_html(report: Evidence) -> str:
    """One page that needs nothing beside it, to be printed or kept. Needs an application's context."""
    style = Markup((STATIC / "evidence.css").read_text(encoding="utf-8"))  # noqa: S704  a file of ours
    return render_template("evidence.html", style=style, **_known(report))


def _known(report: Evidence) -> dict[str, object]:
    return {
        "report": report,
        "standings": STANDINGS,
        "urgencies": URGENCIES,
        "moment": moment,
        "is_moment": lambda value: isinstance(value, datetime),
    }


def moment(at: datetime) -> str:
    """A moment in full, on the clinic's clock: `November 18, 2026, 10 am`."""
    there = local(at, here().clinic.time_zone).date()
    day = format_date(there, "long", locale=i18n.in_use.get())
    return f"{day}, {formatting.time_of_day(at)}"
