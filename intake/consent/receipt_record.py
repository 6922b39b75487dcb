"""The receipt as JSON: every field that ISO/IEC TS 27560 demands, in the words of W3C's DPV."""

import uuid
from datetime import datetime
from typing import Any

from intake.conf.clinic import shown
from intake.consent.models import ConsentEvent, Kind, State
from intake.consent.receipt import NAMES, SCHEMA, Issue, Particulars, Receipt, signed_record
from intake.consent.service import Shown
from intake.core.i18n import N_, translate

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


def record(held: Particulars, issue: Issue) -> Receipt:
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
