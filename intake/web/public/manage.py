"""The manage page: with the private code, see, change, stop or erase a request; without it, stop contact.

The code travels in the body of a POST alone, never in an address or a cookie, and every act is a form
of its own that carries it. A GET of any of these paths shows the empty page and changes nothing. A
code that is wrong, erased, damaged or past its time gets the same answer to the byte.
"""

from collections.abc import Callable
from time import monotonic, sleep
from typing import Any

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
from intake.web.context import current_service
from intake.web.form_parsing import TOO_MUCH, sent
from intake.web.public import manage_forms
from intake.web.public.form import Answers

# --- Answers that must take equally long, whatever was found: what was done shows in no stopwatch.

STEP = 0.25
"""Seconds. An answer leaves at the next whole step after it began; all that can happen fits into one."""


def start_padding() -> float:
    """The moment to count from."""
    return monotonic()


def pad_response_time(began: float) -> None:
    """Wait for the next whole step since `began`. Call it when nothing is locked any more."""
    sleep(STEP - (monotonic() - began) % STEP)


TOO_OFTEN = N_(
    "There were too many tries from your network. Please wait some minutes and try again, or call us: "
    "we can stop contact or erase your request by phone."
)
STOPPED = N_("Done. All contact has stopped.")
DROPPED = {
    Channel.CALL: N_("Done. We will not call you any more."),
    Channel.TEXT: N_("Done. We will not text you any more."),
    Channel.EMAIL: N_("Done. We will not email you any more."),
}
ERASED_LATER = N_(
    "Done. All contact has stopped. For a legal reason we cannot erase the request yet. We do it as soon as "
    "we may."
)
NEW_TIMES = N_("Done. We have your new times.")
CORRECTED = {
    "phone": N_("Done. We have your new number."),
    "email": N_("Done. We have your new address."),
}

manage = Blueprint("manage", __name__)

Act = Callable[[Any, str], OpenedRequest]
"""What to do in a transaction with the private code."""


@manage.get("/manage")
@manage.get("/manage/<any(stop, drop, windows, contact, erase, copy, 'without-code'):_act>")
@manage.get("/receipt")
def page(_act: str = "") -> ResponseReturnValue:
    """The empty page: a field for the code, and a way to stop contact without it."""
    return render_template("public/manage.html", problems={})


@manage.post("/manage")
def look() -> ResponseReturnValue:
    """What is held, masked."""
    return _acted(
        _read(),
        lambda session, code: self_service.view_request(session, code=code, instance=current_service()),
    )


@manage.post("/manage/stop")
def stop() -> ResponseReturnValue:
    """End all contact."""
    return _acted(
        _read(),
        lambda session, code: self_service.stop(session, code=code, instance=current_service()),
        STOPPED,
    )


@manage.post("/manage/drop")
def drop() -> ResponseReturnValue:
    """Take back one channel; without a known one the page is only shown."""
    answers = _read()
    channel = next((each for each in Channel if each.value == answers.word("channel")), None)
    if channel is None:
        return look()
    done = DROPPED[channel]
    return _acted(
        answers,
        lambda session, code: self_service.withdraw_channel(
            session, code=code, channel=channel, instance=current_service()
        ),
        lambda own: STOPPED if own.stopped else done,
    )


@manage.post("/manage/windows")
def windows() -> ResponseReturnValue:
    """Other safe times."""
    answers = _read()
    chosen = answers.given.get("windows", ())
    return _acted(
        answers,
        lambda session, code: self_service.change_windows(
            session, code=code, chosen=chosen, instance=current_service()
        ),
        NEW_TIMES,
    )


@manage.post("/manage/contact")
def contact() -> ResponseReturnValue:
    """Another number or address, with a fresh yes."""
    answers = _read()
    kind = "email" if answers.word("kind") == "email" else "phone"
    correction = Correction(
        kind=kind,
        value=answers.word(kind),
        channels=answers.given.get("channels", ()),
        voicemail=answers.has("voicemail", "name_and_number"),
        language=i18n.current_language.get(),
        statements=answers.word("shown"),
    )
    return _acted(
        answers,
        lambda session, code: contact_correction.correct(
            session, code=code, correction=correction, instance=current_service()
        ),
        CORRECTED[kind],
    )


@manage.post("/manage/erase")
def erase() -> ResponseReturnValue:
    """Destroy the request for good."""
    return _with_code(_read(), _erased)


def _erased(code: str) -> ResponseReturnValue:
    with current_service().database.transaction() as session:
        kept = self_service.erase(session, code=code, instance=current_service())
    if kept:
        return manage_forms.manage_page(kept, code=code, said=ERASED_LATER)
    return render_template("public/manage_gone.html")


@manage.post("/receipt")
def receipt() -> ResponseReturnValue:
    """A file to keep."""
    answers = _read()
    form = ReceiptFormat.JSON if answers.word("as") == ReceiptFormat.JSON else ReceiptFormat.TEXT
    return _with_code(answers, lambda code: _saved(code, form))


def _saved(code: str, form: ReceiptFormat) -> ResponseReturnValue:
    with current_service().database.transaction() as session:
        return _file(
            data_export.save_receipt(session, code=code, file_format=form, instance=current_service())
        )


@manage.post("/manage/copy")
def copy() -> ResponseReturnValue:
    """Everything that is held, as a file."""
    answers = _read()
    return _with_code(answers, lambda code: _copied(code, answers))


def _copied(code: str, answers: Answers) -> ResponseReturnValue:
    """A number that is not the one of the request counts like a wrong code: nobody guesses it here."""
    form = ReceiptFormat.JSON if answers.word("as") == ReceiptFormat.JSON else ReceiptFormat.TEXT
    try:
        with current_service().database.transaction() as session:
            return _file(
                data_export.save_data_export(
                    session,
                    code=code,
                    file_format=form,
                    address=answers.word("address"),
                    instance=current_service(),
                )
            )
    except RequestNotFound:
        raise
    except (Unprocessable, Refused) as failure:
        current_service().throttle.hit(MANAGE_CODE, network(request.remote_addr))
        return manage_forms.manage_page_again(_as_it_is(code), code=code, answers=answers, failure=failure)


def _file(saved: Receipt) -> Response:
    answer = Response(saved.content, content_type=saved.mimetype)
    answer.headers["Content-Disposition"] = f'attachment; filename="{saved.filename}"'
    return answer


@manage.post("/manage/without-code")
def without_code() -> ResponseReturnValue:
    """Stop contact by reference and number or address. One answer for every input (decisions.md 16).

    A stop writes and a miss does not, so the answer waits until both would be done.
    """
    began, answers = start_padding(), _read()
    _refuse(current_service().throttle.hit(STOP_REQUEST, network(request.remote_addr)))
    with current_service().database.transaction() as session:
        self_service.stop_by_reference(
            session,
            reference=answers.word("reference"),
            address=answers.word("address"),
            instance=current_service(),
        )
    answer = render_template("public/manage_stopped.html")
    pad_response_time(began)
    return answer


# --- what all of them share ------------------------------------------------------------------------


def _read() -> Answers:
    """What the form sent. An answer that did not come as it was typed counts as empty.

    An act needs a right code alone, and nothing is changed into half a number. Raises RequestEntityTooLarge.
    """
    try:
        received = sent()
    except UnsupportedMediaType:
        return Answers()
    if received.failure and received.failure.status == TOO_MUCH:
        raise RequestEntityTooLarge
    return Answers(received.whole)


def _acted(
    answers: Answers, act: Act, said: str | Callable[[OpenedRequest], str] = ""
) -> ResponseReturnValue:
    """Do `act` in one transaction and show what is held now; what is to be put right comes back as typed.

    An act on a page that another window has made old is done all the same, and the page says so; the same
    page sent again changes nothing and is no other window.
    """

    def answer(code: str) -> ResponseReturnValue:
        try:
            with current_service().database.transaction() as session:
                shown, before = answers.word("seen"), manage_forms.mark_fields(_opened_page(session, code))
                own = act(session, code)
        except RequestNotFound:
            raise
        except (Unprocessable, Refused) as failure:
            return manage_forms.manage_page_again(
                _as_it_is(code), code=code, answers=answers, failure=failure
            )
        words = said(own) if callable(said) else said
        elsewhere = bool(shown) and before not in (shown, manage_forms.mark_fields(own))
        return manage_forms.manage_page(own, code=code, said=words, elsewhere=elsewhere)

    return _with_code(answers, answer)


def _as_it_is(code: str) -> OpenedRequest:
    with current_service().database.reading() as session:
        return _opened_page(session, code)


def _opened_page(session: Any, code: str) -> OpenedRequest:
    return self_service.open_request(
        session,
        self_service.find_by_code(session, code, instance=current_service()),
        instance=current_service(),
    )


def _with_code(answers: Answers, answer: Callable[[str], ResponseReturnValue]) -> ResponseReturnValue:
    """Answer with the code, or show the empty page (422), the same for every code that opens nothing.

    Only codes that open nothing are counted, so nobody locks the owner of a code out by using it; and
    they are counted by network, so that a right one works from any other.
    """
    place = network(request.remote_addr)
    _refuse(current_service().throttle.check(MANAGE_CODE, place))
    codes = answers.given.get("code", ())
    try:
        return answer(codes[0] if len(codes) == 1 else "")
    except RequestNotFound as failure:
        current_service().throttle.hit(MANAGE_CODE, place)
        return render_template("public/manage.html", problems=failure.problems), failure.status


def _refuse(verdict: Verdict) -> None:
    if not verdict.allowed:
        raise TooMany(verdict.retry_after, TOO_OFTEN)
