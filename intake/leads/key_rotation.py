"""Moving everything that a sealing key wraps to the newest one, while the service goes on (J6).

What there is to move is told by the columns' type, `Wrapped`: the keys of leads, the second factors of
staff, and whatever comes later. Each row changes only if it is still as it was read, so a row that is
erased or reset meanwhile stays so; killed at any row, the rest is done by the next run.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from sqlalchemy import Column, CursorResult, Select, func, select, update
from sqlalchemy.orm import Session

from intake import audit
from intake.accounts import models as staff
from intake.audit import Action, Actor, AuditEvent
from intake.audit.service import details_of
from intake.core.errors import Refused
from intake.db.engine import Base, Wrapped
from intake.instance import Instance
from intake.leads import models as leads
from intake.security.crypto import UNREADABLE, Keyring, Place, Unopenable, wrapped_start, wrapping_id

BATCH = 200
_NEEDED = (leads, staff)  # importing them names their tables

Progress = Callable[[int, int], None]
"""Called after each batch with how many rows are done and how many there are."""


class Cell(NamedTuple):
    """One column of wrapped secrets, with the primary key of its table."""

    row: "Column[uuid.UUID]"
    column: "Column[bytes]"

    def place(self, row: uuid.UUID) -> Place:
        """Where the secret of one row belongs."""
        return Place(self.column.table.name, self.column.name, row)


@dataclass(frozen=True)
class Rotated:
    """How a rotation ended: what was moved, what does not open, and the ids that nothing stands on now."""

    moved: int
    unopenable: int
    free: tuple[str, ...]


def cells() -> list[Cell]:
    """Every column that holds secrets under the keyring."""
    tables = Base.metadata.sorted_tables
    found = [(table, column) for table in tables for column in table.columns if _wrapped(column)]
    return [Cell(table.primary_key.columns.values()[0], column) for table, column in found]


def _wrapped(column: "Column[Any]") -> bool:
    return isinstance(column.type, Wrapped)


def rows_by_key(session: Session, keyring: Keyring) -> Mapping[str, int]:
    """How many rows stand on which key id; every id of the keyring is there, also with 0."""
    counts = dict.fromkeys(keyring.sealing_ids, 0)
    for cell in cells():
        for key_id in keyring.sealing_ids:
            counts[key_id] += _count(session, select(func.count()).where(_begins(cell, key_id)))
        for wrapped in session.scalars(_on_none_of(cell, keyring.sealing_ids)):
            counts[wrapping_id(wrapped)] = counts.get(wrapping_id(wrapped), 0) + 1
    return counts


def unopenable(session: Session, keyring: Keyring) -> tuple[int, int]:
    """How many secrets do not open with these keys, of how many; looks at every one of them."""
    opens = [
        _opens(keyring, wrapped, cell.place(row))
        for cell in cells()
        for row, wrapped in session.execute(select(cell.row, cell.column).execution_options(yield_per=BATCH))
    ]
    return opens.count(False), len(opens)


def rotate(instance: Instance, *, batch: int = BATCH, on_progress: Progress | None = None) -> Rotated:
    """Wrap everything anew under the first of INTAKE_SEALING_KEYS, `batch` rows to a transaction.

    Safe beside any number of processes that hold the same keys, and safe to repeat. Raises Refused when
    the keys stand in a wrong order, when one is missing, or when there is nothing to rotate to.
    """
    with instance.database.reading() as session:
        counts = rows_by_key(session, instance.keyring)
        _refuse_unfit(counts, _retired(session), instance.keyring.sealing_ids)
    newest, *older = instance.keyring.sealing_ids
    of, moved, failed = sum(counts.values()) - counts[newest], 0, 0
    if of:
        _note(instance, Action.KEYS_ROTATION_BEGUN, to=newest, **{"from": older})
    for ours, broken in _batches(instance, batch):
        moved, failed = moved + ours, failed + broken
        if on_progress:
            on_progress(moved + failed, of)
    if moved:
        _note(instance, Action.KEYS_ROTATED, to=newest, count=moved)
    with instance.database.reading() as session:
        left = rows_by_key(session, instance.keyring)
    return Rotated(moved, failed, tuple(key_id for key_id in older if not left[key_id]))


def _refuse_unfit(counts: Mapping[str, int], retired: set[str], ids: Sequence[str]) -> None:
    newest, *older = ids
    missing = sorted(set(counts) - {*ids, UNREADABLE})
    if missing:
        raise Refused(
            f"{sum(counts[each] for each in missing)} rows stand on {', '.join(missing)}, which "
            "INTAKE_SEALING_KEYS does not hold: put it back, behind the others, and start again."
        )
    if newest in retired:
        raise Refused(
            f"{newest} was rotated away from before and stands first in INTAKE_SEALING_KEYS: put the newest "
            "key in front. An id is never used for a second time."
        )
    if not older:
        raise Refused(
            f"{newest} is the only key of INTAKE_SEALING_KEYS: put a fresh one in front of it, from "
            "`intake keys new --only sealing_keys --id …`, and restart every process."
        )
    if 0 < counts[newest] == sum(counts.values()) and not retired.issuperset(older):
        raise Refused(
            f"Everything stands on {newest}, the first key, and nothing on {', '.join(older)}. A fresh key "
            "belongs in front of INTAKE_SEALING_KEYS, not behind; an old one may be removed."
        )


def _retired(session: Session) -> set[str]:
    """The ids that a rotation has already led away from."""
    begun = select(AuditEvent).where(AuditEvent.action == Action.KEYS_ROTATION_BEGUN.value)
    return {key_id for event in session.scalars(begun) for key_id in details_of(event).get("from", ())}


def _note(instance: Instance, action: Action, **more: audit.Detail) -> None:
    with instance.database.transaction() as session:
        audit.record(
            session,
            action,
            keyring=instance.keyring,
            at=instance.clock(),
            actor=Actor.system(),
            details=more,
        )


def _batches(instance: Instance, batch: int) -> Iterator[tuple[int, int]]:
    """Moves what is not on the newest key; yields how many rows of each batch were moved and do not open."""
    for cell in cells():
        after: uuid.UUID | None = None
        while True:
            with instance.database.transaction() as session:
                rows = session.execute(_next(cell, instance.keyring, after).limit(batch)).all()
                moved = [_move(session, cell, row, wrapped, instance.keyring) for row, wrapped in rows]
            if not rows:
                break
            after = rows[-1][0]
            yield moved.count(True), moved.count(None)


def _next(cell: Cell, keyring: Keyring, after: uuid.UUID | None) -> Select[uuid.UUID, bytes]:
    wanted = select(cell.row, cell.column).where(~_begins(cell, keyring.sealing_ids[0])).order_by(cell.row)
    return wanted.where(cell.row > after) if after else wanted


def _move(session: Session, cell: Cell, row: uuid.UUID, wrapped: bytes, keyring: Keyring) -> bool | None:
    """True when it was moved, None when it does not open, False when somebody changed it meanwhile."""
    try:
        fresh = keyring.rewrapped(wrapped, place=cell.place(row))
    except Unopenable:
        return None
    still = update(cell.column.table).where(cell.row == row, cell.column == wrapped)
    done = session.execute(still.values({cell.column.name: fresh}))
    return cast("CursorResult[Any]", done).rowcount == 1


def _begins(cell: Cell, key_id: str) -> Any:
    start = wrapped_start(key_id)
    return func.substr(cell.column, 1, len(start), type_=Wrapped) == start


def _on_none_of(cell: Cell, ids: Sequence[str]) -> Select[Any]:
    return select(cell.column).where(*(~_begins(cell, key_id) for key_id in ids))


def _count(session: Session, counted: Select[Any]) -> int:
    return session.scalar(counted) or 0


def _opens(keyring: Keyring, wrapped: bytes, place: Place) -> bool:
    try:
        keyring.unwrap(wrapped, place=place)
    except Unopenable:
        return False
    return True
