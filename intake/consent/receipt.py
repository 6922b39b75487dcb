"""The receipt: what was asked, allowed and refused, in which words, signed by this instance.

As text to read (`receipt_text.py`) and as JSON after ISO/IEC TS 27560 (`receipt_record.py`). It holds
contact masked only. Its signature says whether a file is ours and unaltered. The text carries the
private code, because it is the one thing to keep; the JSON, made to be handed on, does not.
"""

import hmac
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from intake.conf.clinic import Channel, Clinic
from intake.consent.models import Kind, State
from intake.consent.service import Shown
from intake.core.i18n import N_
from intake.security import crypto

SCHEMA = "https://w3id.org/dpv/schema/dpv-27560#receipt-record"
PURPOSE = "receipt"
"""What the keys that sign a receipt are derived for."""
MARK = "intake-receipt-1"
LONGEST = 1_000_000
"""More bytes than any receipt of ours has."""
ALGORITHM = "HMAC-SHA256"
_SIGNED = re.compile(rf"(?P<said>.*)\n{MARK} (?P<signature>[0-9a-f]{{64}})\s*", re.DOTALL)

NAMES = {
    Kind.USE: N_("Use of what you typed"),
    Kind.ADULT: N_("Your age"),
    Kind.CALL: Channel.CALL.sentence,
    Kind.VOICEMAIL: N_("Voicemail"),
    Kind.TEXT: Channel.TEXT.sentence,
    Kind.EMAIL: Channel.EMAIL.sentence,
    Kind.ARTICLE: N_("Which article you were reading"),
}
ANSWERS = {State.GIVEN: N_("Yes"), State.REFUSED: N_("No"), State.WITHDRAWN: N_("Taken back")}
RAN_OUT = N_("Ran out")


@dataclass(frozen=True, kw_only=True)
class Particulars:
    """What a receipt is made of; contact is masked before it comes here.

    `asked`, `times`, `place`, `promise` and `kept` are words in `language`, `promise` empty when none
    holds any more; `tell` says a moment on the person's clock.
    """

    reference: str
    code: str
    language: str
    region: str
    name: str
    phone: str | None
    email: str | None
    asked: str
    times: str
    place: str
    promise: str
    kept: str
    expires_at: datetime
    purge_after: datetime
    answers: Sequence[Shown]
    tell: Callable[[datetime], str]


@dataclass(frozen=True)
class Issue:
    """Who issues a receipt, where and when, and with which keys it is signed, the newest last."""

    clinic: Clinic
    base_url: str
    at: datetime
    secrets: Sequence[bytes]

    def address(self, path: str, language: str) -> str:
        """A public page in `language`."""
        return f"{self.base_url}{'/es' if language == 'es' else ''}{path}"

    def sign(self, said: bytes) -> str:
        """The signature of what a receipt says, with the newest key."""
        return _signature(self.secrets[-1], said)


@dataclass(frozen=True)
class Receipt:
    """A finished file."""

    filename: str
    mimetype: str
    content: bytes


def _signature(secret: bytes, said: bytes) -> str:
    return hmac.digest(secret, MARK.encode() + b"\n" + said, "sha256").hex()


def signed_text(said: str, issue: Issue) -> Receipt:
    """`said` with its signature as the last line."""
    body = said.strip()
    content = f"{body}\n{MARK} {issue.sign(body.encode())}\n"
    return Receipt("receipt.txt", "text/plain; charset=utf-8", content.encode())


def signed_record(record: Mapping[str, Any], issue: Issue) -> Receipt:
    """`record` with its signature beside what it signs."""
    signature = {"algorithm": ALGORITHM, "value": issue.sign(canonical(record))}
    words = json.dumps({**record, "signature": signature}, indent=2, ensure_ascii=False)
    return Receipt("receipt.json", "application/json", words.encode() + b"\n")


def canonical(record: Mapping[str, Any]) -> bytes:
    """The bytes that are signed of a record: whatever its spaces and the order of its keys."""
    return json.dumps(record, sort_keys=True, separators=(",", ":")).encode()


def verify(content: bytes, secrets: Sequence[bytes]) -> bool:
    """Whether a file is a receipt of ours and says what it said. Line ends may have changed on its way."""
    if len(content) > LONGEST:
        return False
    try:
        words = content.decode("utf-8-sig").replace("\r\n", "\n").strip()
        said, signature = _record_in(words) if words.startswith("{") else _text_in(words)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False
    written = signature.encode("utf-8", "replace")
    return any([crypto.same(_signature(each, said).encode(), written) for each in secrets])  # noqa: C419  all are tried


def _text_in(words: str) -> tuple[bytes, str]:
    found = _SIGNED.fullmatch(words)
    if found is None:
        raise ValueError
    return found["said"].encode(), found["signature"]


def _record_in(words: str) -> tuple[bytes, str]:
    record = json.loads(words, object_pairs_hook=_once)
    beside = record.pop("signature")
    signature = beside["value"]
    if beside != {"algorithm": ALGORITHM, "value": signature} or not isinstance(signature, str):
        raise TypeError
    return canonical(record), signature


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """A key that stands twice could show one thing to people and another to us."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError
    return found
