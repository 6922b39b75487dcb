"""The manage page: with the private code, see, change, stop or erase a request; without it, stop contact.

The code travels only in the body of a POST, never in a URL or a cookie, and every act is a form of its
own that carries it. A GET of any of these paths shows the empty page and changes nothing. A code that
is wrong, erased, damaged or expired gets the same response to the byte. Stopping without the code takes
equally long whatever was found, so that its duration tells nothing.
"""

from collections.abc import Callable
from time import monotonic, sleep

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from intake.act import Act
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
from intake.web.public import manage_forms
from intake.web.public.form import Answers

STEP = 0.25
"""Seconds. A padded response is sent at the next whole step after its start; all work fits into one."""


def start_padding() -> float:
    """The start of a padded response, in seconds of the monotonic clock."""
    return monotonic()


def pad_response_time(started_at: float) -> None:
    """Wait for the next whole step since `began`. Call it after the transaction has ended."""
    sleep(STEP - (monotonic() - started_at) % STEP)


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

Operation = Callable[[Act, str], OpenedRequest]
"""What is done in a transaction with the private code."""


@manage.get("/manage")
@manage.get("/manage/<any(stop, drop, windows, contact, erase, copy, 'without-code'):_act>")
@manage.get("/receipt")
def page(_act: str = "") -> ResponseReturnValue:
    """The empty page: a field for the code, and the form to stop contact without it."""
    return render_template("public/manage.html", problems={})


@manage.post("/manage")
def show() -> ResponseReturnValue:
    """Show the stored request, masked."""
    return _perform(
        _read_answers(),
        lambda act, code: self_service.view_request(act, code=code),
    )


@manage.post("/manage/stop")
def stop() -> ResponseReturnValue:
    """End all contact."""
    return _perform(
        _read_answers(),
        lambda act, code: self_service.stop(act, code=code),
        STOPPED,
    )


@manage.post("/manage/drop")
def drop() -> ResponseReturnValue:
    """Withdraw the consent to one channel; an unknown channel only shows the page."""
    answers = _read_answers()
    channel = next((each for each in Channel if each.value == answers.value("channel")), None)
    if channel is None:
        return show()
    done = CHANNEL_WITHDRAWN[channel]
    return _perform(
        answers,
        lambda act, code: self_service.withdraw_channel(act, code=code, channel=channel),
        lambda opened: STOPPED if opened.stopped else done,
    )


@manage.post("/manage/windows")
def windows() -> ResponseReturnValue:
    """Change the safe times."""
    answers = _read_answers()
    selected = answers.given.get("windows", ())
    return _perform(
        answers,
        lambda act, code: self_service.change_windows(act, code=code, chosen=selected),
        NEW_TIMES,
    )


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
    return _perform(
        answers,
        lambda act, code: contact_correction.correct(act, code=code, correction=correction),
        CORRECTED[kind],
    )


@manage.post("/manage/erase")
def erase() -> ResponseReturnValue:
    """Erase the request permanently, or once its legal hold ends."""
    return _with_code(_read_answers(), _erase)


def _erase(code: str) -> ResponseReturnValue:
    with service_act() as act:
        still_held = self_service.erase(act, code=code)
    if still_held:
        return manage_forms.manage_page(still_held, code=code, message=ERASURE_POSTPONED)
    return render_template("public/manage_gone.html")


@manage.post("/receipt")
def receipt() -> ResponseReturnValue:
    """Download the receipt."""
    answers = _read_answers()
    file_format = ReceiptFormat.JSON if answers.value("as") == ReceiptFormat.JSON else ReceiptFormat.TEXT
    return _with_code(answers, lambda code: _save_receipt(code, file_format))


def _save_receipt(code: str, file_format: ReceiptFormat) -> ResponseReturnValue:
    with service_act() as act:
        return _file_response(data_export.save_receipt(act, code=code, file_format=file_format))


@manage.post("/manage/copy")
def copy() -> ResponseReturnValue:
    """Download the data export."""
    answers = _read_answers()
    return _with_code(answers, lambda code: _save_copy(code, answers))


def _save_copy(code: str, answers: Answers) -> ResponseReturnValue:
    """The data export. A number that is not the request's counts as a wrong code, against guessing."""
    file_format = ReceiptFormat.JSON if answers.value("as") == ReceiptFormat.JSON else ReceiptFormat.TEXT
    try:
        with service_act() as act:
            return _file_response(
                data_export.save_data_export(
                    act,
                    code=code,
                    file_format=file_format,
                    address=answers.value("address"),
                )
            )
    except RequestNotFound:
        raise
    except (Unprocessable, Refused) as failure:
        current_service().throttle.hit(MANAGE_CODE, network(request.remote_addr))
        return manage_forms.manage_page_with_problems(
            _current_request(code), code=code, answers=answers, failure=failure
        )


def _file_response(saved: Receipt) -> Response:
    response = Response(saved.content, content_type=saved.mimetype)
    response.headers["Content-Disposition"] = f'attachment; filename="{saved.filename}"'
    return response


@manage.post("/manage/without-code")
def without_code() -> ResponseReturnValue:
    """Stop contact by reference and number or address. The same response for every input.

    A match writes and a miss does not, so the response time is padded (ADR 0010).
    """
    started_at, answers = start_padding(), _read_answers()
    _enforce_rate_limit(current_service().throttle.hit(STOP_REQUEST, network(request.remote_addr)))
    with service_act() as act:
        self_service.stop_by_reference(
            act,
            reference=answers.value("reference"),
            address=answers.value("address"),
        )
    page = render_template("public/manage_stopped.html")
    pad_response_time(started_at)
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


def _perform(
    answers: Answers, operation: Operation, message: str | Callable[[OpenedRequest], str] = ""
) -> ResponseReturnValue:
    """Call `operation` in one transaction and show the request; on a failure show the page again as typed.

    An act from a page that another window has made stale is done all the same, and the page says so.
    Submitting the same page twice changes nothing and does not count as another window.
    """

    def respond(code: str) -> ResponseReturnValue:
        try:
            with service_act() as act:
                seen, before = answers.value("seen"), manage_forms.mark_fields(_open_request(act, code))
                opened = operation(act, code)
        except RequestNotFound:
            raise
        except (Unprocessable, Refused) as failure:
            return manage_forms.manage_page_with_problems(
                _current_request(code), code=code, answers=answers, failure=failure
            )
        done = message(opened) if callable(message) else message
        elsewhere = bool(seen) and before not in (seen, manage_forms.mark_fields(opened))
        return manage_forms.manage_page(opened, code=code, message=done, elsewhere=elsewhere)

    return _with_code(answers, respond)


def _current_request(code: str) -> OpenedRequest:
    with service_read() as act:
        return _open_request(act, code)


def _open_request(act: Act, code: str) -> OpenedRequest:
    return self_service.open_request(act, self_service.find_by_code(act, code))


def _with_code(answers: Answers, respond: Callable[[str], ResponseReturnValue]) -> ResponseReturnValue:
    """Call `respond` with the code, or show the empty page (422), the same for every wrong code.

    Only wrong codes count against the rate limit, so that using a code locks nobody out; they count by
    network, so that the right code still works from any other. Raises TooMany.
    """
    client_network = network(request.remote_addr)
    _enforce_rate_limit(current_service().throttle.check(MANAGE_CODE, client_network))
    codes = answers.given.get("code", ())
    try:
        return respond(codes[0] if len(codes) == 1 else "")
    except RequestNotFound as failure:
        current_service().throttle.hit(MANAGE_CODE, client_network)
        return render_template("public/manage.html", problems=failure.problems), failure.status


def _enforce_rate_limit(verdict: Verdict) -> None:
    if not verdict.allowed:
        raise TooMany(verdict.retry_after, TOO_MANY_TRIES)
