"""The receipt of a request: consent given and refused, with the statements, signed by this instance.

Two forms: text to read, and JSON after ISO/IEC TS 27560 in the vocabulary of W3C's DPV. Contact data is
masked in both. The signature proves that a file is from this instance and unaltered. The text contains the
private code, because the person has to keep it; the JSON, which is made to be handed to others, does not.
"""

import hmac
import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from textwrap import fill, wrap
from typing import Any

from intake.conf.clinic import Channel, Clinic, format_phone
from intake.consent.models import Kind, State
from intake.consent.service import AnsweredStatement
from intake.core.i18n import N_, path_prefix, translate
from intake.security import crypto

SCHEMA = "https://w3id.org/dpv/schema/dpv-27560#receipt-record"
PURPOSE = "receipt"
"""The purpose from which the signing keys are derived."""
FORMAT = "intake-receipt-1"
MAX_BYTES = 1_000_000
"""Larger files are refused without being read; no receipt is as large."""
ALGORITHM = "HMAC-SHA256"
_SIGNED = re.compile(rf"(?P<signed>.*)\n{FORMAT} (?P<signature>[0-9a-f]{{64}})\s*", re.DOTALL)

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
EXPIRED_ANSWER = N_("Ran out")


@dataclass(frozen=True, kw_only=True)
class ReceiptLine:
    """One personal value, already masked: `label` (message id) and `text` for people.

    `category` (of DPV) and `value` are for the record.
    """

    label: str
    text: str
    category: str
    value: str


@dataclass(frozen=True, kw_only=True)
class ReceiptData:
    """The content of a receipt. `details`: the personal values that are given, masked.

    `asked`, `times`, `place`, `promise` and `kept_until` are texts in `language`; `promise` is empty when
    none is pending. `format_moment` formats a moment in the person's time zone.
    """

    reference: str
    code: str
    language: str
    region: str
    details: Sequence[ReceiptLine]
    asked: str
    times: str
    place: str
    promise: str
    kept_until: str
    expires_at: datetime
    purge_after: datetime
    answers: Sequence[AnsweredStatement]
    format_moment: Callable[[datetime], str]


@dataclass(frozen=True)
class Issuer:
    """The issuer of a receipt: clinic, base URL, time, and the signing keys, the newest last."""

    clinic: Clinic
    base_url: str
    at: datetime
    secrets: Sequence[bytes]

    def address(self, path: str, language: str) -> str:
        """Return the URL of a public page in `language`."""
        return f"{self.base_url}{path_prefix(language)}{path}"

    def sign(self, signed_bytes: bytes) -> str:
        """Return the signature of a receipt's content, in hex, with the newest key."""
        return _signature(self.secrets[-1], signed_bytes)


@dataclass(frozen=True)
class Receipt:
    """A receipt as a file."""

    filename: str
    mimetype: str
    content: bytes


def _signature(secret: bytes, signed_bytes: bytes) -> str:
    return hmac.digest(secret, FORMAT.encode() + b"\n" + signed_bytes, "sha256").hex()


def canonical(record: Mapping[str, Any]) -> bytes:
    """Return the bytes of a record that are signed; independent of whitespace and the order of keys."""
    return json.dumps(record, sort_keys=True, separators=(",", ":")).encode()


def verify(content: bytes, secrets: Sequence[bytes]) -> bool:
    """Return whether a file is an unaltered receipt of this instance. Line ends may have changed."""
    if len(content) > MAX_BYTES:
        return False
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n").strip()
        signed_bytes, signature = _parse_record(text) if text.startswith("{") else _parse_text(text)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False
    given = signature.encode("utf-8", "replace")
    equal = [crypto.constant_time_equal(_signature(each, signed_bytes).encode(), given) for each in secrets]
    return any(equal)  # a list, so that all are compared


def _parse_text(text: str) -> tuple[bytes, str]:
    found = _SIGNED.fullmatch(text)
    if found is None:
        raise ValueError
    return found["signed"].encode(), found["signature"]


def _parse_record(text: str) -> tuple[bytes, str]:
    record = json.loads(text, object_pairs_hook=_unique_keys)
    entry = record.pop("signature")
    signature = entry["value"]
    if entry != {"algorithm": ALGORITHM, "value": signature} or not isinstance(signature, str):
        raise TypeError
    return canonical(record), signature


def _unique_keys(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Reject duplicate keys: other readers may take another one of them than this one."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError
    return found


STATUS = {
    State.GIVEN: "dpv:ConsentGiven",
    State.REFUSED: "dpv:ConsentRefused",
    State.WITHDRAWN: "dpv:ConsentWithdrawn",
}
EXPIRED = "dpv:ConsentExpired"
TYPES = {
    Kind.USE: ("pd:Name", "pd:Language", "pd:Location"),
    Kind.CALL: ("pd:TelephoneNumber",),
    Kind.VOICEMAIL: ("pd:TelephoneNumber",),
    Kind.TEXT: ("pd:TelephoneNumber",),
    Kind.EMAIL: ("pd:EmailAddress",),
    Kind.ARTICLE: ("pd:Interest",),
    Kind.ADULT: ("pd:AgeRange",),
}
_RIGHTS = (
    N_("See what we have"),
    N_("Change it"),
    N_("Take back a permission"),
    N_("Stop all contact"),
    N_("Have it erased"),
    N_("Complain to the government"),
)


def receipt_record(data: ReceiptData, issuer: Issuer) -> Receipt:
    """Return the receipt as JSON: one consent record per answer, without the private code.

    The signature is one more key.
    """
    record = {
        "schema_version": SCHEMA,
        "receipt_id": str(uuid.uuid4()),
        "created": issuer.at.isoformat(),
        "consents": [_consent(each, data, issuer) for each in data.answers],
    }
    signature = {"algorithm": ALGORITHM, "value": issuer.sign(canonical(record))}
    text = json.dumps({**record, "signature": signature}, indent=2, ensure_ascii=False)
    return Receipt("receipt.json", "application/json", text.encode() + b"\n")


def _consent(each: AnsweredStatement, data: ReceiptData, issuer: Issuer) -> dict[str, Any]:
    event, statement, is_given = each.event, each.statement, each.event.state is State.GIVEN
    expired = is_given and data.expires_at <= issuer.at
    lasts_for = max(0, (data.expires_at - event.at).days) if is_given else 0
    return {
        "record_id": str(event.id),
        "data_subject": data.reference,
        "notice": {
            "url": issuer.address("/", statement.language),
            "version": f"{statement.kind}.{statement.version}",
            "hash": f"sha256:{statement.digest}",
            "words": statement.body,
        },
        "language": statement.language,
        "process": {
            "name": translate(N_("Answering a request to be contacted"), data.language),
            "operations": ["dpv:Collect", "dpv:Store", "dpv:Use", "dpv:Erase"],
        },
        "purpose": {
            "type": "dpv:CommunicationManagement",
            "name": translate(NAMES[event.kind], data.language),
        },
        "personal_data": _personal_data(event.kind, data),
        "storage_conditions": {
            "place": issuer.clinic.region,
            "duration": f"P{issuer.clinic.retention.open_days}D",
            "until": data.purge_after.isoformat(),
            "protection": "dpv:EncryptionAtRest",
        },
        "controller": _controller(data.language, issuer),
        "recipients": [each[data.language] for each in issuer.clinic.privacy.processors] or ["none"],
        "consent_change": {
            "online": issuer.address("/manage", data.language),
            "phone": format_phone(issuer.clinic.phone),
            "needs": translate(N_("Your private code, or your reference and the same number or address."),
                               data.language),
        },
        "jurisdiction": sorted({issuer.clinic.region, data.region}),
        "rights": [translate(right, data.language) for right in _RIGHTS],
        "consent_type": "dpv:ExplicitlyExpressedConsent",
        "consent_status": EXPIRED if expired else STATUS[event.state],
        "event_time": event.at.isoformat(),
        "event_duration": f"P{lasts_for}D",
        "expressed_by": {"entity": "dpv:DataSubject", "method": event.method.value},
    }  # fmt: skip


def _personal_data(kind: Kind, data: ReceiptData) -> list[dict[str, Any]]:
    """Return the data categories, contact masked. The request itself reveals health data and is marked so."""
    values = [("pd:Language", data.language), ("pd:Location", data.region)]
    values += [(each.category, each.value) for each in data.details]
    categories: list[dict[str, Any]] = []
    for category in TYPES[kind]:
        given = [{"value": value} for each, value in values if each == category]
        categories += [{"type": category, "sensitive": False} | each for each in given or [{}]]
    if kind in (Kind.USE, Kind.ARTICLE):
        categories.append({"type": "pd:Health", "sensitive": True, "inferred": True})
    return categories


def _controller(language: str, issuer: Issuer) -> dict[str, Any]:
    clinic = issuer.clinic
    return {
        "name": clinic.legal_name,
        "identifier": issuer.base_url,
        "role": "dpv:DataController",
        "address": ", ".join(clinic.address),
        "contact": {
            "phone": format_phone(clinic.phone),
            "email": clinic.email,
            "privacy": f"{clinic.privacy.contact_name}, {clinic.privacy.contact_role[language]}, "
            f"{clinic.privacy.contact_email}",
        },
    }


WIDTH = 76
_CHANGE = N_(
    "Open %(address)s and type the code, or call %(phone)s and say your reference. You do not need to give "
    "a reason. It will not affect any care you get from us."
)
_WORDS = N_("The words were:")
_KEEP = N_("We keep your request until %(day)s, or until you erase it.")


def receipt_text(data: ReceiptData, issuer: Issuer) -> Receipt:
    """Return the receipt as text in the language of the request; its last line is the signature."""
    answers = [_answer(data, each, issuer) for each in data.answers]
    parts = [
        *_header(data, issuer),
        *_request_details(data),
        _heading(data, N_("What you agreed to")),
        *answers,
        *_footer(data, issuer),
    ]
    body = "\n\n".join(parts).strip()
    content = f"{body}\n{FORMAT} {issuer.sign(body.encode())}\n"
    return Receipt("receipt.txt", "text/plain; charset=utf-8", content.encode())


def _paragraph(data: ReceiptData, msgid: str, **values: object) -> str:
    return fill(
        translate(msgid, data.language, **values), WIDTH, break_long_words=False, break_on_hyphens=False
    )


def _header(data: ReceiptData, issuer: Issuer) -> Iterator[str]:
    yield _paragraph(data, N_("Your request to %(clinic)s"), clinic=issuer.clinic.name)
    yield _paragraph(
        data, N_("Keep this file where only you can open it. It shows that you asked for a call.")
    )
    yield "\n".join(
        (
            _paragraph(data, N_("Your reference, to say on the phone")) + ":",
            "  " + _in_fours(data.reference),
            _paragraph(data, N_("Your private code, to see or change your request")) + ":",
            "  " + _in_fours(data.code),
            _paragraph(data, N_("Tell it to nobody. We will never ask for it in a call.")),
        )
    )


def _in_fours(letters: str) -> str:
    return " ".join(wrap(letters, 4))


def _request_details(data: ReceiptData) -> Iterator[str]:
    yield "\n".join(fill(text, WIDTH) for text in (data.asked, data.promise) if text)
    lines = [*((each.label, each.text) for each in data.details)]
    lines += [(N_("Safe times"), data.times), (N_("Where"), data.place)]
    yield "\n".join(f"{translate(label, data.language)}: {text}" for label, text in lines if text)
    yield _paragraph(
        data, N_("Names, numbers and addresses are partly hidden here, in case others see this file.")
    )
    yield _paragraph(data, _KEEP, day=data.kept_until)


def _answer(data: ReceiptData, each: AnsweredStatement, issuer: Issuer) -> str:
    statement, event = each.statement, each.event
    over = event.state is State.GIVEN and data.expires_at <= issuer.at
    named, answer = (translate(msgid, data.language) for msgid in (NAMES[event.kind], ANSWERS[event.state]))
    answer = translate(EXPIRED_ANSWER, data.language) if over else answer
    quoted = [fill(f"“{paragraph}”", WIDTH) for paragraph in statement.body.split("\n\n")]
    version = f"{statement.kind}.{statement.version}.{statement.language} sha256:{statement.digest}"
    introduction = f"{data.format_moment(event.at)} {translate(_WORDS, data.language)}"
    return "\n".join((f"{named}: {answer}", fill(introduction, WIDTH), *quoted, version))


def _heading(data: ReceiptData, msgid: str) -> str:
    title = translate(msgid, data.language)
    return f"{title}\n{'-' * len(title)}"


def _footer(data: ReceiptData, issuer: Issuer) -> Iterator[str]:
    clinic, phone = issuer.clinic, format_phone(issuer.clinic.phone)
    yield _heading(data, N_("If you change your mind"))
    yield _paragraph(data, _CHANGE, address=issuer.address("/manage", data.language), phone=phone)
    yield _heading(data, N_("Who we are"))
    yield "\n".join((clinic.legal_name, *clinic.address, clinic.licence[data.language], phone, clinic.email))
    yield "\n".join(
        (
            _paragraph(data, N_("Questions about privacy: %(name)s, %(email)s"),
                  name=clinic.privacy.contact_name, email=clinic.privacy.contact_email),
            issuer.address("/privacy", data.language),
        )
    )  # fmt: skip
    yield _paragraph(data, N_("The last line shows us whether this file is ours and unaltered."))
