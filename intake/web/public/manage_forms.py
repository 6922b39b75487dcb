"""The page that the private code opens: what is held, in words and masked, and a form for every act."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from babel.lists import format_list
from flask import Response, render_template

from intake.calling import hours, promise
from intake.calling.availability import local
from intake.calling.promise import promise_in_words
from intake.calling.regions import name_of, names_of_zone
from intake.core import i18n
from intake.core.errors import IntakeError, Unprocessable
from intake.core.i18n import N_
from intake.leads.models import LeadStatus
from intake.privacy import contact_correction, data_export
from intake.privacy.self_service import OpenedRequest
from intake.web.context import current_service
from intake.web.public import form
from intake.web.public.confirmation import IN_TOUCH, PROMISES
from intake.web.public.form import Answers
from intake.web.templating import on_day

OK = 200
ANCHORS = {"windows": "any", "phone": "phone", "email": "email", "address": "address"}
CLOSED = N_("This request is closed. Nobody will contact you about it.")
STOPPED = N_("Nobody from the clinic will call, text or email you. We erase this request on %(day)s.")
HELD = N_("For a legal reason we have to keep this request until %(day)s. We keep it locked until then.")
WAITS = N_(
    "Nobody from the clinic will call, text or email you. For a legal reason we have to keep this request "
    "until %(day)s. Then we erase it, as you asked."
)
TRYING = N_("We have tried to reach you. You can also call us.")
BROKEN = N_("We said that we would be in touch %(promise)s, and we were not. We are sorry. Please call us.")
BOOKED = N_("You have a consultation on %(day)s, at %(time)s %(zone)s.")
NOBODY = N_("Nobody on our staff has opened it yet.")
LOOKED = N_("On our staff, it was opened by: %(roles)s.")


def manage_page(
    own: OpenedRequest,
    *,
    code: str,
    said: str = "",
    elsewhere: bool = False,
    notice: str = "",
    answers: Answers | None = None,
    problems: Mapping[str, Sequence[str]] | None = None,
    status: int = OK,
) -> Response:
    """What is held, with `said` (a message id) on top, or with what is to be put right.

    `elsewhere`: another window has changed it since this one was opened.
    """
    instance, spoken = current_service(), i18n.current_language.get()
    failed = (answers.word("kind") or "windows") if answers else ""
    kept = {"windows": sorted(own.windows)} if failed != "windows" else {}
    rendered = render_template(
        "public/manage_held.html",
        own=own,
        code=code,
        said=said,
        elsewhere=elsewhere,
        seen=mark_fields(own),
        notice=notice,
        problems=problems or {},
        failed=failed,
        answers=Answers({**kept, **(answers.given if answers else {})}),
        anchors=ANCHORS | {"channels": "by-email" if failed == "email" else "by-call"},
        standing=_standing(own),
        held=i18n.translate(HELD, day=_day(own.hold.until, own)) if own.hold else "",
        looked=_looked(own),
        asked=_at(own.lead.asked_at, own),
        times=hours.windows_in_words(own.windows, spoken),
        place=f"{name_of(own.lead.region, spoken)}, {i18n.gettext(names_of_zone(own.zone).phrase)}",
        day_of=lambda moment: _day(moment, own),
        grid=form.grid(instance.clinic, instance.clock()),
        statements={kind.value: each for kind, each in instance.statements.in_force(spoken).items()},
        voicemail=form.voicemail_answers(instance, spoken),
        mark=contact_correction.correction_statements(instance, spoken),
    )
    return Response(rendered, status)


def mark_fields(own: OpenedRequest) -> str:
    """All that the person can change, in a form that says nothing: by it a page knows that it is old."""
    lead, channels = own.lead, [each.value for each in own.contact_status.channels]
    shown = (lead.windows, lead.phone_index, lead.email_index, channels, own.stopped)
    return current_service().keyring.blind_index("manage page", repr(shown)).hex()


def manage_page_again(own: OpenedRequest, *, code: str, answers: Answers, failure: IntakeError) -> Response:
    """The page with what was typed, and what to put right about it."""
    problems = failure.problems if isinstance(failure, Unprocessable) else {}
    return manage_page(
        own,
        code=code,
        notice="" if problems else failure.sentence,
        answers=answers,
        problems=problems,
        status=failure.status,
    )


def _standing(own: OpenedRequest) -> str:
    """Where the request stands, in one sentence."""
    lead, now, spoken = own.lead, current_service().clock(), i18n.current_language.get()
    if own.stopped:
        waits = own.hold and own.hold.erase_asked_at
        return i18n.translate(WAITS if waits else STOPPED, day=_day(own.kept_until, own))
    if not own.changeable:
        return i18n.gettext(CLOSED)
    if lead.status is LeadStatus.BOOKED and lead.booked_for:
        return i18n.translate(BOOKED, **_moment(lead.booked_for, own))
    if lead.status is not LeadStatus.NEW:
        return i18n.gettext(TRYING)
    said = promise_in_words(lead.promise_at, now=now, zone=own.zone, language=spoken)
    if lead.promise_at <= now:
        return i18n.translate(BROKEN, promise=said)
    channels = own.contact_status.channels
    return i18n.translate(PROMISES[channels[0]] if len(channels) == 1 else IN_TOUCH, promise=said)


def _looked(own: OpenedRequest) -> str:
    if not own.roles:
        return i18n.gettext(NOBODY)
    roles = [i18n.gettext(words) for role, words in data_export.ROLES.items() if role in own.roles]
    return i18n.translate(LOOKED, roles=format_list(roles, locale=i18n.current_language.get()))


def _at(moment: datetime, own: OpenedRequest) -> str:
    return i18n.translate(N_("Asked on %(day)s, at %(time)s %(zone)s."), **_moment(moment, own))


def _day(moment: datetime, own: OpenedRequest) -> str:
    return on_day(local(moment, own.zone).date())


def _moment(moment: datetime, own: OpenedRequest) -> dict[str, str]:
    there = local(moment, own.zone)
    return {
        "day": _day(moment, own),
        "time": promise.clock_phrase(there, i18n.current_language.get()),
        "zone": i18n.gettext(names_of_zone(own.zone).bracket),
    }
