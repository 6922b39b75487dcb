"""Exact search for leads by a whole reference, phone number or email address.

Names and parts are not searched: numbers and addresses are found by blind index, and names have none.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from marshmallow import ValidationError
from sqlalchemy import select

from intake.accounts.permissions import Permission, StaffAct, require
from intake.audit import Action
from intake.casework.queue import QueueRow, load_rows
from intake.core.errors import Unprocessable
from intake.core.i18n import N_
from intake.leads.contact_values import clean_email, clean_phone
from intake.leads.models import Lead
from intake.leads.submission import REFERENCE_BYTES
from intake.security import crypto

MAX_RESULTS = 50
_REFERENCE_LENGTH = REFERENCE_BYTES * 8 // 5
NOT_A_TERM = N_("Type a whole reference, phone number or email address.")
NOT_A_CONTACT = N_("Type a whole phone number or email address.")


class TermKind(StrEnum):
    """What a search term is."""

    REFERENCE = "reference"
    PHONE = "phone"
    EMAIL = "email"


@dataclass(frozen=True)
class Term:
    """A search term in normal form. Its value is kept out of `repr`, so that it reaches no log."""

    kind: TermKind
    value: str = field(repr=False)


@dataclass(frozen=True)
class SearchResult:
    """The leads found for a term, masked, newest first."""

    kind: TermKind
    rows: Sequence[QueueRow]


def find(act: StaffAct, *, term: str) -> SearchResult:
    """Look `term` up exactly; returns at most 50 leads.

    The audit log records the kind of the term and whether there was a hit, not the term.

    Raises NotAllowed, and Unprocessable on `term` when it is none of the three kinds.
    """
    require(act.member, Permission.FIND_LEAD)
    parsed = read_term(term)
    if parsed.kind is TermKind.REFERENCE:
        matching = Lead.reference == parsed.value
    else:
        column = Lead.phone_index if parsed.kind is TermKind.PHONE else Lead.email_index
        matching = column == act.keyring.blind_index(parsed.kind.value, parsed.value)
    wanted = select(Lead).where(matching).order_by(Lead.asked_at.desc()).limit(MAX_RESULTS)
    rows = list(load_rows(act, act.session.scalars(wanted).all()).values())
    act.record(Action.LEADS_SEARCHED, kind=parsed.kind.value, hit=bool(rows))
    return SearchResult(parsed.kind, rows)


def read_term(text: str) -> Term:
    """Parse a reference, phone number or email address. Raises Unprocessable on `term`."""
    reference = crypto.normalise_crockford(text)
    if len(reference) == _REFERENCE_LENGTH and set(reference) <= set(crypto.CROCKFORD) and "@" not in text:
        return Term(TermKind.REFERENCE, reference)
    return read_contact(text, NOT_A_TERM)


def read_contact(text: str, sentence: str = NOT_A_CONTACT) -> Term:
    """Parse a phone number or email address. Raises Unprocessable on `term` with `sentence`."""
    is_email = "@" in unicodedata.normalize("NFKC", text)
    try:
        if is_email:
            return Term(TermKind.EMAIL, clean_email(text))
        return Term(TermKind.PHONE, clean_phone(text))
    except ValidationError:
        raise Unprocessable({"term": [sentence]}, sentence) from None
