"""A request taken by phone: the questions and statements of the public form, read aloud by staff.

The form is in the caller's language; the page around it is in the language of the browser.
"""

from collections.abc import Mapping, Sequence

from flask import Response, g, render_template, request
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from intake.accounts.permissions import Permission
from intake.consent.models import Method
from intake.core import i18n
from intake.core.errors import IntakeError, Unprocessable
from intake.core.i18n import LANGUAGES, N_
from intake.leads import form as leads_form
from intake.leads.form import Request
from intake.leads.form_token import FormToken, StatementsChanged
from intake.leads.submission import Submitted, submit
from intake.web.auth import guards
from intake.web.auth.saved_forms import SavedForm
from intake.web.context import current_service, service_act
from intake.web.public import confirmation
from intake.web.public import form as public_form
from intake.web.public.form import Answers

OK = 200
SIGNED_IN_AGAIN = N_("You are signed in again. Go on where you were.")
CONTROL_FIELDS = frozenset({"csrf", "language", "switch"})
"""Fields of the form that are not answers."""
PRESERVED_FIELDS = (
    *(name for name in public_form.ANCHORS if name != leads_form.WHOLE_FORM),
    leads_form.TOKEN,
    "language",
)
"""Fields that are restored after a new sign-in in the middle of a call."""


@guards.permission_required(Permission.TAKE_REQUEST)
def phone_page() -> ResponseReturnValue:
    """An empty form in the caller's language."""
    with i18n.using_language(_supported_language(request.args.get("language"))):
        return _page(public_form.new_token().for_redisplay(), Answers())


def restore_sheet(saved_form: SavedForm) -> Response:
    """Restore the form after a new sign-in. Stores nothing."""
    answers = _answers(saved_form.fields)
    with i18n.using_language(_supported_language(saved_form.value("language"))):
        return _page(public_form.token_for(answers), answers, notice=SIGNED_IN_AGAIN)


@guards.permission_required(Permission.TAKE_REQUEST, preserve_fields=PRESERVED_FIELDS, restore=restore_sheet)
def take_request() -> ResponseReturnValue:
    """Store the caller's request, or show the form again with every answer."""
    answers = _answers(dict(request.form.lists()))
    with i18n.using_language(_supported_language(request.form.get("switch") or request.form.get("language"))):
        if "switch" in request.form:
            return _page(public_form.token_for(answers), answers)
        try:
            return _confirmation_page(*_store(answers))
        except IntakeError as failure:
            changed = isinstance(failure, StatementsChanged)
            shown = answers.without_consent() if changed else answers
            return _page(public_form.next_token(answers, failure), shown, failure)


def _answers(fields: Mapping[str, Sequence[str]]) -> Answers:
    return Answers({name: list(values) for name, values in fields.items() if name not in CONTROL_FIELDS})


def _supported_language(requested: str | None) -> str:
    return requested if requested and requested in LANGUAGES else i18n.DEFAULT


def _store(answers: Answers) -> tuple[Request, Submitted]:
    """Store the request in one transaction, as given orally to the signed-in member. Raises IntakeError."""
    instance, token = current_service(), public_form.validate_token(answers)
    lead_request = leads_form.read_form(
        answers.given, token=token, clinic=instance.clinic, now=instance.clock()
    )
    with service_act(use_reserve=False) as act:
        by = {"method": Method.PHONE_VERBAL, "actor": g.member.actor}
        return lead_request, submit(act, lead_request, **by)


def _page(
    token: FormToken, answers: Answers, failure: IntakeError | None = None, notice: str = ""
) -> Response:
    """Render the form in the caller's language inside the page in the browser's language."""
    caller = i18n.current_language.get()
    problems = failure.problems if isinstance(failure, Unprocessable) else {}
    context = public_form.questions(token, answers=answers, problems=problems)
    context["page_of_these"] = i18n.public_path("/")
    sheet_html = Markup(render_template("desk/_phone_sheet.html", **context))  # noqa: S704  our own template
    guards.set_language_from_browser()
    page_html = render_template(
        "desk/phone.html",
        sheet=sheet_html,
        token=context["token"],
        problems=problems,
        anchors=public_form.ANCHORS,
        notice=failure.sentence if failure and not problems else notice,
        caller=caller,
    )
    return Response(page_html, failure.status if failure else OK)


def _confirmation_page(lead_request: Request, submitted: Submitted) -> str:
    """The confirmation to read out: the promise, the reference, and the code."""
    promise = confirmation.promise(submitted.lead, lead_request.channels)
    guards.set_language_from_browser()
    return render_template(
        "desk/phone_kept.html",
        promise=promise,
        lead=submitted.lead,
        code=submitted.code,
        caller=lead_request.language,
    )
