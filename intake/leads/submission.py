"""Submission: stores a validated request as a lead with consents, notice and audit event in one transaction.

The form token makes it idempotent (docs/decisions/0004-a-page-sent-twice.md): the same token with the same
answers finds the first lead; with other answers the form comes back as a correction; after an erasure it
finds nothing, so that a form sent again never restores an erased person.
"""

import json
import secrets
import uuid
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import exists, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from intake.act import Act
from intake.audit import Action, Actor
from intake.calling import hours
from intake.calling.availability import zones_of_number
from intake.calling.promise import promise_for
from intake.consent import service as consent
from intake.consent.models import Kind, Method
from intake.core.errors import Refused
from intake.core.i18n import N_
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
    keyring = act.keyring
    code = keyring.code_for(request.token.nonce)
    token_hash = keyring.blind_index("form-token", request.token.nonce)
    content_mac = keyring.mac("submission", json.dumps(request.canonical(), sort_keys=True).encode())
    if not _take_token(act, token_hash, content_mac):
        return Submitted(_find_repeated(act, token_hash, content_mac), code, repeated=True)
    lead = _store(act.by(actor or Actor.person()), request, method, code)
    used = update(Submission).where(Submission.token_hash == token_hash)
    act.session.execute(used.values(lead_id=lead.id))
    if request.token.follows:
        _supersede(act, request.token.follows, lead)
    act.session.flush()
    return Submitted(lead, code, repeated=False)


def _take_token(act: Act, token_hash: bytes, content_mac: bytes) -> bool:
    """Store the token as used; False if it was already. PostgreSQL waits here for a concurrent submission."""
    token = {"token_hash": token_hash, "content_mac": content_mac, "received_at": act.now}
    taken = insert(Submission).values(token).on_conflict_do_nothing()  # SQLite understands it as well
    return act.session.scalar(taken.returning(Submission.token_hash)) is not None


def _find_repeated(act: Act, token_hash: bytes, content_mac: bytes) -> Lead:
    """The lead that this token stored before. Raises Erased, AlreadySent and RequestEnded."""
    earlier = act.session.get_one(Submission, token_hash)
    if earlier.lead_id is None:
        raise Erased
    if not crypto.constant_time_equal(earlier.content_mac, content_mac):
        raise AlreadySent(token_hash.hex())
    lead = act.session.get_one(Lead, earlier.lead_id)
    if lead.status is LeadStatus.CLOSED:
        raise RequestEnded
    return lead


def _store(act: Act, request: Request, method: Method, code: str) -> Lead:
    """Add the lead with its consents, its key, the notice to staff and the audit event."""
    session, keyring, clinic, now = act.session, act.keyring, act.clinic, act.now
    lead_id, key = uuid.uuid4(), crypto.new_key()
    by_phone = keyring.blind_index("phone", request.phone) if request.phone else None
    by_email = keyring.blind_index("email", request.email) if request.email else None
    number_zones = zones_of_number(request.phone) if request.phone else ()
    consents = consent.record(
        session,
        lead_id=lead_id,
        answers=request.consents,
        language=request.language,
        method=method,
        actor=act.actor,
        at=now,
        keyring=keyring,
        statements=act.statements,
        contact_indexes={
            **dict.fromkeys((Kind.CALL, Kind.TEXT, Kind.VOICEMAIL), by_phone),
            Kind.EMAIL: by_email,
        },
    )
    promise_at = promise_for(
        reminders.promise_times(act),
        channels=request.channels,
        region=request.region,
        time_zone=request.time_zone,
        number_zones=number_zones,
        windows=request.windows,
    )
    lead = Lead(
        id=lead_id,
        reference=_new_reference(session),
        code_hash=keyring.blind_index("code", code),
        language=request.language,
        region=request.region,
        time_zone=request.time_zone,
        number_zones=" ".join(number_zones),
        windows=hours.windows_to_text(request.windows),
        suspected=request.suspected,
        promise_at=promise_at,
        asked_at=now,
        purge_after=now + timedelta(days=clinic.retention.open_days),
        use_event_id=consents[Kind.USE].id,
        phone_index=by_phone,
        email_index=by_email,
        **_seal_fields(request, key, lead_id),
    )
    session.add(lead)
    session.flush()
    wrapped = keyring.wrap(key, place=Place("lead_key", "wrapped", lead_id))
    session.add(LeadKey(lead_id=lead_id, wrapped=wrapped))
    outbox.enqueue(
        session, Mail.NEW_LEAD, clinic_recipients=clinic.notices.recipients, at=now, lead_id=lead_id
    )
    macs = consent.macs(consents.values())
    act.record(Action.LEAD_SUBMITTED, about=lead_id, consents=macs, method=method.value)
    return lead


def _seal_fields(request: Request, key: bytes, lead_id: uuid.UUID) -> dict[str, Sealed | None]:
    """The personal values of a request, each sealed for its own column."""
    values = {each.name: getattr(request, each.answer) for each in FIELDS if each.answer}
    values |= request.choices
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


def _supersede(act: Act, follows: str, lead: Lead) -> None:
    """Close the lead that `lead` corrects, unless staff have attempted contact on it already.

    The same form may be corrected more than once, so it is the newest correction that is closed.
    """
    session = act.session
    used = select(Submission).where(Submission.token_hash == bytes.fromhex(follows))
    earlier = session.scalars(used.with_for_update()).first()
    old = session.get(Lead, earlier.lead_id) if earlier and earlier.lead_id else None
    while old and (later := session.scalars(select(Lead).where(Lead.follows == old.id)).first()):
        old = later
    if not old or old.status is not LeadStatus.NEW:
        return
    if session.scalar(select(exists().where(Attempt.lead_id == old.id, Attempt.undone_at.is_(None)))):
        return
    old.status, old.close_reason, old.closed_at = LeadStatus.CLOSED, CloseReason.SUPERSEDED, act.now
    old.claimed_by = old.claimed_until = None
    old.purge_after = act.now
    lead.follows = old.id
    act.by(Actor.person()).record(Action.LEAD_SUPERSEDED, about=old.id)
