"""The confirmation of a stored request, without a name, number or address on it."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from flask import render_template

from intake.calling import hours
from intake.calling.availability import local
from intake.calling.promise import clock_phrase, promise_in_words
from intake.calling.regions import names_of_zone
from intake.conf.clinic import Channel
from intake.consent.models import Kind, State
from intake.consent.receipt import NAMES
from intake.core import i18n
from intake.core.i18n import N_
from intake.leads.form import Request
from intake.leads.models import Lead
from intake.leads.submission import Submitted
from intake.web.context import current_service
from intake.web.public import form
from intake.web.templating import on_day

PROMISES = {
    Channel.CALL: N_("A person will call you %(promise)s."),
    Channel.TEXT: N_("A person will text you %(promise)s."),
    Channel.EMAIL: N_("A person will email you %(promise)s."),
}
REFUSED = {
    Kind.CALL: N_("We will not call you."),
    Kind.TEXT: N_("We will not text you."),
    Kind.EMAIL: N_("We will not email you."),
}
IN_TOUCH = N_("A person will be in touch with you %(promise)s.")


class AgreedItem(NamedTuple):
    """One consent: the statement agreed to, quoted, or what a "no" means (a message id, as `name` is)."""

    name: str
    given: bool
    text: str
    quoted: bool


def page(lead_request: Request, submitted: Submitted) -> str:
    """Render the confirmation. It never repeats a name, number or address."""
    lead, language = submitted.lead, lead_request.language
    asked_at = i18n.translate(
        N_("On %(day)s, at %(time)s %(zone)s."), **moment_in_words(lead.asked_at, lead.zone)
    )
    return render_template(
        "public/confirmation.html",
        reference=lead.reference,
        code=submitted.code,
        promise=promise(lead, lead_request.channels),
        times=hours.windows_in_words(lead_request.windows, language),
        any_time=hours.Window.ANY in lead_request.windows,
        channels=lead_request.channels,
        voicemail=lead_request.voicemail,
        agreed=agreed_items(lead_request),
        asked_at=asked_at,
        ahead=False,
    )


def promise(lead: Lead, channels: Collection[Channel]) -> str:
    """By when staff will be in touch, as a sentence in the time zone of the person who asked."""
    language, now = i18n.current_language.get(), current_service().clock()
    sentence = PROMISES[next(iter(channels))] if len(channels) == 1 else IN_TOUCH
    when = promise_in_words(lead.promise_at, now=now, zone=lead.zone, language=language)
    return i18n.translate(sentence, promise=when)


def moment_in_words(moment: datetime, zone: str) -> dict[str, str]:
    """The day, the time and the name of the zone, for a sentence that has a place for each."""
    local_time = local(moment, zone)
    return {
        "day": on_day(local_time.date()),
        "time": clock_phrase(local_time, i18n.current_language.get()),
        "zone": i18n.gettext(names_of_zone(zone).bracket),
    }


def agreed_items(lead_request: Request) -> list[AgreedItem]:
    """Every statement that was shown with its answer, in the order of the page."""
    instance, language = current_service(), lead_request.language
    statements, voicemail = instance.statements.in_force(language), form.voicemail_answers(instance, language)
    agreed = []
    for kind, name in NAMES.items():
        if kind not in lead_request.consents:
            continue
        given = lead_request.consents[kind] is State.GIVEN
        if kind is Kind.VOICEMAIL:
            text = voicemail["yes" if given else "no"]
        else:
            text = statements[kind].label if given else REFUSED[kind]
        agreed.append(AgreedItem(name, given, text, quoted=given or kind is Kind.VOICEMAIL))
    return agreed
