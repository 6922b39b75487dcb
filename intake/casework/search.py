"""Finding a lead by its whole reference, number or address; never by a name, never by a part (AC-07)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from marshmallow import ValidationError
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from intake import audit
from intake.accounts.permissions import Member, Permission, require
from intake.audit import Action
from intake.casework.queue_rows import Row, rows_of
from intake.core.errors import Unprocessable
from intake.core.i18n import N_
from intake.instance import Instance
from intake.leads import form
from intake.leads.models import Lead
from intake.leads.submission import REFERENCE_BYTES
from intake.security import crypto

MOST = 50
_REFERENCE_LENGTH = REFERENCE_BYTES * 8 // 5
WHAT_TO_TYPE = N_("Type a whole reference, phone number or email address.")
WHOM_TO_STOP = N_("Type a whole phone number or email address.")


class TermKind(StrEnum):
    """What somebody typed."""

    REFERENCE = "reference"
    PHONE = "phone"
    EMAIL = "email"


@dataclass(frozen=True)
class Term:
    """What was typed, in the one form we look it up in; it never reaches a log."""

    kind: TermKind
    value: str = field(repr=False)


@dataclass(frozen=True)
class Found:
    """The leads behind a term, masked, newest first."""

    kind: TermKind
    rows: Sequence[Row]


def find(session: Session, *, term: str, member: Member, instance: Instance) -> Found:
    """Look `term` up exactly. Recorded as kind and hit or miss, never the term (decisions.md 12).

    Raises NotAllowed, and Unprocessable on `term` when it is none of the three.
    """
    require(member, Permission.FIND_LEAD)
    sought = read_term(term)
    wanted = select(Lead).where(_matching(sought, instance)).order_by(Lead.asked_at.desc()).limit(MOST)
    rows = rows_of(session, session.scalars(wanted).all(), instance=instance)
    audit.record(
        session,
        Action.LEADS_SEARCHED,
        keyring=instance.keyring,
        at=instance.clock(),
        actor=member.actor,
        details={"kind": sought.kind.value, "hit": bool(rows)},
    )
    return Found(sought.kind, rows)


def _matching(term: Term, instance: Instance) -> ColumnElement[bool]:
    if term.kind is TermKind.REFERENCE:
        return Lead.reference == term.value
    index = instance.keyring.blind_index(term.kind.value, term.value)
    return (Lead.phone_index if term.kind is TermKind.PHONE else Lead.email_index) == index


def read_term(words: str) -> Term:
    """What `words` are, as we look them up. Raises Unprocessable on `term`."""
    reference = crypto.read_crockford(words)
    if len(reference) == _REFERENCE_LENGTH and set(reference) <= set(crypto.CROCKFORD) and "@" not in words:
        return Term(TermKind.REFERENCE, reference)
    return read_contact(words, WHAT_TO_TYPE)


def read_contact(words: str, sentence: str = WHOM_TO_STOP) -> Term:
    """A number or an address, as we look it up. Raises Unprocessable on `term` with `sentence`."""
    kind, read = (TermKind.EMAIL, form.clean_email) if "@" in words else (TermKind.PHONE, form.clean_phone)
    try:
        return Term(kind, read(words))
    except ValidationError:
        raise Unprocessable({"term": [sentence]}, sentence) from None
