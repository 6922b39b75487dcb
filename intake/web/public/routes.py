"""Public views: the form, information pages, the quick exit. No cookie, session or script is needed."""

from flask import Blueprint, Response, redirect, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import UnsupportedMediaType

from intake.core.errors import IntakeError
from intake.core.i18n import N_
from intake.leads import submission
from intake.leads.form import read_form
from intake.security.rate_limits import PUBLIC_FORM, network
from intake.web import errors
from intake.web.context import current_service, service_act
from intake.web.form_parsing import parse_form
from intake.web.public import confirmation
from intake.web.public import form as public_form
from intake.web.public.form import Answers

SWITCH = "switch"
NOT_FORM = 415
NOT_A_FORM = N_("We could not read what was sent. Please use the form on this page.")
ROBOTS = "User-agent: *\nAllow: /\n"  # a robot that may not fetch a page cannot read its noindex

public = Blueprint("public", __name__)


@public.get("/")
def ask() -> ResponseReturnValue:
    """Show the form. `article` may name one of the two articles by its number; nothing else is read."""
    return public_form.page(public_form.new_token(request.args.get("article")))


@public.post("/")
def send() -> ResponseReturnValue:
    """Store the request and confirm it, or show the form again with every answer."""
    try:
        parsed = parse_form()
    except UnsupportedMediaType:
        return public_form.page(public_form.new_token(), notice=NOT_A_FORM, status=NOT_FORM)
    answers = Answers(parsed.fields)
    if SWITCH in answers.given:
        return public_form.page(public_form.token_for(answers), answers=answers)
    if parsed.failure:
        return public_form.form_with_problems(answers, parsed.failure)
    try:
        return store_request(answers)
    except IntakeError as failure:
        return public_form.form_with_problems(answers, failure)
    except Exception as defect:  # noqa: BLE001  an unexpected failure must not lose what was typed
        errors.log_defect(defect)
        return public_form.form_with_problems(answers, IntakeError())


def store_request(answers: Answers) -> ResponseReturnValue:
    """Store the request in one transaction and render the confirmation. Raises IntakeError.

    A network over its rate limit is not refused: its request is marked as suspected.
    """
    instance, token = current_service(), public_form.validate_token(answers)
    verdict = instance.throttle.hit(PUBLIC_FORM, network(request.remote_addr))
    lead_request = read_form(
        answers.given,
        token=token,
        clinic=instance.clinic,
        now=instance.clock(),
        over_limit=not verdict.allowed,
    )
    with service_act(use_reserve=False) as act:
        submitted = submission.submit(act, lead_request)
    return confirmation.page(lead_request, submitted)


@public.get("/privacy")
def privacy() -> ResponseReturnValue:
    """The privacy notice."""
    return render_template("public/privacy.html")


@public.get("/safety")
def safety() -> ResponseReturnValue:
    """How to stay safe on a device that others see."""
    return render_template("public/safety.html")


@public.get("/card")
def card() -> ResponseReturnValue:
    """A card with the clinic's number, to print for another person (promise P8)."""
    address = current_service().settings.base_url.partition("://")[2]
    return render_template("public/card.html", address=address)


@public.get("/under-18")
def under_18() -> ResponseReturnValue:
    """Other help, for people under 18, whom the clinic may not call."""
    return render_template("public/under_18.html")


@public.get("/exit")
def leave() -> ResponseReturnValue:
    """Quick exit without a script: clear the browser's data of this site and redirect to another site."""
    response = redirect(current_service().clinic.leave_to, 303)
    response.headers["Clear-Site-Data"] = '"cache", "cookies", "storage"'
    return response


@public.get("/robots.txt")
def robots() -> ResponseReturnValue:
    """robots.txt: all paths may be fetched; every response says noindex."""
    return Response(ROBOTS, mimetype="text/plain")
