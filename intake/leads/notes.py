"""The scheduling note of a lead: a short text on when and how to call, sealed like the name.

Staff who may log outcomes read and write it; the person reads it with their private code. It is not for
health information: the page says so beside the field.
"""

import unicodedata

from intake.accounts.permissions import Permission, StaffAct, require
from intake.act import Act
from intake.audit import Action
from intake.core.errors import NotFound, Refused, Unprocessable
from intake.core.i18n import N_
from intake.instance import Instance
from intake.leads import claims
from intake.leads.claims import AlreadyClosed, LeadAct
from intake.leads.models import Lead, LeadKey, LeadStatus
from intake.security import crypto
from intake.security.crypto import Place, UnsealError

MAX_LENGTH = 280
TOO_LONG = N_("Make the note shorter: 280 letters at most.")
PLAIN_TEXT = N_("Write the note in plain letters and figures.")
_LINE_ENDS = {"\t", "\n", "\r"}
_FORBIDDEN_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


class NoteChanged(Refused):
    """A colleague changed the note after the page was rendered (409); the page shows both texts."""

    sentence = N_("A colleague changed the note meanwhile. Theirs stands above, yours is still in the box.")


def clean_note(typed: str) -> str:
    """`typed` on one line, normalised (NFC). Raises Unprocessable on `note` if too long or not plain text."""
    text = " ".join(unicodedata.normalize("NFC", typed).split())
    if any(unicodedata.category(each) in _FORBIDDEN_CATEGORIES and each not in _LINE_ENDS for each in typed):
        raise Unprocessable({"note": [PLAIN_TEXT]}, PLAIN_TEXT)
    if len(text) > MAX_LENGTH:
        raise Unprocessable({"note": [TOO_LONG]}, TOO_LONG)
    return text


def open_note(act: Act, lead: Lead) -> str:
    """The text of the note, empty without one or if it does not decrypt. The caller records the view."""
    if lead.note is None:
        return ""
    try:
        return crypto.unseal(_key(act, lead), lead.note, place=Place("lead", "note", lead.id))
    except UnsealError:
        return ""


def note_mac(lead: Lead, *, instance: Instance) -> str:
    """A keyed digest of the stored note, for a hidden field: tells which note a page showed."""
    return instance.keyring.mac("note", lead.note.box if lead.note else b"").hex()


def save_note(act: StaffAct, lead: Lead, typed: str, *, seen: str) -> None:
    """Replace the note by `typed` and record it; empty deletes it, an equal text changes nothing.

    `seen` is the `note_mac` of the note that the page showed. Raises NotAllowed, ClaimedByAnother,
    AlreadyClosed, NoteChanged if a colleague saved another since, and Unprocessable on `note`.
    """
    require(act.member, Permission.LOG_OUTCOME)
    text, act = clean_note(typed), LeadAct(act, lead)
    act.session.refresh(lead, with_for_update=True)  # the second of two concurrent saves sees the first
    if lead.status is LeadStatus.CLOSED:
        raise AlreadyClosed
    claims.refuse_if_claimed(act)
    if text == open_note(act, lead):
        return
    if not crypto.constant_time_equal(seen.encode(), note_mac(lead, instance=act.instance).encode()):
        raise NoteChanged
    place = Place("lead", "note", lead.id)
    lead.note = crypto.seal(_key(act, lead), text, place=place) if text else None
    act.record(Action.LEAD_NOTED)
    act.session.flush()


def _key(act: Act, lead: Lead) -> bytes:
    row = act.session.get(LeadKey, lead.id)
    if row is None:
        raise NotFound
    return act.keyring.unwrap(row.wrapped, place=Place("lead_key", "wrapped", lead.id))
