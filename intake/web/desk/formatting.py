"""How the desk says times, spans and the gate's answers: short, and on the staff's own clock."""

from datetime import date, datetime, timedelta

from babel.dates import format_date, format_skeleton, format_time

from intake.calling import promise, regions
from intake.calling.availability import local
from intake.calling.gate import Verdict
from intake.calling.hours import windows_from_text, windows_in_words
from intake.casework.assignment import ClaimRevoked
from intake.casework.lead_detail import LeadView
from intake.casework.queue_rows import Group, QueueRow
from intake.conf.clinic import Channel
from intake.core.errors import IntakeError
from intake.core.i18n import N_, current_language, gettext, translate
from intake.leads.claims import CLAIM_DURATION, ClaimedByAnother
from intake.leads.models import Lead, LeadStatus, SuppressionReason
from intake.leads.reveal import GateShut, RevealedContact
from intake.leads.submission import UNKNOWN_ARTICLE
from intake.web.context import current_service
from intake.web.templating import on_day

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SOON = timedelta(minutes=30)
SPOKEN_AS_SPAN = timedelta(hours=3)
WEEK = 7
_LOCALES = {"en": "en_US", "es": "es_US"}

UNTIL = {
    Channel.CALL: N_("call until %(time)s"),
    Channel.TEXT: N_("text until %(time)s"),
    Channel.EMAIL: N_("email until %(time)s"),
}
MAY = {
    Channel.CALL: N_("You may call until %(time)s %(clock)s."),
    Channel.TEXT: N_("You may text until %(time)s %(clock)s."),
    Channel.EMAIL: N_("You may email until %(time)s %(clock)s."),
}
NOT_NOW = {
    Channel.CALL: N_("Do not call now."),
    Channel.TEXT: N_("Do not text now."),
    Channel.EMAIL: N_("Do not email now."),
}
NEVER = {
    Channel.CALL: N_("Do not call."),
    Channel.TEXT: N_("Do not text."),
    Channel.EMAIL: N_("Do not email."),
}
GROUPS = {
    Group.BROKEN: N_("Promise broken"),
    Group.NOW: N_("Call now"),
    Group.LATER: N_("Opens later"),
    Group.BOOKED: N_("Booked"),
    Group.CLOSED: N_("Closed"),
}
ASKED_AGAIN = {
    SuppressionReason.ASKED: N_("They asked us to stop on %(stopped)s, and asked again on %(again)s."),
    SuppressionReason.WRONG_NUMBER: N_(
        "This number or address was noted as somebody else’s on %(stopped)s, and a request with it came on "
        "%(again)s. Allow contact only when they have called us and said that it is theirs."
    ),
    SuppressionReason.THIRD_PARTY: N_(
        "Somebody else asked us to stop on %(stopped)s, and this request came on %(again)s."
    ),
}


def zone() -> str:
    """The staff's own clock: the clinic's."""
    return current_service().clinic.time_zone


def time_of_day(moment: datetime, on: str = "") -> str:
    """`2:12 pm`, `2 pm`, `2:12 p.m.`; on the clinic's clock unless `on` names another zone."""
    spoken = current_language.get()
    there = local(moment, on or zone())
    if spoken == "en":
        return promise.clock_phrase(there, spoken)
    return str(format_time(there, "h:mm a" if there.minute else "h a", locale=_LOCALES[spoken]))


def at(moment: datetime, now: datetime, on: str = "") -> str:
    """`2:12 pm` today, `Thu 10:47 pm` within a week, else `Nov 3, 10:47 pm`."""
    there, today = local(moment, on or zone()).date(), local(now, on or zone()).date()
    clock = time_of_day(moment, on)
    if there == today:
        return clock
    if abs((there - today).days) < WEEK:
        return f"{format_date(there, 'EEE', locale=_LOCALES[current_language.get()])} {clock}"
    parts = "MMMd" if there.year == today.year else "yMMMd"
    return f"{format_skeleton(parts, there, locale=_LOCALES[current_language.get()])}, {clock}"


def span(length: timedelta) -> str:
    """`18 min`, `1 h 05`, `2 h`, `3 d`: whole minutes, hours with minutes, whole days."""
    if length < HOUR:
        return translate(N_("%(minutes)s min"), minutes=max(1, length // MINUTE))
    if length >= 2 * DAY:
        return translate(N_("%(days)s d"), days=length // DAY)
    hours, minutes = length // HOUR, length % HOUR // MINUTE
    return f"{hours} h {minutes:02}" if minutes else f"{hours} h"


def later(moment: datetime, now: datetime) -> str:
    """`today at 3 pm`, `Monday at 9 am`: a moment in a sentence, on the clinic's clock."""
    return promise.when_phrase(moment, now=now, zone=zone(), language=current_language.get())


def last_day(until: datetime) -> str:
    """The last whole day before a moment: `December 1, 2026`."""
    return on_day(day_of(until - MINUTE))


def day_of(moment: datetime) -> date:
    """The day of a moment on the clinic's clock."""
    return local(moment, zone()).date()


# --- a row of the queue ------------------------------------------------------------------------------


def due(row: QueueRow, now: datetime) -> str:
    """When we said we would be in touch, or what has come of it."""
    lead = row.lead
    if lead.status in (LeadStatus.CLOSED, LeadStatus.BOOKED):
        return at(lead.closed_at or lead.booked_for or now, now)
    if lead.status is LeadStatus.TRYING:
        return _tried(row, now)
    if lead.promise_at <= now:
        return translate(N_("%(span)s late"), span=span(now - lead.promise_at))
    if lead.promise_at - now < SPOKEN_AS_SPAN:
        return translate(N_("in %(span)s"), span=span(lead.promise_at - now))
    if local(lead.promise_at, zone()).date() == local(now, zone()).date():
        return translate(N_("by %(time)s"), time=time_of_day(lead.promise_at))
    return at(lead.promise_at, now)


def _tried(row: QueueRow, now: datetime) -> str:
    """When we last tried; where only they have been in touch, when that was."""
    if not row.contact_status.tries:
        return translate(N_("in touch %(time)s"), time=at(row.lead.first_contact_at or now, now))
    return translate(N_("tried %(time)s"), time=at(max(tried for _, tried in row.contact_status.tries), now))


def due_bar(lead: Lead, now: datetime) -> int:
    """How much of the time between asking and promise is over, in per cent; 0 once the promise is kept."""
    if lead.status is not LeadStatus.NEW:
        return 0
    whole = max(lead.promise_at - lead.asked_at, MINUTE)
    return min(100, max(3, round(100 * ((now - lead.asked_at) / whole))))


def is_soon(lead: Lead, now: datetime) -> bool:
    """Whether the promise ends within half an hour."""
    return lead.status is LeadStatus.NEW and now < lead.promise_at < now + SOON


def gate(row: QueueRow, now: datetime) -> str:
    """The gate's answer in three words: `call until 3 pm`, `opens Sat 9 am`, or why not at all."""
    if row.group is Group.CLOSED and row.lead.close_reason:
        return gettext(row.lead.close_reason.sentence)
    if row.verdict.allowed and row.verdict.until:
        return translate(UNTIL[row.channel], time=at(row.verdict.until, now))
    if row.verdict.opens_at:
        return translate(N_("opens %(time)s"), time=at(row.verdict.opens_at, now))
    return gettext(row.verdict.refusals[0].sentence)


def place(lead: Lead, now: datetime) -> str:
    """`FL, 2:12 pm`: the state and what its clocks show; both where we do not know which is theirs."""
    shown = dict.fromkeys(time_of_day(now, each) for each in zones(lead))
    return f"{lead.region.removeprefix('US-')}, {' / '.join(shown)}"


def zones(lead: Lead) -> tuple[str, ...]:
    """The clock that is theirs, or every clock of their state."""
    return (lead.time_zone,) if lead.time_zone else regions.zones_of(lead.region)


# --- one lead ----------------------------------------------------------------------------------------


def whereabouts(view: LeadView) -> str:
    """`Florida, Eastern time, 2:12 pm there`."""
    named = [gettext(regions.names_of_zone(each).phrase) for each in zones(view.lead)]
    times = dict.fromkeys(time_of_day(view.now, each) for each in zones(view.lead))
    return translate(
        N_("%(state)s, %(zones)s, %(times)s there"),
        state=regions.name_of(view.lead.region, current_language.get()),
        zones=" / ".join(dict.fromkeys(named)),
        times=" / ".join(times),
    )


def _clock(lead: Lead) -> tuple[str, str]:
    """On which clock we tell them apart, and what to call it: theirs if we know it, else the clinic's."""
    if lead.time_zone or len(regions.zones_of(lead.region)) == 1:
        return zones(lead)[0], gettext(N_("their time"))
    return zone(), gettext(regions.names_of_zone(zone()).phrase)


def banner(view: LeadView, channel: Channel) -> str:
    """The gate's answer for one channel, as the first sentence of the page."""
    verdict = view.verdicts[channel]
    on, clock = _clock(view.lead)
    if verdict.allowed and verdict.until:
        return translate(MAY[channel], time=at(verdict.until, view.now, on), clock=clock)
    if not verdict.opens_at:
        return gettext(NEVER[channel])
    opens = promise.when_phrase(verdict.opens_at, now=view.now, zone=on, language=current_language.get())
    opening = translate(N_("Opens %(when)s, %(clock)s."), when=opens, clock=clock)
    return f"{gettext(NOT_NOW[channel])} {opening}"


def reasons(verdict: Verdict) -> list[str]:
    """Every reason against, in words."""
    return [gettext(each.sentence) for each in verdict.refusals]


def promised(view: LeadView) -> str:
    """By when we said we would be in touch, and how far that is: `Promised by 2:30 pm, in 18 min.`."""
    lead, now = view.lead, view.now
    said = at(lead.promise_at, now)
    if lead.first_contact_at:
        return translate(
            N_("Promised by %(time)s; first contact %(tried)s."),
            time=said,
            tried=at(lead.first_contact_at, now),
        )
    if lead.promise_at <= now:
        return translate(
            N_("Promised by %(time)s, %(span)s ago."), time=said, span=span(now - lead.promise_at)
        )
    return translate(N_("Promised by %(time)s, in %(span)s."), time=said, span=span(lead.promise_at - now))


def asked_again(view: LeadView) -> list[str]:
    """When and why contact was stopped, and when they asked again; once where it is the same for both."""
    told = [
        translate(
            ASKED_AGAIN[each.reason],
            stopped=on_day(day_of(each.stopped_at)),
            again=on_day(day_of(each.given_at)),
        )
        for each in view.asked_again
    ]
    return list(dict.fromkeys(told))


def share(left: timedelta) -> int:
    """How much of a hold is left, in per cent."""
    return max(0, min(100, round(100 * (left / CLAIM_DURATION))))


def windows(lead: Lead) -> str:
    """What they called safe: `weekday mornings and Saturday afternoons`."""
    return windows_in_words(windows_from_text(lead.windows), current_language.get())


def article(revealed: RevealedContact) -> str:
    """Which article they were reading, or that it was one of the two."""
    if not revealed.article or revealed.article == UNKNOWN_ARTICLE:
        return gettext(N_("They were reading one of the two."))
    return translate(N_("They were reading “%(title)s”."), title=revealed.article)


def taken_back(told: ClaimRevoked, now: datetime) -> str:
    """Who took our request back and when, to whoever held it."""
    sentence = N_(
        "%(name)s took this request back at %(time)s, so that a colleague can call. Nothing you noted "
        "is lost. While nobody holds it you can hold it again, and say how it went."
    )
    return translate(sentence, name=told.by, time=at(told.at, now))


def problem(refused: IntakeError, now: datetime) -> str:
    """Why an act was refused: who holds the lead and until when, or the refusal's own sentences."""
    if isinstance(refused, ClaimedByAnother):
        return translate(
            N_("%(name)s holds this request until %(time)s. You can read it, not act on it."),
            name=refused.by,
            time=at(refused.until, now),
        )
    if isinstance(refused, ClaimRevoked):
        return taken_back(refused, now)
    if isinstance(refused, GateShut):
        return " ".join(reasons(refused.verdict))
    return gettext(refused.sentence)
