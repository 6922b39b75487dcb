"""Names, phone numbers and addresses as people type them: read, normalised, or refused with what to type.

Letters that nobody sees (format characters, variation selectors, fillers) come with copied text; they are
left out. Whether a number is assigned or an address exists is not checked, and no DNS query is made.
"""

import re
import unicodedata
from urllib.parse import unquote

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from marshmallow import ValidationError
from phonenumbers import (
    NumberParseException,
    PhoneNumber,
    PhoneNumberFormat,
    PhoneNumberType,
    ValidationResult,
)
from phonenumbers.shortnumberinfo import connects_to_emergency_number, is_valid_short_number

from intake.core.i18n import N_

COUNTRY = "US"
"""The region of a phone number without a country code: the form only asks for states of the USA."""
SHORT_NUMBER_DIGITS = 3
"""A number of so few digits is a service or emergency number."""
LONGEST_NAME, LONGEST_PHONE, LONGEST_EMAIL = 80, 60, 254

NAME = N_("Type the name you would like us to use. A first name is enough.")
NAME_IS_LONG = N_("Type a shorter name: 80 letters at most.")
NAME_ONE_LINE = N_("Type the name as plain letters on one line.")
PHONE = N_("Type your phone number with the area code, like 305 555 0199.")
PHONE_LETTERS = N_("Type your phone number in figures, without letters, like 305 555 0199.")
PHONE_TWO = N_("Type one phone number only: the one that is best for you.")
PHONE_LONG = N_("This number has too many figures. Type it with the area code, like 305 555 0199.")
PHONE_PREFIX = N_(
    "We do not know this country code. For a number outside the United States type + and its code first."
)
PHONE_IMPOSSIBLE = N_(
    "There is no such number: area codes, and the three figures after them, begin with 2 to 9."
)
PHONE_PREMIUM = N_("Type a number that costs nothing extra to call. This one charges whoever calls it.")
PHONE_OURS = N_("Type your own phone number. This one is ours, or that of a help line.")
PHONE_EXTENSION = N_("Type a number that rings at your place. We cannot dial an extension.")
PHONE_SHORT = N_("Type your own phone number with the area code. We cannot call a short or emergency number.")
EMAIL = N_("Type your email address, like name@example.org.")

_NOT_FOR_NAMES = {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"
_FILLERS = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0"
_MAX_STACKED_MARKS = 4
"""No language writes more combining marks than these on one letter."""
_REPLACEMENT_CHARACTER = "\ufffd"
"""What a decoder puts in place of bytes that are no UTF-8."""
_NANP = re.compile(r"[2-9]\d\d[2-9]\d{6}")
"""A number of the North American plan: area code and exchange begin with 2 to 9 (47 CFR 52, NANPA)."""
_NANP_PREMIUM = re.compile(r"900\d{7}|\d{3}976\d{4}")
_PREMIUM = (PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST)
_TWO_NUMBERS = re.compile(r"(?:\D*\d){7,}\s*(?:[/;,|&\n]|\b(?:or|and|o|y|e|u)\b)(?:\D*\d){7,}", re.IGNORECASE)
_LINK = re.compile(r"^\W*(?:tel|sms|callto|phone|whatsapp)\s*:\s*(?://)?", re.IGNORECASE)
_OLD_MEXICAN = re.compile(r"^(?:1|01|044|045)(?=\d{10}$)")
"""What WhatsApp and old habit put before a Mexican mobile number; it is not dialled any more."""
_TYPOGRAPHIC = str.maketrans(
    dict.fromkeys("\u2018\u2019\u02bc\uff07", "'")
    | dict.fromkeys("\u2010\u2011\uff0d", "-")
    | {"\uff0e": ".", "\uff20": "@"}
)
_PARSE_FAILURES = {
    NumberParseException.INVALID_COUNTRY_CODE: PHONE_PREFIX,
    NumberParseException.TOO_LONG: PHONE_LONG,
}


def visible(value: object, kept: str = "") -> str:
    """`value` trimmed and without the letters that nobody sees, except those in `kept`; "" for no text."""
    text = value if isinstance(value, str) else ""
    return "".join(
        each
        for each in text
        if each in kept
        or not (unicodedata.category(each) == "Cf" or each in _FILLERS or "\ufe00" <= each <= "\ufe0f")
    ).strip()


def clean_name(value: object) -> str:
    """A name in any script, normalised (NFC) and trimmed. Raises ValidationError with what to type.

    Of the format characters only the joiners stay, which some scripts need.
    """
    found = unicodedata.normalize("NFC", visible(value, kept=_JOINERS))
    marks = 0
    for each in found:
        category = unicodedata.category(each)
        marks = marks + 1 if category == "Mn" else 0
        if each == _REPLACEMENT_CHARACTER or category in _NOT_FOR_NAMES or marks > _MAX_STACKED_MARKS:
            raise ValidationError(NAME_ONE_LINE)
    if not any(map(str.isalnum, found)):
        raise ValidationError(NAME)
    if len(found) > LONGEST_NAME:
        raise ValidationError(NAME_IS_LONG)
    return found


def clean_phone(value: object) -> str:
    """A phone number in E.164. Raises ValidationError with what to type.

    A possible number is enough: one with a valid length and area code that no plan rules out.
    """
    typed = _LINK.sub("", unicodedata.normalize("NFKC", visible(value)))
    number = _parse_phone(re.sub(r"^\W*00(?=\d)", "+", typed) if "+" not in typed else typed)
    if number.country_code == 52:  # noqa: PLR2004  Mexico
        number.national_number = int(_OLD_MEXICAN.sub("", str(number.national_number)))
    national, possible = str(number.national_number), phonenumbers.is_possible_number_with_reason(number)
    is_possible, in_nanp = possible == ValidationResult.IS_POSSIBLE, number.country_code == 1
    # a short number like 911 or 988 is told from a number without its area code
    is_short = len(national) <= SHORT_NUMBER_DIGITS or (is_possible and is_valid_short_number(number))
    is_premium = phonenumbers.number_type(number) in _PREMIUM
    for sentence, applies in (
        (PHONE_SHORT, is_short or connects_to_emergency_number(typed, COUNTRY)),
        (PHONE_LONG, possible == ValidationResult.TOO_LONG),
        (PHONE, not is_possible),
        (PHONE_IMPOSSIBLE, in_nanp and not _NANP.fullmatch(national)),
        (PHONE_PREMIUM, is_premium or (in_nanp and _NANP_PREMIUM.fullmatch(national))),
    ):
        if applies:
            raise ValidationError(sentence)
    return str(phonenumbers.format_number(number, PhoneNumberFormat.E164))


def _parse_phone(typed: str) -> PhoneNumber:
    """The one number in `typed`. Raises ValidationError."""
    if len(typed) > LONGEST_PHONE:
        raise ValidationError(PHONE_LONG)
    if _TWO_NUMBERS.search(typed):
        raise ValidationError(PHONE_TWO)
    has_letters = any(map(str.isalpha, typed))
    try:
        number = phonenumbers.parse(typed, COUNTRY)
    except NumberParseException as wrong:
        sentence = _PARSE_FAILURES.get(wrong.error_type, PHONE)
        raise ValidationError(PHONE_LETTERS if has_letters else sentence) from None
    if number.extension or has_letters:
        raise ValidationError(PHONE_EXTENSION if number.extension else PHONE_LETTERS)
    return number


def clean_email(value: object) -> str:
    """A valid email address in lower case. Raises ValidationError with what to type."""
    typed = visible(value).translate(_TYPOGRAPHIC)
    if typed.lower().startswith("mailto:"):
        typed = unquote(typed[len("mailto:") :].partition("?")[0])
    typed = typed.removeprefix("<").removesuffix(">").strip()
    if not 0 < len(typed) <= LONGEST_EMAIL:
        raise ValidationError(EMAIL)
    try:
        return str(validate_email(typed, check_deliverability=False).normalized).lower()
    except (EmailNotValidError, UnicodeError):
        raise ValidationError(EMAIL) from None
