"""How a name, a phone number and an email address are read from what somebody typed."""

import re
import unicodedata

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from marshmallow import ValidationError
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat, ValidationResult
from phonenumbers.shortnumberinfo import connects_to_emergency_number, is_valid_short_number

from intake.core.i18n import N_

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


def name(value: object) -> str:
    """A name in any script, normalised (NFC) and trimmed. Raises ValidationError with what to type."""
    found = _seen(unicodedata.normalize("NFC", value)).strip() if isinstance(value, str) else ""
    if not all(map(_belongs_in_a_name, found)) or _PILE.search(_marks(found)):
        raise ValidationError(NAME_ONE_LINE)
    if not any(letter.isalnum() for letter in found):
        raise ValidationError(NAME)
    if len(found) > LONGEST_NAME:
        raise ValidationError(NAME_IS_LONG)
    return found


def _seen(words: str) -> str:
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


def phone(value: object) -> str:
    """A number in E.164. Possible is enough, known to be assigned is not asked for (FX-09)."""
    written = unicodedata.normalize("NFKC", value).strip() if isinstance(value, str) else ""
    if not 0 < len(written) <= LONGEST_PHONE:
        raise ValidationError(PHONE)
    number = _parsed(written)
    if number.extension:
        raise ValidationError(PHONE_EXTENSION)
    if _is_short(written, number):
        raise ValidationError(PHONE_SHORT)
    if any(map(str.isalpha, written)) or not _possible(number):
        raise ValidationError(PHONE)
    return str(phonenumbers.format_number(number, PhoneNumberFormat.E164))


def _parsed(written: str) -> PhoneNumber:
    try:
        return phonenumbers.parse(written, COUNTRY)
    except NumberParseException:
        raise ValidationError(PHONE) from None


def _is_short(written: str, number: PhoneNumber) -> bool:
    """A number like 911 or 988; one that only lost its area code is not meant."""
    if len(str(number.national_number)) <= SHORT or connects_to_emergency_number(written, COUNTRY):
        return True
    return _possible(number) and bool(is_valid_short_number(number))


def _possible(number: PhoneNumber) -> bool:
    """With its area code: a number that only works within a town is not enough."""
    return bool(phonenumbers.is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE)


def email(value: object) -> str:
    """An address that can be written to, in small letters. Asks no name server."""
    written = value.strip() if isinstance(value, str) else ""
    if not 0 < len(written) <= LONGEST_EMAIL:
        raise ValidationError(EMAIL)
    try:
        return str(validate_email(written, check_deliverability=False).normalized).lower()
    except (EmailNotValidError, UnicodeError):
        raise ValidationError(EMAIL) from None
