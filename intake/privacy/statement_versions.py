"""Every wording of every statement, and how many leads that still exist stand on each."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from intake.consent.models import ConsentEvent, ConsentStatement, Kind, State
from intake.consent.statements import Statements
from intake.leads.models import Lead


@dataclass(frozen=True)
class Wording:
    """One wording. `since` is when the first answer to it came in, None when nobody has answered it yet.

    `standing`: how many leads that still exist have said yes to it and not taken that back.
    """

    kind: Kind
    version: int
    language: str
    digest: str
    body: str
    in_force: bool
    since: datetime | None
    standing: int


@dataclass(frozen=True)
class History:
    """The wordings of one statement in one language, the newest first; the first is in force."""

    kind: Kind
    language: str
    wordings: Sequence[Wording]

    @property
    def name(self) -> str:
        """A name for a place on a page."""
        return f"{self.kind}-{self.language}"


def histories(session: Session, *, statements: Statements, languages: Iterable[str]) -> list[History]:
    """Every statement in every language with all its wordings, from the folder and from the database.

    A wording that is only in the database was shown once: its file is gone, or a value of the clinic that
    stands in it has changed since.
    """
    standing, since = _standing(session), _since(session)
    bodies = _bodies(session, statements)
    found = []
    for kind in Kind:
        for language in languages:
            now = statements.in_force(language)[kind].digest
            every = [
                Wording(
                    kind, version, language, digest, body, digest == now, since.get(digest), standing[digest]
                )
                for digest, (there, version, spoken, body) in bodies.items()
                if (there, spoken) == (kind, language)
            ]
            found.append(History(kind, language, sorted(every, key=_order, reverse=True)))
    return found


def _order(wording: Wording) -> tuple[bool, int, float]:
    """What is in force stands first, then by version, then by when it came into use."""
    return wording.in_force, wording.version, wording.since.timestamp() if wording.since else 0.0


def _bodies(session: Session, statements: Statements) -> dict[str, tuple[Kind, int, str, str]]:
    there = {each.digest: (each.kind, each.version, each.language, each.body) for each in statements.every}
    shown = session.scalars(select(ConsentStatement))
    return there | {each.digest: (each.kind, each.version, each.language, each.body) for each in shown}


def _since(session: Session) -> Mapping[str, datetime]:
    first = select(ConsentEvent.statement, func.min(ConsentEvent.at)).group_by(ConsentEvent.statement)
    return dict(session.execute(first).all())


def _standing(session: Session) -> Counter[str]:
    """Of each lead and kind the newest answer decides; at the same moment a withdrawal does."""
    newest = (
        select(
            ConsentEvent.statement,
            ConsentEvent.state,
            func.row_number()
            .over(
                partition_by=(ConsentEvent.lead_id, ConsentEvent.kind),
                order_by=(ConsentEvent.at.desc(), (ConsentEvent.state == State.WITHDRAWN).desc()),
            )
            .label("place"),
        )
        .join(Lead, Lead.id == ConsentEvent.lead_id)
        .subquery()
    )
    given = select(newest.c.statement, func.count()).where(newest.c.place == 1, newest.c.state == State.GIVEN)
    return Counter(dict(session.execute(given.group_by(newest.c.statement)).all()))
