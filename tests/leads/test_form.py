"""The form schema: what is accepted, what is refused with which message, what is ignored (P2)."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intake.calling.hours import Window
from intake.calling.regions import REGIONS, is_split, zones_of
from intake.conf import toml_schema
from intake.conf.clinic import Channel, Clinic
from intake.core.errors import Unprocessable
from intake.core.paths import CONFIG
from intake.leads import contact_values
from intake.leads.fields import CHOICES
from intake.leads.form import ONE_ANSWER, Request, article_title, read_form
from intake.leads.form_token import FormToken
from intake.leads.models import Suspicion

NOW = datetime(2026, 11, 18, 15, tzinfo=UTC)
CLINIC = toml_schema.load(CONFIG / "clinic.toml", Clinic)
LONE = chr(0xD800)  # half of a pair: no letter, and nothing that can be stored
TOKEN = FormToken(nonce="n", issued_at=NOW - timedelta(minutes=1), language="en", statements="s")
ANSWERS = {
    "token": ["whatever"],
    "website": [""],
    "preferred_name": ["Sam"],
    "channels": ["call", "text", "email"],
    "phone": ["305 555 0199"],
    "email": ["sam@example.org"],
    "voicemail": ["name_and_number"],
    "windows": ["weekday_morning"],
    "region": ["US-GA"],
    "adult": ["yes"],
    "consent_use": ["yes"],
}


def read(answers: Mapping[str, Sequence[str]] = ANSWERS, token: FormToken = TOKEN, **more: object) -> Request:
    return read_form(answers, token=token, clinic=CLINIC, now=NOW, **more)


def read_with(**changes: Sequence[str]) -> Request:
    return read({**ANSWERS, **changes})


def problems(**changes: Sequence[str]) -> Mapping[str, Sequence[str]]:
    with pytest.raises(Unprocessable) as refused:
        read_with(**changes)
    return refused.value.problems


def test_a_whole_request_is_read() -> None:
    found = read()
    assert (found.preferred_name, found.phone, found.email) == ("Sam", "+13055550199", "sam@example.org")
    assert found.channels == {Channel.CALL, Channel.TEXT, Channel.EMAIL}
    assert (found.voicemail, found.tell_article, found.choices) == (True, False, {})
    assert (found.windows, found.region, found.time_zone) == ({Window.WEEKDAY_MORNING}, "US-GA", None)
    assert (found.language, found.token, found.suspected) == ("en", TOKEN, None)


def test_it_prints_nothing_about_anybody() -> None:
    assert repr(read()) == str(read()) == f"{read()}" == "<Request, sealed>"


@pytest.mark.parametrize(
    "name",
    [
        "O’Brien",
        "O'Brien",
        "Nguyễn",
        "李",
        "J",
        "Anne-Marie 2",
        "مريم",
        "  Sam  ",
        "Zoë",
        "x" * 80,
        "A\u200dB",
    ],
)
def test_a_name_may_be_of_any_script(name: str) -> None:
    assert read_with(preferred_name=[name]).preferred_name == name.strip()


def test_a_name_is_kept_in_one_form() -> None:
    assert read_with(preferred_name=["Zoe\u0308"]).preferred_name == "Zo\u00eb"


@pytest.mark.parametrize(
    "name",
    [
        "a\x00b",
        "a\nb",
        "a\rb",
        "a\tb",
        "a\x7fb",
        "a\ufffdb",
        f"a{LONE}b",
        "a\u2028b",
        "a" + "\u0301" * 75,
    ],
)
def test_a_name_has_no_hidden_letters(name: str) -> None:
    assert problems(preferred_name=[name]) == {"preferred_name": (contact_values.NAME_ONE_LINE,)}


@pytest.mark.parametrize(
    "name",
    [
        *("\u200bAna", "A\u200ena", "A\U000e0041na", "\ufeffAna", "\u2068Ana\u2069", "\u202aAna\u202c"),
        *("Ana\ufe0f", "An\u3164a", "A\u202ena"),
    ],
)
def test_what_nobody_sees_in_a_name_is_not_kept(name: str) -> None:
    assert read_with(preferred_name=[name]).preferred_name == "Ana"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", contact_values.NAME),
        (" ", contact_values.NAME),
        ("-", contact_values.NAME),
        ("\u200b", contact_values.NAME),
        ("x" * 81, contact_values.NAME_IS_LONG),
    ],
)
def test_a_name_is_neither_empty_nor_too_long(name: str, sentence: str) -> None:
    assert problems(preferred_name=[name]) == {"preferred_name": (sentence,)}


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("3055550199", "+13055550199"),
        ("(305) 555-0199", "+13055550199"),
        ("305.555.0199", "+13055550199"),
        ("+1 305 555 0199", "+13055550199"),
        ("1-305-555-0199", "+13055550199"),
        (" 305 555 0199 ", "+13055550199"),
        ("+44 7700 900 123", "+447700900123"),
        ("\uff13\uff10\uff15 555 0199", "+13055550199"),
        ("305\ufe0f 555\u200c 0199", "+13055550199"),
        ("\u202a+1 305 555 0199\u202c", "+13055550199"),
        ("tel:+13055550199", "+13055550199"),
        ("TEL: 305-555-0199", "+13055550199"),
        ("sms:3055550199", "+13055550199"),
        ("0044 7700 900 123", "+447700900123"),
        ("+52 1 55 1234 5678", "+525512345678"),
        ("+52 55 1234 5678", "+525512345678"),
        ("+5215512345678", "+525512345678"),
    ],
)
def test_a_number_is_read_as_people_write_it(written: str, number: str) -> None:
    assert read_with(phone=[written]).phone == number


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("", contact_values.PHONE),
        ("555 0199", contact_values.PHONE),
        ("305 555 019", contact_values.PHONE),
        ("call me", contact_values.PHONE_LETTERS),
        ("1-800-FLOWERS", contact_values.PHONE_LETTERS),
        ("3" * 61, contact_values.PHONE_LONG),
        ("305 555 0199 12", contact_values.PHONE_LONG),
        ("+999 123 4567", contact_values.PHONE_PREFIX),
        ("305 555 0121 or 305 555 0122", contact_values.PHONE_TWO),
        ("305-555-0121 / 305-555-0122", contact_values.PHONE_TWO),
        ("(305) 555-0121, (305) 555-0122", contact_values.PHONE_TWO),
        ("191 755 5019", contact_values.PHONE_IMPOSSIBLE),
        ("123-456-7890", contact_values.PHONE_IMPOSSIBLE),
        ("305 155 0199", contact_values.PHONE_IMPOSSIBLE),
        ("+1 055 555 0199", contact_values.PHONE_IMPOSSIBLE),
        ("900 555 0199", contact_values.PHONE_PREMIUM),
        ("1-900-555-0199", contact_values.PHONE_PREMIUM),
        ("212 976 0199", contact_values.PHONE_PREMIUM),
        ("+44 909 879 0000", contact_values.PHONE_PREMIUM),
        ("(305) 555-0142", contact_values.PHONE_OURS),
        ("1-800-662-4357", contact_values.PHONE_OURS),
        ("305 555 0199 x22", contact_values.PHONE_EXTENSION),
        ("305 555 0199 ext. 22", contact_values.PHONE_EXTENSION),
        ("911", contact_values.PHONE_SHORT),
        ("988", contact_values.PHONE_SHORT),
        ("+44 999", contact_values.PHONE_SHORT),
    ],
)
def test_a_number_we_cannot_call_is_asked_for_anew(written: str, sentence: str) -> None:
    assert problems(phone=[written]) == {"phone": (sentence,)}


@pytest.mark.parametrize(
    "address", ["", "sam", "sam@", "sam@localhost", "a b@example.org", "x" * 250 + "@example.org"]
)
def test_an_address_nobody_could_write_to_is_asked_for_anew(address: str) -> None:
    assert problems(email=[address]) == {"email": (contact_values.EMAIL,)}


@pytest.mark.parametrize(
    ("written", "address"),
    [
        (" Sam.Q@Example.ORG ", "sam.q@example.org"),
        ("sam@example.org\u200b", "sam@example.org"),
        ("\u202asam@example.org\u202c", "sam@example.org"),
        ("\ufeffsam@exam\u00adple.org", "sam@example.org"),
        ("o\u2019brien@example.org", "o'brien@example.org"),
        ("mailto:sam@example.org?subject=hello", "sam@example.org"),
        ("<sam@example.org>", "sam@example.org"),
        ("sam\uff20example.org", "sam@example.org"),
    ],
)
def test_an_address_is_read_as_people_write_or_copy_it(written: str, address: str) -> None:
    assert read_with(email=[written]).email == address


def test_a_detail_without_its_tick_is_not_looked_at() -> None:
    found = read_with(channels=["email"], phone=["old nonsense"], voicemail=["old nonsense"])
    assert (found.phone, found.voicemail) == (None, False)
    found = read_with(channels=["text"], email=["old nonsense"])
    assert (found.email, found.phone, found.voicemail) == (None, "+13055550199", False)


@pytest.mark.parametrize(
    ("channels", "missing"), [(["call"], "phone"), (["text"], "phone"), (["email"], "email")]
)
def test_a_tick_needs_its_detail(channels: list[str], missing: str) -> None:
    without = {name: values for name, values in ANSWERS.items() if name != missing}
    with pytest.raises(Unprocessable) as refused:
        read({**without, "channels": channels})
    assert set(refused.value.problems) == {missing}


@pytest.mark.parametrize("channels", [[], ["fax"], ["call", "fax"], ["call", "call"], [""]])
def test_channels_are_a_closed_list_without_repeats(channels: list[str]) -> None:
    assert set(problems(channels=channels)) == {"channels"}


def test_no_voicemail_is_what_silence_means() -> None:
    assert not read({name: values for name, values in ANSWERS.items() if name != "voicemail"}).voicemail


def test_any_time_swallows_the_single_times() -> None:
    assert read_with(windows=["saturday_morning", "any"]).windows == {Window.ANY}


@pytest.mark.parametrize("windows", [[], ["sunday_morning"], ["any", "any"], ["weekday_morning", "x"]])
def test_windows_are_a_closed_list_and_never_empty(windows: list[str]) -> None:
    assert set(problems(windows=windows)) == {"windows"}


@pytest.mark.parametrize("region", ["", "FL", "us-fl", "US-XX", "Florida"])
def test_a_state_is_from_the_list(region: str) -> None:
    assert set(problems(region=[region])) == {"region"}


@pytest.mark.parametrize("region", REGIONS)
def test_every_zone_of_a_state_may_be_chosen_where_it_is_asked_for(region: str) -> None:
    for zone in zones_of(region):
        if is_split(region):
            assert read_with(region=[region], time_zone=[zone]).time_zone == zone


@pytest.mark.parametrize(
    ("region", "sent", "kept"),
    [
        ("US-MI", "America/New_York", "America/Detroit"),
        ("US-IN", "America/New_York", "America/Indiana/Indianapolis"),
        ("US-KS", "America/Boise", "America/Denver"),
        ("US-AZ", "America/Boise", None),
        ("US-FL", "America/Los_Angeles", None),
        ("US-GA", "America/New_York", None),
        ("US-FL", "", None),
    ],
)
def test_a_zone_goes_by_its_name_and_a_left_over_one_is_no_answer(
    region: str, sent: str, kept: str | None
) -> None:
    assert read_with(region=[region], time_zone=[sent]).time_zone == kept


def test_an_unknown_zone_is_asked_for_anew() -> None:
    assert set(problems(time_zone=["Mars/Olympus"])) == {"time_zone"}


@pytest.mark.parametrize(
    ("question", "word"), [(name, word) for name, each in CHOICES.items() for word in each.words]
)
def test_an_optional_question_takes_each_of_its_words_or_none(question: str, word: str) -> None:
    assert read_with(**{question: [word]}).choices == {question: word}
    assert read_with(**{question: [""]}).choices == read_with().choices == {}


def test_a_question_that_came_later_changes_no_earlier_digest() -> None:
    """What an earlier release stored of a form is compared when that form is sent once more."""
    before = {
        "preferred_name", "channels", "phone", "email", "voicemail", "windows", "region", "time_zone",
        "asking_for", "tell_article", "language", "article",
    }  # fmt: skip
    assert set(read_with().canonical()) == before
    assert read_with(call_language=["es"]).canonical()["call_language"] == "es"


@pytest.mark.parametrize("question", ["adult", "consent_use"])
@pytest.mark.parametrize("answer", [[], ["no"], ["on"], [""], ["yes", "yes"]])
def test_nothing_but_yes_is_consent(question: str, answer: list[str]) -> None:
    assert set(problems(**{question: answer})) == {question}


def test_all_problems_come_at_once_in_the_order_of_the_page() -> None:
    with pytest.raises(Unprocessable) as refused:
        read({"zzz": ["1"], "email": ["x"]})
    assert list(refused.value.problems) == [
        "preferred_name", "channels", "windows", "region", "adult", "consent_use",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name", ["message", "diagnosis", "birth_date", "score", "article", "suspected", "_csrf_addon", "a" * 5000]
)
def test_an_answer_to_no_question_of_ours_is_dropped(name: str) -> None:
    assert read_with(**{name: ["x", "y"]}).canonical() == read().canonical()


def test_two_answers_to_one_question_are_none() -> None:
    assert problems(region=["US-FL", "US-GA"]) == {"region": (ONE_ANSWER,)}


def test_a_filled_trap_marks() -> None:
    assert read_with(website=["x"]).suspected is Suspicion.HONEYPOT


@pytest.mark.parametrize(("seconds", "mark"), [(0, Suspicion.TOO_FAST), (2.9, Suspicion.TOO_FAST), (3, None)])
def test_a_page_answered_in_no_time_is_marked(seconds: float, mark: Suspicion | None) -> None:
    token = FormToken("n", NOW - timedelta(seconds=seconds), "en", "s")
    assert read(token=token).suspected is mark
    assert read(token=token.for_redisplay()).suspected is None
    assert read(over_limit=True).suspected is Suspicion.TOO_FAST


@pytest.mark.parametrize(
    ("number", "ticked", "title"),
    [
        ("1", True, CLINIC.articles[0].title),
        ("2", True, CLINIC.articles[1].title),
        ("2", False, None),
        (None, True, None),
        ("3", True, None),
    ],
)
def test_the_article_is_kept_only_with_its_tick(number: str | None, ticked: bool, title: str | None) -> None:
    token = FormToken("n", TOKEN.issued_at, "en", "s", article=number)
    answers = {**ANSWERS, "tell_article": ["yes"]} if ticked else ANSWERS
    found = read(answers, token)
    assert (found.tell_article, found.article) == (ticked, title)


@pytest.mark.parametrize("number", ["0", "3", "-1", "01", "one", "", None])
def test_an_article_goes_by_its_number_in_the_pair(number: str | None) -> None:
    assert article_title(number, CLINIC) is None


def test_what_tells_a_repeat_from_a_correction_are_the_answers_alone() -> None:
    again = FormToken("other", NOW, "en", "other", redisplayed=True)
    same = {**ANSWERS, "phone": ["(305) 555-0199"], "website": ["x"], "channels": ["email", "text", "call"]}
    assert read(same, again).canonical() == read().canonical()
    answers = {each.name for each in fields(Request)} - {"token", "suspected", "choices"} | {*CHOICES}
    chosen = {name: [next(iter(each.words))] for name, each in CHOICES.items()}
    assert set(read_with(**chosen).canonical()) == answers
    for change in (
        {"preferred_name": ["Sal"]},
        {"windows": ["any"]},
        {"voicemail": ["no"]},
        *({name: [word]} for name, each in CHOICES.items() for word in each.words),
    ):
        assert read_with(**change).canonical() != read().canonical()


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.one_of(
            st.sampled_from([*ANSWERS, "time_zone", *CHOICES, "tell_article"]),
            st.text(max_size=8),
        ),
        st.lists(
            st.one_of(st.text(max_size=60), st.sampled_from(["yes", "call", "any", "US-FL"])), max_size=3
        ),
        max_size=14,
    )
)
def test_whatever_is_sent_is_read_or_refused_kindly(answers: dict[str, list[str]]) -> None:
    messages = sentences({**ANSWERS, **answers})
    assert all(isinstance(each, str) and each for each in messages)


def sentences(answers: Mapping[str, Sequence[str]]) -> list[str]:
    """The messages for these answers; valid ones have at least one channel."""
    try:
        return sorted(read(answers).channels)
    except Unprocessable as refused:
        return [sentence for each in refused.problems.values() for sentence in each] or [""]
