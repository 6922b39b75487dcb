"""Formatting for desk templates (`say`): times in the clinic's time zone, durations, gate verdicts."""

from datetime import date, datetime, timedelta
from typing import cast
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_skeleton, format_time
from flask import g

from intake.calling import promise, regions
from intake.calling.gate import Verdict
from intake.calling.hours import windows_from_text, windows_in_words
from intake.casework.lead_detail import ClaimRevoked, LeadView
from intake.casework.queue import Group, QueueRow
from intake.conf.clinic import Channel
from intake.core.errors import IntakeError
from intake.core.i18n import LANGUAGES, N_, current_language, gettext, hour_phrase, translate
from intake.leads.claims import CLAIM_DURATION, ClaimedByAnother
from intake.leads.models import Lead, LeadStatus, SuppressionReason
from intake.leads.reveal import GateShut, RevealedContact
from intake.leads.submission import UNKNOWN_ARTICLE
from intake.web.context import current_service
from intake.web.templating import on_day

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SOON = timedelta(minutes=30)
SHOW_AS_SPAN = timedelta(hours=3)
WEEK = 7

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
    """The clinic's time zone, in which staff read times; asked once per request."""
    if "clinic_zone" not in g:
        g.clinic_zone = current_service().clinic.time_zone
    return cast("str", g.clinic_zone)


def clock_time(moment: datetime, on: str = "") -> datetime:
    """A moment on the clinic's clock, unless `on` names another zone."""
    return moment.astimezone(ZoneInfo(on or zone()))


def time_of_day(moment: datetime, on: str = "") -> str:
    """`2:12 pm`, `2 pm`, `2:12 p.m.`; on the clinic's clock unless `on` names another zone."""
    code = current_language.get()
    language, local_time = LANGUAGES[code], clock_time(moment, on)
    if not language.hours:
        return str(format_time(local_time, "short", locale=language.locale))
    if language.hours.short:
        return hour_phrase(local_time.time(), code)
    return str(format_time(local_time, "h:mm a" if local_time.minute else "h a", locale=language.locale))


def at(moment: datetime, now: datetime, on: str = "") -> str:
    """`2:12 pm` today, `Thu 10:47 pm` within a week, else `Nov 3, 10:47 pm`."""
    local_time, today = clock_time(moment, on).date(), clock_time(now, on).date()
    clock = time_of_day(moment, on)
    if local_time == today:
        return clock
    if abs((local_time - today).days) < WEEK:
        return f"{format_date(local_time, 'EEE', locale=LANGUAGES[current_language.get()].locale)} {clock}"
    parts = "MMMd" if local_time.year == today.year else "yMMMd"
    return f"{format_skeleton(parts, local_time, locale=LANGUAGES[current_language.get()].locale)}, {clock}"


def span(length: timedelta) -> str:
    """`18 min`, `1 h 05`, `2 h`, `3 d`: whole minutes, hours with minutes, whole days."""
    if length < HOUR:
        return translate("%(minutes)s min", minutes=max(1, length // MINUTE))
    if length >= 2 * DAY:
        return translate("%(days)s d", days=length // DAY)
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
    return clock_time(moment).date()


def due(row: QueueRow, now: datetime) -> str:
    """The promise of a lead, or when it was last tried, booked or closed."""
    lead = row.lead
    if lead.status in (LeadStatus.CLOSED, LeadStatus.BOOKED):
        return at(lead.closed_at or lead.booked_for or now, now)
    if lead.status is LeadStatus.TRYING:
        tried = [moment for _, moment in row.contact_status.tries]
        last = at(max(tried) if tried else lead.first_contact_at or now, now)
        # without a try, the person was in touch
        return translate("tried %(time)s" if tried else N_("in touch %(time)s"), time=last)
    if lead.promise_at <= now:
        return translate("%(span)s late", span=span(now - lead.promise_at))
    if lead.promise_at - now < SHOW_AS_SPAN:
        return translate("in %(span)s", span=span(lead.promise_at - now))
    if day_of(lead.promise_at) == day_of(now):
        return translate("by %(time)s", time=time_of_day(lead.promise_at))
    return at(lead.promise_at, now)


def due_bar(lead: Lead, now: datetime) -> int:
    """Elapsed share of the time between request and promise, 0 to 100; 0 once the promise is kept."""
    if lead.status is not LeadStatus.NEW:
        return 0
    whole = max(lead.promise_at - lead.asked_at, MINUTE)
    return min(100, max(3, round(100 * ((now - lead.asked_at) / whole))))


def is_soon(lead: Lead, now: datetime) -> bool:
    """Whether the promise ends within half an hour."""
    return lead.status is LeadStatus.NEW and now < lead.promise_at < now + SOON


def gate(row: QueueRow, now: datetime) -> str:
    """The gate's verdict, short: `call until 3 pm`, `opens Sat 9 am`, or the reason against."""
    if row.group is Group.CLOSED and row.lead.close_reason:
        return gettext(row.lead.close_reason.sentence)
    if row.verdict.allowed and row.verdict.until:
        return translate(UNTIL[row.channel], time=at(row.verdict.until, now))
    if row.verdict.opens_at:
        return translate("opens %(time)s", time=at(row.verdict.opens_at, now))
    return gettext(row.verdict.refusals[0].sentence)


def place(lead: Lead, now: datetime) -> str:
    """`FL, 2:12 pm`: the state and its local time; both times where the zone is not known."""
    shown = dict.fromkeys(time_of_day(now, each) for each in zones(lead))
    return f"{lead.region.removeprefix('US-')}, {' / '.join(shown)}"


def zones(lead: Lead) -> tuple[str, ...]:
    """The lead's time zone, or every zone of its state where it is not known."""
    return (lead.time_zone,) if lead.time_zone else regions.zones_of(lead.region)


def whereabouts(view: LeadView) -> str:
    """`Florida, Eastern time, 2:12 pm there`."""
    named = [gettext(regions.names_of_zone(each).phrase) for each in zones(view.lead)]
    times = dict.fromkeys(time_of_day(view.now, each) for each in zones(view.lead))
    return translate(
        "%(state)s, %(zones)s, %(times)s there",
        state=regions.name_of(view.lead.region, current_language.get()),
        zones=" / ".join(dict.fromkeys(named)),
        times=" / ".join(times),
    )


def banner(view: LeadView, channel: Channel) -> str:
    """The gate's verdict for one channel as a sentence."""
    verdict, lead = view.verdicts[channel], view.lead
    if lead.time_zone or len(regions.zones_of(lead.region)) == 1:
        on, clock = zones(lead)[0], gettext("their time")
    else:
        on, clock = zone(), gettext(regions.names_of_zone(zone()).phrase)
    if verdict.allowed and verdict.until:
        return translate(MAY[channel], time=at(verdict.until, view.now, on), clock=clock)
    if not verdict.opens_at:
        return gettext(NEVER[channel])
    opens = promise.when_phrase(verdict.opens_at, now=view.now, zone=on, language=current_language.get())
    opening = translate("Opens %(when)s, %(clock)s.", when=opens, clock=clock)
    return f"{gettext(NOT_NOW[channel])} {opening}"


def reasons(verdict: Verdict) -> list[str]:
    """The sentences of a verdict's refusals."""
    return [gettext(each.sentence) for each in verdict.refusals]


def promised(view: LeadView) -> str:
    """The promise and the time left to it: `Promised by 2:30 pm, in 18 min.`."""
    lead, now = view.lead, view.now
    promise_time = at(lead.promise_at, now)
    if lead.first_contact_at:
        return translate(
            "Promised by %(time)s; first contact %(tried)s.",
            time=promise_time,
            tried=at(lead.first_contact_at, now),
        )
    if lead.promise_at <= now:
        return translate(
            "Promised by %(time)s, %(span)s ago.", time=promise_time, span=span(now - lead.promise_at)
        )
    return translate(
        "Promised by %(time)s, in %(span)s.", time=promise_time, span=span(lead.promise_at - now)
    )


def asked_again(view: LeadView) -> list[str]:
    """When and why contact was stopped and when the person asked again, without duplicates."""
    sentences = [
        translate(
            ASKED_AGAIN[each.reason],
            stopped=on_day(day_of(each.stopped_at)),
            again=on_day(day_of(each.given_at)),
        )
        for each in view.asked_again
    ]
    return list(dict.fromkeys(sentences))


def share(left: timedelta) -> int:
    """Remaining share of a claim, 0 to 100."""
    return max(0, min(100, round(100 * (left / CLAIM_DURATION))))


def windows(lead: Lead) -> str:
    """The safe times: `weekday mornings and Saturday afternoons`."""
    return windows_in_words(windows_from_text(lead.windows), current_language.get())


def article(revealed: RevealedContact) -> str:
    """The article the person was reading, or that it was one of the two."""
    if not revealed.article or revealed.article == UNKNOWN_ARTICLE:
        return gettext("They were reading one of the two.")
    return translate("They were reading “%(title)s”.", title=revealed.article)


def claim_revoked(revoked: ClaimRevoked, now: datetime) -> str:
    """The sentence for a staff member whose claim was revoked: by whom and when."""
    sentence = N_(
        "%(name)s took this request back at %(time)s, so that a colleague can call. Nothing you noted "
        "is lost. While nobody has claimed it you can claim it again, and say how it went."
    )
    return translate(sentence, name=revoked.by, time=at(revoked.at, now))


def problem(refused: IntakeError, now: datetime) -> str:
    """The sentence of a refused act; for a claimed lead by whom and until when."""
    if isinstance(refused, ClaimedByAnother):
        return translate(
            "%(name)s has claimed this request until %(time)s. You can read it, not act on it.",
            name=refused.by,
            time=at(refused.until, now),
        )
    if isinstance(refused, ClaimRevoked):
        return claim_revoked(refused, now)
    if isinstance(refused, GateShut):
        return " ".join(reasons(refused.verdict))
    return gettext(refused.sentence)
