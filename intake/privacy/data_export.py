"""The person's copy of everything that is held about them, in their language, to read or for computers.

Masked, since whoever else has the code must not read a number off it; in full for whoever also types
the number or address that was given (compliance.md, WR-17). The words for both files are gathered once.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from babel.dates import format_date
from sqlalchemy import select
from sqlalchemy.orm import Session

from intake import audit
from intake.accounts.models import Role
from intake.audit import Action, Actor, service
from intake.calling import hours, promise
from intake.calling.availability import local
from intake.calling.regions import name_of, names_of_zone
from intake.casework.search import read_contact
from intake.consent import receipt
from intake.consent import service as consent
from intake.consent.receipt import ANSWERS, NAMES, Issue, Particulars, Receipt
from intake.core.errors import Unprocessable
from intake.core.i18n import N_, translate
from intake.instance import Instance
from intake.leads import reveal
from intake.leads.models import AskingFor, Attempt, Lead, LeadStatus
from intake.leads.reveal import OwnDetails
from intake.outbox.models import OutboxMessage
from intake.privacy import self_service
from intake.privacy.self_service import OpenedRequest, find, open_request
from intake.security.crypto import read_crockford

# --- Saving a receipt with the private code: what it tells, gathered and masked, and that it was saved.


class ReceiptFormat(StrEnum):
    """In which form a receipt can be saved."""

    TEXT = "text"
    JSON = "json"


_WRITTEN = {ReceiptFormat.TEXT: receipt.receipt_text, ReceiptFormat.JSON: receipt.receipt_record}


def save_receipt(session: Session, *, code: str, form: ReceiptFormat, instance: Instance) -> Receipt:
    """The signed receipt of the request that `code` opens, and one audit event. Raises NothingFound."""
    lead = find(session, code, instance=instance)
    held = receipt_particulars(
        session, open_request(session, lead, instance=instance), code=code, instance=instance
    )
    audit.record(
        session,
        Action.RECEIPT_SAVED,
        keyring=instance.keyring,
        at=instance.clock(),
        actor=Actor.person(),
        about=lead.id,
        details={"kind": form.value},
    )
    return _WRITTEN[form](held, receipt_issuer(instance))


def receipt_issuer(instance: Instance) -> Issue:
    """Who issues receipts here."""
    return Issue(
        clinic=instance.clinic,
        base_url=instance.settings.base_url,
        at=instance.clock(),
        secrets=instance.keyring.app_secrets(receipt.PURPOSE),
    )


def receipt_particulars(
    session: Session, own: OpenedRequest, *, code: str, instance: Instance
) -> Particulars:
    """What a receipt tells of a request, in the language it was asked in."""
    lead, spoken = own.lead, own.lead.language
    return Particulars(
        reference=lead.reference,
        code=read_crockford(code),
        language=spoken,
        region=lead.region,
        name=own.masked.name,
        phone=own.masked.phone,
        email=own.masked.email,
        asked=moment_phrase(N_("Asked on %(day)s, at %(time)s %(zone)s."), lead.asked_at, own.zone, spoken),
        times=hours.windows_in_words(own.windows, spoken),
        place=f"{name_of(lead.region, spoken)}, {translate(names_of_zone(own.zone).phrase, spoken)}",
        promise=_promise(own, spoken, instance.clock()),
        kept=_date_phrase(own.kept_until, own.zone, spoken),
        expires_at=lead.asked_at + timedelta(days=instance.clinic.retention.open_days),
        purge_after=own.kept_until,
        answers=consent.shown(session, lead.id),
        tell=lambda moment: moment_phrase(N_("On %(day)s, at %(time)s %(zone)s."), moment, own.zone, spoken),
    )


def _promise(own: OpenedRequest, spoken: str, now: datetime) -> str:
    """With its date, since nobody knows when a file is read; empty when none holds any more."""
    if own.lead.status is not LeadStatus.NEW or own.lead.promise_at <= now:
        return ""
    by = N_("by %(time)s on %(day)s %(zone)s")
    said = translate(by, spoken, **_moment_parts(own.lead.promise_at, own.zone, spoken))
    return translate(N_("A person will be in touch with you %(promise)s."), spoken, promise=said)


def moment_phrase(msgid: str, moment: datetime, zone: str, spoken: str) -> str:
    """A moment on the clock of `zone`, in a sentence with %(day)s, %(time)s and %(zone)s (message id)."""
    parts = _moment_parts(moment, zone, spoken) | {"day": _date_phrase(moment, zone, spoken)}
    return translate(msgid, spoken, **parts)


def _moment_parts(moment: datetime, zone: str, spoken: str) -> dict[str, str]:
    there = local(moment, zone)
    return {
        "day": promise.day_phrase(there, spoken),
        "time": promise.clock_phrase(there, spoken),
        "zone": translate(names_of_zone(zone).bracket, spoken),
    }


def _date_phrase(moment: datetime, zone: str, spoken: str) -> str:
    return format_date(local(moment, zone).date(), "long", locale=spoken)


NOT_YOURS = N_("This is not the number or address of this request. Leave it empty for a partly hidden copy.")
NOTHING = N_("None.")
STATUSES = {
    LeadStatus.NEW: N_("Waiting for our first call or message"),
    LeadStatus.TRYING: N_("We have tried to reach you"),
    LeadStatus.BOOKED: N_("A consultation is booked"),
    LeadStatus.CLOSED: N_("Closed"),
}
ASKING = {
    AskingFor.SELF: N_("For yourself"),
    AskingFor.OTHER: N_("For somebody else"),
    AskingFor.PROFESSIONAL: N_("As a professional"),
}
ROLES = {
    Role.COORDINATOR: N_("somebody who makes the calls"),
    Role.SUPERVISOR: N_("a supervisor"),
    Role.PRIVACY_OFFICER: N_("a privacy officer"),
}
STAFF_VIEWS = {
    Action.LEAD_VIEWED: N_("Opened, with name, number and address hidden"),
    Action.LEAD_REVEALED: N_("Number or address shown, to reach you"),
}
STORED, NOT_STORED = N_("Stored"), N_("Not stored")
HIDDEN = N_("Names, numbers and addresses are partly hidden here, in case others see this file.")


@dataclass(frozen=True)
class ExportLine:
    """One fact: `key` names it for computers, `label` (message id) for people; its words are theirs."""

    key: str
    label: str
    value: str | datetime | None


@dataclass(frozen=True)
class ExportPart:
    """Facts of one kind: `rows` holds one entry each; `single` when there can be only one."""

    key: str
    title: str
    rows: Sequence[Sequence[ExportLine]]
    single: bool = False


def save_copy(
    session: Session, *, code: str, form: ReceiptFormat, address: str, instance: Instance
) -> Receipt:
    """The file, and one audit event before anything is opened. Raises NothingFound.

    With `address` empty it is masked; else it must be the number or address of the request, and the file
    is in full. Raises Unprocessable on `address` when it is another.
    """
    lead = self_service.find(session, code, instance=instance)
    full = bool(address.strip())
    if full and not _belongs(lead, address, instance):
        raise Unprocessable({"address": [NOT_YOURS]}, NOT_YOURS)
    audit.record(
        session,
        Action.COPY_SAVED,
        keyring=instance.keyring,
        at=instance.clock(),
        actor=Actor.person(),
        about=lead.id,
        details={"kind": form.value, "field": "full" if full else "masked"},
    )
    held = self_service.open_request(session, lead, instance=instance)
    parts = _parts(session, held, reveal.own_details(session, lead, instance=instance) if full else None)
    return (_record if form is ReceiptFormat.JSON else _text)(parts, lead, instance, full=full)


def _belongs(lead: Lead, address: str, instance: Instance) -> bool:
    try:
        term = read_contact(address)
    except Unprocessable:
        return False
    index = instance.keyring.blind_index(term.kind.value, term.value)
    return index in (lead.phone_index, lead.email_index)


# --- gathering ----------------------------------------------------------------------------------------


def _parts(session: Session, held: OpenedRequest, own: OwnDetails | None) -> list[ExportPart]:
    lead, spoken = held.lead, held.lead.language
    hold = held.hold
    kept = (
        [ExportLine("since", N_("Since"), hold.since), ExportLine("until", N_("Until"), hold.until)]
        if hold
        else []
    )
    if hold and hold.erase_asked_at:
        kept.append(ExportLine("erase_asked_at", N_("You asked to be erased"), hold.erase_asked_at))
    return [
        ExportPart("request", N_("Your request"), [_request(held, own)], single=True),
        ExportPart("consents", N_("What you agreed to"), list(_consents(session, lead, spoken))),
        ExportPart("attempts", N_("When we tried to reach you"), list(_attempts(session, lead, spoken))),
        ExportPart("opened_by", N_("Who has opened it"), list(_looks(session, lead, spoken))),
        ExportPart("notices", N_("Notices to our staff that a request waits, with nothing about you"),
             list(_notices(session, lead))),
        ExportPart("legal_hold", N_("Kept for a legal reason"), [kept] if kept else []),
        ExportPart("erasure", N_("When it is erased"),
             [[ExportLine("at", N_("At the latest"), held.kept_until)]], single=True),
    ]  # fmt: skip


def _request(held: OpenedRequest, own: OwnDetails | None) -> list[ExportLine]:
    lead, spoken = held.lead, held.lead.language
    zone = translate(names_of_zone(held.zone).phrase, spoken)
    return [
        ExportLine("reference", N_("Reference"), lead.reference),
        ExportLine("asked_at", N_("Asked"), lead.asked_at),
        ExportLine("language", N_("Language"), lead.language),
        *_contact(held, own),
        ExportLine("safe_times", N_("Safe times"), hours.windows_in_words(held.windows, spoken)),
        ExportLine("place", N_("Where"), f"{name_of(lead.region, spoken)}, {zone}"),
        ExportLine("status", N_("Where it stands"), translate(STATUSES[lead.status], spoken)),
        ExportLine("promised_for", N_("We said that we would be in touch by"), lead.promise_at),
        ExportLine("booked_for", N_("Consultation"), lead.booked_for),
        ExportLine("closed_at", N_("Closed"), lead.closed_at),
    ]


def _contact(held: OpenedRequest, own: OwnDetails | None) -> list[ExportLine]:
    lead, spoken, seen = held.lead, held.lead.language, held.masked
    stored = {True: translate(STORED, spoken), False: translate(NOT_STORED, spoken)}
    asking, article = stored[bool(lead.asking_for)], stored[bool(lead.article)]
    if own:
        asking = translate(ASKING[own.asking_for], spoken) if own.asking_for else asking
        article = own.article or article
    return [
        ExportLine("name", N_("Name"), own.name if own else seen.name),
        ExportLine("phone", N_("Phone number"), own.phone if own else seen.phone),
        ExportLine("email", N_("Email"), own.email if own else seen.email),
        ExportLine("asking_for", N_("Who you ask for"), asking),
        ExportLine("article", N_("Article"), article),
        ExportLine("note", N_("Scheduling note"), held.note or None),
    ]


def _consents(session: Session, lead: Lead, spoken: str) -> Iterator[list[ExportLine]]:
    for each in consent.shown(session, lead.id):
        event, words = each.event, each.statement
        yield [
            ExportLine("about", N_("About"), translate(NAMES[event.kind], spoken)),
            ExportLine("answer", N_("Your answer"), translate(ANSWERS[event.state], spoken)),
            ExportLine("at", N_("When"), event.at),
            ExportLine("words", N_("The words"), words.body),
            ExportLine("version", N_("Version"), f"{words.kind}.{words.version}.{words.language}"),
        ]


def _attempts(session: Session, lead: Lead, spoken: str) -> Iterator[list[ExportLine]]:
    tries = select(Attempt).where(Attempt.lead_id == lead.id, Attempt.undone_at.is_(None))
    for each in session.scalars(tries.order_by(Attempt.at, Attempt.id)):
        yield [
            ExportLine("at", N_("When"), each.at),
            ExportLine("channel", N_("How"), translate(each.channel.sentence, spoken)),
            ExportLine("outcome", N_("What came of it"), translate(each.outcome.sentence, spoken)),
        ]


def _looks(session: Session, lead: Lead, spoken: str) -> Iterator[list[ExportLine]]:
    """By role, never by name (AC-16), the oldest first."""
    events = [each for each in service.events_about(session, lead.id) if each.action in STAFF_VIEWS]
    roles = self_service.first_roles(session, {each.actor_id for each in events if each.actor_id})
    for event in reversed(events):
        role = roles.get(event.actor_id) if event.actor_id else None
        yield [
            ExportLine("at", N_("When"), event.at),
            ExportLine("who", N_("Who"), translate(ROLES[role], spoken) if role in ROLES else None),
            ExportLine("what", N_("What"), translate(STAFF_VIEWS[Action(event.action)], spoken)),
        ]


def _notices(session: Session, lead: Lead) -> Iterator[list[ExportLine]]:
    ours = select(OutboxMessage).where(OutboxMessage.lead_id == lead.id)
    for each in session.scalars(ours.order_by(OutboxMessage.created_at, OutboxMessage.id)):
        yield [
            ExportLine("written_at", N_("Written"), each.created_at),
            ExportLine("sent_at", N_("Sent"), each.sent_at),
        ]


# --- writing ------------------------------------------------------------------------------------------


def _record(parts: Sequence[ExportPart], lead: Lead, instance: Instance, *, full: bool) -> Receipt:
    head = {"created": instance.clock().isoformat(), "language": lead.language, "masked": not full}
    words = json.dumps(head | {each.key: _plain(each) for each in parts}, indent=2, ensure_ascii=False)
    return Receipt("copy.json", "application/json", words.encode() + b"\n")


def _plain(part: ExportPart) -> object:
    rows = [
        {line.key: line.value.isoformat() if isinstance(line.value, datetime) else line.value for line in row}
        for row in part.rows
    ]
    return rows[0] if part.single else rows


def _text(parts: Sequence[ExportPart], lead: Lead, instance: Instance, *, full: bool) -> Receipt:
    spoken, zone = lead.language, self_service.zone_of(lead)
    head = [translate(N_("Everything that %(clinic)s holds about your request"), spoken,
                      clinic=instance.clinic.name)]  # fmt: skip
    head += [] if full else [translate(HIDDEN, spoken)]
    told = [words for part in parts for words in _told(part, spoken, zone)]
    content = "\n\n".join([*head, *told]) + "\n"
    return Receipt("copy.txt", "text/plain; charset=utf-8", content.encode())


def _told(part: ExportPart, spoken: str, zone: str) -> Iterator[str]:
    title = translate(part.title, spoken)
    yield f"{title}\n{'-' * len(title)}"
    for row in part.rows:
        yield "\n".join(
            f"{translate(line.label, spoken)}: {_in_words(line.value, spoken, zone)}"
            for line in row
            if line.value is not None
        )
    if not part.rows:
        yield translate(NOTHING, spoken)


def _in_words(value: str | datetime | None, spoken: str, zone: str) -> str:
    if isinstance(value, datetime):
        return moment_phrase(N_("%(day)s, %(time)s %(zone)s"), value, zone, spoken)
    return value or ""
