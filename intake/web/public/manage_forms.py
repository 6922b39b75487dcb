"""The page that the private code opens: the stored request, masked, and a form for every act."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from babel.lists import format_list
from flask import Response, render_template

from intake.calling import hours
from intake.calling.availability import local
from intake.calling.promise import promise_in_words
from intake.calling.regions import name_of, names_of_zone
from intake.core import i18n
from intake.core.i18n import N_
from intake.leads.models import LeadStatus
from intake.privacy import data_export
from intake.privacy.self_service import OpenedRequest
from intake.web.context import current_service
from intake.web.public import confirmation, form
from intake.web.public.confirmation import moment_in_words
from intake.web.public.form import Answers
from intake.web.templating import on_day

OK = 200
ANCHORS = {"windows": "any", "phone": "phone", "email": "email", "address": "address"}
CLOSED = N_("This request is closed. Nobody will contact you about it.")
STOPPED = N_("Nobody from the clinic will call, text or email you. We erase this request on %(day)s.")
LEGAL_HOLD = N_(
    "For a legal reason we have to keep this request until %(day)s. We keep it locked until then."
)
ERASURE_WAITS = N_(
    "Nobody from the clinic will call, text or email you. For a legal reason we have to keep this request "
    "until %(day)s. Then we erase it, as you asked."
)
TRIED = N_("We have tried to reach you. You can also call us.")
PROMISE_BROKEN = N_(
    "We said that we would be in touch %(promise)s, and we were not. We are sorry. Please call us."
)
ASKED = N_("Asked on %(day)s, at %(time)s %(zone)s.")
BOOKED = N_("You have a consultation on %(day)s, at %(time)s %(zone)s.")
NOT_OPENED = N_("Nobody on our staff has opened it yet.")
OPENED_BY = N_("On our staff, it was opened by: %(roles)s.")


def manage_page(
    opened: OpenedRequest,
    *,
    code: str,
    message: str = "",
    elsewhere: bool = False,
    notice: str = "",
    answers: Answers | None = None,
    problems: Mapping[str, Sequence[str]] | None = None,
    status: int = OK,
) -> Response:
    """Render the request with `message` (a message id) on top, or with what to correct.

    `elsewhere`: another window has changed it since this one was opened.
    """
    instance, language = current_service(), i18n.current_language.get()
    failed_form = (answers.value("kind") or "windows") if answers else ""
    defaults = {"windows": sorted(opened.windows)} if failed_form != "windows" else {}
    rendered = render_template(
        "public/manage_held.html",
        own=opened,
        code=code,
        message=message,
        elsewhere=elsewhere,
        seen=mark_fields(opened),
        notice=notice,
        problems=problems or {},
        failed=failed_form,
        answers=Answers({**defaults, **(answers.given if answers else {})}),
        anchors=ANCHORS | {"channels": "by-email" if failed_form == "email" else "by-call"},
        status=_status_sentence(opened),
        held=i18n.translate(LEGAL_HOLD, day=_date(opened.hold.until, opened)) if opened.hold else "",
        opened_by=_opened_by(opened),
        asked=i18n.translate(ASKED, **moment_in_words(opened.lead.asked_at, opened.zone)),
        times=hours.windows_in_words(opened.windows, language),
        place=f"{name_of(opened.lead.region, language)}, {i18n.gettext(names_of_zone(opened.zone).phrase)}",
        day_of=lambda moment: _date(moment, opened),
        grid=form.grid(instance.clinic, instance.clock()),
        statements=instance.statements.in_force(language),
        voicemail=form.voicemail_answers(instance, language),
        mark=instance.statements.page_digest(language),
    )
    return Response(rendered, status)


def mark_fields(opened: OpenedRequest) -> str:
    """A keyed hash of all that the person can change, by which a stale page is recognised."""
    lead, channels = opened.lead, [each.value for each in opened.contact_status.channels]
    values = (lead.windows, lead.phone_index, lead.email_index, channels, opened.stopped)
    return current_service().keyring.blind_index("manage page", repr(values)).hex()


def _status_sentence(opened: OpenedRequest) -> str:
    """The status of the request in one sentence."""
    lead, now = opened.lead, current_service().clock()
    if opened.stopped:
        waits = opened.hold and opened.hold.erase_asked_at
        return i18n.translate(ERASURE_WAITS if waits else STOPPED, day=_date(opened.kept_until, opened))
    if not opened.changeable:
        return i18n.gettext(CLOSED)
    if lead.status is LeadStatus.BOOKED and lead.booked_for:
        return i18n.translate(BOOKED, **moment_in_words(lead.booked_for, opened.zone))
    if lead.status is not LeadStatus.NEW:
        return i18n.gettext(TRIED)
    if lead.promise_at > now:
        return confirmation.promise(lead, opened.contact_status.channels)
    when = promise_in_words(lead.promise_at, now=now, zone=opened.zone, language=i18n.current_language.get())
    return i18n.translate(PROMISE_BROKEN, promise=when)


def _opened_by(opened: OpenedRequest) -> str:
    if not opened.roles:
        return i18n.gettext(NOT_OPENED)
    roles = [i18n.gettext(name) for role, name in data_export.ROLES.items() if role in opened.roles]
    return i18n.translate(OPENED_BY, roles=format_list(roles, locale=i18n.current_language.get()))


def _date(moment: datetime, opened: OpenedRequest) -> str:
    return on_day(local(moment, opened.zone).date())
