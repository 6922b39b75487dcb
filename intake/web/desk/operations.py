"""The operator's room: what the doctor finds, what runs by itself, and the settings in force.

Nothing in it is about anybody who asked, and no secret stands on its pages.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from enum import StrEnum
from typing import Any

from babel.dates import format_timedelta
from flask import render_template
from flask.typing import ResponseReturnValue

from intake import __version__, monitoring
from intake.accounts.permissions import Permission
from intake.conf.settings import PREFIX, Settings
from intake.core import i18n
from intake.core.i18n import N_
from intake.jobs import scheduler
from intake.monitoring import State
from intake.web.auth import guards
from intake.web.context import here

STATES = {State.RED: N_("now"), State.AMBER: N_("soon"), State.GREEN: N_("well")}
"""When a finding wants somebody's attention."""


class Told(StrEnum):
    """How much of a setting a page tells."""

    VALUE = "value"
    SET = "set"
    NOT_SET = "not_set"


@dataclass(frozen=True)
class InForce:
    """One setting as a page shows it: `value` is empty unless it may be shown and there is one."""

    name: str
    doc: str
    told: Told
    value: str
    usual: bool


@guards.signed_in(Permission.RUN_SERVICE)
def doctor_page() -> ResponseReturnValue:
    """What `intake doctor` finds, the worst first; what asks other machines is left to the command."""
    order = list(reversed(State))
    found = sorted(monitoring.checks(here()), key=lambda check: order.index(check.state))
    return render_template(
        "desk/service_doctor.html",
        found=found,
        left_out=monitoring.NOT_FOR_A_PAGE,
        states=STATES,
        version=__version__,
        now=here().clock(),
    )


@guards.signed_in(Permission.RUN_SERVICE)
def rounds_page() -> ResponseReturnValue:
    """Everything that runs by itself: what for, how often, when last, how it ended, when next."""
    with here().database.reading() as session:
        found = scheduler.status(session)
    return render_template(
        "desk/service_rounds.html",
        rounds=found,
        often=often,
        delivery=scheduler.NOTICES,
        now=here().clock(),
    )


def often(every: timedelta) -> str:
    """An interval in words: `15 minutes`, `1 hora`."""
    return str(format_timedelta(every, threshold=1, locale=i18n.in_use.get()))


@guards.signed_in(Permission.RUN_SERVICE)
def settings_page() -> ResponseReturnValue:
    """The settings of this process. A secret, or words nobody said may be shown, are only told to be set."""
    return render_template("desk/service_settings.html", settings=list(in_force(here().settings)), told=Told)


def in_force(settings: Settings) -> Iterator[InForce]:
    """Every setting in the order of conf/settings.py, each as far as it may be told."""
    for knob in fields(Settings):
        value = getattr(settings, knob.name)
        yield InForce(
            name=f"{PREFIX}{knob.name.upper()}",
            doc=_doc(knob.metadata),
            told=_told(knob.name, value),
            value=str(value) if _told(knob.name, value) is Told.VALUE else "",
            usual=value == knob.default,
        )


def _doc(metadata: Mapping[str, Any]) -> str:
    words = metadata["help"]
    return i18n.gettext(words)


def _told(name: str, value: object) -> Told:
    if value in ("", None):
        return Told.NOT_SET
    return Told.VALUE if Settings.may_be_shown(name) else Told.SET
