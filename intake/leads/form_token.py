"""The form token: a signed hidden field, one per rendered form, in place of a cookie.

It is the idempotency key of the submission, the clock of the time trap, and says which statements were on
the page (docs/decisions/0004-a-page-sent-twice.md). It cannot be made without our keys, and a stolen one
reveals nothing and opens nothing.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from itsdangerous import BadData, URLSafeSerializer

from intake.conf.clinic import Retention
from intake.consent.statements import Statements
from intake.core.errors import Unprocessable
from intake.core.i18n import LANGUAGES, N_
from intake.security import crypto
from intake.security.crypto import Keyring

PURPOSE = "form-token"
MIN_FILL_SECONDS = 3
"""A form sent sooner was not read and filled in by a person."""
_MAX_LENGTH = 1024
_CLOCK_SKEW = timedelta(minutes=5)


class TokenError(Unprocessable):
    """The token is refused (422): the page is rendered again with a new token and all answers kept."""

    def __init__(self) -> None:
        super().__init__({})


class InvalidToken(TokenError):
    """The token is missing, damaged, or not signed by us."""

    sentence = N_("Nothing is lost. Please check what you typed, and send it once more.")


class ExpiredToken(TokenError):
    """The token is older than used tokens are remembered (`submission_days`). `token` is its content."""

    sentence = N_("This page was open for a long time. Please check what you typed, and send it once more.")

    def __init__(self, token: "FormToken") -> None:
        self.token = token
        super().__init__()


class StatementsChanged(TokenError):
    """The statements in force are not those on the page: the ticks belong to another wording."""

    sentence = N_(
        "The words that you agree to have changed. Please read them, tick again what is right for you, "
        "and send it once more."
    )

    def __init__(self, token: "FormToken") -> None:
        self.token = token
        super().__init__()


@dataclass(frozen=True)
class FormToken:
    """Content of a form token. `statements`: their digest on the page; `article`: its public number.

    `follows`: hash of the used token whose request this one corrects. `redisplayed`: the form was shown
    again with its answers, so that the time taken to send it says nothing.
    """

    nonce: str
    issued_at: datetime
    language: str
    statements: str
    article: str | None = None
    follows: str | None = None
    redisplayed: bool = False

    def too_fast(self, now: datetime) -> bool:
        """Whether the form was sent sooner than a person can fill it in."""
        return not self.redisplayed and now - self.issued_at < timedelta(seconds=MIN_FILL_SECONDS)

    def with_statements(self, language: str, statements: Statements) -> Self:
        """A copy for the same page with the statements in force in `language`."""
        return replace(self, language=language, statements=statements.page_digest(language))

    def for_redisplay(self, **changes: Any) -> Self:
        """A copy, with `changes`, for the same page shown again."""
        return replace(self, redisplayed=True, **changes)


def new_token(
    *, language: str, statements: Statements, now: datetime, article: str | None = None
) -> FormToken:
    """A token for a new form."""
    return FormToken(
        nonce=crypto.token(),
        issued_at=now.replace(microsecond=0),
        language=language,
        statements=statements.page_digest(language),
        article=article,
    )


def sign(token: FormToken, *, keyring: Keyring) -> str:
    """The signed token, as text for the hidden field."""
    payload: dict[str, Any] = {
        "n": token.nonce,
        "t": int(token.issued_at.timestamp()),
        "l": token.language,
        "s": token.statements,
    }
    if token.article:
        payload["a"] = token.article
    if token.follows:
        payload["f"] = token.follows
    if token.redisplayed:
        payload["g"] = 1
    return str(_serializer(keyring.app_secrets(PURPOSE)).dumps(payload))


def validate(
    text: str,
    *,
    language: str,
    statements: Statements,
    keyring: Keyring,
    retention: Retention,
    now: datetime,
) -> FormToken:
    """The token of a form that was sent. Raises InvalidToken, ExpiredToken or StatementsChanged (all 422)."""
    token = unsign(text, keyring=keyring)
    age = now - token.issued_at
    if age > timedelta(days=retention.submission_days) or age < -_CLOCK_SKEW:
        raise ExpiredToken(token)
    if (token.language, token.statements) != (language, statements.page_digest(language)):
        raise StatementsChanged(token)
    return token


def unsign(text: str, *, keyring: Keyring) -> FormToken:
    """The token with its signature verified, but not its age and statements. Raises InvalidToken."""
    try:
        if len(text) > _MAX_LENGTH:
            raise InvalidToken
        return _from_payload(_serializer(keyring.app_secrets(PURPOSE)).loads(text))
    except (BadData, KeyError, TypeError, ValueError, OverflowError):
        raise InvalidToken from None


def _from_payload(payload: Any) -> FormToken:
    """The token of a verified payload. Raises KeyError or ValueError on the shape of another release."""
    if payload["l"] not in LANGUAGES:
        raise ValueError
    return FormToken(
        nonce=str(payload["n"]),
        issued_at=datetime.fromtimestamp(payload["t"], UTC),
        language=payload["l"],
        statements=str(payload["s"]),
        article=payload.get("a"),
        follows=payload.get("f"),
        redisplayed=bool(payload.get("g")),
    )


def _serializer(secrets: Sequence[bytes]) -> URLSafeSerializer:
    signer = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
    return URLSafeSerializer(list(secrets), salt=PURPOSE, signer_kwargs=signer)
