"""Rendering of mails. Their text is constant by construction, whichever lead they are about (promise N1).

The templates see the address of the desk and the clinic's pair of articles, nothing else. Two mails of one
kind differ only in To, Date and Message-ID; the Message-ID is the id of the outbox row, so that copies are
recognised.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
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
        context = {"desk": f"{settings.base_url}/desk", "articles": clinic.articles}
        return _build(message, message.mail.value, context, settings.mail_from, at)
    except Exception as error:  # noqa: BLE001  one broken message must not stop the others
        raise RenderError(type(error).__name__) from None


def anchor_message(anchor: Anchor, *, recipient: str, settings: Settings, at: datetime) -> RenderedMessage:
    """Render the weekly mail with an anchor of the audit chain: position, counts, date and MAC.

    A second copy has the same Message-ID. Raises RenderError.
    """
    message = OutboxMessage(id=anchor.id, recipient=recipient)
    try:
        return _build(message, "anchor", {"anchor": anchor}, settings.mail_from, at)
    except Exception as error:  # noqa: BLE001  reported by its class alone, like any other message
        raise RenderError(type(error).__name__) from None


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES / "email"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  plain text, where entities would be shown literally
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["day"] = lambda day: format_date(day, "long", locale=DEFAULT) if day else "undated"
    return environment


def _build(
    message: OutboxMessage, folder: str, context: Mapping[str, object], sender: str, at: datetime
) -> RenderedMessage:
    """Render the templates in `folder`. Of `message` only its id and its recipient are used.

    Raises ValueError for anything but a bare address, for a header that is not printable ASCII or has an
    encoded word (RFC 2047), and for control characters in the body.
    """
    subject, body = (
        _templates().get_template(f"{folder}/{part}.txt").render(context).strip()
        for part in ("subject", "body")
    )
    headers = {
        "From": sender,
        "To": message.recipient,
        "Subject": subject,
        "Date": format_datetime(at),
        "Message-ID": f"<{message.id}@{sender.rpartition('@')[2]}>",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
    }
    if not (_ADDRESS.fullmatch(sender) and _ADDRESS.fullmatch(message.recipient)):
        raise ValueError
    mail = EmailMessage(policy=SMTP)
    for name, value in headers.items():
        if not _PRINTABLE.fullmatch(value) or "=?" in value:
            raise ValueError
        mail[name] = value
    if _BODY_CONTROLS.search(body):
        raise ValueError
    mail.set_content(f"{body}\n", cte="7bit" if body.isascii() else "quoted-printable")
    return RenderedMessage(sender, message.recipient, mail.as_bytes(policy=_UNFOLDED))
