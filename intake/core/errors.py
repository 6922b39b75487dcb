"""The expected failures: each carries its HTTP status and a sentence that may be shown to anybody.

    IntakeError
    ├── SettingsError          the service may not start; lists every problem, never a value
    ├── Unreadable       400   we cannot make sense of what was sent
    ├── NotSignedIn      401   sign in first
    ├── NotAllowed       403   this account may not do that
    ├── NotFound         404   nothing here, or nothing of yours (the same answer)
    ├── Refused          409   understood, but not now: the sentence says why
    ├── Unprocessable    422   something to put right; `problems` names the fields
    ├── TooMany          429   too often; never used to turn a person asking away
    └── Unavailable      503   something of ours is down

One handler per door renders them (law 4): a page, a problem document, or one line on stderr.
Sentences are English message ids; the door translates them.
"""

from collections.abc import Mapping, Sequence


class IntakeError(Exception):
    """An expected failure: `status` for the web, `sentence` for people, `code` for machines."""

    status = 500
    sentence = "Something on our side is not working."

    def __init__(self, sentence: str | None = None) -> None:
        self.sentence = sentence or type(self).sentence
        super().__init__(self.sentence)

    @property
    def code(self) -> str:
        """The machine's name for this failure, like `NotFound`."""
        return type(self).__name__


class SettingsError(IntakeError):
    """The service may not start. Names every wrong setting or key at once, never a value."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


class Unreadable(IntakeError):
    """What was sent could not be understood at all."""

    status = 400
    sentence = "We could not read what was sent."


class NotSignedIn(IntakeError):
    """The page needs a signed-in staff member."""

    status = 401
    sentence = "Sign in first."


class NotAllowed(IntakeError):
    """The account lacks the permission, or the request did not come from our own page."""

    status = 403
    sentence = "Your account may not do this."


class NotFound(IntakeError):
    """Nothing there, or nothing this account may see: the same answer for both."""

    status = 404
    sentence = "There is no such page here."


class Refused(IntakeError):
    """Understood, but it cannot be done as things stand; the sentence says why."""

    status = 409
    sentence = "That cannot be done now."


class Unprocessable(IntakeError):
    """Something has to be put right. `problems` maps a field to its sentences (English ids)."""

    status = 422
    sentence = "Something needs to be put right."

    def __init__(self, problems: Mapping[str, Sequence[str]], sentence: str | None = None) -> None:
        self.problems = {field: tuple(sentences) for field, sentences in problems.items()}
        super().__init__(sentence)


class TooMany(IntakeError):
    """Too often from one place. `retry_after` is in seconds."""

    status = 429
    sentence = "That was too many tries. Wait a little, then try again."

    def __init__(self, retry_after: int = 60, sentence: str | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(sentence)


class Unavailable(IntakeError):
    """Something of ours is down; nothing was kept."""

    status = 503
    sentence = "Something on our side is not working."
