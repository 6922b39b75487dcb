"""The form's token: signed, cookieless, one per page (decisions.md 2).

It is the idempotency key, the time trap and the memory of which words were on the page, in one.
Nobody can make one without our keys; one that was stolen tells nothing and finds nothing.
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
HUMAN_SECONDS = 3
"""Nobody reads the page, answers and sends in less."""
_DIGEST = 16
_LONGEST = 1024
_AHEAD = timedelta(minutes=5)


class TokenError(Unprocessable):
    """The page has to come back with a fresh token; every word stays."""

    def __init__(self) -> None:
        super().__init__({})


class Forged(TokenError):
    """Not ours, damaged, or missing."""

    sentence = N_("Nothing is lost. Please check what you typed, and send it once more.")


class Stale(TokenError):
    """Ours, but older than we remember what was sent. `token` is what it said."""

    sentence = N_("This page was open for a long time. Please check what you typed, and send it once more.")

    def __init__(self, token: "FormToken") -> None:
        self.token = token
        super().__init__()


class StatementsChanged(TokenError):
    """Our words are not the ones that were shown: what was ticked was ticked for other words."""

    sentence = N_(
        "The words that you agree to have changed. Please read them, tick again what is right for you, "
        "and send it once more."
    )

    def __init__(self, token: "FormToken") -> None:
        self.token = token
        super().__init__()


@dataclass(frozen=True)
class FormToken:
    """What one page remembers. `follows`: the hash of the used token whose request this one corrects.

    `again`: the person has been through this page before, so how fast they send says nothing.
    """

    nonce: str
    issued_at: datetime
    language: str
    statements: str
    article: str | None = None
    follows: str | None = None
    again: bool = False

    def too_fast(self, now: datetime) -> bool:
        """Whether the page came back sooner than a person can fill it."""
        return not self.again and now - self.issued_at < timedelta(seconds=HUMAN_SECONDS)

    def showing(self, language: str, statements: Statements) -> Self:
        """The token for the same page with the words of now in `language`."""
        return replace(self, language=language, statements=shown(statements, language))

    def once_more(self, **changes: Any) -> Self:
        """The token for the same page shown again."""
        return replace(self, again=True, **changes)


def new_token(
    *, language: str, statements: Statements, now: datetime, article: str | None = None
) -> FormToken:
    """A token for a page nobody has seen yet."""
    return FormToken(
        nonce=crypto.token(),
        issued_at=now.replace(microsecond=0),
        language=language,
        statements=shown(statements, language),
        article=article,
    )


def shown(statements: Statements, language: str) -> str:
    """A short digest of all the words that a page in `language` shows now."""
    digests = sorted(statements.digests(language).items())
    return crypto.digest("\n".join(f"{kind} {each}" for kind, each in digests))[:_DIGEST]


def sign(token: FormToken, *, keyring: Keyring) -> str:
    """The token as the page carries it."""
    words: dict[str, Any] = {
        "n": token.nonce,
        "t": int(token.issued_at.timestamp()),
        "l": token.language,
        "s": token.statements,
    }
    if token.article:
        words["a"] = token.article
    if token.follows:
        words["f"] = token.follows
    if token.again:
        words["g"] = 1
    return str(_serializer(keyring.app_secrets(PURPOSE)).dumps(words))


def read(
    written: str,
    *,
    language: str,
    statements: Statements,
    keyring: Keyring,
    retention: Retention,
    now: datetime,
) -> FormToken:
    """The token of a page that was sent. Raises Forged, Stale or StatementsChanged (all 422)."""
    token = peek(written, keyring=keyring)
    age = now - token.issued_at
    if age > timedelta(days=retention.submission_days) or age < -_AHEAD:
        raise Stale(token)
    if (token.language, token.statements) != (language, shown(statements, language)):
        raise StatementsChanged(token)
    return token


def peek(written: str, *, keyring: Keyring) -> FormToken:
    """The token whatever its age and its words, for a page that only changes its language. Raises Forged."""
    try:
        if len(written) > _LONGEST:
            raise Forged
        return _told(_serializer(keyring.app_secrets(PURPOSE)).loads(written))
    except (BadData, KeyError, TypeError, ValueError, OverflowError):
        raise Forged from None


def _told(words: Any) -> FormToken:
    """We signed it, so its shape is ours; an older version of ours may have had another."""
    if words["l"] not in LANGUAGES:
        raise ValueError
    return FormToken(
        nonce=str(words["n"]),
        issued_at=datetime.fromtimestamp(words["t"], UTC),
        language=words["l"],
        statements=str(words["s"]),
        article=words.get("a"),
        follows=words.get("f"),
        again=bool(words.get("g")),
    )


def _serializer(secrets: Sequence[bytes]) -> URLSafeSerializer:
    signer = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
    return URLSafeSerializer(list(secrets), salt=PURPOSE, signer_kwargs=signer)
