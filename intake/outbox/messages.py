"""The words of a mail: constant by construction, whoever asked for the call (N1, NT-01).

The templates see the clinic's public address and its pair of articles, and nothing else. The only
things that differ between two mails of one kind are To, Date and Message-ID, which is the outbox
row's own id: a second copy of a mail can be told by it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import cache

from babel.dates import format_date
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from intake.audit.chain import Anchor
from intake.conf.clinic import Clinic
from intake.conf.settings import Settings
from intake.core.paths import TEMPLATES
from intake.outbox.models import OutboxMessage

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_PRINTABLE = re.compile(r"[\x20-\x7e]+")
_BODY_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_UNFOLDED = SMTP.clone(max_line_length=None)


class RenderError(Exception):
    """This message cannot be put into words: its template is broken or an address is none."""


@dataclass(frozen=True)
class RenderedMessage:
    """One mail ready to go: the envelope's two addresses and the bytes of RFC 5322."""

    sender: str
    recipient: str
    raw: bytes


def render(message: OutboxMessage, *, clinic: Clinic, settings: Settings, at: datetime) -> RenderedMessage:
    """The mail of an outbox row, dated `at` and in plain text. Raises Unwritable."""
    try:
        return _message(message, _words(message, clinic, settings), settings.mail_from, at)
    except Exception as broken:  # noqa: BLE001  one message's fault must never be another's
        raise RenderError(type(broken).__name__) from None


def anchor_message(anchor: Anchor, *, recipient: str, settings: Settings, at: datetime) -> RenderedMessage:
    """The weekly mail that keeps the end of the audit chain outside: its place, counts, date and seal.

    A second copy has the same Message-ID. Raises Unwritable.
    """
    message = OutboxMessage(id=anchor.id, recipient=recipient)
    try:
        return _message(message, _rendered("anchor", {"anchor": anchor}), settings.mail_from, at)
    except Exception as broken:  # noqa: BLE001  told by its kind alone, like any other letter
        raise RenderError(type(broken).__name__) from None


def _words(message: OutboxMessage, clinic: Clinic, settings: Settings) -> tuple[str, str]:
    """Subject and body, of which nothing comes from the row but which kind of mail it is."""
    shown = {"desk": f"{settings.base_url}/desk", "articles": clinic.articles}
    return _rendered(message.mail.value, shown)


def _rendered(folder: str, shown: Mapping[str, object]) -> tuple[str, str]:
    subject, body = (
        _templates().get_template(f"{folder}/{part}.txt").render(shown) for part in ("subject", "body")
    )
    return subject.strip(), body.strip() + "\n"


@cache
def _templates() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES / "email"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  plain text, where an entity would be shown as such
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["day"] = _day
    return made


def _day(published: date | None) -> str:
    return format_date(published, "long", locale="en") if published else "undated"


def _message(message: OutboxMessage, words: tuple[str, str], sender: str, at: datetime) -> RenderedMessage:
    subject, body = words
    mail = EmailMessage(policy=SMTP)
    for name, value in {
        "From": _address(sender),
        "To": _address(message.recipient),
        "Subject": subject,
        "Date": format_datetime(at),
        "Message-ID": f"<{message.id}@{sender.rpartition('@')[2]}>",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
    }.items():
        mail[name] = _header(value)
    mail.set_content(_body(body), cte="7bit" if body.isascii() else "quoted-printable")
    return RenderedMessage(sender, message.recipient, mail.as_bytes(policy=_UNFOLDED))


def _address(written: str) -> str:
    """One bare address: no display name, no list, nothing that could end a header."""
    if not _ADDRESS.fullmatch(written):
        raise ValueError
    return written


def _header(value: str) -> str:
    """Printable ASCII only: no break of any kind (reliability.md, fact 4) and no encoded word."""
    if not _PRINTABLE.fullmatch(value) or "=?" in value:
        raise ValueError
    return value


def _body(words: str) -> str:
    if _BODY_CONTROLS.search(words):
        raise ValueError
    return words
