"""Rendering of mails. Their text is constant by construction, whichever lead they are about (promise N1).

The templates see the address of the desk and the clinic's pair of articles, nothing else. Two mails of one
kind differ only in To, Date and Message-ID; the Message-ID is the id of the outbox row, so that copies are
recognised.
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
from intake.core.i18n import DEFAULT
from intake.core.paths import TEMPLATES
from intake.outbox.models import OutboxMessage

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_PRINTABLE = re.compile(r"[\x20-\x7e]+")
_BODY_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_UNFOLDED = SMTP.clone(max_line_length=None)


class RenderError(Exception):
    """The message cannot be rendered: an error in its template, or an invalid address."""


@dataclass(frozen=True)
class RenderedMessage:
    """A mail ready to send: envelope sender and recipient, and the RFC 5322 bytes."""

    sender: str
    recipient: str
    raw: bytes


def render(message: OutboxMessage, *, clinic: Clinic, settings: Settings, at: datetime) -> RenderedMessage:
    """Render the mail of an outbox row, dated `at`, as plain text. Raises RenderError."""
    try:
        return _build(message, _content(message, clinic, settings), settings.mail_from, at)
    except Exception as error:  # noqa: BLE001  one broken message must not stop the others
        raise RenderError(type(error).__name__) from None


def anchor_message(anchor: Anchor, *, recipient: str, settings: Settings, at: datetime) -> RenderedMessage:
    """Render the weekly mail with an anchor of the audit chain: position, counts, date and MAC.

    A second copy has the same Message-ID. Raises RenderError.
    """
    message = OutboxMessage(id=anchor.id, recipient=recipient)
    try:
        return _build(message, _render_parts("anchor", {"anchor": anchor}), settings.mail_from, at)
    except Exception as error:  # noqa: BLE001  reported by its class alone, like any other message
        raise RenderError(type(error).__name__) from None


def _content(message: OutboxMessage, clinic: Clinic, settings: Settings) -> tuple[str, str]:
    """Render subject and body; of the row only the kind of mail is used."""
    context = {"desk": f"{settings.base_url}/desk", "articles": clinic.articles}
    return _render_parts(message.mail.value, context)


def _render_parts(folder: str, context: Mapping[str, object]) -> tuple[str, str]:
    subject, body = (
        _templates().get_template(f"{folder}/{part}.txt").render(context) for part in ("subject", "body")
    )
    return subject.strip(), body.strip() + "\n"


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES / "email"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  plain text, where entities would be shown literally
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["day"] = _day
    return environment


def _day(published: date | None) -> str:
    return format_date(published, "long", locale=DEFAULT) if published else "undated"


def _build(message: OutboxMessage, content: tuple[str, str], sender: str, at: datetime) -> RenderedMessage:
    subject, body = content
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


def _address(address: str) -> str:
    """Return a bare address. Raises ValueError for display names, lists and line breaks."""
    if not _ADDRESS.fullmatch(address):
        raise ValueError
    return address


def _header(value: str) -> str:
    """Return printable ASCII. Raises ValueError for line breaks and encoded words (RFC 2047)."""
    if not _PRINTABLE.fullmatch(value) or "=?" in value:
        raise ValueError
    return value


def _body(text: str) -> str:
    if _BODY_CONTROLS.search(text):
        raise ValueError
    return text
