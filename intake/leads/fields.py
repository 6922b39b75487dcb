"""The personal fields of a lead, each declared once: its name, its label, its mask, and where it shows.

Every sealed column of `Lead` is declared here and no other (`tests/db/test_inventory.py`). Sealing, reveal,
masks, the person's page, receipt and data export go by this list; the data export has all of it, always.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from intake.core.i18n import N_, translate
from intake.leads.models import AskingFor, Lead

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


def unmasked(value: str) -> str:
    """The value itself: it identifies no one."""
    return value


class CallLanguage(StrEnum):
    """The best language for the call; without an answer it is the language of the page."""

    ENGLISH = "en"
    SPANISH = "es"
    OTHER = "other"

    @property
    def sentence(self) -> str:
        """The words for it (message id)."""
        return _CALL_LANGUAGE_SENTENCES[self]


_CALL_LANGUAGE_SENTENCES = {
    CallLanguage.ENGLISH: N_("English"),
    CallLanguage.SPANISH: N_("Spanish"),
    CallLanguage.OTHER: N_("Another language"),
}


STORED, NOT_STORED = N_("Stored"), N_("Not stored")


class Shown(StrEnum):
    """Where a field shows, besides the data export."""

    LISTS = "lists"
    """Masked, in lists and on the lead page, which have a place of their own for it."""
    LEAD_PAGE = "lead_page"
    """Masked, as a line on the lead page."""
    REVEAL = "reveal"
    """In full, with a number or address that a reveal has opened."""
    PERSON_PAGE = "person_page"
    """Masked, as a line on the person's page."""
    RECEIPT = "receipt"
    """Masked, as a line of the receipt."""


@dataclass(frozen=True)
class PersonalField:
    """One sealed column of `Lead`.

    `name`: the column, and the key in the data export. `label`: message id. `mask`: what may show without a
    reveal; None if only whether there is a value. `answer`: the attribute of a `Request` to seal. `words`: a
    closed list of values, each with a message id; the form then asks for it, optional. `without`: what
    stands for no value (message id); empty if the line is left out then. `category`: its type in the
    vocabulary of W3C's DPV, where the receipt has it.
    """

    name: str
    label: str
    mask: Callable[[str], str] | None
    shown: frozenset[Shown]
    answer: str | None = None
    words: Mapping[str, str] = field(default_factory=dict)
    without: str = ""
    category: str = ""

    def text(self, lead: Lead, values: Mapping[str, str], language: str | None = None) -> str | None:
        """The line for `lead` in a language (default: the current one); None if it is left out.

        `values`: what was opened of the lead, masked or in full, by field.
        """
        if getattr(lead, self.name) is None:
            return translate(self.without, language) or None
        if self.name in values:
            return translate(self.words[values[self.name]], language) if self.words else values[self.name]
        return translate(STORED, language) if self.mask is None else None


CONTACT = frozenset({Shown.LISTS, Shown.RECEIPT})
FIELDS = (
    PersonalField(
        name="name",
        label=N_("Name"),
        mask=mask_name,
        shown=CONTACT | {Shown.REVEAL},
        answer="preferred_name",
        category="pd:Name",
    ),
    PersonalField(
        name="phone",
        label=N_("Phone number"),
        mask=mask_phone,
        shown=CONTACT,
        answer="phone",
        category="pd:TelephoneNumber",
    ),
    PersonalField(
        name="email",
        label=N_("Email"),
        mask=mask_email,
        shown=CONTACT,
        answer="email",
        category="pd:EmailAddress",
    ),
    PersonalField(
        name="asking_for",
        label=N_("Who you ask for"),
        mask=None,
        shown=frozenset({Shown.REVEAL, Shown.PERSON_PAGE}),
        words={
            AskingFor.SELF: N_("For yourself"),
            AskingFor.OTHER: N_("For somebody else"),
            AskingFor.PROFESSIONAL: N_("As a professional"),
        },
        without=NOT_STORED,
    ),
    PersonalField(
        name="call_language",
        label=N_("Best language for the call"),
        mask=unmasked,
        shown=frozenset({Shown.LEAD_PAGE, Shown.PERSON_PAGE, Shown.RECEIPT}),
        words={each: each.sentence for each in CallLanguage},
        without=N_("The language of the page"),
        category="pd:Language",
    ),
    PersonalField(
        name="article",
        label=N_("Article"),
        mask=None,
        shown=frozenset({Shown.REVEAL, Shown.PERSON_PAGE}),
        answer="article",
        without=NOT_STORED,
    ),
    PersonalField(
        name="note", label=N_("Scheduling note"), mask=unmasked, shown=frozenset({Shown.PERSON_PAGE})
    ),
)


CHOICES = {each.name: each for each in FIELDS if each.words}
"""The optional questions of the form with a closed list of answers, by name."""


def fields_of(*places: Shown) -> tuple[PersonalField, ...]:
    """The fields that show in at least one of these places, in the order of the declaration."""
    return tuple(each for each in FIELDS if not each.shown.isdisjoint(places))


def lines_of(
    place: Shown, lead: Lead, values: Mapping[str, str], language: str | None = None
) -> list[tuple[str, str]]:
    """Label (message id) and text of each field that is a line of this place, without those left out."""
    lines = [(each.label, each.text(lead, values, language)) for each in fields_of(place)]
    return [(label, text) for label, text in lines if text]
