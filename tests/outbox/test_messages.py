"""Mails have a constant text, and nothing can end a header (promise N1)."""

import dataclasses
import uuid
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default

import pytest

from intake.conf.clinic import Clinic, load
from intake.core.paths import CONFIG
from intake.outbox import Mail, OutboxMessage
from intake.outbox.messages import RenderError, render
from tests.conftest import WEDNESDAY_TEN, settings_for

HEADERS = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "Content-Type",
    "Content-Transfer-Encoding",
    "MIME-Version",
]
BREAKS = ["\r", "\n", "\r\n", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\x00"]


@pytest.fixture(scope="module")
def clinic() -> Clinic:
    return load(CONFIG / "clinic.toml")


@pytest.fixture
def settings(tmp_path):
    return settings_for(tmp_path, "sqlite://", base_url="https://ask.example.org")


def row(**changes) -> OutboxMessage:
    values = {"id": uuid.uuid4(), "mail": Mail.NEW_LEAD, "recipient": "ana@example.org"}
    return OutboxMessage(**{**values, **changes})


def parsed(message):
    return message_from_bytes(message.raw, policy=default)


def words_of(message) -> str:
    return "\n".join(parsed(message).get_content().splitlines())


def test_it_says_that_a_request_waits_and_where_the_desk_is(clinic, settings) -> None:
    message = render(row(), clinic=clinic, settings=settings, at=WEDNESDAY_TEN)
    assert parsed(message)["Subject"] == "New request waiting"
    assert words_of(message).startswith(
        "A new request is waiting. Sign in to see it:\nhttps://ask.example.org/desk\n\n"
    )
    assert parsed(message).get_content_type() == "text/plain"


def test_it_shows_both_articles_alike(clinic, settings) -> None:
    words = words_of(render(row(), clinic=clinic, settings=settings, at=WEDNESDAY_TEN))
    for article in clinic.articles:
        assert f"\n{article.title}\n{article.publisher}, " in words
        assert f"\n{article.url}\n" in words
        assert article.summary["en"] in " ".join(words.split())
    assert "undated" in words
    assert "September 22, 2025" in words


def test_its_headers_are_a_fixed_set(clinic, settings) -> None:
    mail = parsed(render(row(), clinic=clinic, settings=settings, at=WEDNESDAY_TEN))
    assert list(mail.keys()) == HEADERS
    assert mail["From"] == "intake@example.org"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime == WEDNESDAY_TEN


def test_two_mails_differ_only_in_recipient_and_message_id(clinic, settings) -> None:
    one, other = row(lead_id=uuid.uuid4()), row(recipient="ben@example.org", lead_id=uuid.uuid4())
    first, second = (
        render(each, clinic=clinic, settings=settings, at=WEDNESDAY_TEN) for each in (one, other)
    )
    changed = second.raw.replace(b"ben@", b"ana@").replace(str(other.id).encode(), str(one.id).encode())
    assert first.raw == changed
    assert str(one.lead_id).encode() not in first.raw


def test_its_message_id_is_the_rows_own_and_stays(clinic, settings) -> None:
    message = row()
    later = datetime(2026, 12, 24, tzinfo=UTC)
    first, second = (
        render(message, clinic=clinic, settings=settings, at=at) for at in (WEDNESDAY_TEN, later)
    )
    assert parsed(first)["Message-ID"] == parsed(second)["Message-ID"] == f"<{message.id}@example.org>"


def test_a_long_sender_does_not_break_the_message_id(clinic, settings) -> None:
    domain = "-".join(["a-rather-long-name"] * 3) + ".example.org"
    settings = dataclasses.replace(settings, mail_from=f"intake@{domain}")
    message = row()
    raw = render(message, clinic=clinic, settings=settings, at=WEDNESDAY_TEN).raw
    assert f"\r\nMessage-ID: <{message.id}@{domain}>\r\n".encode() in raw


def test_a_title_beyond_ascii_arrives_as_it_was(clinic, settings) -> None:
    title = "¿Es adictiva la ketamina? – una lectura"
    changed = dataclasses.replace(
        clinic, articles=(dataclasses.replace(clinic.articles[0], title=title), clinic.articles[1])
    )
    message = render(row(), clinic=changed, settings=settings, at=WEDNESDAY_TEN)
    assert title in parsed(message).get_content()
    assert message.raw.isascii()


def test_the_test_mail_says_that_nobody_waits(clinic, settings) -> None:
    mail = parsed(render(row(mail=Mail.TEST), clinic=clinic, settings=settings, at=WEDNESDAY_TEN))
    assert mail["Subject"] == "Test message"
    assert "Nobody is waiting" in mail.get_content()


@pytest.mark.parametrize("mail", Mail)
def test_every_mail_has_its_words(mail, clinic, settings) -> None:
    written = parsed(render(row(mail=mail), clinic=clinic, settings=settings, at=WEDNESDAY_TEN))
    assert settings.base_url in written.get_content()
    assert max(len(line) for line in written.get_content().splitlines() if "https:" not in line) <= 78


@pytest.mark.parametrize("mark", BREAKS)
@pytest.mark.parametrize("place", ["recipient", "sender"])
def test_it_refuses_whatever_could_end_a_header(mark, place, clinic, settings) -> None:
    planted = f"ana@example.org{mark}Reply-To: eve@example.org"
    message = row(recipient=planted) if place == "recipient" else row()
    if place == "sender":
        settings = dataclasses.replace(settings, mail_from=planted)
    with pytest.raises(RenderError):
        render(message, clinic=clinic, settings=settings, at=WEDNESDAY_TEN)


@pytest.mark.parametrize(
    "recipient",
    [
        "",
        "ana",
        "ana@example.org, eve@example.org",
        "Ana <ana@example.org>",
        "ana@example.org eve@example.org",
        "=?UTF-8?Q?=0A?=@example.org",
        "aña@example.org",
    ],
)
def test_it_writes_to_one_bare_address_only(recipient, clinic, settings) -> None:
    with pytest.raises(RenderError):
        render(row(recipient=recipient), clinic=clinic, settings=settings, at=WEDNESDAY_TEN)


@pytest.mark.parametrize("mark", [each for each in BREAKS if each not in ("\n", "\r\n", "\r")])
def test_it_refuses_control_characters_in_the_words(mark, clinic, settings) -> None:
    spoiled = dataclasses.replace(clinic.articles[0], publisher=f"A{mark}publisher")
    changed = dataclasses.replace(clinic, articles=(spoiled, clinic.articles[1]))
    with pytest.raises(RenderError):
        render(row(), clinic=changed, settings=settings, at=WEDNESDAY_TEN)


def test_a_failure_names_its_kind_and_not_the_address(clinic, settings) -> None:
    with pytest.raises(RenderError) as raised:
        render(row(recipient="jane canary"), clinic=clinic, settings=settings, at=WEDNESDAY_TEN)
    assert str(raised.value) == "ValueError"
    assert raised.value.__suppress_context__
