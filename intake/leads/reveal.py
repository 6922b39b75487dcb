"""Reveal: the only module that opens the sealed contact details of a lead.

Masked for lists and lead pages, in full after the contact gate allowed it and the reveal is recorded. A
mask shows an initial and two figures: enough for colleagues to tell requests apart, not for an onlooker to
recognise the person. It always has the same number of dots, so that the length does not show.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
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
from intake.leads import claims, eligibility
from intake.leads.claims import LeadAct
from intake.leads.eligibility import ContactStatus
from intake.leads.fields import FIELDS, PersonalField, Shown, fields_of, initial, mask_name
from intake.leads.history import CLAIM_ENDS, REPEATED
from intake.leads.models import AskingFor, Lead, LeadKey
from intake.security import crypto
from intake.security.crypto import Place, Sealed, UnsealError

AT_DESK = fields_of(Shown.LISTS, Shown.LEAD_PAGE)
IN_LISTS = fields_of(Shown.LISTS)
_CLAIM_BREAKS = CLAIM_ENDS | {Action.ATTEMPT_LOGGED, Action.LEAD_CLOSED, Action.LEAD_STOPPED}
_CLAIM_EXTENSIONS = frozenset({Action.CLAIM_TAKEN, Action.LEAD_REVEALED})


@dataclass(frozen=True)
class MaskedContact:
    """Contact details as shown without a reveal. `values`: masked, by field; without those not given."""

    values: Mapping[str, str]
    initial: str = ""

    @property
    def name(self) -> str:
        """The masked name; only dots if it cannot be opened."""
        return self.values["name"]

    @property
    def phone(self) -> str | None:
        """The masked phone number."""
        return self.values.get("phone")

    @property
    def email(self) -> str | None:
        """The masked address."""
        return self.values.get("email")

    def value_for(self, channel: Channel) -> str | None:
        """The masked number or address of a channel."""
        return self.email if channel == Channel.EMAIL else self.phone


@dataclass(frozen=True)
class RevealedContact:
    """One number or address in full, with what a caller needs; shown until the claim expires at `until`.

    `values`: the fields that show with a reveal, in full. `contact_status`: what the gate decided on.
    """

    channel: Channel
    value: str
    values: Mapping[str, str]
    until: datetime
    contact_status: ContactStatus

    @property
    def name(self) -> str:
        """The name in full."""
        return self.values.get("name", "")

    @property
    def asking_for(self) -> AskingFor | None:
        """For whom the person asks."""
        return AskingFor(self.values["asking_for"]) if "asking_for" in self.values else None

    @property
    def article(self) -> str | None:
        """The title of the article that the person was reading."""
        return self.values.get("article")


class GateShut(Refused):
    """The contact gate refuses (409). `verdict` has every reason, and when contact is allowed again."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        super().__init__(verdict.refusals[0].sentence)


class ContactUnreadable(Refused):
    """The sealed values cannot be opened (409): the key is missing, or they were tampered with."""

    sentence = N_("What this request said can no longer be opened.")


def mask_lead(act: Act, lead: Lead, *, shown: Sequence[PersonalField] = AT_DESK) -> MaskedContact:
    """The masked contact details of one lead. Not recorded: the caller records the list or the view.

    `shown`: the fields to open; one without a mask stays sealed.
    """
    return mask_leads(act, [lead], shown=shown)[lead.id]


def mask_leads(
    act: Act, leads: Sequence[Lead], *, shown: Sequence[PersonalField] = IN_LISTS
) -> dict[uuid.UUID, MaskedContact]:
    """The masked contact details of many leads by id, with one statement for their keys."""
    masks = {each.name: each.mask for each in shown if each.mask}
    wrapped = _wrapped_keys(act.session, [lead.id for lead in leads])
    found = {}
    for lead in leads:
        try:
            values = _unseal(act, lead, wrapped.get(lead.id), masks)
        except UnsealError:
            values = {}
        masked = {"name": mask_name("")} | {name: masks[name](value) for name, value in values.items()}
        found[lead.id] = MaskedContact(masked, initial(values.get("name", "")))
    return found


def _wrapped_keys(session: Session, lead_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, bytes]:
    keys = select(LeadKey.lead_id, LeadKey.wrapped).where(LeadKey.lead_id.in_(lead_ids))
    return dict(session.execute(keys).all())


def _unseal(act: Act, lead: Lead, wrapped: bytes | None, columns: Iterable[str]) -> dict[str, str]:
    """The values of these columns in full; a column without a value is left out. Raises UnsealError.

    `wrapped`: the wrapped key of the lead; None if it is destroyed.
    """
    if wrapped is None:
        raise UnsealError
    key = act.keyring.unwrap(wrapped, place=Place("lead_key", "wrapped", lead.id))
    sealed: dict[str, Sealed | None] = {column: getattr(lead, column) for column in columns}
    return {
        column: crypto.unseal(key, value, place=Place("lead", column, lead.id))
        for column, value in sealed.items()
        if value
    }


def own_details(act: Act, lead: Lead) -> dict[str, str]:
    """All sealed values in full by field, for the person alone: the caller has verified and recorded it.

    Raises ContactUnreadable.
    """
    return _open(act, lead, [each.name for each in FIELDS])


def _open(act: Act, lead: Lead, columns: Iterable[str]) -> dict[str, str]:
    wrapped = _wrapped_keys(act.session, [lead.id]).get(lead.id)
    try:
        return _unseal(act, lead, wrapped, columns)
    except UnsealError:
        raise ContactUnreadable from None


def reveal(act: StaffAct, lead: Lead, *, channel: Channel) -> RevealedContact:
    """Claim the lead, ask the contact gate, record the reveal, and only then open the value of `channel`.

    Raises NotAllowed, ClaimedByAnother, AlreadyClosed, GateShut with the reasons of the gate, and
    ContactUnreadable. The caller's transaction is rolled back then, and with it the claim.
    """
    require(act.member, Permission.REVEAL)
    claims.acquire(LeadAct(act, lead))
    contact_status = eligibility.contact_status(act.session, lead)
    verdict = contact_status.verdict(channel, act.contact_times)
    if not verdict.allowed:
        raise GateShut(verdict)
    return _record_and_open(act, lead, contact_status, channel=channel.value)


def record_reveal(
    act: StaffAct,
    lead: Lead,
    contact_status: ContactStatus,
    events: Sequence[AuditEvent],
    exclude: RevealedContact | None = None,
) -> list[RevealedContact]:
    """Record and open again what `member` has revealed in their current claim, channel by channel.

    Empty without an unexpired claim; a channel that the contact gate refuses by now is left out. `events`
    are the audit events of the lead, newest first; the channel of `exclude` was opened just before.
    """
    if not claims.is_claimed_by(lead, member=act.member, now=act.now):
        return []
    channels = _channels_revealed_in_claim(events, lead, act.member, act.now) - {
        exclude.channel if exclude else None
    }
    return [
        _record_and_open(act, lead, contact_status, channel=each.value, kind=REPEATED)
        for each in Channel
        if each in channels and contact_status.verdict(each, act.contact_times).allowed
    ]


def _channels_revealed_in_claim(
    events: Sequence[AuditEvent], lead: Lead, member: Member, now: datetime
) -> set[Channel | None]:
    """Walk back from the expiry of the claim: each claim or reveal of `member` started or extended it."""
    channels: set[Channel | None] = set()
    started = lead.claimed_until - claims.CLAIM_DURATION if lead.claimed_until else now
    for event in events:
        if event.action in _CLAIM_BREAKS:
            break
        if event.action not in _CLAIM_EXTENSIONS:
            continue
        details = service.details_of(event)
        if details.get("kind") == REPEATED:
            continue
        if event.actor_id != member.id or event.at < started:
            break
        channel = details.get("channel")
        channels.add(Channel(channel) if channel else None)
        started = event.at - claims.CLAIM_DURATION
    return channels


def _record_and_open(
    act: StaffAct, lead: Lead, contact_status: ContactStatus, **details: str
) -> RevealedContact:
    """Record first, then open the number or address of the channel that `details` name."""
    act.record(Action.LEAD_REVEALED, about=lead.id, **details)
    act.session.flush()
    channel = Channel(details["channel"])
    contact = "email" if channel is Channel.EMAIL else "phone"
    values = _open(act, lead, [contact, *(each.name for each in fields_of(Shown.REVEAL))])
    value = values.pop(contact, None)
    if not value or not lead.claimed_until:
        raise ContactUnreadable
    return RevealedContact(channel, value, values, lead.claimed_until, contact_status)
