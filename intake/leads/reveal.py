"""The only place that opens sealed values: masked for the desk, in full after a recorded reveal."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from intake import audit
from intake.accounts.permissions import Member, Permission, require
from intake.audit import Action, AuditEvent, service
from intake.calling.gate import Verdict
from intake.conf.clinic import Channel
from intake.core.errors import Refused
from intake.core.i18n import N_
from intake.instance import Instance
from intake.leads import claims, eligibility
from intake.leads.claims import LeadAct
from intake.leads.history import AGAIN, ENDS, shows_again
from intake.leads.models import AskingFor, Lead, LeadKey
from intake.security import crypto
from intake.security.crypto import Place, Sealed, Unopenable

# --- What may be seen of a name, a number or an address before it is revealed: pure functions.
# An initial and two figures tell colleagues which request they talk about, and nobody who looks over a
# shoulder whom it is about. The number of dots is always the same: the length must not show.

_DOTS = "•••••"


def mask_name(name: str) -> str:
    """`R•••••`; only dots when the name is one letter, or holds none."""
    letter = initial(name)
    return letter + _DOTS


def initial(name: str) -> str:
    """The first letter or figure, in upper case; empty when it would be the whole name."""
    first = next((letter for letter in name if letter.isalnum()), "")
    return first.upper()[:1] if len(name) > 1 else ""


def mask_phone(phone: str) -> str:
    """`(•••) •••-••63` for +1 numbers in E.164, `••• ••• ••63` for all others."""
    return ("(•••) •••-••" if phone.startswith("+1") else "••• ••• ••") + phone[-2:]


def mask_email(email: str) -> str:
    """`r•••••@•••••.org`; the last label stays, because it tells nothing."""
    local, _, domain = email.rpartition("@")
    first = local[:1] if len(local) > 1 and local[:1].isalnum() else ""
    return f"{first}{_DOTS}@{_DOTS}.{domain.rpartition('.')[2]}"


_BREAKS = ENDS | {Action.ATTEMPT_LOGGED, Action.LEAD_CLOSED, Action.LEAD_STOPPED}
_HOLDS = frozenset({Action.CLAIM_TAKEN, Action.LEAD_REVEALED})


@dataclass(frozen=True)
class Masked:
    """What may be seen without a reveal; None where nothing was given."""

    initial: str
    name: str
    phone: str | None
    email: str | None

    def by(self, channel: Channel) -> str | None:
        """The masked number or address that a channel uses."""
        return self.email if channel == Channel.EMAIL else self.phone


@dataclass(frozen=True)
class Revealed:
    """One number or address in full, with what the caller should know; ours to see until `until`."""

    channel: Channel
    name: str
    value: str
    asking_for: AskingFor | None
    article: str | None
    until: datetime


@dataclass(frozen=True)
class OwnDetails:
    """What a request says, in full, for the person whose it is."""

    name: str
    phone: str | None
    email: str | None
    asking_for: AskingFor | None
    article: str | None


class GateShut(Refused):
    """The contact gate says no. `verdict` has every reason, and when it opens."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        super().__init__(verdict.refusals[0].sentence)


class ValueGone(Refused):
    """The lead's key is gone, or its sealed values were changed."""

    sentence = N_("What this request said can no longer be opened.")


def masked(session: Session, lead: Lead, *, instance: Instance) -> Masked:
    """Initial and last two figures. No audit event of its own: listing and viewing are recorded."""
    return masked_of(session, [lead], instance=instance)[lead.id]


def masked_of(session: Session, leads: Sequence[Lead], *, instance: Instance) -> dict[uuid.UUID, Masked]:
    """The same for many leads; one statement for all keys."""
    wrapped = _wrapped(session, [lead.id for lead in leads])
    return {lead.id: _mask(lead, wrapped.get(lead.id), instance) for lead in leads}


def _wrapped(session: Session, lead_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, bytes]:
    keys = select(LeadKey.lead_id, LeadKey.wrapped).where(LeadKey.lead_id.in_(lead_ids))
    return dict(session.execute(keys).all())


def _mask(lead: Lead, wrapped: bytes | None, instance: Instance) -> Masked:
    try:
        key = _key(lead, wrapped, instance)
        name = _opened(key, lead, "name") or ""
        phone, email = _opened(key, lead, "phone"), _opened(key, lead, "email")
    except Unopenable:
        return Masked("", mask_name(""), None, None)
    return Masked(
        initial(name),
        mask_name(name),
        mask_phone(phone) if phone else None,
        mask_email(email) if email else None,
    )


def _key(lead: Lead, wrapped: bytes | None, instance: Instance) -> bytes:
    if wrapped is None:
        raise Unopenable
    return instance.keyring.unwrap(wrapped, place=Place("lead_key", "wrapped", lead.id))


def _opened(key: bytes, lead: Lead, column: str) -> str | None:
    sealed: Sealed | None = getattr(lead, column)
    return crypto.open_sealed(key, sealed, place=Place("lead", column, lead.id)) if sealed else None


def own_details(session: Session, lead: Lead, *, instance: Instance) -> OwnDetails:
    """Everything in full, for its owner alone; the caller has made sure, and recorded it. Raises Gone."""
    try:
        key = _key(lead, _wrapped(session, [lead.id]).get(lead.id), instance)
        words = {each: _opened(key, lead, each) for each in ("name", "phone", "email", "article")}
        asking_for = _opened(key, lead, "asking_for")
    except Unopenable:
        raise ValueGone from None
    asked = AskingFor(asking_for) if asking_for else None
    return OwnDetails(words["name"] or "", words["phone"], words["email"], asked, words["article"])


def reveal(session: Session, lead: Lead, *, channel: Channel, member: Member, instance: Instance) -> Revealed:
    """Take the hold, ask the gate, record the act, and only then open the value.

    Raises NotAllowed without the permission, Held or Closed from the hold, GateShut with the gate's
    own sentences, Gone when nothing can be opened. After a raise the caller's transaction ends, and
    with it the hold.
    """
    require(member, Permission.REVEAL)
    claims.acquire(LeadAct(session, lead, member, instance))
    verdict = eligibility.verdict(session, lead, channel=channel, instance=instance)
    if not verdict.allowed:
        raise GateShut(verdict)
    return _shown(session, lead, channel, member, instance)


def record_reveal(
    session: Session,
    lead: Lead,
    *,
    story: Sequence[AuditEvent],
    besides: Revealed | None = None,
    member: Member,
    instance: Instance,
) -> list[Revealed]:
    """What `member` has revealed in the hold that still lasts, shown once more and recorded each time.

    Empty when the hold is over, or a channel's gate has shut meanwhile. `story` is the lead's audit
    events, newest first; `besides` is left out, because it has just been opened.
    """
    if not claims.mine(lead, member=member, now=instance.clock()):
        return []
    verdicts = eligibility.verdicts(session, lead, instance=instance)
    channels = _revealed_in_this_hold(story, lead, member, instance) - {besides.channel if besides else None}
    open_still = [each for each in Channel if each in channels and verdicts[each].allowed]
    return [_shown(session, lead, each, member, instance, kind=AGAIN) for each in open_still]


def _revealed_in_this_hold(
    story: Sequence[AuditEvent], lead: Lead, member: Member, instance: Instance
) -> set[Channel | None]:
    """Walk back from the end of the hold; every reveal of ours inside it began it, or made it longer."""
    channels: set[Channel | None] = set()
    began = lead.claimed_until - claims.CLAIM_FOR if lead.claimed_until else instance.clock()
    for event in story:
        if event.action in _BREAKS:
            break
        if event.action not in _HOLDS or shows_again(event):
            continue
        if event.actor_id != member.id or event.at < began:
            break
        channel = service.details_of(event).get("channel")
        channels.add(Channel(channel) if channel else None)
        began = event.at - claims.CLAIM_FOR
    return channels


def _shown(
    session: Session,
    lead: Lead,
    channel: Channel,
    member: Member,
    instance: Instance,
    *,
    kind: str | None = None,
) -> Revealed:
    audit.record(
        session,
        Action.LEAD_REVEALED,
        keyring=instance.keyring,
        at=instance.clock(),
        actor=member.actor,
        about=lead.id,
        details={"channel": channel.value} | ({"kind": kind} if kind else {}),
    )
    session.flush()
    return _open(session, lead, channel, instance)


def _open(session: Session, lead: Lead, channel: Channel, instance: Instance) -> Revealed:
    try:
        key = _key(lead, _wrapped(session, [lead.id]).get(lead.id), instance)
        words = {each: _opened(key, lead, each) for each in ("name", "asking_for", "article")}
        value = _opened(key, lead, "email" if channel is Channel.EMAIL else "phone")
    except Unopenable:
        raise ValueGone from None
    if not value or not lead.claimed_until:
        raise ValueGone
    asking_for = AskingFor(words["asking_for"]) if words["asking_for"] else None
    return Revealed(channel, words["name"] or "", value, asking_for, words["article"], lead.claimed_until)
