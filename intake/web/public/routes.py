"""The public pages: asking for a call, and what surrounds it. No cookie, no session, no script needed."""

from flask import Blueprint, Response, redirect, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import UnsupportedMediaType

from intake.core import i18n
from intake.core.errors import IntakeError
from intake.core.i18n import N_
from intake.leads import form as leads_form
from intake.leads import form_token, submission
from intake.security.rate_limits import PUBLIC_FORM, network
from intake.web import errors
from intake.web.context import current_service
from intake.web.form_parsing import sent
from intake.web.public import confirmation
from intake.web.public import form as public_form
from intake.web.public.form import Answers

SWITCH = "switch"
NOT_FORM = 415
NOT_A_FORM = N_("We could not read what was sent. Please use the form on this page.")
ROBOTS = "User-agent: *\nAllow: /\n"  # every answer says noindex; a robot that may not look cannot read that

public = Blueprint("public", __name__)


@public.get("/")
def ask() -> ResponseReturnValue:
    """The page with the form. `article` may name one of the pair by its number, and nothing else is read."""
    return public_form.page(public_form.new_token(request.args.get("article")))


@public.post("/")
def send() -> ResponseReturnValue:
    """Keep the request and confirm it, or show the page again with every word."""
    try:
        received = sent()
    except UnsupportedMediaType:
        return public_form.page(public_form.new_token(), notice=NOT_A_FORM, status=NOT_FORM)
    answers = Answers(received.given)
    if SWITCH in answers.given:
        return public_form.switch_language(answers)
    if received.failure:
        return public_form.form_again(answers, received.failure)
    try:
        return kept_page(answers)
    except IntakeError as failure:
        return public_form.form_again(answers, failure)
    except Exception as defect:  # noqa: BLE001  a defect of ours must not cost anybody their words
        errors.report(defect)
        return public_form.form_again(answers, IntakeError())


def kept_page(answers: Answers) -> ResponseReturnValue:
    """Keep what was asked in one transaction, and say so. Raises the expected failures."""
    instance, now = current_service(), current_service().clock()
    token = form_token.validate(
        answers.word(leads_form.TOKEN),
        language=i18n.current_language.get(),
        statements=instance.statements,
        keyring=instance.keyring,
        retention=instance.clinic.retention,
        now=now,
    )
    asked = leads_form.read_form(
        answers.given, token=token, clinic=instance.clinic, now=now, over_limit=is_crowded()
    )
    with instance.database.transaction(use_reserve=False) as session:
        found = confirmation.Confirmation.from_submitted(submission.submit(session, asked, instance=instance))
    return confirmation.page(asked, found)


def is_crowded() -> bool:
    """Whether more came from this network lately than one place sends. It marks a request, no more."""
    return not current_service().throttle.hit(PUBLIC_FORM, network(request.remote_addr)).allowed


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
    """A card with our number, to print and hand to somebody (promise P8)."""
    address = current_service().settings.base_url.partition("://")[2]
    return render_template("public/card.html", address=address)


@public.get("/under-18")
def under_18() -> ResponseReturnValue:
    """Other help, for those we may not call."""
    return render_template("public/under_18.html")


@public.get("/exit")
def leave() -> ResponseReturnValue:
    """The way out without a script: the browser forgets what it has of us, and is elsewhere."""
    away = redirect(current_service().clinic.leave_to, 303)
    away.headers["Clear-Site-Data"] = '"cache", "cookies", "storage"'
    return away


@public.get("/robots.txt")
def robots() -> ResponseReturnValue:
    """What robots may do: look, and forget."""
    return Response(ROBOTS, mimetype="text/plain")
