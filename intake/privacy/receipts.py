"""Saving a receipt with the private code: what it tells, gathered and masked, and that it was saved."""

from datetime import datetime, timedelta
from enum import StrEnum

from babel.dates import format_date
from sqlalchemy.orm import Session

from intake import audit
from intake.audit import Action, Actor
from intake.calling import windows, words
from intake.calling.availability import local
from intake.calling.regions import name_of, names_of_zone
from intake.consent import receipt, receipt_record, receipt_text
from intake.consent import service as consent
from intake.consent.receipt import Issue, Particulars, Receipt
from intake.core.i18n import N_, translate
from intake.instance import Instance
from intake.leads.models import LeadStatus
from intake.privacy.self_service import Opened, find, opened
from intake.security.crypto import read_crockford


class Form(StrEnum):
    """In which form a receipt can be saved."""

    TEXT = "text"
    JSON = "json"


_WRITTEN = {Form.TEXT: receipt_text.text, Form.JSON: receipt_record.record}


def save(session: Session, *, code: str, form: Form, instance: Instance) -> Receipt:
    """The signed receipt of the request that `code` opens, and one audit event. Raises NothingFound."""
    lead = find(session, code, instance=instance)
    held = particulars(session, opened(session, lead, instance=instance), code=code, instance=instance)
    audit.record(
        session,
        Action.RECEIPT_SAVED,
        keyring=instance.keyring,
        at=instance.clock(),
        actor=Actor.person(),
        about=lead.id,
        details={"kind": form.value},
    )
    return _WRITTEN[form](held, issue(instance))


def issue(instance: Instance) -> Issue:
    """Who issues receipts here."""
    return Issue(
        clinic=instance.clinic,
        base_url=instance.settings.base_url,
        at=instance.clock(),
        secrets=instance.keyring.app_secrets(receipt.PURPOSE),
    )


def particulars(session: Session, own: Opened, *, code: str, instance: Instance) -> Particulars:
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
        asked=said_at(N_("Asked on %(day)s, at %(time)s %(zone)s."), lead.asked_at, own.zone, spoken),
        times=windows.in_words(own.windows, spoken),
        place=f"{name_of(lead.region, spoken)}, {translate(names_of_zone(own.zone).phrase, spoken)}",
        promise=_promise(own, spoken, instance.clock()),
        kept=_date(own.kept_until, own.zone, spoken),
        expires_at=lead.asked_at + timedelta(days=instance.clinic.retention.open_days),
        purge_after=own.kept_until,
        answers=consent.shown(session, lead.id),
        tell=lambda moment: said_at(N_("On %(day)s, at %(time)s %(zone)s."), moment, own.zone, spoken),
    )


def _promise(own: Opened, spoken: str, now: datetime) -> str:
    """With its date, since nobody knows when a file is read; empty when none holds any more."""
    if own.lead.status is not LeadStatus.NEW or own.lead.promise_at <= now:
        return ""
    by = N_("by %(time)s on %(day)s %(zone)s")
    said = translate(by, spoken, **_parts(own.lead.promise_at, own.zone, spoken))
    return translate(N_("A person will be in touch with you %(promise)s."), spoken, promise=said)


def said_at(msgid: str, moment: datetime, zone: str, spoken: str) -> str:
    """A moment on the clock of `zone`, in a sentence with %(day)s, %(time)s and %(zone)s (message id)."""
    parts = _parts(moment, zone, spoken) | {"day": _date(moment, zone, spoken)}
    return translate(msgid, spoken, **parts)


def _parts(moment: datetime, zone: str, spoken: str) -> dict[str, str]:
    there = local(moment, zone)
    return {
        "day": words.day(there, spoken),
        "time": words.clock(there, spoken),
        "zone": translate(names_of_zone(zone).bracket, spoken),
    }


def _date(moment: datetime, zone: str, spoken: str) -> str:
    return format_date(local(moment, zone).date(), "long", locale=spoken)
