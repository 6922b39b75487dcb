"""The manage page: with the private code, see, change, stop or erase a request; without it, stop contact.

The code travels only in the body of a POST, never in a URL or a cookie, and every act is a form of its
own that carries it. A GET of any of these paths shows the empty page and changes nothing. A code that
is wrong, erased, damaged or expired gets the same response to the byte. Stopping without the code takes
equally long whatever was found, so that its duration tells nothing.
"""

from collections.abc import Callable
from functools import partial
from time import monotonic, sleep

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from intake.conf.clinic import Channel
from intake.consent.receipt import Receipt
from intake.core import i18n
from intake.core.errors import Refused, TooMany, Unprocessable
from intake.core.i18n import N_
from intake.privacy import contact_correction, data_export, self_service
from intake.privacy.contact_correction import Correction
from intake.privacy.data_export import ReceiptFormat
from intake.privacy.self_service import OpenedRequest, RequestNotFound
from intake.security.rate_limits import MANAGE_CODE, STOP_REQUEST, Verdict, network
from intake.web.context import current_service, service_act, service_read
from intake.web.form_parsing import TOO_LARGE, parse_form
from intake.web.public.form import Answers
from intake.web.public.manage_forms import manage_page, mark_fields

STEP = 0.25
"""Seconds. A padded response is sent at the next whole step after its start; all work fits into one."""


TOO_MANY_TRIES = N_(
    "There were too many tries from your network. Please wait some minutes and try again, or call us: "
    "we can stop contact or erase your request by phone."
)
STOPPED = N_("Done. All contact has stopped.")
CHANNEL_WITHDRAWN = {
    Channel.CALL: N_("Done. We will not call you any more."),
    Channel.TEXT: N_("Done. We will not text you any more."),
    Channel.EMAIL: N_("Done. We will not email you any more."),
}
ERASURE_POSTPONED = N_(
    "Done. All contact has stopped. For a legal reason we cannot erase the request yet. We do it as soon as "
    "we may."
)
NEW_TIMES = N_("Done. We have your new times.")
CORRECTED = {
    "phone": N_("Done. We have your new number."),
    "email": N_("Done. We have your new address."),
}

manage = Blueprint("manage", __name__)

Operation = Callable[..., OpenedRequest]
"""An act of the person: called with the act context and `code`, in one transaction."""


@manage.get("/manage")
@manage.get("/manage/<any(stop, drop, windows, contact, erase, copy, 'without-code'):_act>")
@manage.get("/receipt")
def page(_act: str = "") -> ResponseReturnValue:
    """The empty page: a field for the code, and the form to stop contact without it."""
    return render_template("public/manage.html", problems={}, typed={})


@manage.post("/manage")
def show() -> ResponseReturnValue:
    """Show the stored request, masked."""
    return _perform(_read_answers(), self_service.view_request)


@manage.post("/manage/stop")
def stop() -> ResponseReturnValue:
    """End all contact."""
    return _perform(_read_answers(), self_service.stop, STOPPED)


@manage.post("/manage/drop")
def drop() -> ResponseReturnValue:
    """Withdraw the consent to one channel; an unknown channel only shows the page."""
    answers = _read_answers()
    channel = next((each for each in Channel if each.value == answers.value("channel")), None)
    if channel is None:
        return _perform(answers, self_service.view_request)
    withdraw = partial(self_service.withdraw_channel, channel=channel)
    return _perform(answers, withdraw, CHANNEL_WITHDRAWN[channel])


@manage.post("/manage/windows")
def windows() -> ResponseReturnValue:
    """Change the safe times."""
    answers = _read_answers()
    change = partial(self_service.change_windows, chosen=answers.given.get("windows", ()))
    return _perform(answers, change, NEW_TIMES)


@manage.post("/manage/contact")
def contact() -> ResponseReturnValue:
    """Change the number or address, with a new consent."""
    answers = _read_answers()
    kind = "email" if answers.value("kind") == "email" else "phone"
    correction = Correction(
        kind=kind,
        value=answers.value(kind),
        channels=answers.given.get("channels", ()),
        voicemail=answers.has("voicemail", "name_and_number"),
        language=i18n.current_language.get(),
        statements=answers.value("shown"),
    )
    return _perform(answers, partial(contact_correction.correct, correction=correction), CORRECTED[kind])


@manage.post("/manage/erase")
def erase() -> ResponseReturnValue:
    """Erase the request permanently, or once its legal hold ends."""
    code = _read_code(_read_answers())
    with service_act() as act:
        still_held = self_service.erase(act, code=code)
    if still_held:
        return manage_page(still_held, code=code, message=ERASURE_POSTPONED)
    return render_template("public/manage_gone.html")


@manage.post("/receipt")
def receipt() -> ResponseReturnValue:
    """Download the receipt."""
    answers = _read_answers()
    code = _read_code(answers)
    with service_act() as act:
        saved = data_export.save_receipt(act, code=code, file_format=_file_format(answers))
    return _file_response(saved)


@manage.post("/manage/copy")
def copy() -> ResponseReturnValue:
    """Download the data export. A number that is not theirs counts as a wrong code, against guessing."""
    answers = _read_answers()
    code, address = _read_code(answers), answers.value("address")
    try:
        with service_act() as act:
            saved = data_export.save_data_export(
                act, code=code, file_format=_file_format(answers), address=address
            )
    except RequestNotFound:
        raise
    except (Unprocessable, Refused) as failure:
        current_service().throttle.hit(MANAGE_CODE, network(request.remote_addr))
        return _page_with_problems(code, answers, failure)
    return _file_response(saved)


def _file_format(answers: Answers) -> ReceiptFormat:
    return ReceiptFormat.JSON if answers.value("as") == ReceiptFormat.JSON else ReceiptFormat.TEXT


def _file_response(saved: Receipt) -> Response:
    response = Response(saved.content, content_type=saved.mimetype)
    response.headers["Content-Disposition"] = f'attachment; filename="{saved.filename}"'
    return response


@manage.post("/manage/without-code")
def without_code() -> ResponseReturnValue:
    """Stop contact by reference and number or address. The same response for every input that can be read.

    A match writes and a miss does not, so the response time is padded after the transaction (ADR 0010).
    """
    started_at, answers = monotonic(), _read_answers()
    _enforce_rate_limit(current_service().throttle.hit(STOP_REQUEST, network(request.remote_addr)))
    reference, address = answers.value("reference"), answers.value("address")
    try:
        with service_act() as act:
            self_service.stop_by_reference(act, reference=reference, address=address)
    except Unprocessable as unreadable:
        typed, problems = {"reference": reference, "address": address}, unreadable.problems
        return render_template("public/manage.html", problems=problems, typed=typed), unreadable.status
    page = render_template("public/manage_stopped.html")
    sleep(STEP - (monotonic() - started_at) % STEP)
    return page


def _read_answers() -> Answers:
    """The submitted answers; a damaged one counts as empty, so that no half of a number is stored.

    Raises RequestEntityTooLarge.
    """
    try:
        parsed = parse_form()
    except UnsupportedMediaType:
        return Answers()
    if parsed.failure and parsed.failure.status == TOO_LARGE:
        raise RequestEntityTooLarge
    return Answers(parsed.undamaged_fields)


def _read_code(answers: Answers) -> str:
    """The submitted private code; empty if there is none or more than one. Raises TooMany.

    Only wrong codes count against the rate limit, so that using a code locks nobody out; they count by
    network, so that the right code still works from any other.
    """
    _enforce_rate_limit(current_service().throttle.check(MANAGE_CODE, network(request.remote_addr)))
    codes = answers.given.get("code", ())
    return codes[0] if len(codes) == 1 else ""


@manage.errorhandler(RequestNotFound)
def handle_wrong_code(failure: RequestNotFound) -> ResponseReturnValue:
    """The empty page (422), the same for every wrong code, which is counted."""
    current_service().throttle.hit(MANAGE_CODE, network(request.remote_addr))
    return render_template("public/manage.html", problems=failure.problems, typed={}), failure.status


def _perform(answers: Answers, operation: Operation, message: str = "") -> ResponseReturnValue:
    """Call `operation` in one transaction and show the request; on a failure show the page again as typed.

    An act from a page that another window has made stale is done all the same, and the page says so.
    Submitting the same page twice changes nothing and does not count as another window.
    """
    code, seen = _read_code(answers), answers.value("seen")
    try:
        with service_act() as act:
            before = mark_fields(self_service.open_request(act, self_service.find_by_code(act, code)))
            opened = operation(act, code=code)
    except RequestNotFound:
        raise
    except (Unprocessable, Refused) as failure:
        return _page_with_problems(code, answers, failure)
    if message and opened.stopped:  # also when the last channel was withdrawn
        message = STOPPED
    elsewhere = bool(seen) and before not in (seen, mark_fields(opened))
    return manage_page(opened, code=code, message=message, elsewhere=elsewhere)


def _page_with_problems(code: str, answers: Answers, failure: Unprocessable | Refused) -> ResponseReturnValue:
    """The request as it is stored, with what was typed and what to correct."""
    with service_read() as act:
        opened = self_service.open_request(act, self_service.find_by_code(act, code))
    problems = failure.problems if isinstance(failure, Unprocessable) else {}
    return manage_page(
        opened,
        code=code,
        notice="" if problems else failure.sentence,
        answers=answers,
        problems=problems,
        status=failure.status,
    )


def _enforce_rate_limit(verdict: Verdict) -> None:
    if not verdict.allowed:
        raise TooMany(verdict.retry_after, TOO_MANY_TRIES)
