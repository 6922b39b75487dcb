"""How the mail goes: what waits, what was refused for good, and sending that again."""

import uuid
from typing import Any

from flask import g, make_response, render_template, url_for
from flask.typing import ResponseReturnValue

from intake import monitoring, outbox
from intake.accounts.permissions import Permission
from intake.backup.replaying import HELD_BACK
from intake.conf.clinic import Notices
from intake.core.errors import NotFound, Refused
from intake.core.i18n import N_, gettext, translate
from intake.outbox import Mail, OutboxMessage
from intake.web.auth import guards
from intake.web.context import here
from intake.web.desk.flash import said
from intake.web.desk.operations import STATES

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
    now = here().clock()
    with here().database.reading() as session:
        standing = outbox.status(session, at=now)
        dead = outbox.dead_letters(session)
    return render_template(
        "desk/service_mail.html",
        standing=standing,
        dead=dead,
        checks=[check for check in monitoring.checks(here()) if check.name in CHECKS],
        states=STATES,
        mails=MAILS,
        why=why,
        whose=whose,
        problem=problem,
        said=said(),
        now=now,
    )


@guards.signed_in(Permission.RUN_SERVICE)
def send_again(message_id: uuid.UUID) -> ResponseReturnValue:
    """Give one refused message a new start. No second factor is asked for: every mail is a constant text."""
    try:
        with here().database.transaction() as session:
            _again(session, message_id)
    except NotFound:
        return _back("nothing_dead")
    except Refused as refused:
        return make_response(_page(refused.sentence), refused.status)
    return _back("mail_again")


@guards.signed_in(Permission.RUN_SERVICE)
def send_all_again() -> ResponseReturnValue:
    """The same for every message that was refused."""
    with here().database.transaction() as session:
        dead = outbox.dead_letters(session)
        for each in dead:
            _again(session, each.id)
    return _back("mail_again" if dead else "nothing_dead")


def _again(session: Any, message_id: uuid.UUID) -> None:
    outbox.resend(session, message_id, at=here().clock(), keyring=here().keyring, actor=g.member.actor)


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
    if code == HELD_BACK:
        return gettext("A backup was brought back; this mail may have left before.")
    if code.startswith("Unwritable"):
        return gettext("It could not be written: an address is none, or a template is broken.")
    if code.startswith("SMTPRecipientsRefused"):
        return gettext("The mail server does not take mail for this address.")
    return gettext("The mail server refused it.")
