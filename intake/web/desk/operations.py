"""Views of the operator: health checks, mail, scheduled jobs, and the settings in force.

They show no personal data and no secret.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import timedelta
from enum import StrEnum

from babel.dates import format_timedelta
from flask import make_response, render_template, url_for
from flask.typing import ResponseReturnValue

from intake import __version__, monitoring, outbox
from intake.accounts.permissions import Permission, StaffAct
from intake.backup.restore import RESTORED_MAIL
from intake.conf.clinic import Notices
from intake.conf.settings import PREFIX, Settings
from intake.core import i18n
from intake.core.errors import NotFound, Refused
from intake.core.i18n import N_, gettext, translate
from intake.jobs import scheduler
from intake.monitoring import State
from intake.outbox import Mail, OutboxMessage
from intake.web.auth import guards
from intake.web.context import current_service, staff_act
from intake.web.desk.layout import flash_message

STATES = {State.RED: N_("now"), State.AMBER: N_("soon"), State.GREEN: N_("well")}
"""How urgent the state of a check is."""


class SettingSource(StrEnum):
    """Whether a page shows a setting's value, or only that it is set or not set."""

    VALUE = "value"
    SET = "set"
    NOT_SET = "not_set"


@dataclass(frozen=True)
class SettingRow:
    """One setting as the page shows it; `value` is empty unless it may be shown."""

    name: str
    doc: str
    shown_as: SettingSource
    value: str
    is_default: bool


@guards.permission_required(Permission.RUN_SERVICE)
def doctor_page() -> ResponseReturnValue:
    """The checks of `intake doctor`, the worst first, without those that ask other machines."""
    order = list(reversed(State))
    found = sorted(monitoring.run_checks(current_service()), key=lambda check: order.index(check.state))
    return render_template(
        "desk/service_doctor.html",
        found=found,
        left_out=monitoring.DOCTOR_ONLY,
        states=STATES,
        version=__version__,
        now=current_service().clock(),
    )


@guards.permission_required(Permission.RUN_SERVICE)
def jobs_page() -> ResponseReturnValue:
    """The scheduled jobs: purpose, interval, last run and its result, next run."""
    with current_service().database.reading() as session:
        found = scheduler.status(session)
    return render_template(
        "desk/service_jobs.html",
        jobs=found,
        interval_phrase=interval_phrase,
        delivery=scheduler.DELIVERY.name,
        now=current_service().clock(),
    )


def interval_phrase(every: timedelta) -> str:
    """An interval in words: `15 minutes`, `1 hora`."""
    return str(format_timedelta(every, threshold=1, locale=i18n.current_language.get()))


@guards.permission_required(Permission.RUN_SERVICE)
def settings_page() -> ResponseReturnValue:
    """The settings of this process. Of a secret the page shows only that it is set."""
    return render_template(
        "desk/service_settings.html",
        settings=list(setting_rows(current_service().settings)),
        shown_as=SettingSource,
    )


def setting_rows(settings: Settings) -> Iterator[SettingRow]:
    """Every setting in the order of `intake/conf/settings.py`, each as far as it may be shown."""
    for setting in fields(Settings):
        value = getattr(settings, setting.name)
        shown_as = SettingSource.VALUE if Settings.may_be_shown(setting.name) else SettingSource.SET
        if value in ("", None):
            shown_as = SettingSource.NOT_SET
        yield SettingRow(
            name=f"{PREFIX}{setting.name.upper()}",
            doc=gettext(setting.metadata["help"]),
            shown_as=shown_as,
            value=str(value) if shown_as is SettingSource.VALUE else "",
            is_default=value == setting.default,
        )


MAILS = {
    Mail.NEW_LEAD: N_("Notice of a new request"),
    Mail.UNOPENED: N_("Reminder that a request waits"),
    Mail.DAILY: N_("Daily mail"),
    Mail.INVITED: N_("Word of an invitation"),
    Mail.TEST: N_("Test mail"),
    Mail.ALARM: N_("Alarm"),
    Mail.WELL_AGAIN: N_("Well again"),
}
CHECKS = ("mail", "notices", "dead letters", "daily mail", "relay")
"""The health checks about mail."""


@guards.permission_required(Permission.RUN_SERVICE)
def mail_page() -> ResponseReturnValue:
    """The state of the outbox, and each message that was permanently refused."""
    return make_response(_page())


def _page(problem: str = "") -> str:
    now = current_service().clock()
    with current_service().database.reading() as session:
        outbox_status = outbox.status(session, at=now)
        dead = outbox.dead_letters(session)
    return render_template(
        "desk/service_mail.html",
        outbox_status=outbox_status,
        dead=dead,
        checks=[check for check in monitoring.run_checks(current_service()) if check.name in CHECKS],
        states=STATES,
        mails=MAILS,
        failure_reason=failure_reason,
        recipient_source=recipient_source,
        problem=problem,
        message=flash_message(),
        now=now,
    )


@guards.permission_required(Permission.RUN_SERVICE)
def send_again(message_id: uuid.UUID) -> ResponseReturnValue:
    """Resend one refused message. No second factor is asked for: every mail is a constant text."""
    try:
        with staff_act() as act:
            _resend(act, message_id)
    except NotFound:
        return _redirect_with("nothing_to_resend")
    except Refused as refused:
        return make_response(_page(refused.sentence), refused.status)
    return _redirect_with("resent")


@guards.permission_required(Permission.RUN_SERVICE)
def send_all_again() -> ResponseReturnValue:
    """Resend every refused message."""
    with staff_act() as act:
        dead = outbox.dead_letters(act.session)
        for each in dead:
            _resend(act, each.id)
    return _redirect_with("resent" if dead else "nothing_to_resend")


def _resend(act: StaffAct, message_id: uuid.UUID) -> None:
    outbox.resend(act.session, message_id, at=act.now, keyring=act.keyring, actor=act.actor)


def _redirect_with(message: str) -> ResponseReturnValue:
    return guards.redirect_to(url_for("desk.mail_page", message=message))


def recipient_source(message: OutboxMessage, notices: Notices) -> str:
    """Where a recipient is configured in clinic.toml, so that it can be corrected there; not the address."""
    for name in ("recipients", "second_contacts"):
        listed = list(getattr(notices, name))
        if message.recipient in listed:
            number = listed.index(message.recipient) + 1
            return translate("notices.%(name)s in clinic.toml, number %(num)s", name=name, num=number)
    if message.mail is Mail.INVITED:
        return gettext("the address of an account that was invited")
    return gettext("an address that does not stand in clinic.toml any more")


def failure_reason(message: OutboxMessage) -> str:
    """Why a message was refused, by its error code."""
    code = message.last_error or ""
    if code == RESTORED_MAIL:
        return gettext("A backup was brought back; this mail may have left before.")
    if code.startswith("Unwritable"):
        return gettext("It could not be written: an address is none, or a template is broken.")
    if code.startswith("SMTPRecipientsRefused"):
        return gettext("The mail server does not take mail for this address.")
    return gettext("The mail server refused it.")
