"""The confirmation of a stored request, without a name, number or address on it."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Self

from flask import render_template

from intake.calling import hours
from intake.calling import promise as calling_promise
from intake.calling.availability import local
from intake.calling.promise import promise_in_words
from intake.calling.regions import names_of_zone, zones_of
from intake.conf.clinic import Channel
from intake.consent.models import Kind, State
from intake.consent.receipt import NAMES
from intake.core import i18n
from intake.core.i18n import N_
from intake.leads.form import Request
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


@dataclass(frozen=True)
class Confirmation:
    """What the page shows of the lead; read while the transaction was open."""

    reference: str
    code: str
    promise_at: datetime
    asked_at: datetime

    @classmethod
    def from_submitted(cls, submitted: Submitted) -> Self:
        """From a lead stored now, or when the same form was submitted before."""
        lead = submitted.lead
        return cls(lead.reference, submitted.code, lead.promise_at, lead.asked_at)


class AgreedItem(NamedTuple):
    """One consent: the statement agreed to, quoted, or what a "no" means (a message id, as `name` is)."""

    name: str
    given: bool
    text: str
    quoted: bool


def page(lead_request: Request, confirmation: Confirmation) -> str:
    """Render the confirmation. It never repeats a name, number or address."""
    instance, language = current_service(), i18n.current_language.get()
    return render_template(
        "public/confirmation.html",
        reference=confirmation.reference,
        code=confirmation.code,
        promise=promise(lead_request, confirmation),
        times=hours.windows_in_words(lead_request.windows, language),
        any_time=hours.Window.ANY in lead_request.windows,
        channels=lead_request.channels,
        voicemail=lead_request.voicemail,
        agreed=agreed_items(lead_request),
        asked_at=_asked_at(confirmation, _zone(lead_request)),
        calls_from=instance.clinic.calls_from,
        ahead=False,
    )


def promise(lead_request: Request, confirmation: Confirmation) -> str:
    """By when staff will be in touch, as a sentence in the time zone of the person who asked."""
    zone = _zone(lead_request)
    when = promise_in_words(
        confirmation.promise_at,
        now=current_service().clock(),
        zone=zone,
        language=i18n.current_language.get(),
    )
    only = next(iter(lead_request.channels)) if len(lead_request.channels) == 1 else None
    return i18n.translate(PROMISES[only] if only else IN_TOUCH, promise=when)


def _zone(lead_request: Request) -> str:
    return lead_request.time_zone or zones_of(lead_request.region)[0]


def _asked_at(confirmation: Confirmation, zone: str) -> str:
    local_time, language = local(confirmation.asked_at, zone), i18n.current_language.get()
    return i18n.translate(
        N_("On %(day)s, at %(time)s %(zone)s."),
        day=on_day(local_time.date()),
        time=calling_promise.clock_phrase(local_time, language),
        zone=i18n.gettext(names_of_zone(zone).bracket),
    )


def agreed_items(lead_request: Request) -> list[AgreedItem]:
    """Every statement that was shown with its answer, in the order of the page."""
    states = lead_request.consents
    return [
        _agreed_item(kind, name, lead_request, given=states[kind] is State.GIVEN)
        for kind, name in NAMES.items()
        if kind in states
    ]


def _agreed_item(kind: Kind, name: str, lead_request: Request, *, given: bool) -> AgreedItem:
    if kind is Kind.VOICEMAIL:
        answers = form.voicemail_answers(current_service(), lead_request.language)
        return AgreedItem(name, given, answers["yes" if given else "no"], quoted=True)
    if not given:
        return AgreedItem(name, given, REFUSED[kind], quoted=False)
    return AgreedItem(
        name, given, current_service().statements.in_force(lead_request.language)[kind].label, quoted=True
    )
