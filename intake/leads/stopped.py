"""The do-not-contact list as a list: when, why, by whom, and whether it was lifted; never who it is."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypedDict

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from intake.audit.log import Spot
from intake.leads.models import Suppression, SuppressionReason

PAGE = 50


class Standing(StrEnum):
    """Which entries are asked for."""

    LIVE = "live"
    LIFTED = "lifted"


class Asked(TypedDict):
    """Which entries are asked for; None: whichever."""

    standing: Standing | None
    reason: SuppressionReason | None


@dataclass(frozen=True)
class Entry:
    """One entry. `by` is None when the person did it, or the service for them."""

    at: datetime
    reason: SuppressionReason
    by: uuid.UUID | None
    lifted_at: datetime | None


@dataclass(frozen=True)
class Entries:
    """One page of the list; `after` leads to the next. `live` counts all that hold now."""

    entries: Sequence[Entry]
    after: Spot | None
    live: int


def page(
    session: Session,
    *,
    standing: Standing | None = None,
    reason: SuppressionReason | None = None,
    after: Spot | None = None,
) -> Entries:
    """Up to 50 entries, newest first. The keyed hash of the number or address is not even read."""
    columns = (Suppression.id, Suppression.at, Suppression.reason, Suppression.by, Suppression.lifted_at)
    wanted = select(*columns).order_by(Suppression.at.desc(), Suppression.id.desc()).limit(PAGE + 1)
    if standing:
        lifted = Suppression.lifted_at.is_not(None)
        wanted = wanted.where(lifted if standing is Standing.LIFTED else ~lifted)
    if reason:
        wanted = wanted.where(Suppression.reason == reason)
    if after:
        wanted = wanted.where(after.before(Suppression.at, Suppression.id))
    rows = session.execute(wanted).all()
    last = rows[PAGE - 1] if len(rows) > PAGE else None
    live = session.scalar(
        select(func.count()).select_from(Suppression).where(Suppression.lifted_at.is_(None))
    )
    entries = [Entry(row.at, row.reason, row.by, row.lifted_at) for row in rows[:PAGE]]
    return Entries(entries, Spot(last.at, last.id) if last else None, live or 0)
