"""The receipt: what was asked, allowed and refused, in which words, signed by this instance.

As text to read (`receipt_text.py`) and as JSON after ISO/IEC TS 27560 (`receipt_record.py`). It holds
contact masked only. Its signature says whether a file is ours and unaltered. The text carries the
private code, because it is the one thing to keep; the JSON, made to be handed on, does not.
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

from intake.conf.clinic import Channel, Clinic, shown
from intake.consent.models import ConsentEvent, Kind, State
from intake.consent.service import Shown
from intake.core.i18n import N_, translate
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
EXPIRED_ANSWER = N_("Ran out")


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


# --- The receipt as JSON: every field that ISO/IEC TS 27560 demands, in the words of W3C's DPV.

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


def receipt_record(held: Particulars, issue: Issue) -> Receipt:
    """One consent record for each answer, in the order given, signed. The private code is not in it."""
    return signed_record(
        {
            "schema_version": SCHEMA,
            "receipt_id": str(uuid.uuid4()),
            "created": issue.at.isoformat(),
            "consents": [_consent(each, held, issue) for each in held.answers],
        },
        issue,
    )


def _consent(each: Shown, held: Particulars, issue: Issue) -> dict[str, Any]:
    event, words = each.event, each.statement
    return {
        "record_id": str(event.id),
        "data_subject": held.reference,
        "notice": {
            "url": issue.address("/", words.language),
            "version": f"{words.kind}.{words.version}",
            "hash": f"sha256:{words.digest}",
            "words": words.body,
        },
        "language": words.language,
        "process": {
            "name": translate(N_("Answering a request to be contacted"), held.language),
            "operations": ["dpv:Collect", "dpv:Store", "dpv:Use", "dpv:Erase"],
        },
        "purpose": {
            "type": "dpv:CommunicationManagement",
            "name": translate(NAMES[event.kind], held.language),
        },
        "personal_data": _kept_about(event.kind, held),
        "storage_conditions": _storage(held, issue),
        "controller": _controller(held.language, issue),
        "recipients": [each[held.language] for each in issue.clinic.privacy.processors] or ["none"],
        "consent_change": {
            "online": issue.address("/manage", held.language),
            "phone": shown(issue.clinic.phone),
            "needs": translate(N_("Your private code, or your reference and the same number or address."),
                               held.language),
        },
        "jurisdiction": sorted({issue.clinic.region, held.region}),
        "rights": [translate(right, held.language) for right in _RIGHTS],
        "consent_type": "dpv:ExplicitlyExpressedConsent",
        "consent_status": _status(event, held.expires_at, issue.at),
        "event_time": event.at.isoformat(),
        "event_duration": _duration(event, held.expires_at),
        "expressed_by": {"entity": "dpv:DataSubject", "method": event.method.value},
    }  # fmt: skip


def _kept_about(kind: Kind, held: Particulars) -> list[dict[str, Any]]:
    """Contact is masked; that somebody asked at all tells of their health, and is marked so."""
    masked = {"pd:Name": held.name, "pd:TelephoneNumber": held.phone, "pd:EmailAddress": held.email}
    masked |= {"pd:Language": held.language, "pd:Location": held.region}
    told: list[dict[str, Any]] = [
        {"type": each, "sensitive": False} | ({"value": masked[each]} if masked.get(each) else {})
        for each in TYPES[kind]
    ]
    if kind in (Kind.USE, Kind.ARTICLE):
        told.append({"type": "pd:Health", "sensitive": True, "inferred": True})
    return told


def _storage(held: Particulars, issue: Issue) -> dict[str, str]:
    return {
        "place": issue.clinic.region,
        "duration": f"P{issue.clinic.retention.open_days}D",
        "until": held.purge_after.isoformat(),
        "protection": "dpv:EncryptionAtRest",
    }


def _controller(language: str, issue: Issue) -> dict[str, Any]:
    clinic = issue.clinic
    return {
        "name": clinic.legal_name,
        "identifier": issue.base_url,
        "role": "dpv:DataController",
        "address": ", ".join(clinic.address),
        "contact": {
            "phone": shown(clinic.phone),
            "email": clinic.email,
            "privacy": f"{clinic.privacy.contact_name}, {clinic.privacy.contact_role[language]}, "
            f"{clinic.privacy.contact_email}",
        },
    }


def _status(event: ConsentEvent, expires_at: datetime, at: datetime) -> str:
    return EXPIRED if event.state is State.GIVEN and expires_at <= at else STATUS[event.state]


def _duration(event: ConsentEvent, expires_at: datetime) -> str:
    """How long the answer holds: a yes until it runs out, a no from then on."""
    if event.state is not State.GIVEN:
        return "P0D"
    return f"P{max(0, (expires_at - event.at).days)}D"


# --- The receipt as text: to read, to print, to keep where only its owner can open it.

WIDTH = 76
_CHANGE = N_(
    "Open %(address)s and type the code, or call %(phone)s and say your reference. You do not need to give "
    "a reason. It will not affect any care you get from us."
)
_WORDS = N_("The words were:")
_KEEP = N_("We keep your request until %(day)s, or until you erase it.")


def receipt_text(held: Particulars, issue: Issue) -> Receipt:
    """The receipt in the language of the request, signed in its last line."""
    parts = [*_head(held, issue), *_request(held), *_agreed(held, issue), *_foot(held, issue)]
    return signed_text("\n\n".join(parts), issue)


def _said(held: Particulars, msgid: str, **values: object) -> str:
    return fill(
        translate(msgid, held.language, **values), WIDTH, break_long_words=False, break_on_hyphens=False
    )


def _head(held: Particulars, issue: Issue) -> Iterator[str]:
    yield _said(held, N_("Your request to %(clinic)s"), clinic=issue.clinic.name)
    yield _said(held, N_("Keep this file where only you can open it. It shows that you asked for a call."))
    yield "\n".join(
        (
            _said(held, N_("Your reference, to say on the phone")) + ":",
            "  " + _in_fours(held.reference),
            _said(held, N_("Your private code, to see or change your request")) + ":",
            "  " + _in_fours(held.code),
            _said(held, N_("Tell it to nobody. We will never ask for it in a call.")),
        )
    )


def _in_fours(letters: str) -> str:
    return " ".join(wrap(letters, 4))


def _request(held: Particulars) -> Iterator[str]:
    yield "\n".join(fill(words, WIDTH) for words in (held.asked, held.promise) if words)
    lines = {
        N_("Name"): held.name,
        N_("Phone number"): held.phone,
        N_("Email"): held.email,
        N_("Safe times"): held.times,
        N_("Where"): held.place,
    }
    yield "\n".join(f"{translate(name, held.language)}: {words}" for name, words in lines.items() if words)
    yield _said(
        held, N_("Names, numbers and addresses are partly hidden here, in case others see this file.")
    )
    yield _said(held, _KEEP, day=held.kept)


def _agreed(held: Particulars, issue: Issue) -> Iterator[str]:
    yield _heading(held, N_("What you agreed to"))
    for each in held.answers:
        yield _answer(held, each, issue)


def _answer(held: Particulars, each: Shown, issue: Issue) -> str:
    statement, event = each.statement, each.event
    over = event.state is State.GIVEN and held.expires_at <= issue.at
    named, answer = (translate(words, held.language) for words in (NAMES[event.kind], ANSWERS[event.state]))
    answer = translate(EXPIRED_ANSWER, held.language) if over else answer
    quoted = [fill(f"“{paragraph}”", WIDTH) for paragraph in statement.body.split("\n\n")]
    version = f"{statement.kind}.{statement.version}.{statement.language} sha256:{statement.digest}"
    words = f"{held.tell(event.at)} {translate(_WORDS, held.language)}"
    return "\n".join((f"{named}: {answer}", fill(words, WIDTH), *quoted, version))


def _heading(held: Particulars, msgid: str) -> str:
    words = translate(msgid, held.language)
    return f"{words}\n{'-' * len(words)}"


def _foot(held: Particulars, issue: Issue) -> Iterator[str]:
    clinic, phone = issue.clinic, shown(issue.clinic.phone)
    yield _heading(held, N_("If you change your mind"))
    yield _said(held, _CHANGE, address=issue.address("/manage", held.language), phone=phone)
    yield _heading(held, N_("Who we are"))
    yield "\n".join((clinic.legal_name, *clinic.address, clinic.licence[held.language], phone, clinic.email))
    yield "\n".join(
        (
            _said(held, N_("Questions about privacy: %(name)s, %(email)s"),
                  name=clinic.privacy.contact_name, email=clinic.privacy.contact_email),
            issue.address("/privacy", held.language),
        )
    )  # fmt: skip
    yield _said(held, N_("The last line shows us whether this file is ours and unaltered."))
