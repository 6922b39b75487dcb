"""Expected failures: each carries its HTTP status and a public sentence.

    IntakeError
    ├── SettingsError          the service may not start; lists every problem, never a value
    ├── Unreadable       400   the request cannot be parsed
    ├── NotSignedIn      401   no active session
    ├── NotAllowed       403   the account lacks the permission
    ├── NotFound         404   does not exist, or may not be seen (the same answer)
    ├── Refused          409   not possible in the present state; the sentence says why
    ├── Unprocessable    422   invalid input; `problems` names the fields
    ├── TooMany          429   rate limit; never used to turn away a person asking for a call
    └── Unavailable      503   a part of the service is down

One handler per interface renders them: a page, a problem document, or one line on stderr. Sentences
are English message ids, which that handler translates.
"""

from collections.abc import Mapping, Sequence

from intake.core.i18n import N_


class IntakeError(Exception):
    """An expected failure: `status` for the web, `sentence` for people, `code` for machines."""

    status = 500
    sentence = N_("Something on our side is not working.")

    def __init__(self, sentence: str | None = None) -> None:
        self.sentence = sentence or type(self).sentence
        super().__init__(self.sentence)

    @property
    def code(self) -> str:
        """The name of the class, such as `NotFound`, for logs and machines."""
        return type(self).__name__


class SettingsError(IntakeError):
    """The service may not start. `problems` names every wrong setting or key, never a value."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


class Unreadable(IntakeError):
    """The request could not be parsed."""

    status = 400
    sentence = N_("We could not read what was sent.")


class NotSignedIn(IntakeError):
    """The request needs a signed-in staff member."""

    status = 401
    sentence = N_("Sign in first.")


class NotAllowed(IntakeError):
    """The account lacks the permission, or the request failed the CSRF check."""

    status = 403
    sentence = N_("Your account may not do this.")


class NotFound(IntakeError):
    """The object does not exist, or this account may not see it: the same answer for both."""

    status = 404
    sentence = N_("There is no such page here.")


class Refused(IntakeError):
    """The act is not possible in the present state; the sentence says why."""

    status = 409
    sentence = N_("That cannot be done now.")


class Unprocessable(IntakeError):
    """Invalid input. `problems` maps the name of a field to its sentences (message ids)."""

    status = 422
    sentence = N_("Something needs to be put right.")

    def __init__(self, problems: Mapping[str, Sequence[str]], sentence: str | None = None) -> None:
        self.problems = {field: tuple(sentences) for field, sentences in problems.items()}
        super().__init__(sentence)


class TooMany(IntakeError):
    """A rate limit was exceeded. `retry_after` is in seconds."""

    status = 429
    sentence = N_("That was too many tries. Wait a little, then try again.")

    def __init__(self, retry_after: int = 60, sentence: str | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(sentence)


class Unavailable(IntakeError):
    """A part of the service, such as the database, is down; nothing was stored."""

    status = 503
    sentence = N_("Something on our side is not working.")
