"""Correcting a number or an address on the manage page, with a fresh yes to the words in force.

A yes covers the number or address it was given for. So what was given for the old one is taken back,
and what is ticked is given anew for the new one.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from marshmallow import ValidationError
from sqlalchemy.orm import Session

from intake.audit import Action
from intake.calling.availability import zones_of_number
from intake.conf.clinic import Channel
from intake.consent import service as consent
from intake.consent.models import Kind, Method, State
from intake.core.errors import Refused, Unprocessable
from intake.core.i18n import N_
from intake.instance import Instance
from intake.leads import form, form_token, models
from intake.leads.eligibility import CONTACT_KINDS
from intake.leads.models import Lead, LeadKey
from intake.leads.reveal import ValueGone
from intake.privacy import self_service
from intake.privacy.self_service import OpenedRequest, open_request
from intake.security import crypto
from intake.security.crypto import Place, Unopenable

RIGHT_AFTER = timedelta(microseconds=1)
"""Of two answers at one moment the withdrawal counts, so what is given anew is given after it."""
CHANGED = N_(
    "The words that you agree to have changed. Please read them, and tick again what is right for you."
)
_READS: Mapping[str, Callable[[object], str]] = {"phone": form.clean_phone, "email": form.clean_email}
_CHANNELS = {"phone": self_service.BY_PHONE, "email": (Channel.EMAIL,)}
_BESIDE = {"phone": (Kind.VOICEMAIL,), "email": ()}


class Unchanged(Refused):
    """A legal hold keeps the number and the address as they are."""

    sentence = N_(
        "The law makes us keep this number and address as they are for now. You can stop all contact, and "
        "ask for a call again with other ones."
    )


@dataclass(frozen=True)
class Correction:
    """What was typed and ticked. `shown`: the mark of the statements on the page, in `language`."""

    kind: str
    words: str = field(repr=False)
    channels: Collection[str]
    voicemail: bool
    language: str
    shown: str


def correction_form(instance: Instance, language: str) -> str:
    """The mark of the statements that a page in `language` shows now."""
    return form_token.shown(instance.statements, language)


def correct(session: Session, *, code: str, correction: Correction, instance: Instance) -> OpenedRequest:
    """Put another number (`kind` phone) or address (`kind` email) in the place of the old one.

    At least one of its channels must be ticked; those that are not are refused for it. The promise is
    counted anew. The same number with the same ticks changes nothing. Raises NothingFound,
    AlreadyClosed, KeptAsItIs, and Unprocessable on the kind, `channels` or `windows`, or when our words
    changed.
    """
    lead = self_service.changeable(session, code, instance=instance)
    if models.legal_hold_of(session, lead.id):
        raise Unchanged
    words = _checked(correction, instance)
    index = instance.keyring.blind_index(correction.kind, words)
    if not _says_the_same(session, lead, correction, index):
        _seal(session, lead, correction.kind, words, instance)
        _agree(session, lead, correction, index, instance)
        self_service.promise_anew(session, lead, instance=instance)
    return open_request(session, lead, instance=instance)


def _checked(correction: Correction, instance: Instance) -> str:
    """The number or address in the one form we keep it in."""
    problems: dict[str, list[str]] = {}
    words = ""
    try:
        words = _READS[correction.kind](correction.words)
    except ValidationError as wrong:
        problems[correction.kind] = [str(each) for each in wrong.messages]
    if not correction.channels or not set(correction.channels) <= set(_CHANNELS[correction.kind]):
        problems["channels"] = [form.CHANNELS]
    elif correction.shown != correction_form(instance, correction.language):
        problems["channels"] = [CHANGED]
    if problems:
        raise Unprocessable(problems)
    return words


def _answers(correction: Correction) -> dict[Kind, State]:
    """What was answered to each statement about this number or address."""
    yes = {CONTACT_KINDS[each]: each in correction.channels for each in _CHANNELS[correction.kind]}
    if yes.get(Kind.CALL):
        yes[Kind.VOICEMAIL] = correction.voicemail
    return {kind: State.GIVEN if given else State.REFUSED for kind, given in yes.items()}


def _says_the_same(session: Session, lead: Lead, correction: Correction, index: bytes) -> bool:
    known = lead.phone_index if correction.kind == "phone" else lead.email_index
    if known != index or getattr(lead, correction.kind) is None:
        return False
    holding = consent.current(session, lead.id)
    return all(
        kind in holding and (holding[kind].state is State.GIVEN) == (state is State.GIVEN)
        for kind, state in _answers(correction).items()
    )


def _seal(session: Session, lead: Lead, kind: str, words: str, instance: Instance) -> None:
    """Into the cell of the old one, under the key of the lead."""
    kept = session.get(LeadKey, lead.id)
    if kept is None:
        raise ValueGone
    try:
        key = instance.keyring.unwrap(kept.wrapped, place=Place("lead_key", "wrapped", lead.id))
    except Unopenable:
        raise ValueGone from None
    sealed = crypto.seal(key, words, place=Place("lead", kind, lead.id))
    if kind == "phone":
        lead.phone, lead.number_zones = sealed, " ".join(zones_of_number(words))
    else:
        lead.email = sealed


def _agree(session: Session, lead: Lead, correction: Correction, index: bytes, instance: Instance) -> None:
    """Take back what was given for the old one, give anew what is ticked, and record both as one act."""
    answers = _answers(correction)
    withdrawn = self_service.withdraw(session, lead, {*answers, *_BESIDE[correction.kind]}, instance)
    if correction.kind == "phone":
        lead.phone_index = index
    else:
        lead.email_index = index
    given = consent.record(
        session,
        lead_id=lead.id,
        answers=answers,
        language=correction.language,
        method=Method.MANAGE_PAGE,
        actor=self_service.PERSON,
        at=max([instance.clock(), *(each.at for each in withdrawn)]) + RIGHT_AFTER,
        keyring=instance.keyring,
        statements=instance.statements,
        contact_indexes=dict.fromkeys(answers, index),
    )
    consents = consent.macs([*withdrawn, *given.values()])
    self_service.record(
        session, Action.LEAD_CHANGED, lead, instance, field=correction.kind, consents=consents
    )
