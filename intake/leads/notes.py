"""The scheduling note of a lead: when and how to call, in a few words, sealed like the name.

It is for staff who call, and the person who asked sees it with their code. It is not for anything
about health: the page says so beside the box.
"""

import unicodedata

from sqlalchemy.orm import Session

from intake.accounts.permissions import Member, Permission, require
from intake.audit import Action
from intake.core.errors import NotFound, Refused, Unprocessable
from intake.core.i18n import N_
from intake.instance import Instance
from intake.leads import claims
from intake.leads.claims import AlreadyClosed, LeadAct
from intake.leads.models import Lead, LeadKey, LeadStatus
from intake.security import crypto
from intake.security.crypto import Place, Unopenable

LONGEST = 280
TOO_LONG = N_("Make the note shorter: 280 letters at most.")
PLAIN = N_("Write the note in plain letters and figures.")
_LINE_ENDS = {"\t", "\n", "\r"}
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


class NoteChanged(Refused):
    """Somebody else wrote the note since the page was shown; both texts are on the page then."""

    sentence = N_("A colleague changed the note meanwhile. Theirs stands above, yours is still in the box.")


def read(typed: str) -> str:
    """The note on one line, normalised (NFC). Raises Unprocessable on `note`."""
    words = " ".join(unicodedata.normalize("NFC", typed).split())
    if any(unicodedata.category(each) in _HIDDEN and each not in _LINE_ENDS for each in typed):
        raise Unprocessable({"note": [PLAIN]}, PLAIN)
    if len(words) > LONGEST:
        raise Unprocessable({"note": [TOO_LONG]}, TOO_LONG)
    return words


def of(session: Session, lead: Lead, *, instance: Instance) -> str:
    """What stands in the note; empty when there is none. Recorded by whoever shows it."""
    if lead.note is None:
        return ""
    try:
        return crypto.open_sealed(_key(session, lead, instance), lead.note, place=_place(lead))
    except Unopenable:
        return ""


def mark(lead: Lead, *, instance: Instance) -> str:
    """What a page carries to tell which note it showed; tells nothing of the words."""
    return instance.keyring.mac("note", lead.note.box if lead.note else b"").hex()


def write(session: Session, lead: Lead, typed: str, *, seen: str, member: Member, instance: Instance) -> None:
    """Put `typed` in the place of the note; empty removes it. The same words again change nothing.

    `seen` is the `mark` of the note that the page showed. Raises NotAllowed, Held, Closed, NoteChanged
    when a colleague wrote another since, and Unprocessable on `note`.
    """
    require(member, Permission.LOG_OUTCOME)
    words, act = read(typed), LeadAct(session, lead, member, instance)
    session.refresh(lead, with_for_update=True)  # of two at once the second sees what the first wrote
    if lead.status is LeadStatus.CLOSED:
        raise AlreadyClosed
    claims.refuse_if_claimed(act)
    if words == of(session, lead, instance=instance):
        return
    if not crypto.same(seen.encode(), mark(lead, instance=instance).encode()):
        raise NoteChanged
    lead.note = crypto.seal(_key(session, lead, instance), words, place=_place(lead)) if words else None
    act.record(Action.LEAD_NOTED)
    session.flush()


def _key(session: Session, lead: Lead, instance: Instance) -> bytes:
    row = session.get(LeadKey, lead.id)
    if row is None:
        raise NotFound
    return instance.keyring.unwrap(row.wrapped, place=Place("lead_key", "wrapped", lead.id))


def _place(lead: Lead) -> Place:
    return Place("lead", "note", lead.id)
