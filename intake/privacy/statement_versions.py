"""All versions of the consent statements, with the number of existing leads whose consent each one covers."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from intake.consent.models import ConsentEvent, ConsentStatement, Kind, State
from intake.consent.statements import Statement, Statements
from intake.core.i18n import LANGUAGES
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


def statement_histories(session: Session, statements: Statements) -> list[StatementHistory]:
    """The history of every statement in every language, from the statement files and the database.

    A version that is only in the database was shown earlier: its file has been removed, or a value of the
    clinic configuration in its text has changed since.
    """
    since: dict[str, datetime] = dict(
        session.execute(
            select(ConsentEvent.statement, func.min(ConsentEvent.at)).group_by(ConsentEvent.statement)
        ).all()
    )
    consenting_leads = _consenting_leads(session)
    texts: dict[str, Statement | ConsentStatement] = {each.digest: each for each in statements.every}
    texts |= {each.digest: each for each in session.scalars(select(ConsentStatement))}
    found = []
    for kind, language in product(Kind, LANGUAGES):
        in_force = statements.in_force(language)[kind].digest
        versions = [
            StatementVersion(
                kind=kind,
                version=each.version,
                language=language,
                digest=digest,
                body=each.body,
                in_force=digest == in_force,
                since=since.get(digest),
                consenting_leads=consenting_leads[digest],
            )
            for digest, each in texts.items()
            if (each.kind, each.language) == (kind, language)
        ]
        versions.sort(
            key=lambda each: (each.in_force, each.version, each.since.timestamp() if each.since else 0.0),
            reverse=True,
        )
        found.append(StatementHistory(kind, language, versions))
    return found


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
