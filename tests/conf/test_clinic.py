"""The clinic's file: what it contains, and that every wrong key is reported with how to write it."""

from dataclasses import FrozenInstanceError, replace
from datetime import date, time
from pathlib import Path

import pytest

from intake.conf.clinic import Channel, Clinic, Holiday, LifelineKeys, dialable_number, format_phone, load
from intake.conf.toml_schema import Span
from intake.core.errors import SettingsError
from intake.core.paths import CONFIG

SHIPPED = (CONFIG / "clinic.toml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def clinic() -> Clinic:
    return load(CONFIG / "clinic.toml")


def problems_of(folder: Path, *edits: tuple[str, str]) -> list[str]:
    """The problems of the shipped file after replacing the first of each `old` with `new`."""
    text = SHIPPED
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    path = folder / "clinic.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as refused:
        load(path)
    return list(refused.value.problems)


def test_it_is_the_fictional_clinic_with_example_numbers_and_addresses(clinic):
    assert (clinic.name, clinic.region, clinic.time_zone) == (
        "Harbor Lane Clinic",
        "US-FL",
        "America/New_York",
    )
    assert clinic.phone == clinic.calls_from == "+13055550142"
    addresses = (clinic.email, clinic.privacy.contact_email, *clinic.notices.recipients)
    assert all(address.endswith("@harborlane.example.org") for address in addresses)
    assert "HCC-0000" in clinic.licence["en"]
    assert "HCC-0000" in clinic.licence["es"]


def test_a_file_of_the_first_version_is_read_like_todays(clinic, tmp_path: Path):
    """What a clinic wrote for 0.1 goes on working: its names for the Spanish keys are taken too."""
    text = SHIPPED
    for new, old in (
        (
            "\n# In another language: the key to press in a call, the word to text.\n"
            "[crisis.lifeline.languages.es]\n",
            "",
        ),
        ('press = "2"\ntext = "AYUDA"\n', 'spanish_press = "2"\nspanish_text = "AYUDA"\n'),
        ("[texts_reviewed.translations.es]", "[texts_reviewed.spanish]"),
    ):
        assert new in text
        text = text.replace(new, old, 1)
    path = tmp_path / "clinic.toml"
    path.write_text(text, encoding="utf-8")
    assert load(path) == clinic


def test_a_file_that_lists_federal_holidays_itself_goes_on_being_read(tmp_path: Path):
    """In 0.1 the file listed each of them; what it lists has its own name, and the rule goes on after it."""
    listed = OWN_DAY.replace('hours = "closed"\n', "").replace("12-24", "12-25")
    path = tmp_path / "clinic.toml"
    path.write_text(SHIPPED.replace('on_federal_holidays = "closed"\n', "") + listed, encoding="utf-8")
    clinic = load(path)
    assert clinic.open_on(date(2026, 12, 25)) == clinic.open_on(date(2031, 12, 25)) == ()
    assert clinic.holidays_ahead(date(2026, 12, 20))[0]["en"] == "Christmas Eve"


def test_it_has_the_numbers_the_promises_rest_on(clinic):
    contact, kept = clinic.contact, clinic.retention
    assert (contact.response_minutes, contact.contacts_per_24h, contact.calls_per_day) == (120, 3, 1)
    assert [contact.at_most(channel) for channel in Channel] == [3, 4, 3]
    assert (contact.call_from, contact.call_until) == (time(9), time(20))
    assert (kept.open_days, kept.closed_days, kept.stopped_hours) == (90, 30, 24)
    assert (kept.submission_days, kept.proof_years) == (7, 5)


def test_it_opens_by_weekday_and_never_on_a_holiday(clinic):
    assert [len(spans) for spans in clinic.hours.days] == [1, 1, 1, 1, 1, 1, 0]
    assert clinic.open_on(date(2026, 11, 18))[0].closes == time(18)
    assert clinic.open_on(date(2026, 11, 21))[0].closes == time(15)
    assert clinic.open_on(date(2026, 11, 26)) == ()
    assert clinic.holidays_ahead(date(2026, 11, 20))[0]["es"] == "Día de Acción de Gracias"
    assert replace(clinic, on_federal_holidays="as usual").open_on(date(2026, 11, 26)) != ()


def test_a_day_of_its_own_is_closed_or_has_hours_before_any_other_rule(clinic):
    closed, working = date(2026, 11, 20), date(2026, 11, 26)
    spans = (Span(time(10), time(12)),)
    own = (Holiday(on=closed, texts={}), Holiday(on=working, texts={}, hours=spans))
    changed = replace(clinic, holidays=own)
    assert changed.open_on(closed) == ()
    assert changed.open_on(working) == spans
    assert changed.open_on(date(2026, 12, 25)) == ()


def test_the_articles_are_a_pair_in_the_order_of_their_dates(clinic, tmp_path):
    undated, dated = clinic.articles
    assert undated.date is None
    assert dated.date == date(2025, 9, 22)
    first, second = SHIPPED.split("[[articles]]")[1:]
    second, rest = second.split("[privacy]", 1)
    head = SHIPPED.split("[[articles]]")[0]
    path = tmp_path / "clinic.toml"
    path.write_text(f"{head}[[articles]]{second}[[articles]]{first}[privacy]{rest}", encoding="utf-8")
    assert load(path).articles == clinic.articles


def test_the_crisis_lines_can_be_dialled_and_name_the_day_they_were_checked(clinic):
    crisis = clinic.crisis
    assert (crisis.emergency, crisis.lifeline.call, crisis.lifeline.text) == ("911", "988", "988")
    assert crisis.lifeline.languages["es"] == LifelineKeys(press="2", text="AYUDA")
    assert dialable_number(crisis.treatment.call) == "+18006624357"
    assert dialable_number(crisis.treatment.tty) == "+18004874889"
    assert dialable_number(crisis.emergency) == "911"
    assert crisis.verified_on == date(2026, 11, 3)


def test_no_text_counts_as_reviewed_as_shipped(clinic):
    assert clinic.texts_reviewed.unsigned == ["translations.es", "crisis", "ketamine"]


@pytest.mark.parametrize(
    ("number", "written"),
    [
        ("+13055550142", "(305) 555-0142"),
        ("+442079460123", "+44 20 7946 0123"),
        ("1-800-662-4357", "1-800-662-4357"),
        ("988", "988"),
    ],
)
def test_a_number_is_shown_as_people_write_it(number, written):
    assert format_phone(number) == written


def test_a_channel_and_a_language_have_words(clinic):
    assert [channel.sentence for channel in Channel] == ["Phone call", "Text message", "Email"]
    assert clinic.articles[0].summary["en"] != clinic.articles[0].summary["es"]
    with pytest.raises(KeyError):
        clinic.licence["fr"]


def test_nothing_of_it_can_be_changed_while_running(clinic):
    with pytest.raises(FrozenInstanceError):
        clinic.name = "Another"


CLOCK = 'must be a time of day in quotes, like "09:00".'
OPEN = 'must be "closed", or hours like "09:00-18:00" or "09:00-12:00, 14:00-18:00".'
WORDS = "must be words in quotes, on one line and not empty."
PHONE = 'must be a phone number with + and country code, in quotes, like "+13055550142".'
DIALLED = 'must be a number people can dial, in quotes, like "988" or "1-800-662-4357".'
DATE = "must be a real date without quotes, like 2026-11-03."
HTTPS = 'must be a whole web address that starts with https://, like "https://example.org/page".'
ORIGIN = 'must be like "https://www.example.org": small letters, no path, no slash at the end.'
ADDRESS = 'must be an email address in quotes, like "intake@example.org".'
ZONE = 'must be the name of a time zone in quotes, like "America/New_York".'
UNKNOWN = "is not a key we know here. Check its spelling, or take it out."
TUESDAY = 'tuesday = "09:00-18:00"'
FIRST_URL = SHIPPED.split('url = "')[1].split('"')[0]
SECOND_URL = SHIPPED.split('url = "')[2].split('"')[0]
EMPTY = "origins = []"
OWN_DAY = """
[[holidays]]
on = 2026-12-24
hours = "closed"
en = "Christmas Eve"
es = "Nochebuena"
"""
RECIPIENTS = 'recipients = ["intake@harborlane.example.org"]'

BAD = [
    ('name = "Harbor Lane Clinic"', 'name = ""', f"name: {WORDS}"),
    ('name = "Harbor Lane Clinic"', "name = 7", f"name: {WORDS}"),
    ('legal_name = "Harbor Lane Clinic, LLC"\n', "", f"legal_name: is missing: it {WORDS}"),
    ('["14 Harbor Lane", "Miami, Florida 33101"]', "[]", "address: must have at least one line: "),
    ('["14 Harbor Lane", "Miami, Florida 33101"]', '["14 Harbor Lane", " "]', f"address.2: {WORDS}"),
    ('["14 Harbor Lane", "Miami, Florida 33101"]', '"x"', "address: must be a list in square brackets."),
    ('phone = "+13055550142"', 'phone = "305 555 0142"', f"phone: {PHONE}"),
    ('phone = "+13055550142"', 'phone = "+1305555"', f"phone: {PHONE}"),
    ('phone = "+13055550142"', "phone = 13055550142", f"phone: {PHONE}"),
    ('calls_from = "+13055550142"', 'calls_from = "+99955501420"', f"calls_from: {PHONE}"),
    ('email = "care@harborlane.example.org"', 'email = "care"', f"email: {ADDRESS}"),
    ('region = "US-FL"', 'region = "Florida"', "region: must be the code of a state or territory in quotes"),
    ('time_zone = "America/New_York"', 'time_zone = "Eastern"', f"time_zone: {ZONE}"),
    ('time_zone = "America/New_York"', 'time_zone = "../zone"', f"time_zone: {ZONE}"),
    ('languages = ["en", "es"]', 'languages = ["fr"]', "languages.1: must be one of en, es, in quotes."),
    ('languages = ["en", "es"]', "languages = []", "languages: must name each language your staff speak"),
    ('languages = ["en", "es"]', 'languages = ["en", "en"]', "languages: must name each language"),
    ('"https://www.weather.gov/"', '"http://www.weather.gov/"', f"leave_to: {HTTPS}"),
    ('"https://www.weather.gov/"', '"https://someone@weather.gov/"', f"leave_to: {HTTPS}"),
    ('"https://www.weather.gov/"', '"https://[/"', f"leave_to: {HTTPS}"),
    ('es = "Licencia de clínica de Florida HCC-0000 (ejemplo)"', "", f"licence.es: is missing: it {WORDS}"),
    (TUESDAY, 'tuesday = "18:00-09:00"', "hours.tuesday: must open before it closes, within one day."),
    (TUESDAY, 'tuesday = "09:00-09:00"', "hours.tuesday: must open before it closes, within one day."),
    (TUESDAY, 'tuesday = "9-18"', f"hours.tuesday: {OPEN}"),
    (TUESDAY, 'tuesday = "09:00-25:00"', f"hours.tuesday: {OPEN}"),
    (TUESDAY, 'tuesday = "09:00-12:00-18:00"', f"hours.tuesday: {OPEN}"),
    (TUESDAY, 'tuesday = ""', f"hours.tuesday: {OPEN}"),
    (TUESDAY, "tuesday = false", f"hours.tuesday: {OPEN}"),
    (TUESDAY, 'tuesday = "09:00-13:00, 12:00-18:00"', "hours.tuesday: has parts that overlap or are not in"),
    (TUESDAY, 'tuesday = "14:00-18:00, 09:00-12:00"', "hours.tuesday: has parts that overlap or are not in"),
    (TUESDAY, "", f"hours.tuesday: is missing: it {OPEN}"),
    (TUESDAY, TUESDAY + '\nfunday = "closed"', f"hours.funday: {UNKNOWN}"),
    ("response_minutes = 120", "response_minutes = 0", "contact.response_minutes: must be a whole number"),
    ("response_minutes = 120", "response_minutes = true", "contact.response_minutes: must be a whole number"),
    ("calls_per_day = 1", "calls_per_day = true", "contact.calls_per_day: must be a whole number from 1"),
    ("response_minutes = 120", "response_minutes = 1.5", "contact.response_minutes: must be a whole number"),
    (
        "contacts_per_24h = 3",
        "contacts_per_24h = 4",
        "contact.contacts_per_24h: must be a whole number from 1 to 3.",
    ),
    ('call_from = "09:00"', 'call_from = "9 am"', f"contact.call_from: {CLOCK}"),
    ('call_from = "09:00"', "call_from = 09:00:00", f"contact.call_from: {CLOCK}"),
    ('call_from = "09:00"', 'call_from = "07:59"', 'contact.call_from: must not be before "08:00"'),
    ('call_until = "20:00"', 'call_until = "21:01"', 'contact.call_until: must not be after "21:00"'),
    ('call_until = "20:00"', 'call_until = "09:00"', "contact.call_until: must be later than call_from."),
    ("open_days = 90", "open_days = 0", "retention.open_days: must be a whole number from 1 to 180."),
    ("open_days = 90", "open_days = 181", "retention.open_days: must be a whole number from 1 to 180."),
    ("proof_years = 5", "proof_years = 7", "retention.proof_years: must be a whole number from 0 to 6."),
    (RECIPIENTS, "recipients = []", "notices.recipients: must name at least one address"),
    (RECIPIENTS, 'recipients = ["intake@example.com"]', "notices.recipients: has an address whose domain"),
    (RECIPIENTS, 'recipients = ["a@b.c\\nBcc: d@e.f"]', f"notices.recipients.1: {ADDRESS}"),
    (
        RECIPIENTS,
        'recipients = ["Intake@harborlane.example.org", "intake@harborlane.example.org"]',
        "notices.recipients: names the same address twice.",
    ),
    ('"supervisor@harborlane.example.org"', '"boss@example.net"', "notices.second_contacts: has an address"),
    (
        'allowed_domains = ["harborlane',
        'allowed_domains = ["@harborlane',
        "notices.allowed_domains.1: must be a",
    ),
    ("verified_on = 2026-11-03", 'verified_on = "2026-11-03"', f"crisis.verified_on: {DATE}"),
    ("verified_on = 2026-11-03", "verified_on = 2026-11-03T10:00:00", f"crisis.verified_on: {DATE}"),
    ('emergency = "911"', 'emergency = "help"', f"crisis.emergency: {DIALLED}"),
    ('call = "1-800-662-4357"', 'call = "1-800-HELP"', f"crisis.treatment.call: {DIALLED}"),
    ('chat = "https://988lifeline.org/"', 'chat = "988lifeline.org"', f"crisis.lifeline.chat: {HTTPS}"),
    (FIRST_URL, SECOND_URL, "articles: must be exactly two different articles"),
    (SECOND_URL, "https://localhost/x", f"articles.2.url: {HTTPS}"),
    ('language = "en"', 'language = "de"', "articles.1.language: must be one of en, es, in quotes."),
    ('publisher = "Ketamine Clinics Los Angeles"', "", f"articles.2.publisher: is missing: it {WORDS}"),
    ('contact_name = "Dana Whitlock"', "", f"privacy.contact_name: is missing: it {WORDS}"),
    ("[texts_reviewed.crisis]", '[texts_reviewed.crisis]\nby = "A"', "texts_reviewed.crisis: must have both"),
    ("[texts_reviewed.crisis]\n", "", "texts_reviewed.crisis: is missing: it must be a table of keys"),
    ("[embed]\norigins = []", "embed = 3", f"texts_reviewed.ketamine.embed: {UNKNOWN}"),
    ("origins = []", 'origins = ["https://www.example.org/"]', f"embed.origins.1: {ORIGIN}"),
    ("origins = []", 'origins = ["https://www.example.org/x"]', f"embed.origins.1: {ORIGIN}"),
    ("origins = []", 'origins = ["https://WWW.example.org"]', f"embed.origins.1: {ORIGIN}"),
    ("origins = []", 'origins = ["*"]', f"embed.origins.1: {ORIGIN}"),
    (EMPTY, EMPTY + 2 * OWN_DAY, "holidays: has the same day twice."),
    (
        "origins = []",
        EMPTY + OWN_DAY.replace("on = 2026-12-24", ""),
        f"holidays.1.on: is missing: it {DATE}",
    ),
    (EMPTY, EMPTY + OWN_DAY.replace("12-24", "02-30"), "is not written as TOML: "),
    (EMPTY, EMPTY + OWN_DAY.replace("2026-12-24", ""), "is not written as TOML: "),
    (
        "origins = []",
        EMPTY + OWN_DAY.replace("closed", "shut"),
        'holidays.1.hours: must be "closed", or hours',
    ),
    (
        'on_federal_holidays = "closed"',
        "on_federal_holidays = true",
        "on_federal_holidays: must be one of closed",
    ),
]


@pytest.mark.parametrize(("old", "new", "expected"), BAD)
def test_it_names_the_wrong_key_and_how_to_write_it(tmp_path, old, new, expected):
    problems = problems_of(tmp_path, (old, new))
    assert any(problem.startswith(f"clinic.toml: {expected}") for problem in problems), problems


def test_what_stands_exactly_at_a_bound_is_right(tmp_path):
    path = tmp_path / "clinic.toml"
    text = SHIPPED
    for old, new in [
        ('call_from = "09:00"', 'call_from = "08:00"'),
        ('call_until = "20:00"', 'call_until = "21:00"'),
        ("open_days = 90", "open_days = 180"),
        ("proof_years = 5", "proof_years = 0"),
        (TUESDAY, 'tuesday = "09:00-12:00, 12:00-18:00"'),
        ("origins = []", 'origins = ["https://www.example.org", "https://example.org:8443"]'),
    ]:
        text = text.replace(old, new, 1)
    path.write_text(text, encoding="utf-8")
    clinic = load(path)
    assert (clinic.contact.call_from, clinic.contact.call_until) == (time(8), time(21))
    assert len(clinic.hours.tuesday) == len(clinic.embed.origins) == 2


def test_it_names_every_wrong_key_at_once(tmp_path):
    problems = problems_of(
        tmp_path,
        ('name = "Harbor Lane Clinic"', 'nmae = "Harbor Lane Clinic"'),
        (TUESDAY, 'tuesday = "18:00-09:00"'),
        ('call_until = "20:00"', 'call_until = "08:00"'),
        ("open_days = 90", "open_days = 999"),
        (RECIPIENTS, "recipients = []"),
    )
    named = [problem.split(": ")[1] for problem in problems]
    assert sorted(named) == [
        "contact.call_until",
        "hours.tuesday",
        "name",
        "nmae",
        "notices.recipients",
        "retention.open_days",
    ]


def test_one_article_alone_is_refused(tmp_path):
    second = SHIPPED.split("[[articles]]")[2].split("[privacy]")[0]
    assert problems_of(tmp_path, (f"[[articles]]{second}", "")) == [
        "clinic.toml: articles: must be exactly two different articles: one side alone is not shown."
    ]


def test_a_week_without_an_open_day_is_refused(tmp_path):
    week = SHIPPED.split("[hours]\n")[1].split("\n\n")[0]
    closed = "\n".join(f'{line.split(" = ")[0]} = "closed"' for line in week.splitlines())
    assert problems_of(tmp_path, (week, closed)) == [
        "clinic.toml: hours: must open on at least one day: nobody could ever be called."
    ]


def test_a_value_is_never_repeated_in_a_problem(tmp_path):
    problems = problems_of(
        tmp_path,
        ('phone = "+13055550142"', 'phone = "canary-one"'),
        (RECIPIENTS, 'recipients = ["canary-two@example.com"]'),
        ("response_minutes = 120", 'response_minutes = "canary-three"'),
        ('time_zone = "America/New_York"', 'time_zone = "canary-four"'),
    )
    assert len(problems) == 4
    assert "canary" not in " ".join(problems)


def test_a_file_that_is_missing_or_not_text_is_one_plain_problem(tmp_path):
    path = tmp_path / "clinic.toml"
    with pytest.raises(SettingsError, match=r"clinic.toml: is missing or cannot be read\."):
        load(path)
    path.write_bytes(b'name = "\xff"')
    with pytest.raises(SettingsError, match=r"clinic.toml: must be saved as UTF-8\."):
        load(path)


def test_a_table_where_a_value_belongs_and_the_other_way_round_are_distinguished(tmp_path):
    week = "[hours]\n" + SHIPPED.split("[hours]\n")[1].split("\n\n")[0]
    problems = problems_of(
        tmp_path,
        ('phone = "+13055550142"', "phone = { number = 1 }"),
        (week, ""),
        ('name = "Harbor', 'hours = "always"\nname = "Harbor'),
    )
    assert problems == [
        f"clinic.toml: phone: {PHONE}",
        "clinic.toml: hours: must be a table of keys, not a single value.",
    ]


def test_a_signed_review_names_who_and_when(tmp_path):
    path = tmp_path / "clinic.toml"
    signed = '[texts_reviewed.ketamine]\nby = "R. Osei, MD"\non = 2026-11-10'
    path.write_text(SHIPPED.replace("[texts_reviewed.ketamine]", signed), encoding="utf-8")
    review = load(path).texts_reviewed.ketamine
    assert (review.by, review.on) == ("R. Osei, MD", date(2026, 11, 10))
