"""The public pages: asking for a call, and what surrounds it. No cookie, no session, no script needed."""

from flask import Blueprint, Response, redirect, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import UnsupportedMediaType

from intake import language
from intake.errors import IntakeError
from intake.language import N_
from intake.leads import schemas, submit, tokens
from intake.throttle import PUBLIC_FORM, network
from intake.web import asking, confirming, responses
from intake.web.asking import Answers
from intake.web.here import here
from intake.web.received import sent

SWITCH = "switch"
NOT_FORM = 415
NOT_A_FORM = N_("We could not read what was sent. Please use the form on this page.")
ROBOTS = "User-agent: *\nAllow: /\n"  # every answer says noindex; a robot that may not look cannot read that

public = Blueprint("public", __name__)


@public.get("/")
def ask() -> ResponseReturnValue:
    """The page with the form. `article` may name one of the pair by its number, and nothing else is read."""
    return asking.page(asking.new_token(request.args.get("article")))


@public.post("/")
def send() -> ResponseReturnValue:
    """Keep the request and confirm it, or show the page again with every word."""
    try:
        received = sent()
    except UnsupportedMediaType:
        return asking.page(asking.new_token(), notice=NOT_A_FORM, status=NOT_FORM)
    answers = Answers(received.given)
    if SWITCH in answers.given:
        return asking.switched(answers)
    if received.failure:
        return asking.again(answers, received.failure)
    try:
        return kept(answers)
    except IntakeError as failure:
        return asking.again(answers, failure)
    except Exception as defect:  # noqa: BLE001  a defect of ours must not cost anybody their words
        responses.report(defect)
        return asking.again(answers, IntakeError())


def kept(answers: Answers) -> ResponseReturnValue:
    """Keep what was asked in one transaction, and say so. Raises the expected failures."""
    instance, now = here(), here().clock()
    token = tokens.read(
        answers.word(schemas.TOKEN),
        language=language.in_use.get(),
        statements=instance.statements,
        keyring=instance.keyring,
        retention=instance.clinic.retention,
        now=now,
    )
    asked = schemas.read_form(answers.given, token=token, clinic=instance.clinic, now=now, crowded=crowded())
    with instance.database.transaction(taking_in=True) as session:
        found = confirming.Kept.from_submitted(submit.submit(session, asked, instance=instance))
    return confirming.page(asked, found)


def crowded() -> bool:
    """Whether more came from this network lately than one place sends. It marks a request, no more."""
    return not here().throttle.hit(PUBLIC_FORM, network(request.remote_addr)).allowed


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
    address = here().settings.base_url.partition("://")[2]
    return render_template("public/card.html", address=address)


@public.get("/under-18")
def under_18() -> ResponseReturnValue:
    """Other help, for those we may not call."""
    return render_template("public/under_18.html")


@public.get("/exit")
def leave() -> ResponseReturnValue:
    """The way out without a script: the browser forgets what it has of us, and is elsewhere."""
    away = redirect(here().clinic.leave_to, 303)
    away.headers["Clear-Site-Data"] = '"cache", "cookies", "storage"'
    return away


@public.get("/robots.txt")
def robots() -> ResponseReturnValue:
    """What robots may do: look, and forget."""
    return Response(ROBOTS, mimetype="text/plain")
