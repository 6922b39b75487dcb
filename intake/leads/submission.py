"""Submission: stores a validated request as a lead with consents, notice and audit event in one transaction.

The form token makes it idempotent (docs/decisions/0004-a-page-sent-twice.md): the same token with the same
answers finds the first lead; with other answers the form comes back as a correction; after an erasure it
finds nothing, so that a form sent again never restores an erased person.
"""

import json
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import exists, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from intake.act import Act
from intake.audit import Action, Actor
from intake.calling import hours
from intake.calling.availability import zones_of_number
from intake.calling.promise import promise_for
from intake.conf.clinic import Channel
from intake.consent import service as consent
from intake.consent.models import Kind, Method, State
from intake.core.errors import Refused
from intake.core.i18n import N_
from intake.instance import Instance
from intake.leads import reminders
from intake.leads.fields import FIELDS
from intake.leads.form import Request
from intake.leads.models import Attempt, CloseReason, Lead, LeadKey, LeadStatus, Submission
from intake.outbox import queue as outbox
from intake.outbox.models import Mail
from intake.security import crypto
from intake.security.crypto import Place, Sealed

UNKNOWN_ARTICLE = "one of the two"
"""Stored as the article when the person read one and the page does not know which."""
REFERENCE_BYTES = 5  # 40 bits: eight letters and figures, said on the phone in two groups


@dataclass(frozen=True)
class Submitted:
    """A stored lead with its private code. `repeated`: the form was sent before and found this lead."""

    lead: Lead
    code: str
    repeated: bool


class AlreadySent(Refused):
    """The form was sent before with other answers (409). `follows` is for the token of the correction."""

    sentence = N_("You have sent this page before, with other words. Please check, and send it once more.")

    def __init__(self, follows: str) -> None:
        self.follows = follows
        super().__init__()


class Erased(Refused):
    """The form was sent before, and its lead has been erased since (409)."""

    sentence = N_("We no longer have this request. If you want us to call, please send it once more.")


class RequestEnded(Refused):
    """The form was sent before, and its lead has been closed since (409)."""

    sentence = N_(
        "This request has ended, and nobody will call. If you want us to call, please send it once more."
    )


def submit(
    act: Act, request: Request, *, method: Method = Method.WEB_FORM, actor: Actor | None = None
) -> Submitted:
    """Store `request` as a lead, or return the lead that the same form token stored before.

    In the caller's transaction. Raises AlreadySent, Erased and RequestEnded (all 409), and Unprocessable on
    `windows` when no promise can be kept within two weeks.
    """
    token_hash = act.keyring.blind_index("form-token", request.token.nonce)
    mac = _content_mac(request, act.instance)
    if not _take_token(act, token_hash, mac):
        return _find_repeated(act, request, token_hash, mac)
    lead = _store(act.by(actor or Actor.person()), request, method)
    act.session.get_one(Submission, token_hash).lead_id = lead.id
    _supersede(act, request.token.follows, lead)
    act.session.flush()
    return Submitted(lead, act.keyring.code_for(request.token.nonce), repeated=False)


def _take_token(act: Act, token_hash: bytes, mac: bytes) -> bool:
    """Store the token as used; False if it was already. PostgreSQL waits here for a concurrent submission."""
    if act.session.get(Submission, token_hash):
        return False
    try:
        with act.session.begin_nested():
            act.session.add(Submission(token_hash=token_hash, content_mac=mac, received_at=act.now))
    except IntegrityError:
        return False
    return True


def _find_repeated(act: Act, request: Request, token_hash: bytes, mac: bytes) -> Submitted:
    earlier = act.session.get_one(Submission, token_hash)
    if earlier.lead_id is None:
        raise Erased
    if not crypto.constant_time_equal(earlier.content_mac, mac):
        raise AlreadySent(token_hash.hex())
    lead = act.session.get_one(Lead, earlier.lead_id)
    if lead.status is LeadStatus.CLOSED:
        raise RequestEnded
    return Submitted(lead, act.keyring.code_for(request.token.nonce), repeated=True)


def _content_mac(request: Request, instance: Instance) -> bytes:
    """A keyed digest of the answers, to tell a repeated submission from a correction."""
    return instance.keyring.mac("submission", json.dumps(request.canonical(), sort_keys=True).encode())


def _store(act: Act, request: Request, method: Method) -> Lead:
    lead_id, now = uuid.uuid4(), act.now
    indexes = contact_indexes(request.phone, request.email, act.instance)
    events = consent.record(
        act.session,
        lead_id=lead_id,
        answers=consent_answers(request),
        language=request.language,
        method=method,
        actor=act.actor,
        at=now,
        keyring=act.keyring,
        statements=act.statements,
        contact_indexes=indexes,
    )
    lead = _create_lead(act, request, lead_id, events[Kind.USE].id, indexes)
    outbox.enqueue(
        act.session, Mail.NEW_LEAD, clinic_recipients=act.clinic.notices.recipients, at=now, lead_id=lead_id
    )
    act.record(
        Action.LEAD_SUBMITTED, about=lead_id, consents=consent.macs(events.values()), method=method.value
    )
    return lead


def consent_answers(request: Request) -> dict[Kind, State]:
    """The answer to every statement that was shown; one that was not shown has none."""
    given = {Kind.USE: True, Kind.ADULT: True}
    given |= {Kind(channel.value): channel in request.channels for channel in Channel}
    if Channel.CALL in request.channels:
        given[Kind.VOICEMAIL] = request.voicemail
    if request.tell_article:
        given[Kind.ARTICLE] = True
    return {kind: State.GIVEN if yes else State.REFUSED for kind, yes in given.items()}


def contact_indexes(phone: str | None, email: str | None, instance: Instance) -> Mapping[Kind, bytes | None]:
    """The blind indexes of the number and the address, by the consent that covers them."""
    by_phone = instance.keyring.blind_index("phone", phone) if phone else None
    by_email = instance.keyring.blind_index("email", email) if email else None
    return {Kind.CALL: by_phone, Kind.TEXT: by_phone, Kind.VOICEMAIL: by_phone, Kind.EMAIL: by_email}


def _create_lead(
    act: Act,
    request: Request,
    lead_id: uuid.UUID,
    use_event_id: uuid.UUID,
    indexes: Mapping[Kind, bytes | None],
) -> Lead:
    key, now = crypto.new_key(), act.now
    number_zones = zones_of_number(request.phone) if request.phone else ()
    lead = Lead(
        id=lead_id,
        reference=_new_reference(act.session),
        code_hash=act.keyring.blind_index("code", act.keyring.code_for(request.token.nonce)),
        language=request.language,
        region=request.region,
        time_zone=request.time_zone,
        number_zones=" ".join(number_zones),
        windows=hours.windows_to_text(request.windows),
        suspected=request.suspected,
        promise_at=promise_for(
            act.clinic,
            act.hours,
            channels=request.channels,
            region=request.region,
            time_zone=request.time_zone,
            number_zones=number_zones,
            windows=request.windows,
            now=reminders.promise_counts_from(act),
        ),
        asked_at=now,
        purge_after=now + timedelta(days=act.clinic.retention.open_days),
        use_event_id=use_event_id,
        phone_index=indexes[Kind.CALL],
        email_index=indexes[Kind.EMAIL],
        **seal_fields(request, key, lead_id),
    )
    act.session.add(lead)
    act.session.flush()
    wrapped = act.keyring.wrap(key, place=Place("lead_key", "wrapped", lead_id))
    act.session.add(LeadKey(lead_id=lead_id, wrapped=wrapped))
    return lead


def seal_fields(request: Request, key: bytes, lead_id: uuid.UUID) -> dict[str, Sealed | None]:
    """The personal values of a request, each sealed for its own column."""
    values = {each.name: getattr(request, each.answer) for each in FIELDS if each.answer}
    values["article"] = (request.article or UNKNOWN_ARTICLE) if request.tell_article else None
    return {
        column: crypto.seal(key, value, place=Place("lead", column, lead_id)) if value else None
        for column, value in values.items()
    }


def _new_reference(session: Session) -> str:
    """A random reference that is not in use. It does not reveal how many leads there are."""
    while True:
        reference = crypto.crockford(secrets.token_bytes(REFERENCE_BYTES))
        if not session.scalar(select(exists().where(Lead.reference == reference))):
            return reference


def _supersede(act: Act, follows: str | None, lead: Lead) -> None:
    """Close the lead that `lead` corrects, unless staff have attempted contact on it already."""
    used = select(Submission).where(Submission.token_hash == bytes.fromhex(follows or ""))
    earlier = act.session.scalars(used.with_for_update()).first()
    old = _newest_correction(act.session, earlier.lead_id) if earlier and earlier.lead_id else None
    if not old or old.status is not LeadStatus.NEW or _attempted(act.session, old):
        return
    now = act.now
    old.status, old.close_reason, old.closed_at = LeadStatus.CLOSED, CloseReason.SUPERSEDED, now
    old.claimed_by = old.claimed_until = None
    old.purge_after = now
    lead.follows = old.id
    act.by(Actor.person()).record(Action.LEAD_SUPERSEDED, about=old.id)


def _newest_correction(session: Session, lead_id: uuid.UUID) -> Lead | None:
    """The newest correction of a lead: the same form may be corrected more than once."""
    lead = session.get(Lead, lead_id)
    while lead and (later := session.scalars(select(Lead).where(Lead.follows == lead.id)).first()):
        lead = later
    return lead


def _attempted(session: Session, lead: Lead) -> bool:
    return bool(
        session.scalar(select(exists().where(Attempt.lead_id == lead.id, Attempt.undone_at.is_(None))))
    )
