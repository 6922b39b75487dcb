"""The form schema: validates and normalises a submission, whether the person or staff filled in the form.

A field that is not declared here is dropped, never kept nor counted (promise P2): browsers' add-ons put such
in. Every error message says what to type or tick. Names, numbers and addresses are read by `contact_values`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load

from intake.calling.hours import Window
from intake.calling.regions import REGIONS, names_of_zone, options_of
from intake.conf.clinic import Channel, Clinic
from intake.consent.models import Kind, State
from intake.core.errors import Unprocessable
from intake.core.i18n import N_
from intake.leads.contact_values import EMAIL, NAME, PHONE, PHONE_OURS, clean_email, clean_name, clean_phone
from intake.leads.fields import CHOICES
from intake.leads.form_token import FormToken
from intake.leads.models import Suspicion

YES = "yes"
VOICEMAIL_NO, VOICEMAIL_YES = "no", "name_and_number"
WHOLE_FORM = "form"
"""The key of an error that belongs to no single field."""
MULTI_VALUED = frozenset({"channels", "windows"})
TOKEN, HONEYPOT = "token", "website"
"""Fields sent with the answers. The honeypot is hidden; a filled one marks the lead and never refuses it."""
ZONE_NAMES = {
    option.zone: names_of_zone(option.zone).option for region in REGIONS for option in options_of(region)
}
"""The time zones asked about in states with more than one, with their common names (message ids)."""

CHANNELS = N_("Tick at least one way for us to contact you.")
VOICEMAIL = N_("Choose “No” or “Yes” for voicemail.")
WINDOWS = N_("Tick when we may contact you: any time we are open, or at least one of the times.")
REGION = N_("Choose your state from the list.")
TIME_ZONE = N_("Choose your time zone, or leave it empty.")
CHOICE = N_("Choose one of the answers, or leave it empty.")
ADULT = N_("Tick this box if you are 18 or older. If you are younger, we have other help for you.")
CONSENT_USE = N_("Tick this box to let us use what you typed. Without it we may not contact you.")
TELL_ARTICLE = N_("Tick this box, or leave it empty.")
ONE_ANSWER = N_("Please give one answer here.")


@dataclass(frozen=True, kw_only=True)
class Request:
    """A validated and normalised submission: phone in E.164, email in lower case.

    `article`: title of the article the person came from; None if not ticked or unknown to the page.
    `time_zone`: None where the state has only one, or without an answer. `choices`: the answered ones of the
    optional questions with a closed list (`fields.CHOICES`), by name.
    """

    preferred_name: str
    channels: frozenset[Channel]
    phone: str | None
    email: str | None
    voicemail: bool
    windows: frozenset[Window]
    region: str
    time_zone: str | None
    choices: Mapping[str, str]
    tell_article: bool
    language: str
    article: str | None
    token: FormToken
    suspected: Suspicion | None

    def canonical(self) -> dict[str, Any]:
        """The answers in a canonical form for JSON, to tell a repeated submission from a correction.

        A question that came later counts only if it is answered: a form that was sent before there was such
        a question is still the same when it comes again.
        """
        answers = {name: getattr(self, name) for name in _ANSWERS} | dict.fromkeys(CHOICES) | {**self.choices}
        answers = {name: value for name, value in answers.items() if value or name in _ALWAYS_COUNTED}
        return {name: sorted(value) if name in MULTI_VALUED else value for name, value in answers.items()}

    @cached_property
    def consents(self) -> dict[Kind, State]:
        """The answer to every statement that was shown; one that was not shown has none."""
        given = {Kind.USE: True, Kind.ADULT: True}
        given |= {Kind(channel.value): channel in self.channels for channel in Channel}
        if Channel.CALL in self.channels:
            given[Kind.VOICEMAIL] = self.voicemail
        if self.tell_article:
            given[Kind.ARTICLE] = True
        return {kind: State.GIVEN if yes else State.REFUSED for kind, yes in given.items()}

    def __repr__(self) -> str:
        return "<Request, sealed>"


_NO_ANSWERS = ("choices", "token", "suspected")
_ANSWERS = tuple(name for name in Request.__dataclass_fields__ if name not in _NO_ANSWERS)
_ALWAYS_COUNTED = {
    *("preferred_name", "channels", "phone", "email", "voicemail", "windows", "region", "time_zone"),
    *("asking_for", "tell_article", "language", "article"),
}
"""The questions of the first release. No name is ever added: stored digests count them without an answer."""


def read_form(
    answers: Mapping[str, Sequence[str]],
    *,
    token: FormToken,
    clinic: Clinic,
    now: datetime,
    over_limit: bool = False,
) -> Request:
    """Validate a form: `answers` has the list of values of each field, `token` is validated already.

    `over_limit`: the client address has sent more than the rate limit; that only marks the lead as
    suspected. Raises Unprocessable with the messages by field, in the order of the page.
    """
    found = _load({key: list(values) for key, values in answers.items() if key not in (TOKEN, HONEYPOT)})
    if found.get("phone") in clinic.own_numbers:
        raise Unprocessable({"phone": [PHONE_OURS]})
    suspected = None
    if any(answers.get(HONEYPOT, ())):
        suspected = Suspicion.HONEYPOT
    elif over_limit or token.too_fast(now):
        suspected = Suspicion.TOO_FAST
    return Request(
        preferred_name=found["preferred_name"],
        channels=found["channels"],
        phone=found.get("phone"),
        email=found.get("email"),
        voicemail=found["voicemail"] == VOICEMAIL_YES,
        windows=found["windows"],
        region=found["region"],
        time_zone=_time_zone(found["region"], found["time_zone"]),
        choices={name: found[name] for name in CHOICES if found[name]},
        tell_article=bool(found["tell_article"]),
        language=token.language,
        article=article_title(token.article, clinic) if found["tell_article"] else None,
        token=token,
        suspected=suspected,
    )


def _load(answers: Mapping[str, list[str]]) -> dict[str, Any]:
    """The values of the schema. Raises Unprocessable, also when a single-valued field was sent twice."""
    repeated = {
        key: [ONE_ANSWER]
        for key, values in answers.items()
        if key in _Form().fields and key not in MULTI_VALUED and len(values) > 1
    }
    single = {
        key: values if key in MULTI_VALUED else next(iter(values), "") for key, values in answers.items()
    }
    try:
        found: dict[str, Any] = _Form().load(single)
    except ValidationError as wrong:
        raise Unprocessable(_ordered_messages(wrong.messages_dict | repeated)) from None
    if repeated:
        raise Unprocessable(_ordered_messages(repeated))
    return found


def _ordered_messages(messages: Mapping[str, Any]) -> dict[str, list[str]]:
    """Messages by field in the order of the page."""
    return {name: list(messages[name]) for name in _Form().fields if name in messages}


def _time_zone(region: str, zone: str) -> str | None:
    """`zone`, or the zone of `region` with the same common name; None for a zone of another state."""
    own = {option.zone: option.zone for option in options_of(region)}
    by_name = {option.name: option.zone for option in options_of(region)}
    return own.get(zone) or by_name.get(ZONE_NAMES.get(zone, ""))


def article_title(number: str | None, clinic: Clinic) -> str | None:
    """The title of the article with this public number ("1", "2"); None for any other."""
    return {str(n): article.title for n, article in enumerate(clinic.articles, 1)}.get(number or "")


def _field(deserialize: Callable[[Any], Any], message: str, **options: Any) -> Any:
    """A field with one error message, required unless `load_default` is among `options`."""
    messages: dict[str, Any] = {"required": message, "null": message, "validator_failed": message}
    required = "load_default" not in options
    return fields.Function(deserialize=deserialize, required=required, error_messages=messages, **options)


def _one_of(values: Collection[str], message: str, **options: Any) -> Any:
    def deserialize(value: Any) -> str:
        if not isinstance(value, str) or value not in values:
            raise ValidationError(message)
        return value

    return _field(deserialize, message, **options)


def _some_of(kind: type[StrEnum], message: str) -> Any:
    def deserialize(values: Any) -> frozenset[StrEnum]:
        known = {each.value: each for each in kind}
        if not isinstance(values, list) or not values or any(each not in known for each in values):
            raise ValidationError(message)
        if len(set(values)) < len(values):
            raise ValidationError(ONE_ANSWER)
        chosen = frozenset(known[each] for each in values)
        return frozenset({Window.ANY}) if Window.ANY in chosen else chosen

    return _field(deserialize, message)


_Choices = Schema.from_dict(
    {name: _one_of(("", *each.words), CHOICE, load_default="") for name, each in CHOICES.items()}
)
"""The optional questions with a closed list, as they are declared."""


class _Form(_Choices):  # type: ignore[misc, valid-type]  # marshmallow makes it
    """The other fields in the order of the page."""

    class Meta:
        unknown = EXCLUDE

    preferred_name = _field(clean_name, NAME)
    channels = _some_of(Channel, CHANNELS)
    voicemail = _one_of((VOICEMAIL_NO, VOICEMAIL_YES), VOICEMAIL, load_default=VOICEMAIL_NO)
    phone = _field(clean_phone, PHONE, load_default=None)
    email = _field(clean_email, EMAIL, load_default=None)
    windows = _some_of(Window, WINDOWS)
    region = _one_of(REGIONS, REGION)
    time_zone = _one_of(("", *ZONE_NAMES), TIME_ZONE, load_default="")
    adult = _one_of((YES,), ADULT)
    consent_use = _one_of((YES,), CONSENT_USE)
    tell_article = _one_of(("", YES), TELL_ARTICLE, load_default="")

    @pre_load
    def drop_unticked(self, answers: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Drop the number, address and voicemail answer of channels that are not ticked: they may be old."""
        ticked = answers.get("channels") or ()
        needed = {
            "phone": Channel.CALL in ticked or Channel.TEXT in ticked,
            "email": Channel.EMAIL in ticked,
        }
        kept = {key: value for key, value in answers.items() if needed.get(key, True)}
        if Channel.CALL not in ticked:
            kept.pop("voicemail", None)
        return kept | {key: answers.get(key, "") for key, is_needed in needed.items() if is_needed}
