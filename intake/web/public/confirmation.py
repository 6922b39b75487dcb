"""The page that says a request is kept: the one page to keep, without a name, number or address on it."""

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
from intake.leads.submission import consent_answers as answers_to_statements
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
    """What the page tells of the lead; read while the transaction was open."""

    reference: str
    code: str
    promise_at: datetime
    asked_at: datetime

    @classmethod
    def from_submitted(cls, submitted: Submitted) -> Self:
        """What is needed of what was kept, now or when the same page was sent before."""
        lead = submitted.lead
        return cls(lead.reference, submitted.code, lead.promise_at, lead.asked_at)


class AgreedItem(NamedTuple):
    """One answer: the words agreed to, quoted, or what a "no" means (a message id, as `name` is)."""

    name: str
    given: bool
    words: str
    quoted: bool


def page(asked: Request, kept: Confirmation) -> str:
    """The confirmation (200, decisions.md 1). It never repeats a name, number or address."""
    instance, spoken = current_service(), i18n.current_language.get()
    return render_template(
        "public/confirmation.html",
        reference=kept.reference,
        code=kept.code,
        promise=promise(asked, kept),
        times=hours.windows_in_words(asked.windows, spoken),
        any_time=hours.Window.ANY in asked.windows,
        channels=asked.channels,
        voicemail=asked.voicemail,
        agreed=agreed(asked),
        asked_at=_asked_at(kept, _zone(asked)),
        calls_from=instance.clinic.calls_from,
        ahead=False,
    )


def promise(asked: Request, kept: Confirmation) -> str:
    """By when a person will be in touch, in a sentence, on the clock of whoever asked."""
    zone = _zone(asked)
    said = promise_in_words(
        kept.promise_at, now=current_service().clock(), zone=zone, language=i18n.current_language.get()
    )
    only = next(iter(asked.channels)) if len(asked.channels) == 1 else None
    return i18n.translate(PROMISES[only] if only else IN_TOUCH, promise=said)


def _zone(asked: Request) -> str:
    return asked.time_zone or zones_of(asked.region)[0]


def _asked_at(kept: Confirmation, zone: str) -> str:
    there, spoken = local(kept.asked_at, zone), i18n.current_language.get()
    return i18n.translate(
        N_("On %(day)s, at %(time)s %(zone)s."),
        day=on_day(there.date()),
        time=calling_promise.clock_phrase(there, spoken),
        zone=i18n.gettext(names_of_zone(zone).bracket),
    )


def agreed(asked: Request) -> list[AgreedItem]:
    """Every statement that was shown and what was answered, in the order of the page."""
    states = answers_to_statements(asked)
    return [
        _agreed(kind, name, asked, given=states[kind] is State.GIVEN)
        for kind, name in NAMES.items()
        if kind in states
    ]


def _agreed(kind: Kind, name: str, asked: Request, *, given: bool) -> AgreedItem:
    if kind is Kind.VOICEMAIL:
        answers = form.voicemail_answers(current_service(), asked.language)
        return AgreedItem(name, given, answers["yes" if given else "no"], quoted=True)
    if not given:
        return AgreedItem(name, given, REFUSED[kind], quoted=False)
    return AgreedItem(
        name, given, current_service().statements.in_force(asked.language)[kind].label, quoted=True
    )
