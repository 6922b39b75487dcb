"""The operator's room: what the doctor finds, what runs by itself, and the settings in force.

Nothing in it is about anybody who asked, and no secret stands on its pages.
"""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from enum import StrEnum
from typing import Any

from babel.dates import format_timedelta
from flask import g, make_response, render_template, url_for
from flask.typing import ResponseReturnValue

from intake import __version__, monitoring, outbox
from intake.accounts.permissions import Permission
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
from intake.web.context import current_service
from intake.web.desk.flash import flash_message

STATES = {State.RED: N_("now"), State.AMBER: N_("soon"), State.GREEN: N_("well")}
"""When a finding wants somebody's attention."""


class SettingSource(StrEnum):
    """How much of a setting a page tells."""

    VALUE = "value"
    SET = "set"
    NOT_SET = "not_set"


@dataclass(frozen=True)
class InForce:
    """One setting as a page shows it: `value` is empty unless it may be shown and there is one."""

    name: str
    doc: str
    told: SettingSource
    value: str
    usual: bool


@guards.signed_in(Permission.RUN_SERVICE)
def doctor_page() -> ResponseReturnValue:
    """What `intake doctor` finds, the worst first; what asks other machines is left to the command."""
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


@guards.signed_in(Permission.RUN_SERVICE)
def jobs_page() -> ResponseReturnValue:
    """Everything that runs by itself: what for, how often, when last, how it ended, when next."""
    with current_service().database.reading() as session:
        found = scheduler.status(session)
    return render_template(
        "desk/service_rounds.html",
        rounds=found,
        often=often,
        delivery=scheduler.DELIVERY.name,
        now=current_service().clock(),
    )


def often(every: timedelta) -> str:
    """An interval in words: `15 minutes`, `1 hora`."""
    return str(format_timedelta(every, threshold=1, locale=i18n.current_language.get()))


@guards.signed_in(Permission.RUN_SERVICE)
def settings_page() -> ResponseReturnValue:
    """The settings of this process. A secret, or words nobody said may be shown, are only told to be set."""
    return render_template(
        "desk/service_settings.html", settings=list(in_force(current_service().settings)), told=SettingSource
    )


def in_force(settings: Settings) -> Iterator[InForce]:
    """Every setting in the order of conf/settings.py, each as far as it may be told."""
    for knob in fields(Settings):
        value = getattr(settings, knob.name)
        yield InForce(
            name=f"{PREFIX}{knob.name.upper()}",
            doc=_doc(knob.metadata),
            told=_told(knob.name, value),
            value=str(value) if _told(knob.name, value) is SettingSource.VALUE else "",
            usual=value == knob.default,
        )


def _doc(metadata: Mapping[str, Any]) -> str:
    words = metadata["help"]
    return i18n.gettext(words)


def _told(name: str, value: object) -> SettingSource:
    if value in ("", None):
        return SettingSource.NOT_SET
    return SettingSource.VALUE if Settings.may_be_shown(name) else SettingSource.SET


# --- How the mail goes: what waits, what was refused for good, and sending that again.

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
"""The checks of the doctor that are about mail."""


@guards.signed_in(Permission.RUN_SERVICE)
def mail_page() -> ResponseReturnValue:
    """How the outbox stands, and each message that was refused for good."""
    return make_response(_page())


def _page(problem: str = "") -> str:
    now = current_service().clock()
    with current_service().database.reading() as session:
        standing = outbox.status(session, at=now)
        dead = outbox.dead_letters(session)
    return render_template(
        "desk/service_mail.html",
        standing=standing,
        dead=dead,
        checks=[check for check in monitoring.run_checks(current_service()) if check.name in CHECKS],
        states=STATES,
        mails=MAILS,
        why=why,
        whose=whose,
        problem=problem,
        said=flash_message(),
        now=now,
    )


@guards.signed_in(Permission.RUN_SERVICE)
def send_again(message_id: uuid.UUID) -> ResponseReturnValue:
    """Give one refused message a new start. No second factor is asked for: every mail is a constant text."""
    try:
        with current_service().database.transaction() as session:
            _again(session, message_id)
    except NotFound:
        return _back("nothing_dead")
    except Refused as refused:
        return make_response(_page(refused.sentence), refused.status)
    return _back("mail_again")


@guards.signed_in(Permission.RUN_SERVICE)
def send_all_again() -> ResponseReturnValue:
    """The same for every message that was refused."""
    with current_service().database.transaction() as session:
        dead = outbox.dead_letters(session)
        for each in dead:
            _again(session, each.id)
    return _back("mail_again" if dead else "nothing_dead")


def _again(session: Any, message_id: uuid.UUID) -> None:
    outbox.resend(
        session,
        message_id,
        at=current_service().clock(),
        keyring=current_service().keyring,
        actor=g.member.actor,
    )


def _back(word: str) -> ResponseReturnValue:
    return guards.redirect_to(url_for("desk.mail_page", said=word))


def whose(message: OutboxMessage, notices: Notices) -> str:
    """Where an address stands in clinic.toml, so that it can be put right there; the page shows none."""
    for name in ("recipients", "second_contacts"):
        listed = list(getattr(notices, name))
        if message.recipient in listed:
            number = listed.index(message.recipient) + 1
            return translate("notices.%(name)s in clinic.toml, number %(num)s", name=name, num=number)
    if message.mail is Mail.INVITED:
        return gettext("the address of an account that was invited")
    return gettext("an address that does not stand in clinic.toml any more")


def why(message: OutboxMessage) -> str:
    """What kind of failure it was, in words where the code is one we know."""
    code = message.last_error or ""
    if code == RESTORED_MAIL:
        return gettext("A backup was brought back; this mail may have left before.")
    if code.startswith("Unwritable"):
        return gettext("It could not be written: an address is none, or a template is broken.")
    if code.startswith("SMTPRecipientsRefused"):
        return gettext("The mail server does not take mail for this address.")
    return gettext("The mail server refused it.")
