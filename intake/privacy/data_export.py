"""Data export: the person's copy of everything stored about them, in their language, as text or JSON.

Masked by default, so that another person with the private code cannot read the number off it; in full for
one who also types the number or address of the request. Receipts of the consents are saved here as well.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from babel.dates import format_date
from sqlalchemy import select
from sqlalchemy.orm import Session

from intake.accounts.models import Role
from intake.act import Act
from intake.audit import Action, service
from intake.calling import hours, promise
from intake.calling.availability import local
from intake.calling.regions import name_of, names_of_zone
from intake.casework.search import read_contact
from intake.consent import receipt
from intake.consent import service as consent
from intake.consent.receipt import ANSWERS, NAMES, Issuer, Receipt, ReceiptData, ReceiptLine
from intake.core.errors import Unprocessable
from intake.core.i18n import N_, translate
from intake.instance import Instance
from intake.leads import reveal
from intake.leads.fields import FIELDS, Shown, fields_of
from intake.leads.models import Attempt, Lead, LeadStatus
from intake.outbox.models import OutboxMessage
from intake.privacy.self_service import PERSON, OpenedRequest, find_by_code, open_request, viewer_roles
from intake.security.crypto import normalise_crockford


class ReceiptFormat(StrEnum):
    """The file format of a receipt or data export."""

    TEXT = "text"
    JSON = "json"


_RECEIPT_WRITERS = {ReceiptFormat.TEXT: receipt.receipt_text, ReceiptFormat.JSON: receipt.receipt_record}


def save_receipt(act: Act, *, code: str, file_format: ReceiptFormat) -> Receipt:
    """The signed receipt of the lead that `code` opens; records it. Raises RequestNotFound."""
    lead = find_by_code(act, code)
    particulars = _receipt_data(act, open_request(act, lead), code=code)
    act.by(PERSON).record(Action.RECEIPT_SAVED, about=lead.id, kind=file_format.value)
    issuer = Issuer(
        clinic=act.clinic,
        base_url=act.settings.base_url,
        at=act.now,
        secrets=act.keyring.app_secrets(receipt.PURPOSE),
    )
    return _RECEIPT_WRITERS[file_format](particulars, issuer)


def _receipt_data(act: Act, own: OpenedRequest, *, code: str) -> ReceiptData:
    """The content of a receipt, in the language of the lead, masked."""
    lead, language, values = own.lead, own.lead.language, own.masked.values
    return ReceiptData(
        reference=lead.reference,
        code=normalise_crockford(code),
        language=language,
        region=lead.region,
        details=[
            ReceiptLine(
                label=each.label,
                text=each.text(lead, values, language) or "",
                category=each.category,
                value=values[each.name],
            )
            for each in fields_of(Shown.RECEIPT)
            if each.name in values
        ],
        asked=moment_phrase(N_("Asked on %(day)s, at %(time)s %(zone)s."), lead.asked_at, own.zone, language),
        times=hours.windows_in_words(own.windows, language),
        place=f"{name_of(lead.region, language)}, {translate(names_of_zone(own.zone).phrase, language)}",
        promise=_promise(own, language, act.now),
        kept_until=_date_phrase(own.kept_until, own.zone, language),
        expires_at=lead.asked_at + timedelta(days=act.clinic.retention.open_days),
        purge_after=own.kept_until,
        answers=consent.answers_of(act.session, lead.id),
        format_moment=lambda moment: moment_phrase(
            N_("On %(day)s, at %(time)s %(zone)s."), moment, own.zone, language
        ),
    )


def _promise(own: OpenedRequest, language: str, now: datetime) -> str:
    """The promise with its date, as the file may be read later; empty if it is over or kept."""
    if own.lead.status is not LeadStatus.NEW or own.lead.promise_at <= now:
        return ""
    by = N_("by %(time)s on %(day)s %(zone)s")
    phrase = translate(by, language, **_moment_parts(own.lead.promise_at, own.zone, language))
    return translate(N_("A person will be in touch with you %(promise)s."), language, promise=phrase)


def moment_phrase(msgid: str, moment: datetime, zone: str, language: str) -> str:
    """The message `msgid` with %(day)s, %(time)s and %(zone)s of `moment` on the clock of `zone`."""
    parts = _moment_parts(moment, zone, language) | {"day": _date_phrase(moment, zone, language)}
    return translate(msgid, language, **parts)


def _moment_parts(moment: datetime, zone: str, language: str) -> dict[str, str]:
    local_time = local(moment, zone)
    return {
        "day": promise.day_phrase(local_time, language),
        "time": promise.clock_phrase(local_time, language),
        "zone": translate(names_of_zone(zone).bracket, language),
    }


def _date_phrase(moment: datetime, zone: str, language: str) -> str:
    return format_date(local(moment, zone).date(), "long", locale=language)


WRONG_ADDRESS = N_(
    "This is not the number or address of this request. Leave it empty for a partly hidden copy."
)
NO_ROWS = N_("None.")
STATUS_SENTENCES = {
    LeadStatus.NEW: N_("Waiting for our first call or message"),
    LeadStatus.TRYING: N_("We have tried to reach you"),
    LeadStatus.BOOKED: N_("A consultation is booked"),
    LeadStatus.CLOSED: N_("Closed"),
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
HIDDEN = N_("Names, numbers and addresses are partly hidden here, in case others see this file.")


@dataclass(frozen=True)
class ExportField:
    """One value: `key` names it in JSON, `label` (message id) in text, where None is left out."""

    key: str
    label: str
    value: str | datetime | None


@dataclass(frozen=True)
class ExportSection:
    """One section: a list of rows of fields, `single` if it always has exactly one row."""

    key: str
    title: str
    rows: Sequence[Sequence[ExportField]]
    single: bool = False


def save_data_export(act: Act, *, code: str, file_format: ReceiptFormat, address: str) -> Receipt:
    """The data export of the lead that `code` opens, recorded before any value is opened.

    Masked if `address` is empty; in full if it is the number or address of the lead. Raises RequestNotFound,
    and Unprocessable on `address` if it is another one.
    """
    lead = find_by_code(act, code)
    full = bool(address.strip())
    if full and not _is_contact_of(lead, address, act.instance):
        raise Unprocessable({"address": [WRONG_ADDRESS]}, WRONG_ADDRESS)
    act.by(PERSON).record(
        Action.COPY_SAVED, about=lead.id, kind=file_format.value, field="full" if full else "masked"
    )
    opened = open_request(act, lead)
    sections = _sections(act.session, opened, reveal.own_details(act, lead) if full else opened.masked.values)
    if file_format is ReceiptFormat.JSON:
        return _write_json(act, sections, lead.language, full=full)
    return _write_text(act, sections, opened, full=full)


def _is_contact_of(lead: Lead, address: str, instance: Instance) -> bool:
    try:
        term = read_contact(address)
    except Unprocessable:
        return False
    index = instance.keyring.blind_index(term.kind.value, term.value)
    return index in (lead.phone_index, lead.email_index)


def _sections(session: Session, opened: OpenedRequest, values: Mapping[str, str]) -> list[ExportSection]:
    """The whole export; `values` are those of the personal fields, in full or masked."""
    lead, language, hold = opened.lead, opened.lead.language, opened.hold
    hold_row = []
    if hold:
        hold_row = [
            ExportField("since", N_("Since"), hold.since),
            ExportField("until", N_("Until"), hold.until),
        ]
    if hold and hold.erase_asked_at:
        hold_row.append(ExportField("erase_asked_at", N_("You asked to be erased"), hold.erase_asked_at))
    return [
        ExportSection("request", N_("Your request"), [_request(opened, values)], single=True),
        ExportSection("consents", N_("What you agreed to"), list(_consents(session, lead, language))),
        ExportSection("attempts", N_("When we tried to reach you"), list(_attempts(session, lead, language))),
        ExportSection("opened_by", N_("Who has opened it"), list(_staff_views(session, lead, language))),
        ExportSection("notices", N_("Notices to our staff that a request waits, with nothing about you"),
             list(_notices(session, lead))),
        ExportSection("legal_hold", N_("Kept for a legal reason"), [hold_row] if hold_row else []),
        ExportSection("erasure", N_("When it is erased"),
             [[ExportField("at", N_("At the latest"), opened.kept_until)]], single=True),
    ]  # fmt: skip


def _request(opened: OpenedRequest, values: Mapping[str, str]) -> list[ExportField]:
    lead, language = opened.lead, opened.lead.language
    zone = translate(names_of_zone(opened.zone).phrase, language)
    return [
        ExportField("reference", N_("Reference"), lead.reference),
        ExportField("asked_at", N_("Asked"), lead.asked_at),
        ExportField("language", N_("Language"), lead.language),
        *(ExportField(each.name, each.label, each.text(lead, values, language)) for each in FIELDS),
        ExportField("safe_times", N_("Safe times"), hours.windows_in_words(opened.windows, language)),
        ExportField("place", N_("Where"), f"{name_of(lead.region, language)}, {zone}"),
        ExportField("status", N_("Where it stands"), translate(STATUS_SENTENCES[lead.status], language)),
        ExportField("promised_for", N_("We said that we would be in touch by"), lead.promise_at),
        ExportField("booked_for", N_("Consultation"), lead.booked_for),
        ExportField("closed_at", N_("Closed"), lead.closed_at),
    ]


def _consents(session: Session, lead: Lead, language: str) -> Iterator[list[ExportField]]:
    for each in consent.answers_of(session, lead.id):
        event, statement = each.event, each.statement
        yield [
            ExportField("about", N_("About"), translate(NAMES[event.kind], language)),
            ExportField("answer", N_("Your answer"), translate(ANSWERS[event.state], language)),
            ExportField("at", N_("When"), event.at),
            ExportField("words", N_("The words"), statement.body),
            ExportField(
                "version", N_("Version"), f"{statement.kind}.{statement.version}.{statement.language}"
            ),
        ]


def _attempts(session: Session, lead: Lead, language: str) -> Iterator[list[ExportField]]:
    attempts = select(Attempt).where(Attempt.lead_id == lead.id, Attempt.undone_at.is_(None))
    for each in session.scalars(attempts.order_by(Attempt.at, Attempt.id)):
        yield [
            ExportField("at", N_("When"), each.at),
            ExportField("channel", N_("How"), translate(each.channel.sentence, language)),
            ExportField("outcome", N_("What came of it"), translate(each.outcome.sentence, language)),
        ]


def _staff_views(session: Session, lead: Lead, language: str) -> Iterator[list[ExportField]]:
    """Who opened the lead, oldest first: the role of the staff member, never the name."""
    events = [each for each in service.events_about(session, lead.id) if each.action in STAFF_VIEWS]
    roles = viewer_roles(session, {each.actor_id for each in events if each.actor_id})
    for event in reversed(events):
        role = roles.get(event.actor_id) if event.actor_id else None
        yield [
            ExportField("at", N_("When"), event.at),
            ExportField("who", N_("Who"), translate(ROLES[role], language) if role in ROLES else None),
            ExportField("what", N_("What"), translate(STAFF_VIEWS[Action(event.action)], language)),
        ]


def _notices(session: Session, lead: Lead) -> Iterator[list[ExportField]]:
    notices = select(OutboxMessage).where(OutboxMessage.lead_id == lead.id)
    for each in session.scalars(notices.order_by(OutboxMessage.created_at, OutboxMessage.id)):
        yield [
            ExportField("written_at", N_("Written"), each.created_at),
            ExportField("sent_at", N_("Sent"), each.sent_at),
        ]


def _write_json(act: Act, sections: Sequence[ExportSection], language: str, *, full: bool) -> Receipt:
    copy: dict[str, object] = {"created": act.now.isoformat(), "language": language, "masked": not full}
    for section in sections:
        rows = [
            {
                each.key: each.value.isoformat() if isinstance(each.value, datetime) else each.value
                for each in row
            }
            for row in section.rows
        ]
        copy[section.key] = rows[0] if section.single else rows
    content = json.dumps(copy, indent=2, ensure_ascii=False)
    return Receipt("copy.json", "application/json", content.encode() + b"\n")


def _write_text(act: Act, sections: Sequence[ExportSection], opened: OpenedRequest, *, full: bool) -> Receipt:
    language = opened.lead.language
    head = N_("Everything that %(clinic)s keeps about your request")
    paragraphs = [translate(head, language, clinic=act.clinic.name)]
    if not full:
        paragraphs.append(translate(HIDDEN, language))
    for section in sections:
        title = translate(section.title, language)
        paragraphs.append(f"{title}\n{'-' * len(title)}")
        for row in section.rows:
            lines = []
            for each in row:
                value = each.value
                if isinstance(value, datetime):
                    value = moment_phrase(N_("%(day)s, %(time)s %(zone)s"), value, opened.zone, language)
                if value is not None:
                    lines.append(f"{translate(each.label, language)}: {value}")
            paragraphs.append("\n".join(lines))
        if not section.rows:
            paragraphs.append(translate(NO_ROWS, language))
    content = "\n\n".join(paragraphs) + "\n"
    return Receipt("copy.txt", "text/plain; charset=utf-8", content.encode())
