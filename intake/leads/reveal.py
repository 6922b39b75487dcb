"""Reveal: the only module that opens the sealed contact details of a lead.

Masked for lists and lead pages, in full after the contact gate allowed it and the reveal is recorded. A
mask shows an initial and two figures: enough for colleagues to tell requests apart, not for an onlooker to
recognise the person. It always has the same number of dots, so that the length does not show.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from intake.accounts.permissions import Member, Permission, StaffAct, require
from intake.act import Act
from intake.audit import Action, AuditEvent, service
from intake.calling.gate import Verdict
from intake.conf.clinic import Channel
from intake.core.errors import Refused
from intake.core.i18n import N_
from intake.instance import Instance
from intake.leads import claims, eligibility
from intake.leads.claims import LeadAct
from intake.leads.history import CLAIM_ENDS, REPEATED, is_repeated_reveal
from intake.leads.models import AskingFor, Lead, LeadKey
from intake.security import crypto
from intake.security.crypto import Place, Sealed, UnsealError

_DOTS = "•••••"


def mask_name(name: str) -> str:
    """`R•••••`; only dots when the name is one letter, or holds none."""
    return initial(name) + _DOTS


def initial(name: str) -> str:
    """The first letter or figure in upper case; empty for a name of one character."""
    first = next(filter(str.isalnum, name), "")
    return first.upper()[:1] if len(name) > 1 else ""


def mask_phone(phone: str) -> str:
    """`(•••) •••-••63` for +1 numbers in E.164, `••• ••• ••63` for all others."""
    return ("(•••) •••-••" if phone.startswith("+1") else "••• ••• ••") + phone[-2:]


def mask_email(email: str) -> str:
    """`r•••••@•••••.org`; the top-level domain stays, it identifies no one."""
    local, _, domain = email.rpartition("@")
    first = local[:1] if len(local) > 1 and local[:1].isalnum() else ""
    return f"{first}{_DOTS}@{_DOTS}.{domain.rpartition('.')[2]}"


_CLAIM_BREAKS = CLAIM_ENDS | {Action.ATTEMPT_LOGGED, Action.LEAD_CLOSED, Action.LEAD_STOPPED}
_CLAIM_EXTENSIONS = frozenset({Action.CLAIM_TAKEN, Action.LEAD_REVEALED})


@dataclass(frozen=True)
class MaskedContact:
    """Contact details as shown without a reveal; None where not given."""

    initial: str
    name: str
    phone: str | None
    email: str | None

    def value_for(self, channel: Channel) -> str | None:
        """The masked number or address of a channel."""
        return self.email if channel == Channel.EMAIL else self.phone


@dataclass(frozen=True)
class RevealedContact:
    """One number or address in full, with what a caller needs; shown until the claim expires at `until`."""

    channel: Channel
    name: str
    value: str
    asking_for: AskingFor | None
    article: str | None
    until: datetime


@dataclass(frozen=True)
class OwnDetails:
    """The sealed values of a lead in full, for the person's own data export."""

    name: str
    phone: str | None
    email: str | None
    asking_for: AskingFor | None
    article: str | None


class GateShut(Refused):
    """The contact gate refuses (409). `verdict` has every reason, and when contact is allowed again."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        super().__init__(verdict.refusals[0].sentence)


class ContactUnreadable(Refused):
    """The sealed values cannot be opened (409): the key is missing, or they were tampered with."""

    sentence = N_("What this request said can no longer be opened.")


def mask_lead(act: Act, lead: Lead) -> MaskedContact:
    """The masked contact details of one lead. Not recorded: the caller records the list or the view."""
    return mask_leads(act, [lead])[lead.id]


def mask_leads(act: Act, leads: Sequence[Lead]) -> dict[uuid.UUID, MaskedContact]:
    """The masked contact details of many leads by id, with one statement for their keys."""
    wrapped = _wrapped_keys(act.session, [lead.id for lead in leads])
    return {lead.id: _mask(lead, wrapped.get(lead.id), act.instance) for lead in leads}


def _wrapped_keys(session: Session, lead_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, bytes]:
    keys = select(LeadKey.lead_id, LeadKey.wrapped).where(LeadKey.lead_id.in_(lead_ids))
    return dict(session.execute(keys).all())


def _mask(lead: Lead, wrapped: bytes | None, instance: Instance) -> MaskedContact:
    try:
        key = _key(lead, wrapped, instance)
        name = _unseal(key, lead, "name") or ""
        phone, email = _unseal(key, lead, "phone"), _unseal(key, lead, "email")
    except UnsealError:
        return MaskedContact("", mask_name(""), None, None)
    return MaskedContact(
        initial(name),
        mask_name(name),
        mask_phone(phone) if phone else None,
        mask_email(email) if email else None,
    )


def _key(lead: Lead, wrapped: bytes | None, instance: Instance) -> bytes:
    if wrapped is None:
        raise UnsealError
    return instance.keyring.unwrap(wrapped, place=Place("lead_key", "wrapped", lead.id))


def _unseal(key: bytes, lead: Lead, column: str) -> str | None:
    sealed: Sealed | None = getattr(lead, column)
    return crypto.unseal(key, sealed, place=Place("lead", column, lead.id)) if sealed else None


def own_details(act: Act, lead: Lead) -> OwnDetails:
    """The sealed values in full, for the person alone: the caller has verified and recorded it.

    Raises ContactUnreadable.
    """
    try:
        key = _key(lead, _wrapped_keys(act.session, [lead.id]).get(lead.id), act.instance)
        values = {each: _unseal(key, lead, each) for each in ("name", "phone", "email", "article")}
        asking_for = _unseal(key, lead, "asking_for")
    except UnsealError:
        raise ContactUnreadable from None
    return OwnDetails(
        name=values["name"] or "",
        phone=values["phone"],
        email=values["email"],
        asking_for=AskingFor(asking_for) if asking_for else None,
        article=values["article"],
    )


def reveal(act: StaffAct, lead: Lead, *, channel: Channel) -> RevealedContact:
    """Claim the lead, ask the contact gate, record the reveal, and only then open the value of `channel`.

    Raises NotAllowed, ClaimedByAnother, AlreadyClosed, GateShut with the reasons of the gate, and
    ContactUnreadable. The caller's transaction is rolled back then, and with it the claim.
    """
    require(act.member, Permission.REVEAL)
    claims.acquire(LeadAct(act, lead))
    verdict = eligibility.verdict(act, lead, channel=channel)
    if not verdict.allowed:
        raise GateShut(verdict)
    return _record_and_open(act, lead, channel)


def record_reveal(
    act: StaffAct, lead: Lead, *, events: Sequence[AuditEvent], exclude: RevealedContact | None = None
) -> list[RevealedContact]:
    """Record and open again what `member` has revealed in their current claim, channel by channel.

    Empty without an unexpired claim; a channel that the contact gate refuses by now is left out. `events`
    are the audit events of the lead, newest first; the channel of `exclude` was opened just before.
    """
    if not claims.is_claimed_by(lead, member=act.member, now=act.now):
        return []
    verdicts = eligibility.verdicts(act, lead)
    channels = _channels_revealed_in_claim(events, lead, act.member, act.instance) - {
        exclude.channel if exclude else None
    }
    allowed = [each for each in Channel if each in channels and verdicts[each].allowed]
    return [_record_and_open(act, lead, each, kind=REPEATED) for each in allowed]


def _channels_revealed_in_claim(
    events: Sequence[AuditEvent], lead: Lead, member: Member, instance: Instance
) -> set[Channel | None]:
    """Walk back from the expiry of the claim: each claim or reveal of `member` started or extended it."""
    channels: set[Channel | None] = set()
    started = lead.claimed_until - claims.CLAIM_DURATION if lead.claimed_until else instance.clock()
    for event in events:
        if event.action in _CLAIM_BREAKS:
            break
        if event.action not in _CLAIM_EXTENSIONS or is_repeated_reveal(event):
            continue
        if event.actor_id != member.id or event.at < started:
            break
        channel = service.details_of(event).get("channel")
        channels.add(Channel(channel) if channel else None)
        started = event.at - claims.CLAIM_DURATION
    return channels


def _record_and_open(
    act: StaffAct, lead: Lead, channel: Channel, *, kind: str | None = None
) -> RevealedContact:
    act.record(
        Action.LEAD_REVEALED, about=lead.id, **({"channel": channel.value} | ({"kind": kind} if kind else {}))
    )
    act.session.flush()
    return _open(act, lead, channel)


def _open(act: Act, lead: Lead, channel: Channel) -> RevealedContact:
    try:
        key = _key(lead, _wrapped_keys(act.session, [lead.id]).get(lead.id), act.instance)
        values = {each: _unseal(key, lead, each) for each in ("name", "asking_for", "article")}
        value = _unseal(key, lead, "email" if channel is Channel.EMAIL else "phone")
    except UnsealError:
        raise ContactUnreadable from None
    if not value or not lead.claimed_until:
        raise ContactUnreadable
    asking_for = AskingFor(values["asking_for"]) if values["asking_for"] else None
    return RevealedContact(
        channel, values["name"] or "", value, asking_for, values["article"], lead.claimed_until
    )
