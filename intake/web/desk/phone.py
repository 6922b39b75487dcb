"""A request taken by phone: the same questions and the same words, read aloud by a member of staff.

The caller's language decides the words of the sheet, the browser's those around it (decisions.md 18).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from flask import Response, g, render_template, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from intake.accounts.permissions import Permission
from intake.consent.models import Method
from intake.core import i18n
from intake.core.errors import IntakeError, Unprocessable
from intake.core.i18n import LANGUAGES, N_
from intake.leads import form as leads_form
from intake.leads import form_token
from intake.leads.form import Request
from intake.leads.form_token import FormToken, StatementsChanged
from intake.leads.submission import Submitted, submit
from intake.web.auth import guards
from intake.web.auth.saved_forms import SavedForm
from intake.web.context import current_service, public_path
from intake.web.public import confirmation
from intake.web.public import form as public_form
from intake.web.public.form import Answers

OK = 200
SIGNED_IN_AGAIN = N_("You are signed in again. Go on where you were.")
OURS = frozenset({"csrf", "language", "switch"})
"""What travels with the answers and is none."""
SHEET = (
    *(name for name in public_form.ANCHORS if name != leads_form.WHOLE_FORM),
    leads_form.TOKEN,
    "language",
)
"""What is still there after somebody had to sign in again in the middle of a call."""


@dataclass(frozen=True)
class Sheet:
    """The form as it is shown: the token it carries, what is typed so far, and what to look at."""

    token: FormToken
    answers: Answers
    failure: IntakeError | None = None
    notice: str = ""


@guards.signed_in(Permission.TAKE_REQUEST)
def phone_page() -> ResponseReturnValue:
    """An empty sheet in the caller's language."""
    with using_sheet_language(_asked_language(request.args.get("language"))):
        return _page(Sheet(public_form.new_token().for_redisplay(), Answers()))


def restore_sheet(kept: SavedForm) -> Response:
    """The sheet with what was said before the session ended. Nothing is kept yet."""
    answers = _answers(kept.fields)
    with using_sheet_language(_asked_language(kept.word("language"))):
        return _page(Sheet(public_form.token_for(answers), answers, notice=SIGNED_IN_AGAIN))


@guards.signed_in(Permission.TAKE_REQUEST, keeps=SHEET, restore=restore_sheet)
def take_request() -> ResponseReturnValue:
    """Keep what the caller said yes to, or show the sheet again with every word."""
    answers = _answers(dict(request.form.lists()))
    with using_sheet_language(_asked_language(request.form.get("switch") or request.form.get("language"))):
        if "switch" in request.form:
            return _page(Sheet(public_form.token_for(answers), answers))
        try:
            return _kept(*_keep(answers))
        except IntakeError as failure:
            changed = isinstance(failure, StatementsChanged)
            known = answers.without_consent() if changed else answers
            return _page(Sheet(public_form.next_token(answers, failure), known, failure))


def _answers(fields: Mapping[str, Sequence[str]]) -> Answers:
    return Answers({name: list(said) for name, said in fields.items() if name not in OURS})


@contextmanager
def using_sheet_language(spoken: str) -> Iterator[None]:
    """Words in the caller's language; afterwards those of the browser again."""
    before = i18n.current_language.set(spoken)
    try:
        yield
    finally:
        i18n.current_language.reset(before)


def _asked_language(given: str | None) -> str:
    return given if given in LANGUAGES else i18n.DEFAULT


def _keep(answers: Answers) -> tuple[Request, Submitted]:
    """In one transaction, as given aloud to whoever is signed in. Raises the form's expected failures."""
    instance, now = current_service(), current_service().clock()
    token = form_token.validate(
        answers.word(leads_form.TOKEN),
        language=i18n.current_language.get(),
        statements=instance.statements,
        keyring=instance.keyring,
        retention=instance.clinic.retention,
        now=now,
    )
    asked = leads_form.read_form(answers.given, token=token, clinic=instance.clinic, now=now)
    with instance.database.transaction(use_reserve=False) as session:
        by = {"method": Method.PHONE_VERBAL, "actor": g.member.actor}
        return asked, submit(session, asked, instance=instance, **by)


def _page(sheet: Sheet) -> Response:
    """The words around the sheet are for us, so they are said in the browser's language."""
    caller = i18n.current_language.get()
    failure = sheet.failure
    problems = failure.problems if isinstance(failure, Unprocessable) else {}
    known = public_form.questions(sheet.token, answers=sheet.answers, problems=problems)
    inside = Markup(render_template("desk/_phone_sheet.html", page_of_these=public_path("/"), **known))  # noqa: S704  our own template
    guards.set_language_from_browser()
    words = render_template(
        "desk/phone.html",
        sheet=inside,
        token=known["token"],
        problems=problems,
        anchors=public_form.ANCHORS,
        notice=failure.sentence if failure and not problems else sheet.notice,
        caller=caller,
    )
    return Response(words, failure.status if failure else OK)


def _kept(asked: Request, submitted: Submitted) -> str:
    """What to read out: by when, the reference, and the code in fours."""
    kept = confirmation.Confirmation.from_submitted(submitted)
    promise = confirmation.promise(asked, kept)
    guards.set_language_from_browser()
    return render_template(
        "desk/phone_kept.html", promise=promise, kept=kept, lead=submitted.lead, caller=asked.language
    )
