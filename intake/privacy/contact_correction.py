"""Correction of a number or address on the manage page, with new consents to the statements in force.

A consent covers the number or address it was given for. So the consents for the old one are withdrawn, and
those that are ticked are recorded for the new one.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from marshmallow import ValidationError
from sqlalchemy.orm import Session

from intake.act import Act
from intake.audit import Action
from intake.calling.availability import zones_of_number
from intake.conf.clinic import Channel
from intake.consent import service as consent
from intake.consent.models import Kind, Method, State
from intake.core.errors import Refused, Unprocessable
from intake.core.i18n import N_
from intake.instance import Instance
from intake.leads import contact_values, form, models
from intake.leads.eligibility import CONTACT_KINDS, promise_for_lead
from intake.leads.models import Lead, LeadKey
from intake.leads.reveal import ContactUnreadable
from intake.privacy import self_service
from intake.privacy.self_service import OpenedRequest, open_request
from intake.security import crypto
from intake.security.crypto import Place, UnsealError

AFTER_WITHDRAWAL = timedelta(microseconds=1)
"""Of two answers at the same time the withdrawal counts, so the new consent is recorded after it."""
STATEMENTS_CHANGED = N_(
    "The words that you agree to have changed. Please read them, and tick again what is right for you."
)
_CLEANERS: Mapping[str, Callable[[object], str]] = {
    "phone": contact_values.clean_phone,
    "email": contact_values.clean_email,
}
_CHANNELS = {"phone": (Channel.CALL, Channel.TEXT), "email": (Channel.EMAIL,)}
_DEPENDENT_KINDS = {"phone": (Kind.VOICEMAIL,), "email": ()}


class ContactOnHold(Refused):
    """The lead is on legal hold (409): number and address must not change."""

    sentence = N_(
        "The law makes us keep this number and address as they are for now. You can stop all contact, and "
        "ask for a call again with other ones."
    )


@dataclass(frozen=True)
class Correction:
    """A filled-in correction form. `kind`: phone or email; `value` as typed.

    `statements`: digest of the statements on the page, which was in `language`.
    """

    kind: str
    value: str = field(repr=False)
    channels: Collection[str]
    voicemail: bool
    language: str
    statements: str


def correct(act: Act, *, code: str, correction: Correction) -> OpenedRequest:
    """Replace the number or address of the lead that `code` opens, and renew its consents and promise.

    At least one channel must be ticked; consent is recorded as refused for the others. The same value with
    the same ticks changes nothing. Raises RequestNotFound, RequestClosed, ContactOnHold, ContactUnreadable,
    and Unprocessable on the kind, on `channels` (also when the statements have changed) or on `windows`.
    """
    lead = self_service.lock_changeable(act, code)
    if models.load_legal_hold(act.session, lead.id):
        raise ContactOnHold
    value = _validate(correction, act.instance)
    index = act.keyring.blind_index(correction.kind, value)
    ticked = {CONTACT_KINDS[each]: each in correction.channels for each in _CHANNELS[correction.kind]}
    if ticked.get(Kind.CALL):
        ticked[Kind.VOICEMAIL] = correction.voicemail
    answers = {kind: State.GIVEN if given else State.REFUSED for kind, given in ticked.items()}
    if not _changes_nothing(act.session, lead, correction.kind, index, answers):
        _replace_value(act, lead, correction.kind, value)
        _renew_consents(act, lead, correction, index, answers)
        lead.promise_at = promise_for_lead(act, lead, since=act.now)
    return open_request(act, lead)


def _validate(correction: Correction, instance: Instance) -> str:
    """The normalised number or address. Raises Unprocessable."""
    problems: dict[str, list[str]] = {}
    value = ""
    try:
        value = _CLEANERS[correction.kind](correction.value)
    except ValidationError as wrong:
        problems[correction.kind] = [str(each) for each in wrong.messages]
    if correction.kind == "phone" and value in instance.clinic.own_numbers:
        problems["phone"] = [contact_values.PHONE_OURS]
    if not correction.channels or not set(correction.channels) <= set(_CHANNELS[correction.kind]):
        problems["channels"] = [form.CHANNELS]
    elif correction.statements != instance.statements.page_digest(correction.language):
        problems["channels"] = [STATEMENTS_CHANGED]
    if problems:
        raise Unprocessable(problems)
    return value


def _changes_nothing(
    session: Session, lead: Lead, kind: str, index: bytes, answers: Mapping[Kind, State]
) -> bool:
    current_index = lead.phone_index if kind == "phone" else lead.email_index
    if current_index != index or getattr(lead, kind) is None:
        return False
    current = consent.current(session, lead.id)
    return all(
        about in current and (current[about].state is State.GIVEN) == (state is State.GIVEN)
        for about, state in answers.items()
    )


def _replace_value(act: Act, lead: Lead, kind: str, value: str) -> None:
    """Seal the value into its column under the key of the lead."""
    lead_key = act.session.get(LeadKey, lead.id)
    if lead_key is None:
        raise ContactUnreadable
    try:
        key = act.keyring.unwrap(lead_key.wrapped, place=Place("lead_key", "wrapped", lead.id))
    except UnsealError:
        raise ContactUnreadable from None
    sealed = crypto.seal(key, value, place=Place("lead", kind, lead.id))
    if kind == "phone":
        lead.phone, lead.number_zones = sealed, " ".join(zones_of_number(value))
    else:
        lead.email = sealed


def _renew_consents(
    act: Act, lead: Lead, correction: Correction, index: bytes, answers: Mapping[Kind, State]
) -> None:
    """Withdraw the consents for the old value, record the ticked ones for the new, in one audit event."""
    withdrawn = self_service.withdraw(act, lead, {*answers, *_DEPENDENT_KINDS[correction.kind]})
    if correction.kind == "phone":
        lead.phone_index = index
    else:
        lead.email_index = index
    given = consent.record(
        act.session,
        lead_id=lead.id,
        answers=answers,
        language=correction.language,
        method=Method.MANAGE_PAGE,
        actor=self_service.PERSON,
        at=max([act.now, *(each.at for each in withdrawn)]) + AFTER_WITHDRAWAL,
        keyring=act.keyring,
        statements=act.statements,
        contact_indexes=dict.fromkeys(answers, index),
    )
    consents = consent.macs([*withdrawn, *given.values()])
    self_service.record(act, Action.LEAD_CHANGED, lead, field=correction.kind, consents=consents)
