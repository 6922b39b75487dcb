"""All versions of the consent statements, with the number of existing leads whose consent each one covers."""

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
class StatementVersion:
    """One version of a statement. `since`: time of the first answer to it, None without any.

    `consenting_leads`: how many existing leads have a consent to it that is not withdrawn.
    """

    kind: Kind
    version: int
    language: str
    digest: str
    body: str
    in_force: bool
    since: datetime | None
    consenting_leads: int


@dataclass(frozen=True)
class StatementHistory:
    """The versions of one statement in one language, newest first; the first is in force."""

    kind: Kind
    language: str
    versions: Sequence[StatementVersion]

    @property
    def name(self) -> str:
        """An id for the section of the page."""
        return f"{self.kind}-{self.language}"


def statement_histories(
    session: Session, *, statements: Statements, languages: Iterable[str]
) -> list[StatementHistory]:
    """The history of every statement in every language, from the statement files and the database.

    A version that is only in the database was shown earlier: its file has been removed, or a value of the
    clinic configuration in its text has changed since.
    """
    consenting_leads, since = _consenting_leads(session), _first_answers(session)
    bodies = _bodies(session, statements)
    found = []
    for kind in Kind:
        for language in languages:
            in_force = statements.in_force(language)[kind].digest
            versions = [
                StatementVersion(
                    kind,
                    version,
                    language,
                    digest,
                    body,
                    digest == in_force,
                    since.get(digest),
                    consenting_leads[digest],
                )
                for digest, (its_kind, version, its_language, body) in bodies.items()
                if (its_kind, its_language) == (kind, language)
            ]
            found.append(StatementHistory(kind, language, sorted(versions, key=_sort_key, reverse=True)))
    return found


def _sort_key(version: StatementVersion) -> tuple[bool, int, float]:
    """Order by: in force, version, first use."""
    return version.in_force, version.version, version.since.timestamp() if version.since else 0.0


def _bodies(session: Session, statements: Statements) -> dict[str, tuple[Kind, int, str, str]]:
    in_files = {each.digest: (each.kind, each.version, each.language, each.body) for each in statements.every}
    stored = session.scalars(select(ConsentStatement))
    return in_files | {each.digest: (each.kind, each.version, each.language, each.body) for each in stored}


def _first_answers(session: Session) -> Mapping[str, datetime]:
    first = select(ConsentEvent.statement, func.min(ConsentEvent.at)).group_by(ConsentEvent.statement)
    return dict(session.execute(first).all())


def _consenting_leads(session: Session) -> Counter[str]:
    """Consents by statement digest. The newest answer of a lead counts; of two at one time, a withdrawal."""
    newest = (
        select(
            ConsentEvent.statement,
            ConsentEvent.state,
            func.row_number()
            .over(
                partition_by=(ConsentEvent.lead_id, ConsentEvent.kind),
                order_by=(ConsentEvent.at.desc(), (ConsentEvent.state == State.WITHDRAWN).desc()),
            )
            .label("rank"),
        )
        .join(Lead, Lead.id == ConsentEvent.lead_id)
        .subquery()
    )
    given = select(newest.c.statement, func.count()).where(newest.c.rank == 1, newest.c.state == State.GIVEN)
    return Counter(dict(session.execute(given.group_by(newest.c.statement)).all()))
