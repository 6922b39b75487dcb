"""One schema for every request, whichever door it came through (law 6).

What is asked is what stands here and nothing else (promise P2): an answer to a question that was not
asked is refused. Every sentence says what to type or tick; none says that something is wrong with it.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from marshmallow import RAISE, Schema, ValidationError, fields, pre_load
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat, ValidationResult
from phonenumbers.shortnumberinfo import connects_to_emergency_number, is_valid_short_number

from intake.calling.hours import Window
from intake.calling.regions import REGIONS, names_of_zone, options_of
from intake.conf.clinic import Channel, Clinic
from intake.core.errors import Unprocessable
from intake.core.i18n import N_
from intake.leads.form_token import FormToken
from intake.leads.models import AskingFor, Suspicion

# --- How a name, a phone number and an email address are read from what somebody typed.

COUNTRY = "US"
"""Where a number without a country code is: the states we ask for are all there."""
SHORT = 3
LONGEST_NAME, LONGEST_PHONE, LONGEST_EMAIL = 80, 40, 254

NAME = N_("Type the name you would like us to use. A first name is enough.")
NAME_IS_LONG = N_("Type a shorter name: 80 letters at most.")
NAME_ONE_LINE = N_("Type the name as plain letters on one line.")
PHONE = N_("Type your phone number with the area code, like 305 555 0199.")
PHONE_EXTENSION = N_("Type a number that rings at your place. We cannot dial an extension.")
PHONE_SHORT = N_("Type your own phone number with the area code. We cannot call a short or emergency number.")
EMAIL = N_("Type your email address, like name@example.org.")

_NOT_FOR_NAMES = {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}
_TURNS_TEXT_AROUND = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_JOINERS = "\u200c\u200d"
_PILE = re.compile("m{5}")
"""More marks on one letter than any language writes."""
_REPLACED = "\ufffd"
"""What stands where bytes could not be read."""


def clean_name(value: object) -> str:
    """A name in any script, normalised (NFC) and trimmed. Raises ValidationError with what to type."""
    found = _visible(unicodedata.normalize("NFC", value)).strip() if isinstance(value, str) else ""
    if not all(map(_belongs_in_a_name, found)) or _PILE.search(_marks(found)):
        raise ValidationError(NAME_ONE_LINE)
    if not any(letter.isalnum() for letter in found):
        raise ValidationError(NAME)
    if len(found) > LONGEST_NAME:
        raise ValidationError(NAME_IS_LONG)
    return found


def _visible(words: str) -> str:
    """Without what nobody sees or types on purpose; the joiners that some scripts need stay."""
    return "".join(
        each
        for each in words
        if unicodedata.category(each) != "Cf" or each in _JOINERS or each in _TURNS_TEXT_AROUND
    )


def _marks(words: str) -> str:
    return "".join("m" if unicodedata.category(each) == "Mn" else " " for each in words)


def _belongs_in_a_name(letter: str) -> bool:
    turns = letter in _TURNS_TEXT_AROUND or letter == _REPLACED
    return not turns and unicodedata.category(letter) not in _NOT_FOR_NAMES


def clean_phone(value: object) -> str:
    """A number in E.164. Possible is enough, known to be assigned is not asked for (FX-09)."""
    written = unicodedata.normalize("NFKC", value).strip() if isinstance(value, str) else ""
    if not 0 < len(written) <= LONGEST_PHONE:
        raise ValidationError(PHONE)
    number = _parse_phone(written)
    if number.extension:
        raise ValidationError(PHONE_EXTENSION)
    if _is_short(written, number):
        raise ValidationError(PHONE_SHORT)
    if any(map(str.isalpha, written)) or not _is_possible(number):
        raise ValidationError(PHONE)
    return str(phonenumbers.format_number(number, PhoneNumberFormat.E164))


def _parse_phone(written: str) -> PhoneNumber:
    try:
        return phonenumbers.parse(written, COUNTRY)
    except NumberParseException:
        raise ValidationError(PHONE) from None


def _is_short(written: str, number: PhoneNumber) -> bool:
    """A number like 911 or 988; one that only lost its area code is not meant."""
    if len(str(number.national_number)) <= SHORT or connects_to_emergency_number(written, COUNTRY):
        return True
    return _is_possible(number) and bool(is_valid_short_number(number))


def _is_possible(number: PhoneNumber) -> bool:
    """With its area code: a number that only works within a town is not enough."""
    return bool(phonenumbers.is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE)


def clean_email(value: object) -> str:
    """An address that can be written to, in small letters. Asks no name server."""
    written = value.strip() if isinstance(value, str) else ""
    if not 0 < len(written) <= LONGEST_EMAIL:
        raise ValidationError(EMAIL)
    try:
        return str(validate_email(written, check_deliverability=False).normalized).lower()
    except (EmailNotValidError, UnicodeError):
        raise ValidationError(EMAIL) from None


YES = "yes"
VOICEMAIL_NO, VOICEMAIL_YES = "no", "name_and_number"
WHOLE = "form"
"""The key of a problem that belongs to no single question."""
LISTS = frozenset({"channels", "windows"})
TOKEN, TRAP = "token", "website"
"""What travels with the answers. No person sees the trap; whoever fills it is marked, never refused."""
ZONE_NAMES = {
    option.zone: names_of_zone(option.zone).option for region in REGIONS for option in options_of(region)
}
"""Every zone that a split state asks about, and its common name (message id)."""

CHANNELS = N_("Tick at least one way for us to contact you.")
VOICEMAIL = N_("Choose “No” or “Yes” for voicemail.")
WINDOWS = N_("Tick when we may contact you: any time we are open, or at least one of the times.")
REGION = N_("Choose your state from the list.")
TIME_ZONE = N_("Choose your time zone, or leave it empty.")
ASKING_FOR = N_("Choose one of the answers, or leave it empty.")
ADULT = N_("Tick this box if you are 18 or older. If you are younger, we have other help for you.")
CONSENT_USE = N_("Tick this box to let us use what you typed. Without it we may not contact you.")
TELL_ARTICLE = N_("Tick this box, or leave it empty.")
ONCE = N_("Please give one answer here.")
NOT_ASKED = N_("Something was sent that we do not ask for. Please check your answers and send again.")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What somebody asks of us, checked and in one form: phone in E.164, email in small letters.

    `article` is the title of the article they came from, and None where they did not tell or the page
    did not know; `time_zone` is None where the state has one only, or they gave no answer.
    """

    preferred_name: str
    channels: frozenset[Channel]
    phone: str | None
    email: str | None
    voicemail: bool
    windows: frozenset[Window]
    region: str
    time_zone: str | None
    asking_for: AskingFor | None
    tell_article: bool
    language: str
    article: str | None
    token: FormToken
    suspected: Suspicion | None

    def canonical(self) -> dict[str, Any]:
        """The answers alone, always written the same way: what tells a repeat from a correction."""
        answers = {name: getattr(self, name) for name in _ANSWERS}
        return {name: sorted(value) if name in LISTS else value for name, value in answers.items()}

    def __repr__(self) -> str:
        return "<Request, sealed>"


_ANSWERS = tuple(name for name in Request.__dataclass_fields__ if name not in ("token", "suspected"))


def read_form(
    answers: Mapping[str, Sequence[str]],
    *,
    token: FormToken,
    clinic: Clinic,
    now: datetime,
    crowded: bool = False,
) -> Request:
    """The request in a form's answers, each a list as the form sent it. `token` was read before.

    `crowded`: more came from that place lately than one place sends; that only marks. Raises
    Unprocessable with the sentences for each question that has to be answered anew.
    """
    asked = {key: list(values) for key, values in answers.items() if key not in (TOKEN, TRAP)}
    found = _checked(asked)
    return Request(
        preferred_name=found["preferred_name"],
        channels=found["channels"],
        phone=found.get("phone"),
        email=found.get("email"),
        voicemail=found["voicemail"] == VOICEMAIL_YES,
        windows=found["windows"],
        region=found["region"],
        time_zone=_zone_in(found["region"], found["time_zone"]),
        asking_for=AskingFor(found["asking_for"]) if found["asking_for"] else None,
        tell_article=bool(found["tell_article"]),
        language=token.language,
        article=_article(clinic, token) if found["tell_article"] else None,
        token=token,
        suspected=_suspected(answers, token, now, crowded=crowded),
    )


def _checked(asked: Mapping[str, list[str]]) -> dict[str, Any]:
    twice = {key: [ONCE] for key, values in asked.items() if key not in LISTS and len(values) > 1}
    single = {key: values if key in LISTS else next(iter(values), "") for key, values in asked.items()}
    try:
        found: dict[str, Any] = _Form().load(single)
    except ValidationError as wrong:
        raise Unprocessable(_in_order(wrong.messages_dict | twice)) from None
    if twice:
        raise Unprocessable(_in_order(twice))
    return found


def _in_order(messages: Mapping[str, Any]) -> dict[str, list[str]]:
    """In the order of the page. A name that we did not ask for is not repeated to anybody."""
    known = {name: list(messages[name]) for name in _Form.questions() if name in messages}
    return known if len(known) == len(messages) else {**known, WHOLE: [NOT_ASKED]}


def _zone_in(region: str, zone: str) -> str | None:
    """`zone`, or the zone of `region` that goes by its name; None for one left over from another state."""
    own = {option.zone: option.zone for option in options_of(region)}
    by_name = {option.name: option.zone for option in options_of(region)}
    return own.get(zone) or by_name.get(ZONE_NAMES.get(zone, ""))


def _article(clinic: Clinic, token: FormToken) -> str | None:
    place = place_of(token.article, clinic)
    return clinic.articles[place].title if place is not None else None


def place_of(number: str | None, clinic: Clinic) -> int | None:
    """Where in the pair the article with this public number ("1", "2") stands; None for any other."""
    numbers = [str(place + 1) for place in range(len(clinic.articles))]
    return numbers.index(number) if number in numbers else None


def _suspected(
    answers: Mapping[str, Sequence[str]], token: FormToken, now: datetime, *, crowded: bool
) -> Suspicion | None:
    if any(answers.get(TRAP, ())):
        return Suspicion.HONEYPOT
    return Suspicion.TOO_FAST if crowded or token.too_fast(now) else None


def _question(read: Callable[[Any], Any], wanted: str, **more: Any) -> Any:
    """One question: how its answer is read, and what to do where there is none."""
    said: dict[str, Any] = {"required": wanted, "null": wanted, "validator_failed": wanted}
    return fields.Function(deserialize=read, required="load_default" not in more, error_messages=said, **more)


def _one_of(values: Collection[str], wanted: str, **more: Any) -> Any:
    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in values:
            raise ValidationError(wanted)
        return value

    return _question(read, wanted, **more)


def _some_of(kind: type[StrEnum], wanted: str) -> Any:
    def read(values: Any) -> frozenset[StrEnum]:
        known = {each.value: each for each in kind}
        if not isinstance(values, list) or not values or any(each not in known for each in values):
            raise ValidationError(wanted)
        if len(set(values)) < len(values):
            raise ValidationError(ONCE)
        chosen = frozenset(known[each] for each in values)
        return frozenset({Window.ANY}) if Window.ANY in chosen else chosen

    return _question(read, wanted)


class _Form(Schema):
    """The questions in the order of the page."""

    class Meta:
        unknown = RAISE

    error_messages = {"unknown": NOT_ASKED, "type": NOT_ASKED}  # noqa: RUF012  marshmallow reads it per class

    preferred_name = _question(clean_name, NAME)
    channels = _some_of(Channel, CHANNELS)
    voicemail = _one_of((VOICEMAIL_NO, VOICEMAIL_YES), VOICEMAIL, load_default=VOICEMAIL_NO)
    phone = _question(clean_phone, PHONE, load_default=None)
    email = _question(clean_email, EMAIL, load_default=None)
    windows = _some_of(Window, WINDOWS)
    region = _one_of(REGIONS, REGION)
    time_zone = _one_of(("", *ZONE_NAMES), TIME_ZONE, load_default="")
    asking_for = _one_of(("", *AskingFor), ASKING_FOR, load_default="")
    adult = _one_of((YES,), ADULT)
    consent_use = _one_of((YES,), CONSENT_USE)
    tell_article = _one_of(("", YES), TELL_ARTICLE, load_default="")

    @classmethod
    def questions(cls) -> tuple[str, ...]:
        """The names of the questions, from top to bottom."""
        return tuple(cls._declared_fields)

    @pre_load
    def only_what_is_ticked(self, asked: dict[str, Any], **_: Any) -> dict[str, Any]:
        """A detail whose tick is empty is not looked at: its box may hold an old answer."""
        ticked = asked.get("channels") or ()
        details = {
            "phone": Channel.CALL in ticked or Channel.TEXT in ticked,
            "email": Channel.EMAIL in ticked,
        }
        kept = {key: value for key, value in asked.items() if details.get(key, True)}
        if Channel.CALL not in ticked:
            kept.pop("voicemail", None)
        return kept | {key: asked.get(key, "") for key, wanted in details.items() if wanted}
