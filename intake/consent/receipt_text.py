"""The receipt as text: to read, to print, to keep where only its owner can open it."""

from collections.abc import Iterator
from textwrap import fill, wrap

from intake.conf.clinic import shown
from intake.consent.models import State
from intake.consent.receipt import ANSWERS, NAMES, RAN_OUT, Issue, Particulars, Receipt, signed_text
from intake.consent.service import Shown
from intake.core.i18n import N_, translate

WIDTH = 76
_CHANGE = N_(
    "Open %(address)s and type the code, or call %(phone)s and say your reference. You do not need to give "
    "a reason. It will not affect any care you get from us."
)
_WORDS = N_("The words were:")
_KEEP = N_("We keep your request until %(day)s, or until you erase it.")


def text(held: Particulars, issue: Issue) -> Receipt:
    """The receipt in the language of the request, signed in its last line."""
    parts = [*_head(held, issue), *_request(held), *_agreed(held, issue), *_foot(held, issue)]
    return signed_text("\n\n".join(parts), issue)


def _said(held: Particulars, msgid: str, **values: object) -> str:
    return fill(
        translate(msgid, held.language, **values), WIDTH, break_long_words=False, break_on_hyphens=False
    )


def _head(held: Particulars, issue: Issue) -> Iterator[str]:
    yield _said(held, N_("Your request to %(clinic)s"), clinic=issue.clinic.name)
    yield _said(held, N_("Keep this file where only you can open it. It shows that you asked for a call."))
    yield "\n".join(
        (
            _said(held, N_("Your reference, to say on the phone")) + ":",
            "  " + _in_fours(held.reference),
            _said(held, N_("Your private code, to see or change your request")) + ":",
            "  " + _in_fours(held.code),
            _said(held, N_("Tell it to nobody. We will never ask for it in a call.")),
        )
    )


def _in_fours(letters: str) -> str:
    return " ".join(wrap(letters, 4))


def _request(held: Particulars) -> Iterator[str]:
    yield "\n".join(fill(words, WIDTH) for words in (held.asked, held.promise) if words)
    lines = {
        N_("Name"): held.name,
        N_("Phone number"): held.phone,
        N_("Email"): held.email,
        N_("Safe times"): held.times,
        N_("Where"): held.place,
    }
    yield "\n".join(f"{translate(name, held.language)}: {words}" for name, words in lines.items() if words)
    yield _said(
        held, N_("Names, numbers and addresses are partly hidden here, in case others see this file.")
    )
    yield _said(held, _KEEP, day=held.kept)


def _agreed(held: Particulars, issue: Issue) -> Iterator[str]:
    yield _heading(held, N_("What you agreed to"))
    for each in held.answers:
        yield _answer(held, each, issue)


def _answer(held: Particulars, each: Shown, issue: Issue) -> str:
    statement, event = each.statement, each.event
    over = event.state is State.GIVEN and held.expires_at <= issue.at
    named, answer = (translate(words, held.language) for words in (NAMES[event.kind], ANSWERS[event.state]))
    answer = translate(RAN_OUT, held.language) if over else answer
    quoted = [fill(f"“{paragraph}”", WIDTH) for paragraph in statement.body.split("\n\n")]
    version = f"{statement.kind}.{statement.version}.{statement.language} sha256:{statement.digest}"
    words = f"{held.tell(event.at)} {translate(_WORDS, held.language)}"
    return "\n".join((f"{named}: {answer}", fill(words, WIDTH), *quoted, version))


def _heading(held: Particulars, msgid: str) -> str:
    words = translate(msgid, held.language)
    return f"{words}\n{'-' * len(words)}"


def _foot(held: Particulars, issue: Issue) -> Iterator[str]:
    clinic, phone = issue.clinic, shown(issue.clinic.phone)
    yield _heading(held, N_("If you change your mind"))
    yield _said(held, _CHANGE, address=issue.address("/manage", held.language), phone=phone)
    yield _heading(held, N_("Who we are"))
    yield "\n".join((clinic.legal_name, *clinic.address, clinic.licence[held.language], phone, clinic.email))
    yield "\n".join(
        (
            _said(held, N_("Questions about privacy: %(name)s, %(email)s"),
                  name=clinic.privacy.contact_name, email=clinic.privacy.contact_email),
            issue.address("/privacy", held.language),
        )
    )  # fmt: skip
    yield _said(held, N_("The last line shows us whether this file is ours and unaltered."))
