"""The contact gate: a table of cases, then properties that hold for every case."""

from dataclasses import replace
from datetime import time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.calling.availability import ContactTimes
from intake.calling.gate import GateFacts, Refusal, Verdict, may_contact
from intake.calling.hours import Window
from intake.conf.clinic import Channel
from tests.calling.cast import ALWAYS_OPEN, ANY, CENTRAL, CLINIC, EASTERN, HOURS, at, second_opinion
from tests.calling.test_availability import CLOCK_CHANGES, STARTS, people

CALL, TEXT, EMAIL = Channel
MORNINGS = frozenset({Window.WEEKDAY_MORNING})
ASKED = "2026-11-02 09:00"
FACTS = GateFacts(
    region="US-FL",
    time_zone=EASTERN,
    windows=ANY,
    consents=dict.fromkeys(Channel, "given"),
    consent_given_at=at(ASKED),
    number_zones=(EASTERN,),
    voicemail=True,
)
PACIFIC = "America/Los_Angeles"


def judge(now: str, channel: Channel = CALL, *, clinic=CLINIC, hours=HOURS, **changes: object) -> Verdict:
    facts = replace(FACTS, **changes)
    return may_contact(facts=facts, channel=channel, times=ContactTimes(clinic, hours, at(now)))


def tried(*attempts: str) -> tuple[tuple[Channel, object], ...]:
    """`call 2026-11-18 09:30` and so on, on the Eastern clock."""
    return tuple((Channel(each.split(" ", 1)[0]), at(each.split(" ", 1)[1])) for each in attempts)


ALLOWED = [
    ("a Wednesday at ten", "2026-11-18 10:00", CALL, {}, "2026-11-18 18:00"),
    ("a text at the same time", "2026-11-18 10:00", TEXT, {}, "2026-11-18 18:00"),
    ("an email at the same time", "2026-11-18 10:00", EMAIL, {}, "2026-11-18 18:00"),
    ("the minute of opening", "2026-11-18 09:00", CALL, {}, "2026-11-18 18:00"),
    ("the last minute of a Saturday", "2026-11-21 14:59", CALL, {}, "2026-11-21 15:00"),
    ("within a window", "2026-11-18 10:00", CALL, {"windows": MORNINGS}, "2026-11-18 12:00"),
    (
        "windows that meet",
        "2026-11-18 10:00",
        CALL,
        {"windows": MORNINGS | {Window.WEEKDAY_AFTERNOON}},
        "2026-11-18 17:00",
    ),
    (
        "an evening window that the clinic cuts short",
        "2026-11-18 17:30",
        CALL,
        {"windows": frozenset({Window.WEEKDAY_EVENING})},
        "2026-11-18 18:00",
    ),
    ("a number of unknown place", "2026-11-18 10:00", CALL, {"number_zones": ()}, "2026-11-18 18:00"),
    (
        "a number in London",
        "2026-11-18 10:00",
        CALL,
        {"number_zones": ("Europe/London",)},
        "2026-11-18 16:00",
    ),
    (
        "a number in London, by email",
        "2026-11-18 17:00",
        EMAIL,
        {"number_zones": ("Europe/London",)},
        "2026-11-18 18:00",
    ),
    ("an email before call hours", "2026-11-18 09:30", EMAIL, {"time_zone": CENTRAL}, "2026-11-18 18:00"),
    (
        "Puerto Rico, an hour ahead in winter",
        "2027-01-13 17:30",
        CALL,
        {"region": "US-PR", "time_zone": None},
        "2027-01-13 18:00",
    ),
    (
        "Hawaii in its morning",
        "2027-01-13 14:30",
        CALL,
        {"region": "US-HI", "time_zone": None},
        "2027-01-13 18:00",
    ),
    (
        "Arizona in winter",
        "2027-01-13 11:00",
        CALL,
        {"region": "US-AZ", "time_zone": "America/Phoenix"},
        "2027-01-13 18:00",
    ),
    (
        "Rhode Island until six",
        "2026-11-18 10:00",
        CALL,
        {"region": "US-RI", "time_zone": None},
        "2026-11-18 18:00",
    ),
    (
        "called yesterday",
        "2026-11-18 10:00",
        CALL,
        {"attempts": tried("call 2026-11-17 10:30")},
        "2026-11-18 18:00",
    ),
    (
        "called today, by text",
        "2026-11-18 10:00",
        TEXT,
        {"attempts": tried("call 2026-11-18 09:30")},
        "2026-11-18 18:00",
    ),
    (
        "many texts do not count as calls",
        "2026-11-18 10:00",
        CALL,
        {"attempts": tried(*(f"text 2026-11-{day} 10:00" for day in (10, 11, 12, 13)))},
        "2026-11-18 18:00",
    ),
    (
        "the third contact is a day old to the minute",
        "2026-11-18 10:00",
        EMAIL,
        {"attempts": tried("text 2026-11-17 10:00", "text 2026-11-17 11:00", "call 2026-11-17 12:00")},
        "2026-11-18 18:00",
    ),
    (
        "until permission runs out",
        "2026-11-18 10:00",
        CALL,
        {"consent_given_at": at("2026-11-17 11:00"), "consent_days": 1},
        "2026-11-18 11:00",
    ),
]


@pytest.mark.parametrize(
    ("now", "channel", "changes", "until"), [case[1:] for case in ALLOWED], ids=[case[0] for case in ALLOWED]
)
def test_it_says_yes_and_until_when(now, channel, changes, until):
    verdict = judge(now, channel, **changes)
    assert verdict.allowed
    assert verdict.refusals == ()
    assert (verdict.until, verdict.opens_at) == (at(until), None)


R = Refusal
SHUT = (R.CLINIC_CLOSED,)
REFUSED = [
    ("a minute before opening", "2026-11-18 08:59", CALL, {}, (R.CALL_HOURS, *SHUT), "2026-11-18 09:00"),
    (
        "before the law allows",
        "2026-11-18 07:30",
        CALL,
        {},
        (R.LEGAL_HOURS, R.CALL_HOURS, *SHUT),
        "2026-11-18 09:00",
    ),
    ("before the clinic opens, by email", "2026-11-18 07:30", EMAIL, {}, SHUT, "2026-11-18 09:00"),
    ("the minute of closing", "2026-11-18 18:00", CALL, {}, SHUT, "2026-11-19 09:00"),
    (
        "an evening in Florida",
        "2026-11-18 20:00",
        TEXT,
        {},
        (R.LEGAL_HOURS, R.CALL_HOURS, *SHUT),
        "2026-11-19 09:00",
    ),
    (
        "an evening in New York",
        "2026-11-18 20:00",
        CALL,
        {"region": "US-NY"},
        (R.CALL_HOURS, *SHUT),
        "2026-11-19 09:00",
    ),
    ("a Saturday afternoon", "2026-11-21 15:00", CALL, {}, SHUT, "2026-11-23 09:00"),
    ("a Sunday", "2026-11-22 12:00", CALL, {}, SHUT, "2026-11-23 09:00"),
    ("Thanksgiving", "2026-11-26 10:00", CALL, {}, SHUT, "2026-11-27 09:00"),
    ("the evening before Thanksgiving", "2026-11-25 18:30", EMAIL, {}, SHUT, "2026-11-27 09:00"),
    (
        "outside their window",
        "2026-11-18 12:00",
        CALL,
        {"windows": MORNINGS},
        (R.WINDOWS,),
        "2026-11-19 09:00",
    ),
    (
        "outside their window, by email",
        "2026-11-18 12:00",
        EMAIL,
        {"windows": MORNINGS},
        (R.WINDOWS,),
        "2026-11-19 09:00",
    ),
    (
        "Saturdays only",
        "2026-11-18 10:00",
        CALL,
        {"windows": frozenset({Window.SATURDAY_MORNING})},
        (R.WINDOWS,),
        "2026-11-21 09:00",
    ),
    (
        "when nobody works",
        "2026-11-18 10:00",
        CALL,
        {"windows": frozenset({Window.SATURDAY_EVENING})},
        (R.WINDOWS,),
        None,
    ),
    (
        "their window on a Friday evening",
        "2026-11-20 18:30",
        CALL,
        {"windows": MORNINGS},
        (R.WINDOWS, *SHUT),
        "2026-11-23 09:00",
    ),
    (
        "Central Florida side",
        "2026-11-18 09:30",
        CALL,
        {"time_zone": CENTRAL, "number_zones": ()},
        (R.CALL_HOURS,),
        "2026-11-18 10:00",
    ),
    (
        "Florida, side unknown",
        "2026-11-18 09:30",
        CALL,
        {"time_zone": None},
        (R.CALL_HOURS,),
        "2026-11-18 10:00",
    ),
    (
        "Florida, side unknown, in their window",
        "2026-11-18 09:30",
        CALL,
        {"time_zone": None, "windows": MORNINGS},
        (R.CALL_HOURS, R.WINDOWS),
        "2026-11-18 10:00",
    ),
    (
        "California at breakfast",
        "2026-11-18 10:00",
        CALL,
        {"region": "US-CA", "time_zone": None},
        (R.LEGAL_HOURS, R.CALL_HOURS),
        "2026-11-18 12:00",
    ),
    (
        "a Californian number in New York",
        "2026-11-18 10:00",
        CALL,
        {"region": "US-NY", "number_zones": (PACIFIC,)},
        (R.LEGAL_HOURS,),
        "2026-11-18 11:00",
    ),
    (
        "a number in London at night",
        "2026-11-18 16:00",
        TEXT,
        {"number_zones": ("Europe/London",)},
        (R.LEGAL_HOURS,),
        "2026-11-19 09:00",
    ),
    (
        "Kentucky before ten",
        "2026-11-18 09:30",
        CALL,
        {"region": "US-KY"},
        (R.LEGAL_HOURS,),
        "2026-11-18 10:00",
    ),
    (
        "Indiana on Chicago time",
        "2026-07-15 09:30",
        CALL,
        {"region": "US-IN", "time_zone": CENTRAL},
        (R.CALL_HOURS,),
        "2026-07-15 10:00",
    ),
    (
        "Arizona in summer",
        "2026-07-15 11:30",
        CALL,
        {"region": "US-AZ", "time_zone": "America/Phoenix"},
        (R.CALL_HOURS,),
        "2026-07-15 12:00",
    ),
    (
        "Arizona in summer, side unknown",
        "2026-07-15 11:30",
        CALL,
        {"region": "US-AZ", "time_zone": None},
        (R.CALL_HOURS,),
        "2026-07-15 12:00",
    ),
    (
        "Hawaii before nine",
        "2027-01-13 13:30",
        CALL,
        {"region": "US-HI", "time_zone": None},
        (R.CALL_HOURS,),
        "2027-01-13 14:00",
    ),
    (
        "Guam, never within the day",
        "2027-01-13 10:00",
        CALL,
        {"region": "US-GU", "time_zone": None},
        (R.LEGAL_HOURS, R.CALL_HOURS),
        None,
    ),
    (
        "Pioneer Day in Utah",
        "2026-07-24 13:00",
        CALL,
        {"region": "US-UT", "time_zone": None},
        (R.LEGAL_HOURS,),
        "2026-07-25 11:00",
    ),
    (
        "Good Friday in Pennsylvania",
        "2027-03-26 13:00",
        TEXT,
        {"region": "US-PA", "time_zone": None, "consent_given_at": at("2027-03-20 10:00")},
        (R.LEGAL_HOURS,),
        "2027-03-27 09:00",
    ),
    ("the weekend the clock goes forward", "2026-03-07 15:00", CALL, {}, SHUT, "2026-03-09 09:00"),
    ("the weekend the clock goes back", "2026-10-31 15:00", CALL, {}, SHUT, "2026-11-02 09:00"),
    (
        "called this morning",
        "2026-11-18 10:00",
        CALL,
        {"attempts": tried("call 2026-11-18 09:30")},
        (R.CALLED_TODAY,),
        "2026-11-19 09:00",
    ),
    (
        "called on Saturday",
        "2026-11-21 10:00",
        CALL,
        {"attempts": tried("call 2026-11-21 09:30")},
        (R.CALLED_TODAY,),
        "2026-11-23 09:00",
    ),
    (
        "called today and outside their window",
        "2026-11-18 13:00",
        CALL,
        {"attempts": tried("call 2026-11-18 09:30"), "windows": MORNINGS},
        (R.WINDOWS, R.CALLED_TODAY),
        "2026-11-19 09:00",
    ),
    (
        "three contacts within a day",
        "2026-11-18 10:00",
        TEXT,
        {"attempts": tried("text 2026-11-17 15:00", "email 2026-11-17 16:00", "call 2026-11-18 09:30")},
        (R.CONTACTED_IN_24H,),
        "2026-11-18 15:00",
    ),
    (
        "three contacts within a day, the call among them today",
        "2026-11-18 10:00",
        CALL,
        {"attempts": tried("text 2026-11-17 15:00", "email 2026-11-17 16:00", "call 2026-11-18 09:30")},
        (R.CALLED_TODAY, R.CONTACTED_IN_24H),
        "2026-11-19 09:00",
    ),
    (
        "the next opening would be after permission has run out",
        "2026-11-18 18:30",
        CALL,
        {"consent_given_at": at("2026-11-17 20:00"), "consent_days": 1},
        SHUT,
        None,
    ),
]


@pytest.mark.parametrize(
    ("now", "channel", "changes", "refusals", "opens"),
    [case[1:] for case in REFUSED],
    ids=[case[0] for case in REFUSED],
)
def test_it_says_not_now_why_and_when_it_opens(now, channel, changes, refusals, opens):
    asked = {"consent_given_at": at(now) - timedelta(days=5)}
    verdict = judge(now, channel, **asked | changes)
    assert not verdict.allowed
    assert verdict.refusals == refusals
    assert (verdict.until, verdict.opens_at) == (None, at(opens) if opens else None)


PERMANENT = [
    ("erased", CALL, {"erased": True}, (R.ERASED,)),
    ("stopped", CALL, {"stopped": True}, (R.STOPPED,)),
    ("closed", EMAIL, {"closed": True}, (R.CLOSED,)),
    ("never asked", TEXT, {"consents": {CALL: "given"}}, (R.NO_CONSENT,)),
    ("asked without an answer", TEXT, {"consents": {TEXT: None}}, (R.NO_CONSENT,)),
    ("refused", EMAIL, {"consents": {EMAIL: "refused", CALL: "given"}}, (R.NO_CONSENT,)),
    ("took it back", CALL, {"consents": {CALL: "withdrawn"}}, (R.WITHDRAWN,)),
    (
        "ninety days ago",
        CALL,
        {"consent_given_at": at("2026-11-18 10:00") - timedelta(days=90)},
        (R.EXPIRED,),
    ),
    (
        "a shorter permission",
        CALL,
        {"consent_given_at": at("2026-11-11 10:00"), "consent_days": 7},
        (R.EXPIRED,),
    ),
    ("on the list", TEXT, {"suppressed": frozenset(Channel)}, (R.SUPPRESSED,)),
    (
        "three calls",
        CALL,
        {"attempts": tried(*(f"call 2026-11-{day} 10:00" for day in (10, 11, 12)))},
        (R.ATTEMPTS_USED,),
    ),
    (
        "four texts",
        TEXT,
        {"attempts": tried(*(f"text 2026-11-{day} 10:00" for day in (10, 11, 12, 13)))},
        (R.ATTEMPTS_USED,),
    ),
    (
        "three emails",
        EMAIL,
        {"attempts": tried(*(f"email 2026-11-{day} 10:00" for day in (10, 11, 12)))},
        (R.ATTEMPTS_USED,),
    ),
    (
        "everything at once, in order",
        CALL,
        {
            "erased": True,
            "stopped": True,
            "closed": True,
            "suppressed": frozenset(Channel),
            "consent_given_at": at("2026-01-01 10:00"),
            "attempts": tried(*(f"call 2026-11-{day} 10:00" for day in (10, 11, 12))),
        },
        (R.ERASED, R.STOPPED, R.CLOSED, R.EXPIRED, R.SUPPRESSED, R.ATTEMPTS_USED),
    ),
]


@pytest.mark.parametrize("now", ["2026-11-18 10:00", "2026-11-22 03:00"])
@pytest.mark.parametrize(
    ("channel", "changes", "refusals"), [case[1:] for case in PERMANENT], ids=[case[0] for case in PERMANENT]
)
def test_permanent_refusals_are_given_alone(now, channel, changes, refusals):
    verdict = judge(now, channel, **changes)
    assert verdict == Verdict(allowed=False, refusals=refusals)


def test_it_is_a_day_of_the_person_not_of_the_clinic():
    """A call at 11 pm in California is made on the next day of the clinic's calendar."""
    late = tried("call 2026-11-18 02:00")
    in_california = {"region": "US-CA", "time_zone": None, "number_zones": ()}
    assert judge("2026-11-18 12:30", attempts=late, **in_california).allowed
    assert judge("2026-11-18 12:30", attempts=late).refusals == (R.CALLED_TODAY,)


def test_in_an_unknown_zone_a_day_is_used_up_when_it_is_in_any_zone():
    late = tried("call 2026-11-18 00:30")
    unknown = judge("2026-11-18 10:30", attempts=late, time_zone=None, number_zones=())
    assert unknown.refusals == (R.CALLED_TODAY,)
    assert judge("2026-11-18 10:30", attempts=late, time_zone=CENTRAL, number_zones=()).allowed


def test_an_operator_may_allow_two_calls_a_day():
    twice = replace(CLINIC, contact=replace(CLINIC.contact, calls_per_day=2))
    once = tried("call 2026-11-18 09:10")
    assert judge("2026-11-18 10:00", clinic=twice, attempts=once).allowed
    both = tried("call 2026-11-18 09:10", "call 2026-11-18 09:40")
    assert judge("2026-11-18 10:00", clinic=twice, attempts=both).refusals == (R.CALLED_TODAY,)


def test_a_stricter_state_limits_contacts_in_a_day():
    strict = replace(
        HOURS, states={**HOURS.states, "US-FL": replace(HOURS.states["US-FL"], contacts_per_24h=1)}
    )
    once = tried("text 2026-11-17 17:00")
    verdict = judge("2026-11-18 10:00", EMAIL, hours=strict, attempts=once)
    assert (verdict.refusals, verdict.opens_at) == ((R.CONTACTED_IN_24H,), at("2026-11-18 17:00"))
    assert judge("2026-11-18 10:00", EMAIL, hours=strict, attempts=once, region="US-GA").allowed


def test_a_stricter_operator_limits_contacts_in_a_day():
    careful = replace(CLINIC, contact=replace(CLINIC.contact, contacts_per_24h=2))
    twice = tried("text 2026-11-17 16:00", "text 2026-11-17 17:00")
    verdict = judge("2026-11-18 10:00", clinic=careful, attempts=twice)
    assert (verdict.refusals, verdict.opens_at) == ((R.CONTACTED_IN_24H,), at("2026-11-18 16:00"))


def test_attempts_may_come_in_any_order_and_the_day_they_fill_is_counted_from_the_first():
    mixed = tried("call 2026-11-18 09:30", "email 2026-11-17 16:00", "text 2026-11-17 15:00")
    assert judge("2026-11-18 10:00", TEXT, attempts=mixed).opens_at == at("2026-11-18 15:00")


def test_an_attempt_that_a_clock_set_back_left_in_the_future_still_counts():
    ahead = tried("call 2026-11-18 11:00")
    assert judge("2026-11-18 10:00", attempts=ahead).refusals == (R.CALLED_TODAY,)


@pytest.mark.parametrize("now", ["2026-11-18 10:00", "2026-11-18 20:30"])
def test_voicemail_is_for_calls_with_consent_whatever_the_hour(now):
    assert judge(now).voicemail
    assert not judge(now, TEXT).voicemail
    assert not judge(now, voicemail=False).voicemail
    assert not judge(now, stopped=True).voicemail


def test_a_sunday_law_holds_where_the_clinic_works_on_sundays():
    sundays = {"clinic": ALWAYS_OPEN, "region": "US-AL", "time_zone": None, "number_zones": ()}
    verdict = judge("2026-11-22 13:00", **sundays)
    assert (verdict.refusals, verdict.opens_at) == ((R.LEGAL_HOURS,), at("2026-11-23 10:00"))
    assert judge("2026-11-22 13:00", EMAIL, **sundays).allowed


def test_a_holiday_law_holds_where_the_clinic_works_on_holidays():
    columbus = {"clinic": ALWAYS_OPEN, "time_zone": None, "number_zones": ()}
    assert judge("2026-10-12 13:00", region="US-LA", **columbus).refusals == (R.LEGAL_HOURS,)
    assert judge("2026-10-12 13:00", region="US-GA", **columbus).allowed


def test_every_refusal_has_its_own_sentence():
    sentences = [refusal.sentence for refusal in Refusal]
    assert len(set(sentences)) == len(sentences)
    assert all(sentence.endswith(".") for sentence in sentences)


ATTEMPTS = st.lists(
    st.tuples(st.sampled_from(Channel), st.timedeltas(timedelta(0), timedelta(days=4))), max_size=5
)


WORKING = st.builds(
    lambda week, day, minute: at("2026-01-05 09:00") + timedelta(weeks=week, days=day, minutes=minute),
    st.integers(0, 95),
    st.integers(0, 5),
    st.integers(0, 539),
)
NEARBY = st.fixed_dictionaries(
    {
        "region": st.sampled_from(["US-FL", "US-GA", "US-IN", "US-TX"]),
        "time_zone": st.none(),
        "number_zones": st.just(()),
        "windows": st.sampled_from([ANY, MORNINGS, frozenset(Window) - ANY]),
    }
)


@st.composite
def cases(draw):
    """A lead somewhere, with some attempts behind it, and a moment; mostly one at which people work."""
    now = draw(WORKING | WORKING | STARTS | CLOCK_CHANGES)
    person = draw(NEARBY | NEARBY | people())
    attempts = tuple((channel, now - ago) for channel, ago in draw(ATTEMPTS))
    given_at = now - timedelta(hours=draw(st.integers(0, 24 * 92)))
    answer = st.sampled_from(["given"] * 7 + ["refused", "withdrawn", None])
    facts = GateFacts(
        **person,
        consents={channel: draw(answer) for channel in Channel},
        consent_given_at=given_at,
        attempts=attempts,
        stopped=draw(st.integers(0, 19)) == 19,
        suppressed=frozenset(Channel) if draw(st.integers(0, 19)) == 19 else frozenset(),
    )
    return facts, draw(st.sampled_from(Channel)), draw(st.sampled_from([CLINIC, ALWAYS_OPEN])), now


def asked(facts, channel, clinic, now) -> Verdict:
    return may_contact(facts=facts, channel=channel, times=ContactTimes(clinic, HOURS, now))


@given(cases())
def test_a_yes_is_backed_by_every_clock_and_every_limit(case):
    facts, channel, clinic, now = case
    if not asked(*case).allowed:
        return
    where = {name: getattr(facts, name) for name in ("region", "time_zone", "number_zones", "windows")}
    assert second_opinion(now, clinic=clinic, **where, channel=channel)
    assert facts.consents[channel] == "given"
    assert not facts.stopped
    assert not facts.suppressed
    assert now < facts.consent_given_at + timedelta(days=90)
    assert sum(each is channel for each, _ in facts.attempts) < clinic.contact.at_most(channel)
    assert sum(now - when < timedelta(hours=24) for _, when in facts.attempts) < 3


@given(cases())
def test_a_no_has_a_reason_and_a_yes_has_none(case):
    verdict = asked(*case)
    assert verdict.allowed == (not verdict.refusals) == (verdict.until is not None)
    assert not (verdict.allowed and verdict.opens_at)
    order = [list(Refusal).index(refusal) for refusal in verdict.refusals if refusal is not R.ATTEMPTS_USED]
    assert order == sorted(order)


@given(cases())
def test_contact_is_allowed_from_opens_at_and_not_before(case):
    facts, channel, clinic, now = case
    opens_at = asked(*case).opens_at
    if opens_at is None:
        return
    assert now < opens_at <= now + timedelta(days=14)
    assert asked(facts, channel, clinic, opens_at).allowed
    assert not asked(facts, channel, clinic, opens_at - timedelta(seconds=1)).allowed


@given(cases(), st.floats(0, 0.999999))
def test_contact_is_allowed_until_the_given_end_and_no_longer(case, share):
    facts, channel, clinic, now = case
    verdict = asked(*case)
    if not verdict.allowed:
        return
    last = verdict.until - timedelta.resolution  # a share of a moment may be rounded up to the end itself
    assert asked(facts, channel, clinic, min(now + (verdict.until - now) * share, last)).allowed
    beyond = asked(facts, channel, clinic, verdict.until)
    assert not beyond.allowed or verdict.until == now + timedelta(days=14)


@given(cases())
def test_one_more_attempt_never_opens_the_gate(case):
    facts, channel, clinic, now = case
    for another in Channel:
        more = replace(facts, attempts=(*facts.attempts, (another, now)))
        assert not (asked(facts, channel, clinic, now).refusals and asked(more, channel, clinic, now).allowed)


def test_the_hours_of_the_clinic_file_are_what_the_gate_reads():
    late = replace(CLINIC, contact=replace(CLINIC.contact, call_from=time(11)))
    verdict = judge("2026-11-18 10:00", clinic=late)
    assert (verdict.refusals, verdict.opens_at) == ((R.CALL_HOURS,), at("2026-11-18 11:00"))
